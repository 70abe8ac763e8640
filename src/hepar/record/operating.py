"""What decided which lesions are shown, and what that choice is expected to find."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hepar.record.estimate import Estimate


@dataclass(frozen=True)
class SizeRecall:
    """How many lesions of one size an operating point finds. least_mm, below_mm: diameter, None without a limit.

    recall: share found, a statistic; found of lesions.
    """

    least_mm: float | None
    below_mm: float | None
    found: int
    lesions: int
    recall: Estimate


@dataclass(frozen=True)
class OperatingPoint:
    """Which lesions are shown, and what that choice found where it was fitted.

    name: measuring or screening. least_confidence: of a lesion that is shown. phases: whether the figures are of scans
    with one phase or with several. false_per_scan: a statistic over `scans` scans. fitted_on: which scans those were,
    in words. virtual: they were virtual patients, each judged by a curve made without it; otherwise a site's own scans,
    judged by the curve and limit that were chosen on them.
    """

    name: str
    least_confidence: float
    phases: Literal["one", "several"]
    scans: int
    false_per_scan: Estimate
    recall: tuple[SizeRecall, ...]
    fitted_on: str
    virtual: bool = True
