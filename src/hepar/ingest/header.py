"""The header of each file: is it a DICOM object, which one, and is it whole? Pixels are not read here."""

from __future__ import annotations

import logging
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import IO, Any

from hepar.ingest import tags
from hepar.ingest.frame import FileHead
from hepar.ingest.source import Item
from hepar.record import derived_uid

DICOMDIR_CLASS = "1.2.840.10008.1.3.10"
CT_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.2.1",
    "1.2.840.10008.5.1.4.1.1.2.2",
}
MR_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.4.1",
    "1.2.840.10008.5.1.4.1.1.4.4",
}
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
UNCOMPRESSED = {
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
}
_DEFLATED = "1.2.840.10008.1.2.1.99"
_PIXELS = {0x7FE00010, 0x7FE00008, 0x7FE00009}

_KEYWORDS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "Modality",
    "ImageType",
    "StudyDate",
    "StudyTime",
    "SeriesDate",
    "SeriesTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "AcquisitionDateTime",
    "ContentDate",
    "ContentTime",
    "StudyDescription",
    "SeriesDescription",
    "ProtocolName",
    "ImageComments",
    "SeriesNumber",
    "AcquisitionNumber",
    "InstanceNumber",
    "TemporalPositionIdentifier",
    "TriggerTime",
    "EchoTime",
    "DiffusionBValue",
    "ConvolutionKernel",
    "SliceThickness",
    "GantryDetectorTilt",
    "ContrastBolusAgent",
    "ContrastBolusRoute",
    "ContrastBolusStartTime",
    "ContrastBolusAgentPhase",
    "ContrastBolusVolume",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "NumberOfFrames",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "IssuerOfPatientID",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]


@cache
def _wanted_tags() -> list[Any]:
    from pydicom.tag import Tag

    return [Tag(keyword) for keyword in _KEYWORDS]


@contextmanager
def lenient() -> Iterator[None]:
    """Read without validation, and without warnings: they may quote a patient's values."""
    from pydicom import config

    loggers = [logging.getLogger(name) for name in ("pydicom", "pylibjpeg", "openjpeg", "rle")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), config.disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def read_head(item: Item) -> FileHead | None:
    """The header of an item; None for a file that is not DICOM and for a DICOMDIR. Call inside `lenient`.

    A file without preamble is taken as DICOM when it begins with a tag of group 2 or 8.
    """
    import pydicom

    try:
        with item.open() as stream:
            start = stream.read(132)
            if start[128:132] != b"DICM" and start[:2] not in (b"\x02\x00", b"\x08\x00", b"\x00\x08", b"\x00\x02"):
                return None
            stream.seek(0)
            ds = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=_wanted_tags(), force=True)
            return _head(item, ds, stream)
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception:
        # Truncated and random files make pydicom raise nearly anything; each is counted as unreadable.
        return None


def _head(item: Item, ds: Any, stream: IO[bytes]) -> FileHead | None:
    meta = getattr(ds, "file_meta", None)
    sop_class = tags.uid(ds, "SOPClassUID") or tags.uid(meta, "MediaStorageSOPClassUID")
    if sop_class == DICOMDIR_CLASS:
        return None
    modality = tags.text(ds, "Modality").upper()
    if not modality:
        modality = "CT" if sop_class in CT_CLASSES else "MR" if sop_class in MR_CLASSES else ""
    if not sop_class and not modality and tags.whole(ds, "Rows") is None:
        return None
    syntax = tags.uid(meta, "TransferSyntaxUID")
    if not syntax:
        endian, implicit = getattr(ds, "original_encoding", (True, True))[::-1]
        syntax = "1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1" if endian else "1.2.840.10008.1.2.2"
    frames = max(1, tags.whole(ds, "NumberOfFrames") or 1)
    return FileHead(
        item=item,
        dataset=ds,
        sop_uid=tags.uid(ds, "SOPInstanceUID") or tags.uid(meta, "MediaStorageSOPInstanceUID") or _content_uid(item),
        sop_class=sop_class,
        series_uid=_known_uid(ds, "SeriesInstanceUID"),
        study_uid=_known_uid(ds, "StudyInstanceUID"),
        modality=modality,
        transfer_syntax=syntax,
        frames=frames,
        damage=_damage(item, ds, stream, syntax, frames),
    )


def _known_uid(ds: Any, keyword: str) -> str:
    """The UID; a broken one is replaced by one derived from it, so that its group stays together; "" for none."""
    found = tags.text(ds, keyword)
    return tags.uid(ds, keyword) or (derived_uid("broken", keyword, found) if found else "")


def _content_uid(item: Item) -> str:
    return derived_uid("sop", item.sha256())


def _damage(item: Item, ds: Any, stream: IO[bytes], syntax: str, frames: int) -> str:
    """Why the pixels cannot be whole: "no_pixels", "truncated" or ""."""
    if syntax == _DEFLATED:
        return ""
    position = stream.tell()
    tail = stream.read(12)
    if len(tail) < 8:
        return "no_pixels"
    order = ">" if syntax == "1.2.840.10008.1.2.2" else "<"
    group, element = struct.unpack(order + "HH", tail[:4])
    if (group << 16) + element not in _PIXELS:
        return "no_pixels"
    long_form = tail[4:6] in (b"OB", b"OW", b"OF", b"OD", b"UN")
    if long_form and len(tail) < 12:
        return "truncated"
    (length,) = struct.unpack(order + "I", tail[8:12] if long_form else tail[4:8])
    left = item.size - position - (12 if long_form else 8)
    if length == 0xFFFFFFFF:
        return "" if left > 16 else "truncated"
    rows, columns = tags.whole(ds, "Rows") or 0, tags.whole(ds, "Columns") or 0
    bits = tags.whole(ds, "BitsAllocated") or 0
    needed = rows * columns * frames * (tags.whole(ds, "SamplesPerPixel") or 1) * bits // 8
    if syntax in UNCOMPRESSED and min(length, left) < needed:
        return "truncated"
    return "truncated" if left < length else ""
