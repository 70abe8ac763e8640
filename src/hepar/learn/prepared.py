"""Virtual patients read, with organs outlined and phases aligned, and kept: what comes before the region network."""

from __future__ import annotations

import json
import pickle
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar import pipeline
from hepar.learn.own_code import code_sha256
from hepar.record import AlignedPhase, OrganMap, PhaseLabel, Volume
from hepar.segment.builtin import Builtin
from hepar.settings import Settings

_READS = (
    "pipeline.py", "record", "ingest", "harmonise", "segment/network.py", "segment/liver.py", "segment/grid.py",
)  # fmt: skip


@dataclass(frozen=True)
class PreparedCase:
    """One virtual patient up to the region network, in the portal venous phase's grid.

    truth: its truth.json. labels: its label map (slice, row, column), liver 1, lesion k as 10 + k. others: the phases
    that were aligned to the reference; phase_labels: of the reference and of each of the others.
    """

    name: str
    truth: dict[str, Any]
    labels: NDArray[np.uint8]
    reference: Volume
    organs: OrganMap
    others: tuple[AlignedPhase, ...]
    phase_labels: tuple[PhaseLabel, ...]


def prepare_case(case: Path, engine: Builtin, keep: Path | None = None) -> PreparedCase:
    """Read a case of `hepar simulate`, its phases named as its truth names them.

    keep: folder where the outcome is kept for the next time; another organ network or other code makes it anew.
    Raises what `pipeline.prepare` raises.
    """
    file = keep / _key(engine) / f"{case.name}.pickle" if keep else None
    if file and file.is_file():
        made: PreparedCase = pickle.loads(file.read_bytes())
        return made
    import nibabel

    truth = json.loads((case / "truth.json").read_text(encoding="utf-8"))
    drawn = np.asarray(nibabel.load(case / truth["labels_file"]).dataobj).transpose(2, 1, 0)
    paths = {p["label"]: next((case / "nifti").glob(f"{p['number']}_*")) for p in truth["phases"]}
    request = pipeline.Request(case / "nifti", phase_paths=paths, modality="CT")
    settings = Settings(segment=engine.settings, reference="portal_venous")
    with tempfile.TemporaryDirectory() as folder:
        ready = pipeline.prepare(request, settings, engine, Path(folder), pipeline.Clock(), lambda step, share: None)
        made = PreparedCase(
            case.name, truth, np.ascontiguousarray(drawn.astype(np.uint8)), ready.reference.volume,
            ready.organs[ready.reference.id], tuple(ready.others), tuple(ready.labels),
        )  # fmt: skip
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
            fresh = file.with_suffix(".new")
            fresh.write_bytes(pickle.dumps(made, protocol=5))
            fresh.replace(file)
    return made


def _key(engine: Builtin) -> str:
    return f"{engine.network.sha256[:12]}-{code_sha256(*_READS)[:8]}"
