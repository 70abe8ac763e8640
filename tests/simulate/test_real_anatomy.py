"""Virtual patients on a labelled CT: the real organs, a completed top, and refusals."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from hepar.errors import WrongCall
from hepar.simulate import load_labelled
from hepar.simulate.anatomy import Patient
from hepar.simulate.labelled import AORTA, CAVA, HEART, LIVER, LUNGS, PORTAL, SPLEEN, STOMACH, Labelled, completed
from hepar.simulate.real import real_patient
from hepar.simulate.shapes import Grid
from hepar.simulate.structure import Habitus

STEP = 5.0
Triple = tuple[float, float, float]


def ball(shape: tuple[int, int, int], centre: Triple, semi: Triple) -> np.ndarray:
    grid = np.indices(shape).transpose(1, 2, 3, 0)
    inside: np.ndarray = (((grid - np.asarray(centre)) * STEP / np.asarray(semi)) ** 2).sum(-1) < 1
    return inside


def body() -> Labelled:
    """A body of 5 mm voxels whose liver, an ellipsoid, is cut by the last slice."""
    shape = (34, 52, 70)
    labels, hu = np.zeros(shape, np.int16), np.full(shape, -1000, np.float32)
    hu[ball(shape, (17, 26, 35), (1e4, 120, 168))] = 50
    hu[ball(shape, (17, 26, 35), (1e4, 105, 150))] = -100
    for number, centre, semi in (
        (LIVER, (28, 25, 22), (75, 65, 75)), (SPLEEN, (27, 34, 55), (40, 35, 30)),
        (STOMACH, (28, 20, 48), (40, 30, 35)), (AORTA, (17, 36, 37), (1e4, 11, 11)),
        (CAVA, (17, 34, 30), (1e4, 10, 10)), (PORTAL, (24, 27, 31), (9, 9, 40)),
    ):  # fmt: skip
        here = ball(shape, centre, semi)
        labels[here], hu[here] = number, 55
    return Labelled(hu, labels, (STEP, STEP, STEP), "0" * 64, shape[0])


def around_liver(patient: Patient, step_mm: float) -> Grid:
    low, high = patient.structure("liver").box
    z, y, x = (int((high[a] - low[a]) / step_mm) for a in (2, 1, 0))
    return Grid(low, (step_mm, step_mm, step_mm), (z, y, x))


def test_a_cut_liver_gets_a_dome_below_lungs_and_a_heart() -> None:
    source = body()
    whole = completed(source, np.random.default_rng(0))
    assert (whole.labels[:34] == source.labels).all(), "what is real stays"
    assert whole.cut == 34
    above = [int((plane == LIVER).sum()) for plane in whole.labels[33:]]
    assert above[0] > above[6] > 0 == above[-1], "it tapers and ends"
    assert (np.diff(above) <= 0).all()
    assert np.isin(LUNGS[0], whole.labels[34:])
    assert (whole.labels[34:] == HEART).sum() * 0.125 > 20, "ml of muscle"
    again = completed(source, np.random.default_rng(0))
    assert (again.labels == whole.labels).all()
    assert completed(whole, np.random.default_rng(0)) is whole, "a whole volume stays as it is"


def test_the_patient_has_the_real_shape_of_the_liver_and_about_the_volume_asked_for() -> None:
    patient = real_patient(body(), np.random.default_rng(1), 1500.0, 0.0, Habitus())
    assert patient.liver_ml == pytest.approx(1500, rel=0.25)
    assert {"liver", "portal_tree", "hepatic_veins", "aorta", "spleen", "lungs"} <= {s.name for s in patient.structures}
    grid = around_liver(patient, 4.0)
    liver, portal = patient.liver(grid) < 0, patient.structure("portal_tree").solid(grid) < 0
    assert portal.any()
    assert (portal & ~liver).sum() == 0
    at_rest = patient.structure("portal_trunk").solid(Grid((-30.0, -24.0, 0.0), (1.0, 1.0, 1.0), (1, 1, 1)))
    assert float(at_rest[0, 0, 0]) < 12, "the hilum of the frame lies at the real portal vein"


def test_disease_changes_a_real_anatomy() -> None:
    plain = real_patient(body(), np.random.default_rng(1), 1500.0, 0.0, Habitus())
    ill = real_patient(body(), np.random.default_rng(1), 1500.0, 0.0,
                       Habitus(right_shrink_mm=12, spleen_scale=1.3, ascites_mm=12))  # fmt: skip
    assert ill.liver_ml < plain.liver_ml
    assert "ascites" in {s.name for s in ill.structures}
    grid = Grid((-190.0, -170.0, -160.0), (5.0, 5.0, 5.0), (80, 75, 90))
    sizes = [(p.structure("spleen").solid(grid) < 0).sum() for p in (plain, ill)]
    assert sizes[1] / sizes[0] == pytest.approx(1.3**3, rel=0.2)


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    def write(name: str, values: np.ndarray) -> Path:
        turned = np.ascontiguousarray(values.transpose(2, 1, 0))
        nib.save(nib.Nifti1Image(turned, np.diag([-STEP, -STEP, STEP, 1])), tmp_path / name)
        return tmp_path / name

    one = body()
    image, labels = write("ct.nii", one.hu), write("l.nii", one.labels)
    read = load_labelled(image, labels)
    assert (read.labels == one.labels).all()
    assert read.spacing_mm == (STEP, STEP, STEP)
    with pytest.raises(WrongCall, match="same grid"):
        load_labelled(image, write("half.nii", one.labels[:20]))
    with pytest.raises(WrongCall, match="ml of liver"):
        load_labelled(image, write("none.nii", np.zeros_like(one.labels)))
    with pytest.raises(WrongCall, match="not there"):
        load_labelled(image, tmp_path / "missing.nii")


def test_files_that_are_no_nifti_are_refused(tmp_path: Path) -> None:
    """Text, a compressed file that breaks off, and a series of volumes: each named, none a fault of hepar's."""
    one, affine = body(), np.diag([-STEP, -STEP, STEP, 1])
    image, text = tmp_path / "ct.nii.gz", tmp_path / "text.nii"
    nib.save(nib.Nifti1Image(one.hu.transpose(2, 1, 0), affine), image)
    text.write_text("no image")
    broken, series = tmp_path / "broken.nii.gz", tmp_path / "series.nii"
    broken.write_bytes(image.read_bytes()[:4000])
    nib.save(nib.Nifti1Image(np.zeros((9, 9, 9, 2), np.int16), affine), series)
    with pytest.raises(WrongCall, match="the anatomy's CT cannot be read as NIfTI"):
        load_labelled(text, image)
    for labels, says in ((text, "cannot be read"), (broken, "cannot be read"), (series, "has 4 dimensions")):
        with pytest.raises(WrongCall, match=f"the anatomy's labels {says}"):
            load_labelled(image, labels)


def test_the_real_volume_becomes_a_patient(shared_data: Path) -> None:
    folder = shared_data / "ct"
    source = load_labelled(folder / "totalseg-native.nii.gz", folder / "totalseg-native_organs.nii.gz")
    patient = real_patient(source, np.random.default_rng(2), 1400.0, 0.0, Habitus())
    assert 900 < patient.liver_ml < 1900
    assert {"kidneys", "bones", "colon", "heart", "gallbladder"} <= {s.name for s in patient.structures}


def test_an_anatomy_without_a_distribution_is_a_wrong_call(tmp_path: Path) -> None:
    from hepar.cli.simulate import simulate_command

    with pytest.raises(WrongCall, match="--anatomy"):
        simulate_command(tmp_path / "o", seed=1, size="small", quiet=True, overwrite=False,
                         anatomy=(tmp_path / "ct.nii", tmp_path / "l.nii"))  # fmt: skip
