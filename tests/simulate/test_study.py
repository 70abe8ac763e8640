"""A simulated study is what its settings and its truth say."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest

from hepar.errors import WrongCall
from hepar.record import Geometry
from hepar.simulate import Lesion, PhaseSettings, Scanner, SimulationSettings, simulate
from hepar.simulate.anatomy import Grid, draw_patient, network_classes, patient_labels
from hepar.simulate.contrast import tissue_hu
from hepar.simulate.planes import NoiseMaker
from hepar.simulate.study import scan_geometry

QUIET = Scanner(noise_hu=0.0, blur_mm=0.0, thickness_mm=5.0)
TWO = (PhaseSettings("arterial", description="Art"), PhaseSettings("portal_venous", description="PV"))


def read(folder: Path) -> tuple[list[pydicom.Dataset], np.ndarray]:
    """Every slice below the folder in order along the table, and its HU."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    slices = [pydicom.dcmread(p) for p in files]
    slices.sort(key=lambda d: float(d.ImagePositionPatient[2]))
    hu = np.stack([d.pixel_array * float(d.RescaleSlope) + float(d.RescaleIntercept) for d in slices])
    return slices, hu


def labels_of(folder: Path, n: int = 1) -> np.ndarray:
    return np.asarray(nib.load(folder / "truth" / f"{n}_labels.nii.gz").dataobj).transpose(2, 1, 0)


def truth_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "truth.json").read_text()))


