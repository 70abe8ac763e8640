"""What may be chosen when outlining."""

from __future__ import annotations

from dataclasses import dataclass

from hepar.errors import WrongCall

PRECISIONS = ("f32", "bf16")
OPERATING_POINTS = ("measuring", "screening")


@dataclass(frozen=True)
class SegmentSettings:
    """Settings of the built-in engine; every one of them may change a result, except threads and window_voxels.

    precision: arithmetic of the network, one of PRECISIONS. Only f32 is measured; bf16 is faster on newer CPUs.
    threads: of the network; 0 leaves the choice to OpenVINO.
    window_voxels: voxels that a network sees in one pass; what is larger goes through overlapping windows.
    liver_min_ml, liver_score_min, liver_right_min: what counts as a liver: volume, mean probability, and how far
        its middle lies to the right of the body's, in half widths of the body; from liver_sure_ml the place
        does not matter.
    edge_weight, edge_band_mm: weight of the HU histograms against the network's log-odds, and how far from the
        network's outline it may act. Source: trial on real scans, weights of 1.0 to 1.5 gained 0.01 to 0.02 Dice.
    lesion_score: probability that a place must reach to start a lesion; lesion_grow: probability that it grows to.
        Source: the loss leans towards lesions; on the tuning set what stays below 0.3 is noise, in nearly every case.
    lesion_min_ml: smaller ones are dropped; 0.02 ml is a ball of 3.4 mm, about ten voxels of a scan.
    operating_point: measuring (few false lesions) or screening (few missed ones): the least confidence of a lesion
        that is shown. Source: weights/confidence.json.
    lesion_min_confidence: another limit than that of the operating point; None: that one.
    split_neck: two parts are two lesions when the neck between them is thinner than this share of the thinner part.
    """

    precision: str = "f32"
    threads: int = 0
    window_voxels: int = 1_600_000
    liver_min_ml: float = 150.0
    liver_score_min: float = 0.9
    liver_right_min: float = 0.05
    liver_sure_ml: float = 600.0
    edge_weight: float = 1.2
    edge_band_mm: float = 5.0
    lesion_score: float = 0.3
    lesion_grow: float = 0.12
    lesion_min_ml: float = 0.02
    operating_point: str = "measuring"
    lesion_min_confidence: float | None = None
    split_neck: float = 0.72

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise WrongCall(f"precision {self.precision!r} is not known; choose one of {', '.join(PRECISIONS)}")
        if self.operating_point not in OPERATING_POINTS:
            points = " or ".join(OPERATING_POINTS)
            raise WrongCall(f"operating point {self.operating_point!r} is not known; choose {points}")
        if self.threads < 0:
            raise WrongCall(f"threads must be 0 (automatic) or more, got {self.threads}")
