"""run.json: the provenance in full, with the clock and the machine."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

LIBRARIES = ("numpy", "scipy", "SimpleITK", "nibabel", "pydicom", "highdicom", "openvino", "fpdf2", "matplotlib")


def write_run(
    path: Path,
    document: Mapping[str, Any],
    settings: Mapping[str, Any],
    steps: Sequence[Mapping[str, Any]],
    *,
    threads: int,
    peak_memory_mb: float,
    calls: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write what was run, with what, how long each step took and how much memory it had taken by then.

    calls: what other programs took and said (engines that are not the built-in one).
    The only document that holds wall-clock times, and so the only one that differs between two runs alike.
    """
    run = {
        "schema_version": "1.0",
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(sum(float(step["seconds"]) for step in steps), 3),
        "peak_memory_mb": peak_memory_mb,
        "steps": list(steps),
        "provenance": document["provenance"],
        "settings": settings,
        "threads": threads,
        **({"calls": list(calls)} if calls else {}),
        "machine": {"system": platform.system(), "machine": platform.machine(), "python": sys.version.split()[0]},
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    path.write_text(json.dumps(run, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