def digests(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(folder.rglob("*")) if p.is_file()}  # fmt: skip


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two phases without noise, with an exact ellipsoid and a ball."""
    folder = tmp_path_factory.mktemp("quiet") / "study"
    lesions = (Lesion("hcc", (18.0, 15.0, 21.0), turn_deg=(20, 30, 40)), Lesion.ball("metastasis", 24.0))
    simulate(folder, SimulationSettings.small(phases=TWO, lesions=lesions, scanner=QUIET), seed=1)
    return folder


@pytest.mark.parametrize("changes", [{}, {"output": "nifti"}, {"output": "enhanced"}, {"shuffle_names": True}])
def test_same_seed_gives_the_same_bytes(tmp_path: Path, changes: dict[str, Any]) -> None:
    settings = SimulationSettings.small(shape=(12, 64, 64), spacing_mm=(10.0, 6.0, 6.0), lesions=(), **changes)
    for name, seed in (("a", 4), ("b", 4), ("c", 5)):
        simulate(tmp_path / name, settings, seed)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert digests(tmp_path / "a") != digests(tmp_path / "c")


def test_lesion_volume_is_the_volume_of_its_voxels(quiet: Path) -> None:
    """Ellipsoid of 36 x 30 x 42 mm: 4/3 pi 18 15 21 = 23.75 ml; ball of 24 mm: 7.24 ml."""
    truth, labels = truth_of(quiet), labels_of(quiet)
    for lesion, by_hand in zip(truth["lesions"], (23.750, 7.238), strict=True):
        assert lesion["volume_ml"] == pytest.approx(by_hand, abs=0.002)
        assert (labels == lesion["label"]).sum() * 0.045 == pytest.approx(by_hand, rel=0.06)


def test_diameters_of_a_turned_ellipsoid(quiet: Path) -> None:
    """Semi-axes 18, 15, 21 turned about all axes: longest 42 mm; the axial section is found by trying directions."""
    one = truth_of(quiet)["lesions"][0]
    assert one["max_3d_diameter_mm"] == 42.0
    labels = labels_of(quiet) == 11
    widest = 0.0
    for plane in labels:
        points = np.argwhere(plane) * 3.0
        if len(points):
            widest = max(widest, float(np.linalg.norm(points[:, None] - points[None], axis=2).max()))
    # Centre to centre on 3 mm pixels, so up to a pixel and a half short.
    assert widest <= one["axial_long_axis_mm"] <= widest + 4.3


def test_lesion_lies_where_the_truth_says(quiet: Path) -> None:
    image = nib.load(quiet / "truth" / "2_labels.nii.gz")
    values = np.asarray(image.dataobj)
    for lesion in truth_of(quiet)["phases"][1]["lesions"]:
        ras = nib.affines.apply_affine(image.affine, np.argwhere(values == 10 + lesion["id"])).mean(0)
        assert np.linalg.norm(ras * (-1, -1, 1) - lesion["centre_lps_mm"]) < 0.8


def test_tissues_have_the_hu_of_the_contrast_table(quiet: Path) -> None:
    truth = truth_of(quiet)
    for n, delay in ((1, 35.0), (2, 70.0)):
        _, hu = read(quiet / "dicom" / f"series{n + 1:02d}")
        labels = labels_of(quiet, n)
        assert np.median(hu[labels == 1]) == pytest.approx(tissue_hu("liver", delay), abs=2)
        for lesion in truth["phases"][n - 1]["lesions"]:
            assert np.median(hu[labels == 10 + lesion["id"]]) == pytest.approx(lesion["body_hu"], abs=3)
    assert truth["phases"][0]["label"] == "arterial"
    assert truth["phases"][0]["arterial_timing"] == "late"


def test_carcinoma_enhances_early_and_washes_out() -> None:
    from hepar.simulate.contrast import lesion_hu

    assert lesion_hu("hcc", "body", 35) > tissue_hu("liver", 35) + 20
    # Median ratio of liver to carcinoma in the delayed phase: 121 % (PMID 23255745).
    assert 100 * tissue_hu("liver", 180) / lesion_hu("hcc", "body", 180) == pytest.approx(121, abs=4)


def test_breathing_moves_the_liver_by_the_stated_shift(tmp_path: Path) -> None:
    phases = (PhaseSettings("native"), PhaseSettings("portal_venous", shift_lps_mm=(0.0, 0.0, -15.0)))
    simulate(tmp_path / "s", SimulationSettings.small(phases=phases, scanner=QUIET), seed=2)
    rest, moved = labels_of(tmp_path / "s", 1), labels_of(tmp_path / "s", 2)
    # Three slices of 5 mm. Only where the cavity's wall, which stays, cuts the liver may it differ.
    inside = rest[3:] > 0
    assert (moved[:-3] > 0)[inside].mean() > 0.97
    top = [int(np.flatnonzero((v > 0).any((1, 2)))[-1]) for v in (rest, moved)]
    assert top[1] - top[0] == -3
    assert (np.argwhere(moved == 11).mean(0) - np.argwhere(rest == 11).mean(0)) == pytest.approx([-3, 0, 0], abs=0.05)
    _, hu = read(tmp_path / "s" / "dicom" / "series03")
    _, still = read(tmp_path / "s" / "dicom" / "series02")
    assert ((hu > 250) == (still > 250))[:, 80:].mean() > 0.99, "spine and ribs stay"


def test_scan_labels_are_the_patient_s_own_tissue(quiet: Path) -> None:
    """The scan moves and interpolates distances; at rest its liver is the one sampled straight from the solids."""
    patient = draw_patient(np.random.default_rng([1, 0]))
    geometry = scan_geometry(SimulationSettings.small())
    grid = Grid(geometry.origin_lps_mm, (5.0, 3.0, 3.0), (40, 128, 128))
    own = np.isin(network_classes()[patient_labels(patient, grid)], (1, 12))
    scanned = labels_of(quiet) > 0
    assert 2 * (own & scanned).sum() / (own.sum() + scanned.sum()) > 0.99


def test_noise_in_the_middle_of_the_body_is_the_one_asked_for(tmp_path: Path) -> None:
    settings = SimulationSettings.small(lesions=(), scanner=Scanner(noise_hu=14.0, thickness_mm=5.0, blur_mm=1.2))
    simulate(tmp_path / "loud", settings, 3)
    simulate(tmp_path / "quiet", replace(settings, scanner=replace(settings.scanner, noise_hu=0.0)), 3)
    noise = read(tmp_path / "loud" / "dicom")[1] - read(tmp_path / "quiet" / "dicom")[1]
    assert noise[15:25, 56:72, 56:72].std() == pytest.approx(14, rel=0.1)


@pytest.mark.parametrize(("sharp", "low", "high"), [(False, 0.4, 0.95), (True, -0.3, 0.2)])
def test_noise_of_a_sharp_kernel_is_finer(sharp: bool, low: float, high: float) -> None:
    """Correlation of neighbouring pixels of 0.75 mm."""
    maker = NoiseMaker(Geometry.regular((1, 128, 128), (2.5, 0.75, 0.75)), 10.0, 0.0, sharp, np.random.default_rng(1))
    noise = maker.add(np.zeros((128, 128), np.float32))
    assert low < np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1] < high
    assert noise[48:80, 48:80].std() == pytest.approx(10, rel=0.12)


def test_bend_keeps_volumes(tmp_path: Path) -> None:
    phases = (PhaseSettings("native"), PhaseSettings("portal_venous", bend_mm=1.5))
    simulate(tmp_path / "s", SimulationSettings.small(phases=phases, lesions=()), seed=2)
    one, two = (phase["liver_label_ml"] for phase in truth_of(tmp_path / "s")["phases"])
    assert one == pytest.approx(two, rel=0.02)
    assert one != two


def test_pixels_read_back_and_tags_are_a_scanner_s(quiet: Path) -> None:
    slices, hu = read(quiet / "dicom" / "series02")
    geometry = scan_geometry(SimulationSettings.small())
    assert hu.shape == (40, 128, 128)
    assert hu.min() == -1024
    assert hu[:, 0, 0].max() == -1024, "outside the round field of view"
    first = slices[0]
    assert [float(v) for v in first.ImagePositionPatient] == pytest.approx(list(geometry.origin_lps_mm), abs=1e-4)
    assert first.SeriesDescription == "Art"
    assert str(first.PatientName) == "SIMULATED^PATIENT"
    assert first.ContrastBolusStartTime == "100500.000000"
    assert first.AcquisitionTime == "100535.000000"
    assert first.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    other, _ = read(quiet / "dicom" / "series03")
    assert other[0].FrameOfReferenceUID == first.FrameOfReferenceUID
    assert other[0].SeriesInstanceUID != first.SeriesInstanceUID
    assert len({d.SOPInstanceUID for d in slices + other}) == 80


def test_flipped_study_shows_the_same_patient(tmp_path: Path) -> None:
    plain = SimulationSettings.small()
    simulate(tmp_path / "a", plain, 3)
    simulate(tmp_path / "b", replace(plain, flip=("slice", "row", "column")), 3)
    _, one = read(tmp_path / "a" / "dicom")
    slices, two = read(tmp_path / "b" / "dicom")
    assert (one == two[:, ::-1, ::-1]).all()
    assert [float(v) for v in slices[0].ImageOrientationPatient] == [-1, 0, 0, 0, -1, 0]
    assert slices[0].InstanceNumber == 40


def test_tilted_slices_are_stepped_along_the_table(tmp_path: Path) -> None:
    settings = SimulationSettings.small(tilt_deg=15.0, scanner=QUIET)
    simulate(tmp_path / "s", settings, 3)
    slices, hu = read(tmp_path / "s" / "dicom")
    assert float(slices[0].GantryDetectorTilt) == 15
    step = np.diff([[float(v) for v in d.ImagePositionPatient] for d in slices], axis=0)
    assert step == pytest.approx(np.tile([0, 0, 5.0], (39, 1)), abs=1e-6)
    along = [float(v) for v in slices[0].ImageOrientationPatient]
    assert along == pytest.approx([1, 0, 0, 0, np.cos(np.radians(15)), np.sin(np.radians(15))], abs=1e-6)
    # The lesion's voxels, put into the patient through the tags, lie around the true centre and have its brightness.
    inside = np.argwhere(labels_of(tmp_path / "s") == 11)
    places = np.array([
        np.array(slices[k].ImagePositionPatient, float) + 3 * j * np.array(along[3:]) + 3 * i * np.array(along[:3])
        for k, j, i in inside])  # fmt: skip
    truth = truth_of(tmp_path / "s")["phases"][0]["lesions"][0]
    assert np.linalg.norm(places.mean(0) - truth["centre_lps_mm"]) < 0.8
    assert np.median(hu[tuple(inside.T)]) == pytest.approx(truth["body_hu"], abs=3)


def test_oblique_grid_is_orthogonal_and_holds_the_lesion(tmp_path: Path) -> None:
    simulate(tmp_path / "s", SimulationSettings.small(oblique_deg=12.0, scanner=QUIET), 3)
    slices, _ = read(tmp_path / "s" / "dicom")
    along = np.array(slices[0].ImageOrientationPatient, float)
    step = np.subtract(slices[1].ImagePositionPatient, slices[0].ImagePositionPatient).astype(float)
    assert step @ along[:3] == pytest.approx(0, abs=1e-4)
    assert step @ np.cross(along[:3], along[3:]) == pytest.approx(5.0, abs=1e-4)
    truth = truth_of(tmp_path / "s")
    count = (labels_of(tmp_path / "s") == 11).sum() * 0.045
    assert count == pytest.approx(truth["lesions"][0]["volume_ml"], rel=0.06)


def test_one_series_holds_all_phases_under_random_names(tmp_path: Path) -> None:
    settings = SimulationSettings.small(phases=TWO, one_series=True, shuffle_names=True, lesions=())
    study = simulate(tmp_path / "s", settings, 3)
    files = list(study.study_dir.iterdir())
    heads = [pydicom.dcmread(p, stop_before_pixels=True) for p in files]
    assert len(files) == 80
    assert len(study.series_uids) == 1
    assert {d.SeriesInstanceUID for d in heads} == set(study.series_uids)
    assert {int(d.AcquisitionNumber) for d in heads} == {1, 2}
    by_name = [d.InstanceNumber for _, d in sorted(zip([p.name for p in files], heads, strict=True))]
    assert by_name != sorted(by_name)


def test_nifti_and_enhanced_hold_the_same_values(tmp_path: Path) -> None:
    for name in ("dicom", "nifti", "enhanced"):
        simulate(tmp_path / name, SimulationSettings.small(output=name), 3)
    _, plain = read(tmp_path / "dicom" / "dicom")
    image = nib.load(tmp_path / "nifti" / "nifti" / "1_portal_venous.nii.gz")
    assert (np.asarray(image.dataobj).transpose(2, 1, 0) == plain).all()
    assert image.affine[:3, 3] == pytest.approx(np.array([1, 1, 1]) * (190.5, 186.5, -87.5), abs=1e-3)
    many = pydicom.dcmread(next((tmp_path / "enhanced" / "dicom").iterdir()))
    assert many.NumberOfFrames == 40
    order = [float(f.PlanePositionSequence[0].ImagePositionPatient[2]) for f in many.PerFrameFunctionalGroupsSequence]
    assert (many.pixel_array[np.argsort(order)] - 1024 == plain).all()
    assert truth_of(tmp_path / "enhanced")["phases"][0]["series_uid"] == many.SeriesInstanceUID


def test_padding_is_marked(tmp_path: Path) -> None:
    settings = SimulationSettings.small(lesions=(), scanner=replace(QUIET, padding_hu=-2000), shape=(4, 64, 64))
    simulate(tmp_path / "s", replace(settings, spacing_mm=(5.0, 6.0, 6.0)), 3)
    slices, hu = read(tmp_path / "s" / "dicom")
    assert hu[0, 0, 0] == -2000
    assert slices[0].PixelPaddingValue == -976


def test_a_scan_of_the_chest_shows_no_liver(tmp_path: Path) -> None:
    settings = SimulationSettings.small(shape=(12, 64, 64), spacing_mm=(5.0, 6.0, 6.0), centre_lps_mm=(0.0, 4.0, 230.0))
    simulate(tmp_path / "s", settings, 3)
    assert (labels_of(tmp_path / "s") == 0).all()
    _, hu = read(tmp_path / "s" / "dicom")
    assert (hu < -700)[:, 20:44, 20:44].mean() > 0.3, "lung"
    assert (hu > 200).any(), "bone"


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy of Debian's dicom3tools")
@pytest.mark.parametrize("changes", [{}, {"tilt_deg": 10.0}, {"output": "enhanced"},
                                     {"phases": (PhaseSettings("native", tell_times=False),)}])  # fmt: skip
def test_dciodvfy_finds_no_error(tmp_path: Path, changes: dict[str, Any]) -> None:
    simulate(tmp_path / "s", SimulationSettings.small(lesions=(), shape=(4, 64, 64), **changes), 3)
    file = sorted(p for p in (tmp_path / "s" / "dicom").rglob("*") if p.is_file())[0]
    said = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False)
    assert "Error" not in said.stderr + said.stdout, said.stderr


def test_refusals_name_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(WrongCall, match="found no place"):
        simulate(tmp_path / "a", SimulationSettings.small(lesions=(Lesion.ball("hcc", 190.0),)), 1)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    with pytest.raises(WrongCall, match="not empty"):
        simulate(tmp_path / "full", SimulationSettings.small(), 1)
    with pytest.raises(WrongCall, match="tilt"):
        SimulationSettings.small(tilt_deg=45.0)
    with pytest.raises(WrongCall, match="phase label"):
        PhaseSettings("late")  # type: ignore[arg-type]
