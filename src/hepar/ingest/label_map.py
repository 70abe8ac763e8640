"""Label maps and score maps from files: NIfTI, NRRD, MHA and DICOM SEG.

Both come back on the grid nearest to +z, +y, +x, so that the way round in which a file was stored makes no difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Refused
from hepar.ingest.formats import Header, kind_of, read_header, read_volume
from hepar.ingest.settings import IngestSettings
from hepar.ingest.source import Item
from hepar.ingest.stack import canonical_layout, laid_out, tilt_deg
from hepar.record import Geometry, Notice

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha", ".dcm")
LIVER, LESION, OTHER = 1, 2, 100
"""Labels of the segments of a DICOM SEG: liver, lesion, and 100 + its number for any other."""
_LIVER_CODES = ("10200004", "T-62000")
_ABNORMAL_CODES = ("49755003", "M-01000")
"""SNOMED CT, and the older SRT."""


@dataclass(frozen=True, eq=False)
class VoxelMap:
    """values: (slice, row, column), whole numbers for a label map, float32 for a score map. tilt_deg: of its slices.
    complete: False where slices without content were not stored (DICOM SEG)."""

    values: NDArray[Any]
    geometry: Geometry
    tilt_deg: float
    complete: bool

    def on(self, geometry: Geometry) -> VoxelMap | None:
        """The same map on a grid that holds its voxels in their places, empty where slices were not stored; None where
        the grids differ, or where slices are missing though all were stored."""
        if self.geometry.is_close(geometry):
            return self
        if self.complete:
            return None
        start = geometry.to_index(self.geometry.affine[:3, 3])
        first = np.rint(start).astype(int)
        last = first + np.array(self.geometry.shape)
        if not np.allclose(self.geometry.affine[:3, :3], geometry.affine[:3, :3], atol=1e-3):
            return None
        if np.abs(start - first).max() > 0.01 or first.min() < 0 or (last > np.array(geometry.shape)).any():
            return None
        values = np.zeros(geometry.shape, dtype=self.values.dtype)
        values[tuple(slice(a, b) for a, b in zip(first, last, strict=True))] = self.values
        return VoxelMap(values, geometry, self.tilt_deg, True)


def read_label_map(path: Path) -> VoxelMap:
    """A map of whole numbers, 0 for nothing, in the smallest unsigned type.

    Liver, lesions and other segments of a DICOM SEG become LIVER, LESION (over the liver) and OTHER + number. Raises
    Refused for anything that is no map of labels with one volume and a known place: fractions, NaN, negative labels,
    several volumes, no affine.
    """
    if _is_dicom(path):
        return _segmentation(path)
    values, header = _values(path)
    if values.dtype.kind == "f":
        bad = int(np.count_nonzero(~np.isfinite(values)))
        if bad:
            raise Refused(f"{path.name} holds {bad} voxels that are no number (NaN or infinite); needed: a map of "
                          "whole-numbered labels; set them to 0 or to their label")  # fmt: skip
        parts = values != np.rint(values)
        if bool(parts.any()):
            raise Refused(f"{path.name} holds fractions ({float(values[parts].flat[0]):g}, for one); needed: a map of "
                          "whole-numbered labels; cut probabilities at a threshold first")  # fmt: skip
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if low < 0 or high > 65535:
        raise Refused(f"{path.name} holds values from {low} to {high}; needed: labels from 0 to 65535")
    return _canonical(values.astype(np.uint8 if high < 256 else np.uint16, copy=False), header)


def read_score_map(path: Path) -> VoxelMap:
    """One number per voxel as float32. Raises Refused for NaN, several volumes, or no place."""
    if _is_dicom(path):
        raise Refused(f"{path.name} is DICOM; needed: scores as NIfTI, NRRD or MHA")
    values, header = _values(path)
    found = values.astype(np.float32, copy=False)
    if not bool(np.isfinite(found).all()):
        raise Refused(f"{path.name} holds voxels that are no number (NaN or infinite); needed: a score in every voxel")
    return _canonical(found, header)


def _values(path: Path) -> tuple[NDArray[Any], Header]:
    if not path.is_file():
        raise Refused(f"{path.name} is no file; needed: a label map (NIfTI, NRRD, MHA or DICOM SEG)")
    item = Item(path, path.stat().st_size)
    if not kind_of(item):
        raise Refused(f"{path.name} cannot be read as NIfTI, NRRD, MHA or DICOM SEG; make it again")
    header = read_header(item, IngestSettings())
    if isinstance(header, Notice):
        raise Refused(f"{path.name}: {header.text}")
    if header.volumes != 1:
        raise Refused(
            f"{path.name} holds {header.volumes} volumes (four axes); needed: one volume; save each as a file"
        )
    values = read_volume(item, header, 0)
    if isinstance(values, Notice):
        raise Refused(f"{path.name}: {values.text}")
    return values, header


def _canonical(values: NDArray[Any], header: Header) -> VoxelMap:
    layout = canonical_layout(header.affine)
    geometry = laid_out(header.shape, header.affine, layout)
    return VoxelMap(np.ascontiguousarray(layout.from_source(values)), geometry, tilt_deg(geometry.affine), True)


def _is_dicom(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _segmentation(path: Path) -> VoxelMap:
    """A binary or label-map Segmentation. Source of the codes: DICOM PS3.16 CID 7150, 7159, SNOMED CT."""
    import highdicom
    import pydicom

    try:
        sop_class = str(pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"]).SOPClassUID)
        if sop_class not in ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"):
            raise Refused(f"{path.name} is DICOM, but no segmentation; needed: a DICOM SEG or a label map as NIfTI")
        dataset = highdicom.seg.segread(str(path))
        if dataset.segmentation_type == highdicom.seg.SegmentationTypeValues.FRACTIONAL:
            raise Refused(
                f"{path.name} holds fractions (a fractional DICOM SEG); needed: a binary one; cut at a threshold"
            )
        groups: dict[int, list[int]] = {}
        # 0 is the background of a label map
        for number in (one for one in dataset.segment_numbers if one > 0):
            groups.setdefault(_label(dataset.get_segment_description(number), number), []).append(number)
        values, volume = None, None
        # the lesion last: it lies over the liver
        for label, numbers in sorted(groups.items(), key=lambda one: (one[0] == LESION, one[0])):
            volume = dataset.get_volume(segment_numbers=numbers, combine_segments=True, skip_overlap_checks=True)
            if values is None:
                values = np.zeros(volume.array.shape, dtype=np.uint16)
            values[volume.array != 0] = label
    except Refused:
        raise
    except Exception as error:
        # highdicom and pydicom raise many kinds of errors on broken objects
        raise Refused(f"{path.name} cannot be read as a DICOM SEG ({type(error).__name__}); its slices may not make "
                      "one volume; make it again or save it as NIfTI") from error  # fmt: skip
    if values is None or volume is None:
        raise Refused(f"{path.name} holds no segment; needed: liver or lesions")
    values = values.astype(np.uint8) if int(values.max()) < 256 else values
    affine = np.asarray(volume.affine, dtype=np.float64)
    layout = canonical_layout(affine)
    geometry = laid_out((values.shape[0], values.shape[1], values.shape[2]), affine, layout)
    return VoxelMap(np.ascontiguousarray(layout.from_source(values)), geometry, tilt_deg(affine), False)


def _label(description: Any, number: int) -> int:
    if str(description.segmented_property_type.value) in _LIVER_CODES:
        return LIVER
    return LESION if str(description.segmented_property_category.value) in _ABNORMAL_CODES else OTHER + number
