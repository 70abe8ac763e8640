"""Writing a phase as one multi-frame object: Enhanced CT Image Storage (DICOM PS3.3 A.38.1, functional groups)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepar.record import Geometry, derived_uid

from .dicom import (
    INJECTION_S,
    INTERCEPT,
    STUDY_DATE,
    SeriesPlan,
    clock,
    decimal,
    file_meta,
    slice_template,
)
from .settings import PhaseSettings, SimulationSettings

ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"

# Attributes of single-slice CT that an enhanced object keeps in its functional groups or not at all.
_PER_GROUP = (
    "AcquisitionDate", "AcquisitionTime", "ContrastBolusAgent", "ContrastBolusRoute", "ContrastBolusVolume",
    "ContrastBolusStartTime", "ContrastFlowRate", "SliceThickness", "KVP", "DataCollectionDiameter",
    "ReconstructionDiameter", "GantryDetectorTilt", "TableHeight", "RotationDirection", "ExposureTime",
    "XRayTubeCurrent", "Exposure", "FilterType", "ConvolutionKernel", "ImageOrientationPatient", "PixelSpacing",
    "WindowCenter", "WindowWidth", "RescaleIntercept", "RescaleSlope", "RescaleType",
)  # fmt: skip


def write_enhanced(file: Path, image: NDArray[np.int16], geometry: Geometry, phase: PhaseSettings,
                   settings: SimulationSettings, plan: SeriesPlan) -> None:  # fmt: skip
    """Write all slices of a phase into one file, in array order."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    def item(**values: object) -> Dataset:
        out = Dataset()
        for name, value in values.items():
            setattr(out, name, value)
        return out

    def group(**values: object) -> Sequence:
        return Sequence([item(**values)])

    d = slice_template(image, geometry, phase, settings, plan)
    single = {name: d[name].value for name in _PER_GROUP if name in d}
    for name in single:
        delattr(d, name)
    moment = STUDY_DATE + single["AcquisitionTime"]
    uid = derived_uid(plan.series_uid, "enhanced", str(plan.acquisition_number))
    kind = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    traits = {"PixelPresentation": "MONOCHROME", "VolumetricProperties": "VOLUME",
              "VolumeBasedCalculationTechnique": "NONE"}  # fmt: skip
    d.SOPClassUID, d.SOPInstanceUID, d.InstanceNumber = ENHANCED_CT, uid, plan.acquisition_number
    d.ImageType = kind
    for name, value in traits.items():
        setattr(d, name, value)
    d.AcquisitionDateTime, d.AcquisitionDuration = moment, 5000.0
    d.ContentQualification, d.PresentationLUTShape = "RESEARCH", "IDENTITY"
    d.BurnedInAnnotation, d.LossyImageCompression = "NO", "00"
    d.MultienergyCTAcquisition = "NO"
    d.AcquisitionContextSequence = Sequence([])
    d.NumberOfFrames = len(image)
    if "ContrastBolusAgent" in single:
        agent = item(CodeValue="44588005", CodingSchemeDesignator="SCT", CodeMeaning="Iodinated contrast agent")
        route = group(CodeValue="47625008", CodingSchemeDesignator="SCT", CodeMeaning="Intravenous route")
        agent.update(item(
            ContrastBolusAgentNumber=1, ContrastBolusAdministrationRouteSequence=route, ContrastBolusVolume="120",
            ContrastBolusIngredientCodeSequence=group(
                CodeValue="44588005", CodingSchemeDesignator="SCT", CodeMeaning="Iodine"),
            ContrastBolusIngredientConcentration="350", ContrastBolusIngredientOpaque="YES"))  # fmt: skip
        if phase.tell_times:
            agent.ContrastAdministrationProfileSequence = group(
                ContrastBolusVolume="120", ContrastBolusStartTime=clock(INJECTION_S), ContrastFlowRate="4"
            )
        d.ContrastBolusAgentSequence = Sequence([agent])
    organisation = derived_uid(plan.series_uid, "dimensions")
    d.DimensionOrganizationSequence = group(DimensionOrganizationUID=organisation)
    d.DimensionIndexSequence = Sequence([
        item(DimensionOrganizationUID=organisation, DimensionIndexPointer=tag, FunctionalGroupPointer=0x00209111,
             DimensionDescriptionLabel=label)
        for tag, label in ((0x00209056, "Stack ID"), (0x00209057, "In-Stack Position Number"))])  # fmt: skip
    shared = item(
        PixelMeasuresSequence=group(
            SliceThickness=single["SliceThickness"], PixelSpacing=single["PixelSpacing"],
            SpacingBetweenSlices=decimal(geometry.slice_distance_mm)),
        PlaneOrientationSequence=group(ImageOrientationPatient=single["ImageOrientationPatient"]),
        FrameAnatomySequence=group(FrameLaterality="U", AnatomicRegionSequence=group(
            CodeValue="818981001", CodingSchemeDesignator="SCT", CodeMeaning="Abdomen")),
        CTImageFrameTypeSequence=group(FrameType=kind, **traits),
        PixelValueTransformationSequence=group(RescaleIntercept=str(INTERCEPT), RescaleSlope="1", RescaleType="HU"),
        FrameVOILUTSequence=group(WindowCenter="60", WindowWidth="400"),
        CTAcquisitionTypeSequence=group(AcquisitionType="SPIRAL", ConstantVolumeFlag="NO", FluoroscopyFlag="NO"),
        CTAcquisitionDetailsSequence=group(
            RotationDirection="CW", RevolutionTime=0.5, SingleCollimationWidth=0.6, TotalCollimationWidth=38.4,
            TableHeight=150.0, GantryDetectorTilt=settings.tilt_deg, DataCollectionDiameter="500"),
        CTTableDynamicsSequence=group(TableSpeed=46.1, TableFeedPerRotation=23.04, SpiralPitchFactor=0.6),
        CTGeometrySequence=group(DistanceSourceToDetector="1085", DistanceSourceToDataCollectionCenter=595.0),
        CTReconstructionSequence=group(
            ReconstructionAlgorithm="FILTER_BACK_PROJ", ConvolutionKernel=single["ConvolutionKernel"],
            ConvolutionKernelGroup="SOFT_TISSUE", ReconstructionDiameter=single["ReconstructionDiameter"],
            ReconstructionPixelSpacing=[geometry.spacing_mm[1], geometry.spacing_mm[2]], ReconstructionAngle=360.0,
            ImageFilter="NONE"),
        CTExposureSequence=group(
            ExposureTimeInms=500.0, XRayTubeCurrentInmA=300.0, ExposureInmAs=150.0, ExposureModulationType="NONE",
            CTDIvol=10.0, CTDIPhantomTypeCodeSequence=group(
                CodeValue="113691", CodingSchemeDesignator="DCM", CodeMeaning="IEC Body Dosimetry Phantom")),
        CTXRayDetailsSequence=group(KVP="120", FocalSpots="1.2", FilterType="FLAT", FilterMaterial="ALUMINUM"),
        IrradiationEventIdentificationSequence=group(
            IrradiationEventUID=derived_uid(plan.series_uid, "irradiation", str(plan.acquisition_number))),
    )  # fmt: skip
    if "ContrastBolusAgent" in single:
        usage = group(ContrastBolusAgentNumber=1, ContrastBolusAgentAdministered="YES",
                      ContrastBolusAgentDetected="YES", ContrastBolusAgentPhase="")  # fmt: skip
        shared.ContrastBolusUsageSequence = usage
    d.SharedFunctionalGroupsSequence = Sequence([shared])
    middle = (np.asarray(geometry.shape) - 1) / 2
    frames = []
    for k in range(len(image)):
        centre = [float(v) for v in geometry.to_lps_mm([k, middle[1], middle[2]])]
        frames.append(item(
            FrameContentSequence=group(
                FrameAcquisitionNumber=plan.acquisition_number, StackID="1", InStackPositionNumber=k + 1,
                FrameReferenceDateTime=moment, FrameAcquisitionDateTime=moment, FrameAcquisitionDuration=500.0,
                DimensionIndexValues=[1, k + 1]),
            PlanePositionSequence=group(ImagePositionPatient=[decimal(v) for v in geometry.to_lps_mm([k, 0, 0])]),
            CTPositionSequence=group(
                TablePosition=round(centre[2], 4), ReconstructionTargetCenterPatient=centre,
                DataCollectionCenterPatient=centre)))  # fmt: skip
    d.PerFrameFunctionalGroupsSequence = Sequence(frames)
    d.PixelData = (image - INTERCEPT).astype("<i2").tobytes()
    d.file_meta = file_meta(ENHANCED_CT, uid)
    d.save_as(file, enforce_file_format=True)
