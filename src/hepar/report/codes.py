"""The codes of the DICOM documents, as one table each. Source: DICOM PS3.16, context groups as named."""

from __future__ import annotations

from typing import NamedTuple


class Coded(NamedTuple):
    """Code value, coding scheme designator, code meaning."""

    value: str
    scheme: str
    meaning: str


# CID 7150 Segmentation Property Categories
ANATOMICAL_STRUCTURE = Coded("91723000", "SCT", "Anatomical Structure")
MORPHOLOGICALLY_ABNORMAL = Coded("49755003", "SCT", "Morphologically Abnormal Structure")
# CID 7170 and CID 7159
LIVER = Coded("10200004", "SCT", "Liver")
LESION = Coded("52988006", "SCT", "Lesion")
# CID 7192
PORTAL_VEIN = Coded("32764006", "SCT", "Portal vein")
HEPATIC_VEIN = Coded("8993003", "SCT", "Hepatic vein")
BLOOD_VESSEL = Coded("59820001", "SCT", "Blood Vessel")
# Measurements: CID 7469, CID 7470 and TID 300 modifiers
VOLUME = Coded("118565006", "SCT", "Volume")
LONG_AXIS = Coded("103339001", "SCT", "Long axis")
SHORT_AXIS = Coded("103340004", "SCT", "Short axis")
MAX_3D_DIAMETER = Coded("L0JK", "IBSI", "Maximum 3D Diameter of a Mesh")
ATTENUATION = Coded("112031", "DCM", "Attenuation Coefficient")
PROBABILITY = Coded("122157", "DCM", "Probability")
MEAN = Coded("373098007", "SCT", "Mean")
VOXEL_SUM = Coded("126030", "DCM", "Sum of segmented voxel method for volume")
CONTRAST_PHASE = Coded("109058", "DCM", "Contrast Phase")
# Units: UCUM
MILLILITRE = Coded("ml", "UCUM", "milliliter")
MILLIMETRE = Coded("mm", "UCUM", "millimeter")
HOUNSFIELD = Coded("[hnsf'U]", "UCUM", "Hounsfield unit")
NO_UNITS = Coded("1", "UCUM", "no units")
# TID 1500
PROCEDURE = Coded("77477000", "SCT", "Computed tomography")
ENGLISH = Coded("en", "RFC5646", "English")
