"""What is in a folder or archive, told without analysing it."""

from __future__ import annotations

from dataclasses import dataclass

from hepar.record import Geometry, Notice, PhaseGuess


@dataclass(frozen=True)
class StudySummary:
    """One examination found. date: YYYY-MM-DD or "". images: frames of CT and MR."""

    uid: str
    date: str
    modalities: tuple[str, ...]
    series: int
    images: int


@dataclass(frozen=True, eq=False)
class SeriesSummary:
    """One series, or one of several volumes inside a series, or a group of files that is no volume.

    description: as the files have it; for the terminal only, it may name a person and must go into no file.
    refusal: why it would not be analysed; None when it would. geometry: None when it makes no volume.
    """

    study_uid: str
    series_uid: str
    modality: str
    images: int
    description: str
    guess: PhaseGuess
    acquired_s: float | None
    geometry: Geometry | None
    tilt_deg: float
    slice_thickness_mm: float | None
    notices: tuple[Notice, ...]
    refusal: Notice | None

    @property
    def analysed(self) -> bool:
        """Whether `analyze` would use it."""
        return self.refusal is None


@dataclass(frozen=True, eq=False)
class Inspection:
    """Everything found. refusal: why the input as a whole would be refused; "" when it would be analysed."""

    patients: int
    studies: tuple[StudySummary, ...]
    series: tuple[SeriesSummary, ...]
    warnings: tuple[Notice, ...]
    refusal: str
