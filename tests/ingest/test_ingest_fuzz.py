"""Whatever stands in the tags: a Study, an Inspection, or a refusal in words; never another error."""

from __future__ import annotations

import copy
import struct
import time
import zipfile
from io import BytesIO

import numpy as np
import pydicom
import pytest
from ingest_phantom import body, make_enhanced, make_series
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from hepar.errors import Refused, WrongCall
from hepar.ingest import IngestSettings, inspect, read_study
from hepar.record import Study

SECONDS = 3.5
VALUES = [
    b"", b"\0\0", b"0", b"-1", b"1e999", b"nan", b"abc", b"1\\2\\3\\4\\5\\6", b"0\\0\\0\\0\\0\\0", b"\xff\xfe\xfd\xfc",
    b"99999999999999999999", b"1.2.3", b"CT", b"\\\\\\\\", b"20261399", b"250000", b"\xff" * 64, b"0.8\\0,8",
    struct.pack("<H", 0), struct.pack("<H", 65535), struct.pack("<H", 1), struct.pack("<H", 8), struct.pack("<H", 12),
    struct.pack("<H", 40000), b"ISO_IR 999", b"a" * 3000, b"1.2.840.10008.5.1.4.1.1.7", b"LOCALIZER", b"2\\2\\2",
]  # fmt: skip


def mutate(ds, rng):
    """One to four tags, anywhere in the object, get other bytes, another VR, another's value, or vanish."""
    ds = copy.deepcopy(ds)
    for _ in range(rng.integers(1, 5)):
        place = ds
        while True:
            tags = [t for t in place.keys() if t != 0x7FE00010]  # noqa: SIM118 (a data set yields its elements)
            if not tags:
                break
            tag = tags[rng.integers(len(tags))]
            try:
                element = place[tag]
            except Exception:
                # Already mutated beyond what pydicom converts.
                break
            if element.VR == "SQ" and len(element.value) and rng.random() < 0.8:
                place = element.value[rng.integers(len(element.value))]
                continue
            kind = rng.integers(5)
            if kind == 0:
                del place[tag]
            elif kind in (1, 2):
                value = VALUES[rng.integers(len(VALUES))]
                vr = element.VR if element.VR != "SQ" else "UN"
                place._dict[Tag(tag)] = RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)
            elif kind == 3:
                vr = ["US", "SS", "FD", "LO", "UN", "IS", "DS", "UI"][rng.integers(8)]
                value = rng.bytes(int(rng.integers(0, 5)) * 8)
                place._dict[Tag(tag)] = RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)
            else:
                place._dict[Tag(0x00280008)] = RawDataElement(
                    Tag(0x00280008), "IS", 4, [b"3 ", b"0 ", b"-2", b"9999"][rng.integers(4)], 0, False, True
                )
            break
    return ds


def cropped(ds):
    """The middle 64 x 64 pixels, so that reading is fast."""
    ds.PixelData = np.ascontiguousarray(ds.pixel_array[224:288, 224:288]).tobytes()
    ds.Rows = ds.Columns = 64
    return ds


def write(ds, path, rng):
    """Save; now and then with some bytes of the file changed or its end cut off."""
    buffer = BytesIO()
    try:
        ds.save_as(buffer, enforce_file_format=False)
    except Exception:
        # Some mutants cannot be written by pydicom; they are no files then.
        return
    data = bytearray(buffer.getvalue())
    if rng.random() < 0.3:
        for _ in range(rng.integers(1, 6)):
            data[rng.integers(132, min(len(data), 2000))] = rng.integers(256)
    if rng.random() < 0.1:
        data = data[: rng.integers(len(data))]
    path.write_bytes(bytes(data))


def answers(folder, workspace, modality=None):
    """What read_study and inspect say: a result or a clear refusal, with its text."""
    settings = IngestSettings(max_volume_voxels=10_000_000)
    told = []
    try:
        study = read_study(folder, settings=settings, workspace=workspace, modality=modality)
        assert isinstance(study, Study)
        assert study.phases
        told.append("study")
    except (Refused, WrongCall) as error:
        told += ["refused", str(error)]
    try:
        inspect(folder, settings=settings, workspace=workspace, modality=modality)
    except (Refused, WrongCall) as error:
        told.append(str(error))
    assert all(10 < len(text) < 3000 for text in told[1:])
    return told[0]


@pytest.mark.parametrize("source", ["series", "enhanced", "real", "nifti"])
def test_mutated_files(tmp_path, shared_data, source):
    """Seeded, for some seconds each; both outcomes happen."""
    rng = np.random.default_rng({"series": 1, "enhanced": 2, "real": 3, "nifti": 4}[source])
    if source == "nifti":
        bases = [_nifti_bytes()]
    elif source == "real":
        with zipfile.ZipFile(shared_data / "dicom" / "dcmqi.zip") as archive:
            names = [n for n in archive.namelist() if "ct-3slice" in n and n.endswith(".dcm")]
            bases = [[cropped(pydicom.dcmread(BytesIO(archive.read(n)))) for n in names]]
    elif source == "series":
        bases = [
            make_series(body(4, 16, 16)),
            make_series(body(4, 16, 16)) + make_series(body(4, 16, 16, seed=1), first_uid=9),
        ]
    else:
        bases = [[make_enhanced([body(4, 16, 16), body(4, 16, 16, seed=1)])]]
    outcomes = set()
    end = time.monotonic() + SECONDS
    count = 0
    while time.monotonic() < end or count < 5:
        folder = tmp_path / str(count)
        folder.mkdir()
        base = bases[count % len(bases)]
        if source == "nifti":
            data = bytearray(base)
            for _ in range(rng.integers(1, 8)):
                data[rng.integers(0, 352)] = rng.integers(256)
            (folder / "x.nii").write_bytes(bytes(data))
            outcomes.add(answers(folder, tmp_path / "w", "CT"))
        else:
            some = set(rng.integers(len(base), size=rng.integers(1, 3)).tolist())
            everywhere = rng.random() < 0.3
            seed = int(rng.integers(2**31))
            for n, ds in enumerate(base):
                mine = np.random.default_rng(seed) if everywhere else rng
                write(
                    mutate(ds, mine) if everywhere or n in some else ds, folder / str(n), rng if n in some else _Calm()
                )
            outcomes.add(answers(folder, tmp_path / "w"))
        count += 1
    assert outcomes == {"study", "refused"}


class _Calm:
    """Leaves a file as it is."""

    def random(self):
        return 1.0


def _nifti_bytes():
    import nibabel as nib

    image = nib.Nifti1Image(body(17, 18, 19).T, np.diag([1, 1, 2, 1]))
    image.set_sform(image.affine, 1)
    return image.to_bytes()
