"""DICOM Segmentation: liver, lesions and the veins in the liver on the source slices, read back after writing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Fault
from hepar.record import Anatomy, Findings, Phase, Provenance, Vein, derived_uid
from hepar.report.codes import (
    ANATOMICAL_STRUCTURE,
    BLOOD_VESSEL,
    HEPATIC_VEIN,
    LESION,
    LIVER,
    MORPHOLOGICALLY_ABNORMAL,
    PORTAL_VEIN,
    Coded,
)
from hepar.report.source import SourceSlice, content_moment, source_slices, stamp

if TYPE_CHECKING:
    from highdicom.sr import CodedConcept
    from pydicom import Dataset

MANUFACTURER = "hepar"
LIVER_SEGMENT = 1
LIVER_COLOUR = (60.0, 20.0, 25.0)
LESION_COLOUR = (75.0, 10.0, 75.0)
"""Recommended display colours as CIELab."""
VEINS = {
    Vein.PORTAL: ("Portal vein branches", PORTAL_VEIN, (65.0, 35.0, -50.0)),
    Vein.HEPATIC: ("Hepatic veins", HEPATIC_VEIN, (75.0, -45.0, 10.0)),
    Vein.UNKNOWN: ("Liver vessels of unknown tree", BLOOD_VESSEL, (70.0, 0.0, 0.0)),
}
"""Label, code and colour of the segments of the veins inside the liver, in this order behind the lesions."""


def write_segmentation(
    path: Path, anatomy: Anatomy, findings: Findings, phase: Phase, provenance: Provenance, *, study_uid: str
) -> None:
    """Write liver (segment 1), each lesion (segment 1 + id) and behind them the veins that there are, as a BINARY
    Segmentation, and read it back.

    anatomy: on the grid of `phase`, whose source slices carry the frames: one per segment and slice, empty ones too.
    A tree without a voxel has no segment.
    BINARY, since archives of today refuse label maps. Source: DICOM PS3.3 A.51.
    Raises Fault when what was read back is not what was meant.
    """
    from highdicom.seg import Segmentation, SegmentationTypeValues

    slices = source_slices(phase, study_uid)
    stack = segment_stack(anatomy, findings, phase)
    identity = (provenance.input_sha256, provenance.version, provenance.settings_sha256, provenance.weights_sha256)
    dataset = Segmentation(
        source_images=[s.header for s in slices],
        pixel_array=stack,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=_descriptions(anatomy, findings, provenance, study_uid),
        series_instance_uid=derived_uid(*identity, study_uid, "segmentation series"),
        series_number=9001,
        sop_instance_uid=segmentation_uid(provenance, study_uid),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=provenance.engine,
        software_versions=provenance.version,
        device_serial_number=provenance.weights_sha256[:16] or "none",
        content_label="LIVER",
        content_description="Liver, lesions and veins. Research use, not a certified device",
        series_description="hepar liver, lesions and veins (research use)",
        omit_empty_frames=False,
        contributing_equipment=[],
    )
    organisation = derived_uid(*identity, study_uid, "segmentation dimensions")
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = organisation
    _refer_to_source(dataset, slices)
    stamp(dataset, content_moment(slices))
    dataset.save_as(path)
    _check(path, stack, slices)


def segmentation_uid(provenance: Provenance, study_uid: str) -> str:
    """SOP instance UID of the Segmentation, derived from what makes it."""
    p = provenance
    return derived_uid(
        p.input_sha256, p.version, p.settings_sha256, p.weights_sha256, p.precision, study_uid, "segmentation"
    )


def segment_stack(anatomy: Anatomy, findings: Findings, phase: Phase) -> NDArray[np.uint8]:
    """Segments on the source's grid: uint8 (slice, row, column, segment), liver, lesions by id, then veins."""
    liver = phase.layout.to_source(anatomy.liver)
    lesions = phase.layout.to_source(anatomy.lesions)
    veins = phase.layout.to_source(anatomy.veins)
    trees = veins_there(anatomy)
    stack = np.zeros((*liver.shape, 1 + len(findings.lesions) + len(trees)), dtype=np.uint8)
    stack[..., 0] = liver
    for number, lesion in enumerate(findings.lesions, start=1):
        stack[..., number] = lesions == lesion.id
    for number, tree in enumerate(trees, start=1 + len(findings.lesions)):
        stack[..., number] = veins == tree
    return stack


def veins_there(anatomy: Anatomy) -> tuple[Vein, ...]:
    """The trees that have at least one voxel, in the order of `VEINS`."""
    return tuple(tree for tree in VEINS if (anatomy.veins == tree).any())


def concept(code: Coded) -> CodedConcept:
    """A code as highdicom takes it."""
    from highdicom.sr import CodedConcept

    return CodedConcept(code.value, code.scheme, code.meaning)


def liver_tracking_uid(study_uid: str) -> str:
    """Tracking UID of the liver, the same in SEG and SR."""
    return derived_uid(study_uid, "liver")


