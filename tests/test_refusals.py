"""Bad input gives a result or a sentence, never a traceback, a silent guess or half a result."""

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from examination import hepar, study
from hepar.simulate import PhaseSettings

PORTAL = (PhaseSettings("portal_venous", description="PV"),)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """One small portal venous series, 40 slices."""
    return study(tmp_path_factory.mktemp("good"), phases=PORTAL)


@pytest.fixture
def copy(good, tmp_path):
    return Path(shutil.copytree(good, tmp_path / "study"))


def files_of(folder):
    return sorted(p for p in folder.rglob("*") if p.is_file())


def refused(source, tmp_path, *options, code=3):
    """The one or two sentences of a refusal; asserts that nothing was written and nothing was traced."""
    out = tmp_path / "out"
    run = hepar("analyze", source, "-o", out, "--quiet", *options)
    assert run.code == code, (run.code, run.err)
    assert not out.exists()
    assert not list(tmp_path.glob(".hepar*"))
    assert run.out == ""
    assert "Traceback" not in run.err
    assert run.err.startswith("hepar: ")
    assert len(run.err.strip().splitlines()) == 1
    return run.err


def edit(path, **changes):
    file = pydicom.dcmread(path)
    for keyword, value in changes.items():
        setattr(file, keyword, value)
    if "SOPInstanceUID" in changes:
        file.file_meta.MediaStorageSOPInstanceUID = changes["SOPInstanceUID"]
    file.save_as(path)


def test_an_empty_folder(tmp_path):
    (tmp_path / "study").mkdir()
    refused(tmp_path / "study", tmp_path)


def test_no_image_at_all(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "letter.txt").write_text("Dear colleague")
    refused(tmp_path / "study", tmp_path)


def test_a_path_that_is_not_there(tmp_path):
    assert "does not exist" in refused(tmp_path / "nowhere", tmp_path, code=2)


def test_a_scan_without_a_liver(tmp_path):
    """A chest above the dome: no liver, and so no volume."""
    chest = study(tmp_path / "made", phases=PORTAL, lesions=(), centre_lps_mm=(0.0, 4.0, 260.0))
    assert "no liver found" in refused(chest, tmp_path)


def test_a_head(tmp_path):
    """A skull with a brain in it, 5 mm slices."""
    refused_text = refused(_nifti(_head(), tmp_path), tmp_path, "--modality", "CT")
    assert "no liver found" in refused_text


def test_air_alone(tmp_path):
    air = np.full((40, 96, 96), -1000, np.int16)
    assert "nothing in it" in refused(_nifti(air, tmp_path), tmp_path, "--modality", "CT")


@pytest.mark.parametrize("kind", ["water", "noise"])
def test_no_body(kind, tmp_path):
    rng = np.random.default_rng(1)
    hu = {
        "water": np.pad(np.zeros((40, 64, 64)), ((0, 0), (16, 16), (16, 16)), constant_values=-1000),
        "noise": rng.normal(0, 300, (40, 96, 96)),
    }[kind]
    assert "no liver found" in refused(_nifti(hu.astype(np.int16), tmp_path), tmp_path, "--modality", "CT")


def test_one_slice(copy, tmp_path):
    for path in files_of(copy)[1:]:
        path.unlink()
    refused(copy, tmp_path)


def test_a_missing_slice(copy, tmp_path):
    by_place = sorted(files_of(copy), key=lambda p: float(pydicom.dcmread(p).ImagePositionPatient[2]))
    by_place[20].unlink()
    assert "missing" in refused(copy, tmp_path)


def test_two_patients(copy, tmp_path):
    for number, path in enumerate(files_of(copy)):
        if number % 2:
            edit(path, PatientID="OTHER-2", StudyInstanceUID="2.25.7", SeriesInstanceUID="2.25.8")
    text = refused(copy, tmp_path)
    assert "--study" in text
    assert "OTHER-2" not in text


