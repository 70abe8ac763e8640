"""Real files of public collections, read from their zips as they are."""

from __future__ import annotations

import importlib.util
import time
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from hepar.errors import Refused
from hepar.ingest.frame import frames_of
from hepar.ingest.header import lenient, read_head
from hepar.ingest.pixels import decode, to_units
from hepar.ingest.source import Item


def test_ircadb(shared_data, read):
    """119 slices without file extension, FrameOfReferenceUID or manufacturer; the expert's liver lies on soft tissue.

    The liver holds enhanced tissue (about 110 HU) and no air; its mask turned the wrong way would not.
    """
    study = read(shared_data / "ct" / "ircadb-17.zip")
    (phase,) = study.phases
    assert phase.volume.array.shape == (119, 512, 512)
    assert phase.volume.geometry.spacing_mm == pytest.approx((1.6, 0.743, 0.743), abs=1e-6)
    assert phase.volume.array.min() == -1024
    assert study.skipped == study.warnings == ()
    assert phase.frame_of_reference_uid == ""
    label = read(shared_data / "ct" / "ircadb-17_liver1_tumour2.nii.gz", modality="MR").phases[0].volume
    assert label.geometry.is_close(phase.volume.geometry, tolerance_mm=0.5)
    inside = phase.volume.array[label.array == 1]
    assert 90 < np.median(inside) < 140
    assert np.mean(inside < -50) < 0.005


@pytest.mark.parametrize(("name", "slices", "top_mm"), [("crlm-1004", 41, -175.0), ("crlm-1006", 51, -126.44)])
def test_crlm(shared_data, read, name, slices, top_mm):
    """GE, 5 mm; padding of -3024 HU reads as air; lungs are at the top, and the table is behind."""
    study = read(shared_data / "ct" / f"{name}.zip")
    (phase,) = study.phases
    array, grid = phase.volume.array, phase.volume.geometry
    assert array.shape == (slices, 512, 512)
    assert array.min() == -1024
    assert grid.slice_distance_mm == pytest.approx(5.0)
    assert grid.to_lps_mm([slices - 1, 0, 0])[2] == pytest.approx(top_mm, abs=5.1)
    middle = array[:, 150:350, 100:400]
    lung = ((middle > -950) & (middle < -700)).mean(axis=(1, 2))
    assert lung[-3:].mean() > 3 * lung[:3].mean()
    assert len({f.sop_instance_uid for f in phase.frames}) == slices


def test_totalseg_native(shared_data, read):
    """A NIfTI in RAS: its voxels by nibabel, and its organs on the same grid."""
    path = shared_data / "ct" / "totalseg-native.nii.gz"
    volume = read(path, modality="CT").phases[0].volume
    image = nib.load(path)
    rng = np.random.default_rng(0)
    index = rng.integers(0, volume.array.shape, size=(50, 3))
    ras = volume.geometry.to_lps_mm(index) * [-1, -1, 1]
    there = np.rint(nib.affines.apply_affine(np.linalg.inv(image.affine), ras)).astype(int)
    values = np.asarray(image.dataobj)[tuple(there.T)]
    np.testing.assert_array_equal(volume.array[tuple(index.T)], np.maximum(np.rint(values), -1024))


def test_dcmqi_enhanced_equals_its_single_slices(shared_data, tmp_path, read, look):
    """A legacy converted multi-frame object and the three slices it was made of: the same grid.

    Their pixels are 0 and 1 only, which is refused as CT in both.
    """
    with zipfile.ZipFile(shared_data / "dicom" / "dcmqi.zip") as archive:
        for name in archive.namelist():
            if "24x38x3/image" in name or name.endswith("24x38x3/multiframe/mf.dcm"):
                folder = tmp_path / ("many" if "image" in name else "one")
                folder.mkdir(exist_ok=True)
                (folder / Path(name).name).write_bytes(archive.read(name))
    (many,), (one,) = look(tmp_path / "many").series, look(tmp_path / "one").series
    assert one.geometry.is_close(many.geometry)
    assert (one.images, many.images, one.geometry.shape) == (3, 3, (3, 38, 24))
    for name in ("many", "one"):
        with pytest.raises(Refused, match="values from 0 to 1"):
            read(tmp_path / name)


def test_collections_of_odd_files_are_refused_with_the_list(shared_data, read, look):
    """Many patients in one archive: refused; inspection names every series and why it is none."""
    for name in ("pydicom-data", "codecs", "dcmqi", "highdicom"):
        path = shared_data / "dicom" / f"{name}.zip"
        with pytest.raises(Refused, match=r"patients|no series can be analysed"):
            read(path)
        seen = look(path)
        assert seen.refusal
        assert len(seen.series) > 5
        assert all(row.analysed or row.refusal.text for row in seen.series)


@pytest.mark.parametrize("name", ["693", "MR2"])
def test_lossless_jpeg_2000_equals_its_uncompressed_twin(shared_data, tmp_path, name):
    """pydicom's pairs of one image, uncompressed and JPEG 2000 reversible: the same numbers."""
    found = []
    with zipfile.ZipFile(shared_data / "dicom" / "pydicom-data.zip") as archive:
        for n, kind in enumerate(("UNCR", "J2KR")):
            path = tmp_path / kind
            path.write_bytes(archive.read(f"pydicom-data/data_store/data/{name}_{kind}.dcm"))
            with lenient():
                head = read_head(Item(path, path.stat().st_size, number=n))
                (frame,) = frames_of(head)
            found.append(to_units(decode(frame), frame, modality=head.modality))
    np.testing.assert_array_equal(*found)
    assert found[0].std() > 1


def test_jpeg_lossless_without_its_codec_names_it(shared_data, look):
    """JPEG Lossless is decoded by GDCM only: read when it is installed, else refused with the extra's name."""
    rows = [r for r in look(shared_data / "dicom" / "codecs.zip", voxels=False).series if r.refusal]
    missing = [r.refusal.text for r in rows if r.refusal.code == "codec_missing"]
    if importlib.util.find_spec("gdcm"):
        assert not missing
    else:
        assert missing
        assert all("JPEG Lossless" in text and "hepar[codecs]" in text for text in missing)


def test_headers_are_enough_to_inspect(shared_data, look):
    """The 119 slices of ircadb are inspected in less than three seconds on a busy machine."""
    start = time.perf_counter()
    seen = look(shared_data / "ct" / "ircadb-17.zip")
    assert time.perf_counter() - start < 3.0
    assert [(r.images, r.geometry.shape) for r in seen.series] == [(119, (119, 512, 512))]