def _descriptions(anatomy: Anatomy, findings: Findings, provenance: Provenance, study_uid: str) -> list[Any]:
    from highdicom.color import CIELabColor
    from highdicom.content import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription
    from pydicom.sr.codedict import codes

    algorithm = AlgorithmIdentificationSequence(
        name=provenance.engine,
        family=codes.DCM.ArtificialIntelligence,
        version=provenance.version,
        source=MANUFACTURER,
    )

    def describe(number: int, label: str, category: Coded, kind: Coded, tracking_uid: str, name: str,
                 colour: tuple[float, float, float]) -> Any:  # fmt: skip
        return SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=concept(category),
            segmented_property_type=concept(kind),
            algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
            tracking_uid=tracking_uid,
            tracking_id=name,
            anatomic_regions=[concept(LIVER)] if kind is not LIVER else None,
            display_color=CIELabColor(*colour),
        )

    liver = describe(
        LIVER_SEGMENT, "Liver", ANATOMICAL_STRUCTURE, LIVER, liver_tracking_uid(study_uid), "Liver", LIVER_COLOUR
    )
    lesions = [
        describe(1 + number, f"Lesion {lesion.id}", MORPHOLOGICALLY_ABNORMAL, LESION, lesion.tracking_uid,
                 f"Lesion {lesion.id}", LESION_COLOUR)
        for number, lesion in enumerate(findings.lesions, start=1)
    ]  # fmt: skip
    veins = [
        describe(number, label, ANATOMICAL_STRUCTURE, kind, derived_uid(study_uid, label), label, colour)
        for number, (label, kind, colour) in enumerate((VEINS[t] for t in veins_there(anatomy)), 2 + len(lesions))
    ]
    return [liver, *lesions, *veins]


def _refer_to_source(dataset: Dataset, slices: Sequence[SourceSlice]) -> None:
    """Make each frame name its source slice as the archive knows it, frame number included."""
    from pydicom import Dataset

    by_place = {_place(s.header.ImagePositionPatient): s for s in slices}
    for group in dataset.PerFrameFunctionalGroupsSequence:
        source = by_place[_place(group.PlanePositionSequence[0].ImagePositionPatient)]
        for derivation in group.DerivationImageSequence:
            for image in derivation.SourceImageSequence:
                image.ReferencedSOPClassUID = source.sop_class_uid
                image.ReferencedSOPInstanceUID = source.sop_instance_uid
                if source.frame_number is not None:
                    image.ReferencedFrameNumber = source.frame_number
    series: dict[str, dict[str, str]] = {}
    for s in slices:
        series.setdefault(s.series_uid, {})[s.sop_instance_uid] = s.sop_class_uid
    referenced = []
    for series_uid, instances in series.items():
        item = Dataset()
        item.SeriesInstanceUID = series_uid
        item.ReferencedInstanceSequence = []
        for instance_uid, class_uid in instances.items():
            instance = Dataset()
            instance.ReferencedSOPClassUID = class_uid
            instance.ReferencedSOPInstanceUID = instance_uid
            item.ReferencedInstanceSequence.append(instance)
        referenced.append(item)
    dataset.ReferencedSeriesSequence = referenced


def _place(position: Sequence[Any]) -> tuple[float, float, float]:
    x, y, z = (round(float(v), 3) for v in position)
    return x, y, z


def _check(path: Path, stack: NDArray[np.uint8], slices: Sequence[SourceSlice]) -> None:
    """Read the file back, and compare every frame with the slice and segment it claims to show.

    The bits are unpacked here, not by the library that packed them: one bit a pixel, little end first (PS3.5 8.1.1).
    """
    from pydicom import dcmread

    read = dcmread(path)
    groups = read.PerFrameFunctionalGroupsSequence
    shared = read.SharedFunctionalGroupsSequence[0]
    if len(groups) != stack.shape[0] * stack.shape[3] or (read.Rows, read.Columns) != stack.shape[1:3]:
        raise Fault(f"the Segmentation holds {len(groups)} frames, meant were {stack.shape[0] * stack.shape[3]}")
    number_of = {(s.sop_instance_uid, s.frame_number): n for n, s in enumerate(slices)}
    packed = np.frombuffer(read.PixelData, np.uint8)
    size = read.Rows * read.Columns
    for index, group in enumerate(groups):
        image = group.DerivationImageSequence[0].SourceImageSequence[0]
        number = number_of[image.ReferencedSOPInstanceUID, image.get("ReferencedFrameNumber")]
        identification = group.get("SegmentIdentificationSequence") or shared.SegmentIdentificationSequence
        segment = int(identification[0].ReferencedSegmentNumber)
        same_place = _place(group.PlanePositionSequence[0].ImagePositionPatient) == _place(
            slices[number].header.ImagePositionPatient
        )
        first, last = index * size // 8, -(-(index + 1) * size // 8)
        bits = np.unpackbits(packed[first:last], bitorder="little")[index * size - 8 * first :][:size]
        if not same_place or not np.array_equal(bits, stack[number, :, :, segment - 1].ravel()):
            raise Fault(f"the Segmentation read back differs from what was meant (segment {segment}, slice {number})")