def test_contradicting_orientation(copy, tmp_path):
    """Half of the slices claim to be coronal."""
    for number, path in enumerate(files_of(copy)):
        if number % 2:
            edit(path, ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    refused(copy, tmp_path)


def test_neither_ct_nor_mr(copy, tmp_path):
    for path in files_of(copy):
        edit(path, Modality="PT", SOPClassUID="1.2.840.10008.5.1.4.1.1.128")
    refused(copy, tmp_path)


def test_mr_is_read_and_inspected_but_not_analysed(copy, tmp_path):
    for path in files_of(copy):
        edit(path, Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    assert "MR" in refused(copy, tmp_path)
    assert hepar("inspect", copy, "--json").code == 0


def test_damaged_files_among_good_ones(copy, tmp_path):
    """Random bytes and a cut-off copy beside a whole series: the series is analysed, the rest is told."""
    rng = random.Random(4)
    (copy / "noise").write_bytes(rng.randbytes(5000))
    whole = files_of(copy)[5].read_bytes()
    (copy / "cut").write_bytes(whole[: len(whole) // 2])
    (copy / "empty").write_bytes(b"")
    run = hepar("analyze", copy, "-o", tmp_path / "out", "--json", "--quiet", folder=tmp_path / "out")
    assert run.code == 0, run.err
    assert run.document()["liver"]["volume_ml"] > 500
    assert sum(s["images"] for s in run.document()["skipped"]) >= 2


@pytest.mark.parametrize(
    "affine",
    [np.zeros((4, 4)), np.full((4, 4), np.nan), np.diag([1.0, 1.0, 0.0, 1.0]), np.diag([0.001, 1.0, 500.0, 1.0])],
    ids=["zero", "nan", "flat", "absurd"],
)
def test_a_nifti_with_a_broken_affine(affine, tmp_path):
    image = nibabel.Nifti1Image(np.zeros((32, 32, 20), np.int16), np.eye(4))
    header = image.header
    header["sform_code"], header["qform_code"] = 1, 0
    header["srow_x"], header["srow_y"], header["srow_z"] = affine[0], affine[1], affine[2]
    header["pixdim"][1:4] = np.nan_to_num(np.abs(np.diag(affine)[:3]))
    path = tmp_path / "scan.nii"
    path.write_bytes(header.binaryblock + b"\0\0\0\0" + np.zeros((32, 32, 20), np.int16).tobytes())
    refused(path, tmp_path, "--modality", "CT")


def test_a_nifti_without_modality(tmp_path):
    assert "--modality" in refused(_nifti(_head(), tmp_path), tmp_path, code=2)


@pytest.mark.parametrize(
    "options",
    [("--reference", "late"), ("--phase", "arterial"), ("--phase", "late=x"), ("--modality", "US"),
     ("--engine", "magic"), ("--precision", "f8"), ("--max-memory", "much"), ("--threads", "0")],
)  # fmt: skip
def test_wrong_calls(options, good, tmp_path):
    run = hepar("analyze", good, "-o", tmp_path / "out", *options)
    assert run.code == 2, run.err
    assert "Traceback" not in run.err
    assert not (tmp_path / "out").exists()


def test_too_little_memory_is_said_before_anything_is_read(good, tmp_path):
    assert "memory" in refused(good, tmp_path, "--max-memory", "300M")


def test_killed_while_it_works(good, tmp_path):
    """kill -9: no result, and the next run is none the worse for it."""
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "hepar", "analyze", str(good), "-o", str(out)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in process.stderr:
        if line.startswith("Measuring"):
            break
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert not out.exists()
    assert hepar("analyze", good, "-o", out, "--quiet").code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def _nifti(hu, folder):
    path = folder / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(hu.transpose(2, 1, 0).astype(np.int16), np.diag([-2.5, -2.5, 5.0, 1.0])), path)
    return path


def _head():
    """A skull (900 HU shell) with brain (35 HU), ventricles (8 HU) and a neck below."""
    z, y, x = np.meshgrid(
        np.arange(40) * 5.0 - 100, np.arange(96) * 2.5 - 120, np.arange(96) * 2.5 - 120, indexing="ij"
    )
    hu = np.full(z.shape, -1000.0)
    hu[np.hypot(x, y) < 55] = 50
    radius = np.sqrt((x / 72) ** 2 + (y / 92) ** 2 + ((z - 10) / 85) ** 2)
    hu[radius < 1.08] = 40
    hu[radius < 1.0] = 900
    hu[radius < 0.93] = 35
    hu[np.sqrt((x / 14) ** 2 + (y / 30) ** 2 + ((z - 15) / 18) ** 2) < 1] = 8
    return (hu + np.random.default_rng(2).normal(0, 4, hu.shape)).astype(np.int16)
