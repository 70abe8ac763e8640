"""Writing a phase as CT Image Storage, one file per slice, as a scanner would (DICOM PS3.3 A.3)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hepar.record import Geometry, derived_uid

from .settings import PhaseSettings, SimulationSettings

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset

STUDY_DATE = "20260105"
INJECTION_S = 10 * 3600 + 5 * 60  # 10:05:00; everything of the study is timed from here
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
IMPLEMENTATION = derived_uid("hepar.simulate", "implementation")
INTERCEPT = -1024


@dataclass(frozen=True)
class SeriesPlan:
    """Numbers of one phase inside the study."""

    study_uid: str
    frame_uid: str
    series_uid: str
    series_number: int
    acquisition_number: int
    first_instance: int
    description: str


def write_series(folder: Path, names: list[str], image: NDArray[np.int16], geometry: Geometry, phase: PhaseSettings,
                 settings: SimulationSettings, plan: SeriesPlan) -> list[Path]:  # fmt: skip
    """Write every slice of a phase into the folder. names: one file name per slice. Returns the files."""
    template = slice_template(image, geometry, phase, settings, plan)
    files = []
    for k in range(len(image)):
        dataset = slice_dataset(template, k, image[k], geometry, plan)
        files.append(folder / names[k])
        dataset.save_as(files[-1], enforce_file_format=True)
    return files


def slice_template(image: NDArray[np.int16], geometry: Geometry, phase: PhaseSettings, settings: SimulationSettings,
                   plan: SeriesPlan) -> Dataset:  # fmt: skip
    """Everything that the slices of a phase share."""
    from pydicom.dataset import Dataset

    d = Dataset()
    start = INJECTION_S + (phase.seconds if phase.label != "native" else -120.0)
    if not phase.tell_times:
        start = INJECTION_S + 600.0
    d.SpecificCharacterSet = "ISO_IR 100"
    d.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    d.SOPClassUID = CT_IMAGE
    d.StudyDate = d.SeriesDate = d.AcquisitionDate = d.ContentDate = STUDY_DATE
    d.StudyTime = clock(INJECTION_S - 300)
    d.SeriesTime = d.AcquisitionTime = d.ContentTime = clock(start)
    d.AccessionNumber = "SIM0001"
    d.Modality = "CT"
    d.Manufacturer = "hepar simulation"
    d.ManufacturerModelName = "virtual patient"
    d.DeviceSerialNumber = "0"
    d.SoftwareVersions = "1"
    d.ReferringPhysicianName = ""
    d.StudyDescription = "CT abdomen, simulated"
    if plan.description:
        d.SeriesDescription = plan.description
    d.PatientName = "SIMULATED^PATIENT"
    d.PatientID = "SIM-0001"
    d.PatientBirthDate = f"{int(STUDY_DATE[:4]) - settings.age_years:04d}0101"
    d.PatientSex = settings.sex
    d.PatientAge = f"{settings.age_years:03d}Y"
    d.PatientComments = "Synthetic patient, no human being"
    d.BodyPartExamined = "ABDOMEN"
    if phase.label != "native" and phase.tell_times:
        d.ContrastBolusAgent = "Iodinated contrast 350 mg/ml"
        d.ContrastBolusRoute = "IV"
        d.ContrastBolusVolume = "120"
        d.ContrastBolusStartTime = clock(INJECTION_S)
        d.ContrastFlowRate = "4"
    elif phase.label != "native":
        d.ContrastBolusAgent = "Iodinated contrast 350 mg/ml"
    sharp = settings.scanner.sharp
    d.SliceThickness = decimal(settings.scanner.thickness_mm)
    d.KVP = "120"
    d.DataCollectionDiameter = "500"
    d.ProtocolName = "Liver multiphase, simulated"
    d.ReconstructionDiameter = decimal(geometry.shape[2] * geometry.spacing_mm[2])
    d.GantryDetectorTilt = decimal(settings.tilt_deg)
    d.TableHeight = "150"
    d.RotationDirection = "CW"
    d.ExposureTime = 500
    d.XRayTubeCurrent = 300
    d.Exposure = 150
    d.FilterType = "BODY"
    d.ConvolutionKernel = "B60f" if sharp else "B30f"
    d.PatientPosition = "HFS"
    d.StudyInstanceUID = plan.study_uid
    d.SeriesInstanceUID = plan.series_uid
    d.StudyID = "1"
    d.SeriesNumber = plan.series_number
    d.AcquisitionNumber = plan.acquisition_number
    along = geometry.affine[:3, :3] / np.asarray(geometry.spacing_mm)
    d.ImageOrientationPatient = [decimal(v) for v in (*along[:, 2], *along[:, 1])]
    d.FrameOfReferenceUID = plan.frame_uid
    d.PositionReferenceIndicator = ""
    d.SamplesPerPixel = 1
    d.PhotometricInterpretation = "MONOCHROME2"
    d.Rows, d.Columns = geometry.shape[1:]
    d.PixelSpacing = [decimal(geometry.spacing_mm[1]), decimal(geometry.spacing_mm[2])]
    d.BitsAllocated = d.BitsStored = 16
    d.HighBit = 15
    d.PixelRepresentation = 1
    if settings.scanner.padding_hu < -1024:
        d.add_new((0x0028, 0x0120), "SS", settings.scanner.padding_hu - INTERCEPT)
    d.WindowCenter, d.WindowWidth = "60", "400"
    d.RescaleIntercept, d.RescaleSlope, d.RescaleType = str(INTERCEPT), "1", "HU"
    return d


def slice_dataset(template: Dataset, k: int, pixels: NDArray[np.int16], geometry: Geometry,
                  plan: SeriesPlan) -> Dataset:  # fmt: skip
    """The k-th slice as a dataset that can be saved."""
    from pydicom.dataset import Dataset

    d = Dataset()
    d.update(template)
    number = plan.first_instance + k
    d.SOPInstanceUID = derived_uid(plan.series_uid, "instance", str(plan.acquisition_number), str(number))
    d.InstanceNumber = number
    place = geometry.to_lps_mm([k, 0, 0])
    d.ImagePositionPatient = [decimal(v) for v in place]
    d.SliceLocation = decimal(place[2])
    d.PixelData = (pixels - INTERCEPT).astype("<i2").tobytes()
    d.file_meta = file_meta(d.SOPClassUID, d.SOPInstanceUID)
    return d


def file_meta(class_uid: str, instance_uid: str) -> FileMetaDataset:
    """The head of a file."""
    from pydicom.dataset import FileMetaDataset

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = class_uid
    meta.MediaStorageSOPInstanceUID = instance_uid
    meta.TransferSyntaxUID = EXPLICIT_LITTLE
    meta.ImplementationClassUID = IMPLEMENTATION
    meta.ImplementationVersionName = "HEPAR_SIMULATE"
    return meta


def decimal(value: float) -> str:
    """A number as DICOM decimal string: at most 16 characters (PS3.5 6.2), without a minus before zero."""
    text = f"{value:.10g}" if value else "0"
    if len(text) > 16:
        text = f"{value:.9f}"[:16]
    return "0" if float(text) == 0 else text


def clock(seconds: float) -> str:
    """Seconds of the day as a DICOM time."""
    whole = int(seconds)
    return f"{whole // 3600:02d}{whole // 60 % 60:02d}{whole % 60:02d}.{round((seconds - whole) * 1e6):06d}"
