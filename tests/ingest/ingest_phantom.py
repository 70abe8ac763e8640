"""A small body in HU, and a writer of DICOM files that shares no code with the reader."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import ExplicitVRLittleEndian

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
MR_CLASS = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
STUDY = "1.2.3.4"
FRAME = "1.2.3.9"

SPACING = (2.5, 0.8, 0.75)
ORIGIN = (-11.5, -9.0, 40.0)


def body(slices: int = 10, rows: int = 24, columns: int = 20, *, seed: int = 0) -> NDArray[np.int16]:
    """HU (slice, row, column), going up, back and left: air, fat, liver with noise; no axis is symmetric."""
    z, y, x = np.meshgrid(np.arange(slices), np.arange(rows), np.arange(columns), indexing="ij")
    hu = np.full(z.shape, -1000.0)
    hu[((y - rows / 2) / (0.45 * rows)) ** 2 + ((x - columns / 2) / (0.45 * columns)) ** 2 < 1] = -100.0
    hu[((y - rows / 2.5) / (0.3 * rows)) ** 2 + ((x - columns / 3) / (0.25 * columns)) ** 2 < 1] = 60.0
    hu += 3 * z + 1 * y + 2 * x + np.random.default_rng(seed).integers(-9, 10, z.shape)
    return hu.astype(np.int16)


def dataset(sop_class: str, sop_uid: str) -> FileDataset:
    """An empty object with its meta header."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = sop_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID = sop_class
    ds.SOPInstanceUID = sop_uid
    return ds


def _common(ds: Dataset, series: str, modality: str, shape: tuple[int, int]) -> None:
    ds.StudyInstanceUID = STUDY
    ds.SeriesInstanceUID = series
    ds.FrameOfReferenceUID = FRAME
    ds.Modality = modality
    ds.PatientID = "P1"
    ds.PatientName = "Secret^Person"
    ds.PatientBirthDate = "19500102"
    ds.PatientSex = "F"
    ds.InstitutionName = "Hidden Hospital"
    ds.StudyDate = "20260110"
    ds.StudyTime = "101500"
    ds.AcquisitionDate = "20260110"
    ds.Rows, ds.Columns = shape
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 1


def put_pixels(ds: Dataset, stored: NDArray[np.generic]) -> None:
    """Stored values as uncompressed pixels."""
    ds.PixelData = np.ascontiguousarray(stored).tobytes()
    ds["PixelData"].VR = "OW"


