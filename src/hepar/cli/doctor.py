"""`hepar doctor`."""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import hepar
from hepar.errors import Fault

LIBRARIES = (
    "numpy", "scipy", "SimpleITK", "nibabel", "pydicom", "highdicom", "pylibjpeg", "openvino", "fpdf2", "matplotlib"
)  # fmt: skip
OPTIONAL = {
    "gdcm": ("python-gdcm", "JPEG Lossless and other rare encodings (extra: codecs)"),
    "torch": ("torch", "training (extra: learn)"),
}


def doctor_command(*, as_json: bool) -> None:
    """Print the state of this installation; Fault when a needed part is missing or damaged."""
    found, troubles = examine()
    if as_json:
        print(json.dumps({**found, "troubles": troubles}, indent=2))
    else:
        for title, part in found.items():
            print(title)
            for key, value in part.items():
                print(f"  {key:<14} {value}")
    if troubles:
        raise Fault("; ".join(troubles))
    if not as_json:
        print("all well")


def examine() -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The parts of the installation, and what is wrong with them."""
    from hepar.pipeline import cpu_name
    from hepar.segment import weights_state

    troubles: list[str] = []
    libraries: dict[str, Any] = {}
    for name in LIBRARIES:
        try:
            libraries[name] = version(name)
        except PackageNotFoundError:
            libraries[name] = "missing"
            troubles.append(f"{name} is missing; install hepar again")
    optional: dict[str, Any] = {}
    for module, (package, purpose) in OPTIONAL.items():
        optional[package] = f"{version(package)}: {purpose}" if find_spec(module) else f"not installed: {purpose}"
    weights = weights_state()
    troubles += [f"weights {name}: {state}" for name, state in weights.items() if not state.startswith("ok")]
    found: dict[str, dict[str, Any]] = {
        "hepar": {"version": hepar.__version__, "python": sys.version.split()[0], "system": platform.platform()},
        "machine": {"processor": cpu_name(), "cores": os.cpu_count() or 1, **_memory()},
        "libraries": libraries,
        "weights": weights,
        "optional": optional,
    }
    return found, troubles


def _memory() -> dict[str, str]:
    """Free memory, where the system says (Linux)."""
    from hepar.pipeline import free_memory_bytes

    free = free_memory_bytes()
    return {"memory": "cannot tell on this system" if free is None else f"{free / 2**30:.1f} GiB free"}
