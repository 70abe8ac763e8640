"""Stored values to HU."""

from __future__ import annotations

import numpy as np
import pytest
from ingest_phantom import body, make_series, put_pixels, save
from pydicom import Dataset, dcmwrite
from pydicom.encaps import encapsulate

from hepar.errors import Refused


def hu_of(study):
    return study.phases[0].volume.array


def test_slope_and_intercept_per_slice(tmp_path, read):
    """Slices with their own slope and intercept come out in the same HU."""
    volume = body()
    slices = make_series(volume)
    for k, ds in enumerate(slices):
        slope, intercept = 1 + k % 3, -1500 - 10 * k
        ds.RescaleSlope, ds.RescaleIntercept = float(slope), float(intercept)
        put_pixels(ds, np.rint((volume[k].astype(float) - intercept) / slope).astype(np.int16))
    assert np.abs(hu_of(read(save(tmp_path / "s", slices))).astype(int) - volume).max() <= 1


def test_unsigned_pixels(tmp_path, read):
    """Unsigned storage with intercept -1024."""
    slices = make_series()
    for ds in slices:
        ds.PixelRepresentation = 0
    np.testing.assert_array_equal(hu_of(read(save(tmp_path / "s", slices))), body())


@pytest.mark.parametrize("representation", [0, 1])
def test_twelve_bits_with_overlay_bits_above(tmp_path, read, representation):
    """Bits above Bits Stored hold something else and are cut off; the sign bit is the twelfth."""
    volume = body()
    slices = make_series(volume, intercept=0.0 if representation else -1024.0)
    for k, ds in enumerate(slices):
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 12, 11, representation
        stored = (volume[k].astype(np.int32) + (0 if representation else 1024)) & 0x0FFF
        put_pixels(ds, (stored | 0x5000).astype(np.uint16))
    np.testing.assert_array_equal(hu_of(read(save(tmp_path / "s", slices))), volume)


def test_high_bit_at_the_top(tmp_path, read):
    """Twelve bits stored in bits 4 to 15."""
    volume = body()
    slices = make_series(volume)
    for k, ds in enumerate(slices):
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 12, 15, 0
        put_pixels(ds, ((volume[k].astype(np.int32) + 1024) << 4).astype(np.uint16))
    np.testing.assert_array_equal(hu_of(read(save(tmp_path / "s", slices))), volume)


def with_corner(value, **tags):
    """The phantom whose corner of 3 x 3 pixels outside the body holds a stored value."""
    volume = body()
    slices = make_series(volume, **tags)
    for k, ds in enumerate(slices):
        stored = (volume[k].astype(np.int32) - int(ds.RescaleIntercept)).astype(np.int64)
        stored[:3, :3] = value
        put_pixels(ds, (stored & 0xFFFF).astype(np.uint16))
    expected = volume.copy()
    expected[:, :3, :3] = -1024
    return slices, expected


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        (-2000, {"PixelPaddingValue": -2000}),
        (-2000, {"PixelPaddingValue": 63536}),
        (-2000, {}),
        (-976, {"intercept": -1024.0}),
        (3000, {"PixelPaddingValue": 3000}),
        (-2048, {"PixelPaddingValue": -2048, "intercept": 0.0}),
        (-3024, {"intercept": 0.0}),
        (2995, {"PixelPaddingValue": 2990, "PixelPaddingRangeLimit": 3000}),
        (2995, {"PixelPaddingValue": 3000, "PixelPaddingRangeLimit": 2990}),
        (0, {"PixelPaddingValue": 0, "intercept": 0.0}),
    ],
)
def test_padding_becomes_air(tmp_path, read, value, tags):
    """Declared (with either sign, as a range, even where it would read as tissue or metal) or just too low."""
    tags = dict(tags)
    padding = {k: tags.pop(k) for k in list(tags) if k.startswith("PixelPadding")}
    slices, expected = with_corner(value, **tags)
    for ds in slices:
        for name, number in padding.items():
            ds.add_new(name_to_tag(name), "US" if number > 32767 else "SS", number)
    np.testing.assert_array_equal(hu_of(read(save(tmp_path / "s", slices))), expected)


