"""One frame of one DICOM object, as far as its header tells: what ordering, splitting and labelling need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hepar.ingest import tags
from hepar.ingest.source import Item

FrameKey: TypeAlias = tuple[str, int, int]


@dataclass(frozen=True, eq=False)
class FileHead:
    """What holds for a whole DICOM object. namesake: counts objects of other content under one SOP UID, from 0."""

    item: Item
    dataset: Any
    sop_uid: str
    sop_class: str
    series_uid: str
    study_uid: str
    modality: str
    transfer_syntax: str
    frames: int
    damage: str = ""
    namesake: int = 0

    @property
    def is_enhanced(self) -> bool:
        """Whether per-frame functional groups say where each frame lies."""
        return bool(tags.items(self.dataset, "PerFrameFunctionalGroupsSequence"))


@dataclass(frozen=True, eq=False)
class Frame:
    """One image plane. position, row, column: LPS; row is the direction of growing column index (the first three
    direction cosines), column that of growing row index. spacing: between rows, between columns. None: not said.
    """

    head: FileHead
    number: int
    position: NDArray[np.float64] | None
    row: NDArray[np.float64] | None
    column: NDArray[np.float64] | None
    spacing: NDArray[np.float64] | None
    rows: int
    columns: int
    image_type: tuple[str, ...]
    acquisition_number: int | None
    temporal_index: int | None
    acquired: float | None
    content: float | None
    trigger_ms: float | None
    instance: int | None
    thickness_mm: float | None
    tilt_tag_deg: float | None
    kernel: str
    echo_ms: float | None
    b_value: float | None
    slope: float | None
    intercept: float | None
    contrast_phase: str

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit normal of the plane; only for frames with an orientation."""
        assert self.row is not None
        assert self.column is not None
        return np.cross(self.row, self.column)

    @property
    def key(self) -> FrameKey:
        """Names the frame, and gives an order that depends on the content only."""
        return self.head.sop_uid, self.head.namesake, self.number


def frames_of(head: FileHead) -> list[Frame]:
    """The frames of an object: one, or those of its functional groups (PS3.3 C.7.6.16)."""
    ds = head.dataset
    if not head.is_enhanced:
        return [_frame(head, 1, [ds])]
    shared = tags.first(ds, "SharedFunctionalGroupsSequence")
    per_frame = tags.items(ds, "PerFrameFunctionalGroupsSequence")
    return [_frame(head, n + 1, [group, shared, ds]) for n, group in enumerate(per_frame[: head.frames])]


_MACROS = {
    "ImagePositionPatient": ("PlanePositionSequence",),
    "ImageOrientationPatient": ("PlaneOrientationSequence",),
    "PixelSpacing": ("PixelMeasuresSequence",),
    "SliceThickness": ("PixelMeasuresSequence",),
    "RescaleSlope": ("PixelValueTransformationSequence",),
    "RescaleIntercept": ("PixelValueTransformationSequence",),
    "GantryDetectorTilt": ("CTAcquisitionDetailsSequence",),
    "ConvolutionKernel": ("CTReconstructionSequence",),
    "EffectiveEchoTime": ("MREchoSequence",),
    "DiffusionBValue": ("MRDiffusionSequence",),
    "FrameAcquisitionNumber": ("FrameContentSequence",),
    "TemporalPositionIndex": ("FrameContentSequence",),
    "FrameAcquisitionDateTime": ("FrameContentSequence",),
    "FrameReferenceDateTime": ("FrameContentSequence",),
    "NominalCardiacTriggerDelayTime": ("CardiacSynchronizationSequence",),
    "ContrastBolusAgentPhase": ("ContrastBolusUsageSequence",),
}
_FRAME_TYPES = ("CTImageFrameTypeSequence", "MRImageFrameTypeSequence")
_CONVERTED = ("UnassignedPerFrameConvertedAttributesSequence", "UnassignedSharedConvertedAttributesSequence")


