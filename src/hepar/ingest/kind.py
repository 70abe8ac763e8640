"""What an object is by its class and image type, as far as that decides whether it can be analysed."""

from __future__ import annotations

import re

from hepar.ingest import tags
from hepar.ingest.frame import FileHead, Frame
from hepar.ingest.header import CT_CLASSES, MR_CLASSES, SECONDARY_CAPTURE
from hepar.record import Notice

_SEGMENTATIONS = {"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"}
_NAMES = {
    "SR": "a structured report (dose sheet or measurements)",
    "SEG": "a segmentation",
    "RTSTRUCT": "outlines for radiotherapy",
    "PR": "a presentation state",
    "KO": "a key image note",
    "REG": "a registration",
    "DOC": "a document",
}
_DAMAGE = {
    "no_pixels": Notice("damaged_file", "files that end before their pixels; copy them again"),
    "truncated": Notice("damaged_file", "files that end within their pixels; copy them again"),
}

# Words of Image Type (0008,0008), third value and after, that mark pictures made from a volume (PS3.3 C.8.2.1.1.1,
# C.8.16.1, and the vendors' conformance statements). MPR, REFORMATTED and AVERAGE are not here: an axial one may be
# the only copy of an acquisition, `choose` weighs them.
_NOT_A_SCAN: tuple[tuple[str, str, str], ...] = (
    ("LOCALIZER", "localizer", "a localizer, not a volume"),
    ("SCOUT", "localizer", "a localizer, not a volume"),
    ("TOPOGRAM", "localizer", "a localizer, not a volume"),
    ("MIP", "projection", "a maximum intensity projection, not measured voxels"),
    ("MAX_IP", "projection", "a maximum intensity projection, not measured voxels"),
    ("MNIP", "projection", "a minimum intensity projection, not measured voxels"),
    ("MINIP", "projection", "a minimum intensity projection, not measured voxels"),
    ("MIN_IP", "projection", "a minimum intensity projection, not measured voxels"),
    ("PROJECTION IMAGE", "projection", "a projection, not measured voxels"),
    ("VOLUME RENDERING", "rendering", "a rendered picture, not measured voxels"),
    ("VOLUME_RENDER", "rendering", "a rendered picture, not measured voxels"),
    ("VRT", "rendering", "a rendered picture, not measured voxels"),
    ("SURFACE_RENDER", "rendering", "a rendered picture, not measured voxels"),
    ("SCREEN SAVE", "secondary_capture", "a screen shot, not measured voxels"),
    ("SCREEN_SAVE", "secondary_capture", "a screen shot, not measured voxels"),
    ("DOSE_INFO", "secondary_capture", "a dose sheet"),
    ("SUBTRACTION", "subtraction", "a difference of two phases, not a phase"),
    ("SUB", "subtraction", "a difference of two phases, not a phase"),
    ("CURVED", "reformat", "a curved reformat, not a volume"),
    ("PERFUSION", "derived_map", "a calculated map, not a scan"),
    ("CBF", "derived_map", "a calculated map, not a scan"),
    ("CBV", "derived_map", "a calculated map, not a scan"),
    ("MTT", "derived_map", "a calculated map, not a scan"),
    ("TTP", "derived_map", "a calculated map, not a scan"),
    ("TMAX", "derived_map", "a calculated map, not a scan"),
    ("ADC", "derived_map", "a calculated map, not a scan"),
    ("IODINE", "derived_map", "a calculated map, not a scan"),
    ("EFF_Z", "derived_map", "a calculated map, not a scan"),
    ("VNC", "derived_map", "a virtual native image calculated from an enhanced one, not a scan"),
    ("VIRTUAL_NON_CONTRAST", "derived_map", "a virtual native image calculated from an enhanced one, not a scan"),
)
_BY_WORD = {word: (code, text) for word, code, text in _NOT_A_SCAN}

# The same by description, for writers that leave Image Type bare.
_BY_DESCRIPTION = (
    (re.compile(r"\b(scout|topogram|topo|surview|scano(gram)?|localizer|survey)\b"), *_BY_WORD["LOCALIZER"]),
    (re.compile(r"\b(mip|minip)\b"), *_BY_WORD["MIP"]),
    (re.compile(r"\b(subtra(ction|ktion)|subtr|subtracted)\b"), *_BY_WORD["SUBTRACTION"]),
    (re.compile(r"\b(perfusion map|blood flow|blood volume|iodine (map|density)|virtual non)"), *_BY_WORD["PERFUSION"]),
    (re.compile(r"\b(smart ?prep|care ?bolus|bolus ?track\w*|sure ?start|premonitoring|monitoring|test ?bolus)\b"),
     "bolus_monitoring", "the watch on the contrast bolus, not a volume"),
)  # fmt: skip


def object_problem(head: FileHead) -> Notice | None:
    """Why an object as a whole is not read as images; None when it may be."""
    ds = head.dataset
    if head.sop_class in _SEGMENTATIONS or head.modality in _NAMES:
        name = _NAMES.get(head.modality, "a segmentation")
        return Notice("not_an_image", f"{name}, not a scan")
    if head.sop_class.startswith(SECONDARY_CAPTURE):
        return Notice("secondary_capture", "a secondary capture (screen shot, dose sheet), not measured voxels")
    if head.modality not in ("CT", "MR"):
        return Notice("unsupported_modality", "neither CT nor MR; hepar reads only these")
    if head.damage:
        return _DAMAGE[head.damage]
    if head.sop_class and head.sop_class not in CT_CLASSES | MR_CLASSES:
        return Notice("not_an_image", "an object of another kind, not a scan")
    if (tags.whole(ds, "SamplesPerPixel") or 1) != 1:
        return Notice("colour_image", "a colour picture, not measured voxels")
    if tags.text(ds, "PhotometricInterpretation").upper() not in ("MONOCHROME2", "MONOCHROME1", ""):
        return Notice("colour_image", "a colour picture, not measured voxels")
    if not tags.whole(ds, "Rows") or not tags.whole(ds, "Columns"):
        return Notice("damaged_file", "files without an image size; copy them again")
    return None


def frame_problem(frame: Frame) -> Notice | None:
    """Why one frame is no slice of a scan, by its image type and description; None when it may be one."""
    for word in frame.image_type[2:]:
        if word in _BY_WORD:
            return Notice(*_BY_WORD[word])
    if frame.image_type[2:3] == ("OTHER",) and frame.image_type[0] == "DERIVED":
        return Notice("derived_map", "a picture calculated from a scan")
    description = tags.text(frame.head.dataset, "SeriesDescription").lower()
    for pattern, code, text in _BY_DESCRIPTION:
        if pattern.search(description.replace("_", " ")):
            return Notice(code, text)
    return None


def is_derived(frame: Frame) -> bool:
    """Processed by the scanner or a workstation, though possibly the only copy."""
    return bool(frame.image_type) and frame.image_type[0] == "DERIVED"


def is_reformat(frame: Frame) -> bool:
    """Cut anew out of a volume."""
    return any(
        word.split(" ")[-1] in ("MPR", "REFORMATTED", "AVERAGE", "CSAPARALLEL", "CSAMPR", "CPR", "RESAMPLED")
        for word in frame.image_type[2:]
    )