def name_to_tag(name):
    return {"PixelPaddingValue": 0x00280120, "PixelPaddingRangeLimit": 0x00280121}[name]


def test_a_padding_value_inside_the_body_is_tissue(tmp_path, read):
    """PixelPaddingValue 0 in pixels that are HU already: water inside stays water, only the rim is padding."""
    volume = body()
    volume[:, 10:12, 8:10] = 0
    slices = make_series(volume, intercept=0.0, PixelPaddingValue=0)
    np.testing.assert_array_equal(hu_of(read(save(tmp_path / "s", slices))), volume)


def test_values_beyond_sixteen_bits_are_clipped(tmp_path, read):
    """Metal at 60 000 HU reads as the largest number, not as a negative one."""
    volume = body()
    slices = make_series(volume)
    for k, ds in enumerate(slices):
        ds.PixelRepresentation = 0
        stored = volume[k].astype(np.int32) + 1024
        stored[12, 12] = 61024
        put_pixels(ds, stored.astype(np.uint16))
    assert (hu_of(read(save(tmp_path / "s", slices)))[:, 12, 12] == 32767).all()


def test_fractions_are_rounded_not_cut(tmp_path, read):
    """Slope 0.4, intercept -1024: to the nearest HU."""
    slices = make_series(intercept=0.0)
    for ds in slices:
        ds.RescaleSlope, ds.RescaleIntercept, ds.PixelRepresentation = 0.4, -1024.0, 0
        put_pixels(ds, np.full((24, 20), 1234, dtype=np.uint16))
    put_pixels(slices[0], np.full((24, 20), 1237, dtype=np.uint16))
    array = hu_of(read(save(tmp_path / "s", slices)))
    assert (array[1:] == -530).all()  # 493.6 - 1024 = -530.4
    assert (array[0] == -529).all()  # 494.8 - 1024 = -529.2


def test_padding_in_mr_is_zero(tmp_path, read):
    """MR has no HU: padding reads 0."""
    volume = np.abs(body()).astype(np.int16)
    volume[:, :3, :3] = 4095
    slices = make_series(volume, modality="MR", intercept=0.0, PixelPaddingValue=4095)
    array = hu_of(read(save(tmp_path / "s", slices)))
    assert (array[:, :3, :3] == 0).all()
    np.testing.assert_array_equal(array[:, 3:], volume[:, 3:])


def test_ct_without_negative_values_is_refused(tmp_path, read):
    """A CT that lost its rescale (all values from 0 up) is no HU."""
    slices = make_series((body() + 1024).astype(np.int16), intercept=0.0)
    for ds in slices:
        del ds.RescaleIntercept
    with pytest.raises(Refused, match="none negative"):
        read(save(tmp_path / "s", slices))


@pytest.mark.parametrize(
    "syntax",
    ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99",
     "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"],
)  # fmt: skip
def test_transfer_syntaxes(tmp_path, read, syntax):
    """Implicit, explicit, big endian, deflated, RLE, JPEG-LS and JPEG 2000 lossless give the same voxels."""
    from pydicom.uid import UID

    slices = make_series(body(5, 64, 64))
    folder = tmp_path / "s"
    folder.mkdir()
    for n, ds in enumerate(slices):
        if UID(syntax).is_compressed and not UID(syntax).is_deflated:
            ds.compress(syntax, generate_instance_uid=False)
        else:
            ds.file_meta.TransferSyntaxUID = UID(syntax)
            if syntax.endswith("1.2.2"):
                ds.PixelData = np.frombuffer(ds.PixelData, "<i2").astype(">i2").tobytes()
        plain = Dataset(ds)
        plain.file_meta = ds.file_meta
        dcmwrite(folder / str(n), plain, enforce_file_format=True)
    np.testing.assert_array_equal(hu_of(read(folder)), body(5, 64, 64))


def test_a_syntax_without_decoder_names_it_and_the_extra(tmp_path, read):
    """A private or unknown transfer syntax: the reason says which, and what to install."""
    slices = make_series()
    for ds in slices:
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
        ds.PixelData = encapsulate([bytes(200)])
    with pytest.raises(Refused, match=r"compressed as MPEG2.*install hepar\[codecs\]"):
        read(save(tmp_path / "s", slices))