class _Levels:
    """Per-frame groups first, then shared ones, then the object itself."""

    def __init__(self, levels: list[Any]) -> None:
        self._levels = [level for level in levels if level is not None]

    def holding(self, keyword: str) -> Any:
        """The data set nearest to the frame that has the value, or None."""
        if len(self._levels) == 1:
            return self._levels[0]
        for level in self._levels:
            places = [tags.first(level, *_MACROS[keyword])] if keyword in _MACROS else []
            places += [tags.first(level, name) for name in _CONVERTED]
            for place in [*places, level]:
                if place is not None and tags.value(place, keyword) is not None:
                    return place
        return None

    def numbers(self, keyword: str, count: int) -> NDArray[np.float64] | None:
        return tags.numbers(self.holding(keyword), keyword, count)

    def number(self, keyword: str) -> float | None:
        return tags.number(self.holding(keyword), keyword)

    def whole(self, keyword: str) -> int | None:
        return tags.whole(self.holding(keyword), keyword)

    def text(self, keyword: str) -> str:
        return tags.text(self.holding(keyword), keyword)

    def moment(self, prefix: str) -> float | None:
        for suffix in ("DateTime", "Time"):
            place = self.holding(f"{prefix}{suffix}")
            if place is not None:
                found = tags.moment(place, prefix)
                if found is not None:
                    return found
        return None

    def image_type(self) -> tuple[str, ...]:
        for level in self._levels:
            for name in _FRAME_TYPES:
                place = tags.first(level, name)
                if place is not None and tags.words(place, "FrameType"):
                    return tags.words(place, "FrameType")
        return tags.words(self._levels[-1], "ImageType")


def _first_known(*values: float | None) -> float | None:
    return next((v for v in values if v is not None), None)


def _frame(head: FileHead, number: int, levels: list[Any]) -> Frame:
    at = _Levels(levels)
    row, column = _directions(at.numbers("ImageOrientationPatient", 6))
    acquisition = at.whole("FrameAcquisitionNumber")
    enhanced = len(levels) > 1
    return Frame(
        head=head,
        number=number,
        position=at.numbers("ImagePositionPatient", 3),
        row=row,
        column=column,
        spacing=at.numbers("PixelSpacing", 2),
        rows=tags.whole(head.dataset, "Rows") or 0,
        columns=tags.whole(head.dataset, "Columns") or 0,
        image_type=at.image_type(),
        acquisition_number=acquisition if acquisition is not None else at.whole("AcquisitionNumber"),
        temporal_index=at.whole("TemporalPositionIndex")
        if enhanced
        else tags.whole(head.dataset, "TemporalPositionIdentifier"),
        acquired=_first_known(at.moment("FrameAcquisition"), at.moment("Acquisition")),
        content=_first_known(at.moment("FrameReference"), at.moment("Content")),
        trigger_ms=_first_known(at.number("TriggerTime"), at.number("NominalCardiacTriggerDelayTime")),
        instance=number if enhanced else tags.whole(head.dataset, "InstanceNumber"),
        thickness_mm=at.number("SliceThickness"),
        tilt_tag_deg=at.number("GantryDetectorTilt"),
        kernel=at.text("ConvolutionKernel").upper(),
        echo_ms=_first_known(at.number("EffectiveEchoTime"), at.number("EchoTime")),
        b_value=at.number("DiffusionBValue"),
        slope=at.number("RescaleSlope"),
        intercept=at.number("RescaleIntercept"),
        contrast_phase=at.text("ContrastBolusAgentPhase").upper(),
    )


def _directions(
    cosines: NDArray[np.float64] | None,
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """Unit row and column directions; None when they are no directions or not square to each other within 1 degree."""
    if cosines is None:
        return None, None
    row, column = cosines[:3], cosines[3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if not all(0.9 < length < 1.1 for length in lengths):
        return None, None
    row, column = row / lengths[0], column / lengths[1]
    if abs(float(row @ column)) > 0.0175:
        return None, None
    return row, column