def axes(
    spacing: tuple[float, float, float] = SPACING, origin: tuple[float, float, float] = ORIGIN
) -> NDArray[np.float64]:
    """Affine of (slice, row, column) going up, back, left."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = *spacing, 1.0
    affine[:3, 3] = origin
    return affine


def turned(
    volume: NDArray[np.int16],
    affine: NDArray[np.float64],
    permutation: tuple[int, int, int] = (0, 1, 2),
    flips: Sequence[bool] = (False, False, False),
) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """The same voxels stored along other axes: transposed, then reversed along the flipped ones."""
    out, moved = volume.transpose(permutation), affine[:, [*permutation, 3]].copy()
    for axis, flip in enumerate(flips):
        if flip:
            out = np.flip(out, axis)
            moved[:3, 3] += moved[:3, axis] * (out.shape[axis] - 1)
            moved[:3, axis] *= -1
    return out, moved


def make_series(
    volume: NDArray[np.int16] | None = None,
    *,
    affine: NDArray[np.float64] | None = None,
    series: str = "1.2.3.5",
    modality: str = "CT",
    first_uid: int = 1,
    acquisition_s: float | None = 37000.0,
    intercept: float = -1024.0,
    **tags: object,
) -> list[FileDataset]:
    """One single-frame object per slice; `tags` go into every one."""
    volume = body() if volume is None else volume
    affine = axes() if affine is None else affine
    out = []
    for k, plane in enumerate(volume):
        ds = dataset(CT_CLASS if modality == "CT" else MR_CLASS, f"{series}.{first_uid + k}")
        _common(ds, series, modality, plane.shape)
        row_step, column_step = np.linalg.norm(affine[:3, 1]), np.linalg.norm(affine[:3, 2])
        ds.PixelSpacing = [float(row_step), float(column_step)]
        cosines = [*(affine[:3, 2] / column_step), *(affine[:3, 1] / row_step)]
        ds.ImageOrientationPatient = [float(round(c, 9)) for c in cosines]
        ds.ImagePositionPatient = [float(round(c, 6)) for c in (affine @ [k, 0, 0, 1])[:3]]
        ds.SliceThickness = float(round(np.linalg.norm(affine[:3, 0]), 4))
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.InstanceNumber = first_uid + k
        ds.SeriesNumber = 3
        if acquisition_s is not None:
            ds.AcquisitionTime = clock(acquisition_s)
        ds.RescaleSlope, ds.RescaleIntercept = 1.0, float(intercept)
        put_pixels(ds, (plane.astype(np.int32) - int(intercept)).astype(np.int16))
        for name, value in tags.items():
            setattr(ds, name, value)
        out.append(ds)
    return out


def clock(seconds: float) -> str:
    """HHMMSS.ff"""
    return f"{int(seconds // 3600):02d}{int(seconds % 3600 // 60):02d}{seconds % 60:05.2f}"


def make_enhanced(
    volumes: Sequence[NDArray[np.int16]],
    *,
    affine: NDArray[np.float64] | None = None,
    series: str = "1.2.3.6",
    modality: str = "CT",
    shuffle: int | None = None,
    by: str = "temporal",
    pause_s: float = 40.0,
) -> FileDataset:
    """One multi-frame object with a volume per time point."""
    affine = axes() if affine is None else affine
    ds = dataset(ENHANCED_CT if modality == "CT" else ENHANCED_MR, f"{series}.1")
    _common(ds, series, modality, volumes[0].shape[1:])
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    shared, frames, planes = Dataset(), [], []
    measures = Dataset()
    row_step, column_step = np.linalg.norm(affine[:3, 1]), np.linalg.norm(affine[:3, 2])
    measures.PixelSpacing = [float(row_step), float(column_step)]
    measures.SliceThickness = float(np.linalg.norm(affine[:3, 0]))
    shared.PixelMeasuresSequence = DicomSequence([measures])
    turn = Dataset()
    turn.ImageOrientationPatient = [*(affine[:3, 2] / column_step), *(affine[:3, 1] / row_step)]
    shared.PlaneOrientationSequence = DicomSequence([turn])
    for t, volume in enumerate(volumes):
        for k, plane in enumerate(volume):
            group, content, place, values = Dataset(), Dataset(), Dataset(), Dataset()
            if by == "temporal":
                content.TemporalPositionIndex = t + 1
            content.FrameAcquisitionDateTime = "20260110" + clock(37000 + pause_s * t)
            content.DimensionIndexValues = [t + 1, k + 1]
            place.ImagePositionPatient = [float(round(c, 6)) for c in (affine @ [k, 0, 0, 1])[:3]]
            # Another intercept in each frame, as the standard allows.
            intercept = -1024 - k
            values.RescaleIntercept, values.RescaleSlope, values.RescaleType = float(intercept), 1.0, "HU"
            group.FrameContentSequence = DicomSequence([content])
            group.PlanePositionSequence = DicomSequence([place])
            group.PixelValueTransformationSequence = DicomSequence([values])
            frames.append(group)
            planes.append((plane.astype(np.int32) - intercept).astype(np.int16))
    order = np.arange(len(frames))
    if shuffle is not None:
        np.random.default_rng(shuffle).shuffle(order)
    ds.SharedFunctionalGroupsSequence = DicomSequence([shared])
    ds.PerFrameFunctionalGroupsSequence = DicomSequence([frames[i] for i in order])
    ds.NumberOfFrames = len(frames)
    put_pixels(ds, np.stack([planes[i] for i in order]))
    return ds


def save(folder: Path, *groups: Sequence[FileDataset] | FileDataset, shuffle: int | None = None) -> Path:
    """Write objects under names that say nothing; shuffled names when a seed is given."""
    everything = [ds for group in groups for ds in (group if isinstance(group, list) else [group])]
    names = np.arange(len(everything))
    if shuffle is not None:
        np.random.default_rng(shuffle).shuffle(names)
    folder.mkdir(parents=True, exist_ok=True)
    for ds, name in zip(everything, names, strict=True):
        ds.save_as(folder / f"f{name}", enforce_file_format=False)
    return folder
