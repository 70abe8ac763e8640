"""One examination as it came in: its phases, where each slice came from, and what was left out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Fault
from hepar.record.notice import Notice
from hepar.record.volume import Modality, Volume

PhaseLabel = Literal["native", "arterial", "portal_venous", "delayed", "unknown"]
ArterialTiming = Literal["early", "late", "unknown"]
LabelSource = Literal["user", "tags", "times", "enhancement", "tags+enhancement", "none"]
PHASE_LABELS: tuple[PhaseLabel, ...] = ("native", "arterial", "portal_venous", "delayed", "unknown")


@dataclass(frozen=True)
class PhaseGuess:
    """What a series is thought to be. unknown means "cannot tell"; its probability is that of the best class.

    probabilities: for native, arterial, portal_venous, delayed in this order; sum 1.
    """

    label: PhaseLabel
    arterial_timing: ArterialTiming
    probability: float
    source: LabelSource
    probabilities: tuple[float, float, float, float] = (0.25, 0.25, 0.25, 0.25)

    def __post_init__(self) -> None:
        if self.label not in PHASE_LABELS or not 0.0 <= self.probability <= 1.0:
            raise Fault(f"not a phase label: {self}")


UNKNOWN_PHASE = PhaseGuess("unknown", "unknown", 0.25, "none")


@dataclass(frozen=True)
class SourceFrame:
    """One slice as the archive knows it.

    path: the file (maybe in a temporary folder); never written to any output.
    frame_number: 1 for a single-frame object, else the frame within the multi-frame object, from 1.
    """

    path: Path
    sop_instance_uid: str
    sop_class_uid: str
    frame_number: int = 1


@dataclass(frozen=True)
class SourceLayout:
    """How a volume's axes come from the source's (slice, row, column), so that results can go back.

    volume = source.transpose(permutation), then flipped along the axes where flips is true.
    """

    permutation: tuple[int, int, int] = (0, 1, 2)
    flips: tuple[bool, bool, bool] = (False, False, False)

    def to_source(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array on the volume's grid, put back into the source's axes (a view)."""
        turned = array[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]
        return turned.transpose(tuple(int(i) for i in np.argsort(self.permutation)))

    def from_source(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array in the source's axes, put into the volume's (a view)."""
        turned = array.transpose(self.permutation)
        return turned[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]


@dataclass(frozen=True, eq=False)
class Phase:
    """One series of the examination that can be analysed.

    id: p1, p2, ... in order of acquisition.
    frames: in the source's slice order (before `layout`), one per source slice; () for NIfTI, NRRD and MHA.
    acquired_s: seconds of the day when acquisition began; None where the file does not say.
    tilt_deg: gantry tilt found in the positions; 0 for none.
    quality: notices on this series alone (thick slices, padding, tilt, ...).
    """

    id: str
    volume: Volume
    guess: PhaseGuess
    series_uid: str
    frames: tuple[SourceFrame, ...] = ()
    layout: SourceLayout = SourceLayout()
    frame_of_reference_uid: str = ""
    acquired_s: float | None = None
    slice_thickness_mm: float | None = None
    tilt_deg: float = 0.0
    quality: tuple[Notice, ...] = ()

    def labelled(self, guess: PhaseGuess) -> Phase:
        """The same series under another label."""
        return replace(self, guess=guess)


@dataclass(frozen=True)
class Skipped:
    """Something in the input that is not analysed. series_uid may be "" (files without any); reason: code and text."""

    series_uid: str
    modality: str
    images: int
    reason: Notice


@dataclass(frozen=True, eq=False)
class Study:
    """One examination of one patient.

    uid: StudyInstanceUID, or one derived (2.25) from the content when the files have none.
    date: YYYY-MM-DD, "" where the files do not say.
    input_sha256: over the content of what is analysed, independent of file names and order.
    dicom: whether the phases have source frames, so that SEG and SR can be written.
    identity: patient name, id, birth date, sex as the files have them; used only with --with-identity.
    """

    uid: str
    date: str
    modality: Modality
    phases: tuple[Phase, ...]
    input_sha256: str
    dicom: bool
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[Notice, ...] = ()
    identity: dict[str, str] = field(default_factory=dict)

    def phase(self, phase_id: str) -> Phase:
        """The phase with this id; Fault when there is none."""
        for phase in self.phases:
            if phase.id == phase_id:
                return phase
        raise Fault(f"no phase {phase_id} in {[p.id for p in self.phases]}")
