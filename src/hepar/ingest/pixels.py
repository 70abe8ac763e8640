"""Stored pixel values to HU: bits, sign, padding, rescale."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.ingest import tags
from hepar.ingest.frame import Frame
from hepar.ingest.header import UNCOMPRESSED, lenient
from hepar.ingest.stack import Stack
from hepar.record import PADDING_HU, Notice

# Padding that would read as more than fat only counts where it touches the edge of the image: some writers put 0
# (water, when the pixels are HU already) into PixelPaddingValue.
_SURELY_OUTSIDE_HU = -900.0
_INT16 = np.iinfo(np.int16)


class UnreadablePixels(Exception):
    """The pixels of one frame cannot be decoded."""

    def __init__(self, frame: Frame) -> None:
        super().__init__()
        self.frame = frame


def fill(stack: Stack, source: NDArray[np.int16], *, modality: str, tick: Any = None) -> None:
    """Decode every frame of a stack into `source` (slice, row, column in source order), one slice at a time.

    tick is called after each slice. Raises UnreadablePixels.
    """
    position = 0
    for frames in _runs_of_one_file(stack.frames):
        for frame, stored in zip(frames, _stored(frames), strict=True):
            source[position] = to_units(stored, frame, modality=modality)
            position += 1
            if tick is not None:
                tick()


def can_decode(transfer_syntax: str) -> bool:
    """Whether an installed decoder knows the transfer syntax."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID

    try:
        return bool(get_decoder(UID(transfer_syntax)).is_available)
    except NotImplementedError:
        return transfer_syntax in UNCOMPRESSED


def syntax_name(transfer_syntax: str) -> str:
    """The name the standard gives it, or the UID."""
    from pydicom.uid import UID

    return str(UID(transfer_syntax).name)


def decode(frame: Frame) -> NDArray[Any]:
    """One frame as stored (row, column). Raises UnreadablePixels."""
    return next(iter(_stored([frame])))


def _runs_of_one_file(frames: tuple[Frame, ...]) -> list[list[Frame]]:
    runs: list[list[Frame]] = []
    for frame in frames:
        if runs and runs[-1][0].head is frame.head:
            runs[-1].append(frame)
        else:
            runs.append([frame])
    return runs


def _stored(frames: list[Frame]) -> Any:
    """Yield the stored values of frames of one file, in their order."""
    import pydicom
    from pydicom.pixels import iter_pixels

    frame = frames[0]
    head = frame.head
    try:
        with lenient():
            path = head.item.path()
            if head.frames > 1:
                arrays = iter_pixels(
                    path, indices=[f.number - 1 for f in frames], raw=True, correct_unused_bits=False, force=True
                )
            else:
                ds = pydicom.dcmread(path, force=True)
                if not getattr(ds, "file_meta", None) or "TransferSyntaxUID" not in ds.file_meta:
                    ds.file_meta = getattr(ds, "file_meta", None) or pydicom.dataset.FileMetaDataset()
                    ds.file_meta.TransferSyntaxUID = pydicom.uid.UID(head.transfer_syntax)
                ds.pixel_array_options(raw=True, correct_unused_bits=False)
                arrays = iter([ds.pixel_array])
    except Exception as error:
        raise UnreadablePixels(frame) from error
    for frame in frames:
        try:
            with lenient():
                array = np.asarray(next(arrays))
        except Exception as error:
            raise UnreadablePixels(frame) from error
        if array.shape != (frame.rows, frame.columns):
            raise UnreadablePixels(frame)
        yield array


def to_units(stored: NDArray[Any], frame: Frame, *, modality: str) -> NDArray[np.int16]:
    """Stored values (row, column) of one frame to HU (CT) or scanner units (MR), padding to PADDING_HU or 0."""
    values = _whole_bits(stored, frame)
    slope = frame.slope if frame.slope else 1.0
    intercept = frame.intercept if frame.intercept is not None else 0.0
    lowest = PADDING_HU if modality == "CT" else _INT16.min
    if values.dtype.kind in "iu" and slope == 1.0 and intercept.is_integer() and abs(intercept) < 2**30:
        units = values.astype(np.int64 if values.dtype.itemsize > 2 else np.int32) + int(intercept)
    else:
        units = np.rint(np.nan_to_num(values.astype(np.float64) * slope + intercept, nan=lowest))
    result: NDArray[np.int16] = np.clip(units, lowest, _INT16.max).astype(np.int16)
    padding = _padding(stored, values, frame.head.dataset)
    if padding is not None and padding.any():
        if modality == "CT" and int(result[padding].max()) > _SURELY_OUTSIDE_HU:
            padding = _touching_the_edge(padding)
        result[padding] = PADDING_HU if modality == "CT" else 0
    return result


def _whole_bits(stored: NDArray[Any], frame: Frame) -> NDArray[Any]:
    """The stored bits alone, sign put right: other bits of the cell may hold overlays (PS3.5 8.1.1)."""
    ds = frame.head.dataset
    allocated, bits = tags.whole(ds, "BitsAllocated") or 16, tags.whole(ds, "BitsStored") or 16
    if stored.dtype.kind not in "iu" or not 0 < bits < allocated or allocated not in (8, 16, 32):
        return stored
    high = tags.whole(ds, "HighBit")
    shift = max(0, (high if high is not None else bits - 1) + 1 - bits)
    plain: NDArray[Any] = stored.astype(np.int64 if allocated == 32 else np.int32)
    plain &= (1 << allocated) - 1
    # Only uncompressed pixels carry a cell; decoders hand over values that begin at bit 0 already.
    if shift and shift + bits <= allocated and frame.head.transfer_syntax in UNCOMPRESSED:
        plain >>= shift
    plain &= (1 << bits) - 1
    if tags.whole(ds, "PixelRepresentation") == 1:
        plain -= (plain >> (bits - 1)) << bits
    return plain


def _padding(stored: NDArray[Any], values: NDArray[Any], ds: Any) -> NDArray[np.bool_] | None:
    """Where the padding value or its range stands; a value is compared by its bits, since its sign is often wrong."""
    value = tags.whole(ds, "PixelPaddingValue")
    if value is None or stored.dtype.kind not in "iu":
        return None
    limit = tags.whole(ds, "PixelPaddingRangeLimit")
    if limit is None:
        found: NDArray[np.bool_] = stored == _as_pixel(value, signed=stored.dtype.kind == "i")
        return found
    signed = tags.whole(ds, "PixelRepresentation") == 1
    ends = sorted(_as_pixel(v, signed=signed) for v in (value, limit))
    inside: NDArray[np.bool_] = (values >= ends[0]) & (values <= ends[1])
    return inside


def _as_pixel(value: int, *, signed: bool) -> int:
    value &= 0xFFFF
    return value - 0x10000 if signed and value >= 0x8000 else value


def _touching_the_edge(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy import ndimage

    frame = np.zeros_like(mask)
    frame[0], frame[-1], frame[:, 0], frame[:, -1] = True, True, True, True
    grown: NDArray[np.bool_] = ndimage.binary_propagation(mask & frame, mask=mask)
    return grown


def not_hounsfield(array: NDArray[np.int16]) -> Notice | None:
    """Why these voxels cannot be CT numbers; None when they may be. Fat and air are negative in every patient."""
    low, high = int(array.min()), int(array.max())
    if low >= 0:
        return Notice(
            "not_hounsfield",
            f"values from {low} to {high}, none negative: these are no CT numbers (HU), in which fat and air are"
            " negative; give the unprocessed images",
        )
    if low == high:
        return Notice("no_content", f"every voxel is {low}; there is nothing in it")
    return None
