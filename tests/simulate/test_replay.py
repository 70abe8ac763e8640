"""A case asked for its tissues gives what its label map and its image show."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from test_case import coarse

from hepar.errors import WrongCall
from hepar.simulate.case import simulate_case
from hepar.simulate.contrast import tissue_hu
from hepar.simulate.replay import can_replay, tissues_at
from hepar.simulate.tissues import TISSUES

NUMBER = 4


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replay") / "one"
    simulate_case(folder, coarse(), NUMBER)
    return folder


@pytest.fixture(scope="module")
def places(case: Path) -> tuple[np.ndarray, np.ndarray]:
    """Every third voxel in each direction and all of lesions and veins: index (column, row, slice) and place."""
    image = nib.load(case / "truth" / "labels.nii.gz")
    index = np.argwhere(np.ones([n // 3 for n in image.shape])) * 3
    inner = np.argwhere(np.asarray(image.dataobj) > 1)
    index = np.vstack([index, inner])
    return index, nib.affines.apply_affine(image.affine, index) * [-1, -1, 1]


@pytest.fixture(scope="module")
def tissues(places: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return tissues_at(coarse(), NUMBER, places[1])


def test_the_tissues_are_those_of_the_label_map(
    case: Path, places: tuple[np.ndarray, np.ndarray], tissues: np.ndarray
) -> None:
    labels = np.asarray(nib.load(case / "truth" / "labels.nii.gz").dataobj)[tuple(places[0].T)]
    for name, written in (("liver", labels == 1), ("lesion", labels > 10), ("veins", (labels == 2) | (labels == 3))):
        # Either tree counts as vein: where they cross, the label map says hepatic, the image shows portal.
        ids = [TISSUES[one].id for one in (("portal_tree", "hepatic_veins") if name == "veins" else (name,))]
        assert written.sum() > 20, name
        assert (np.isin(tissues, ids) != written).sum() <= 2, name


def test_the_tissues_beside_the_liver_are_those_of_the_image(
    case: Path, places: tuple[np.ndarray, np.ndarray], tissues: np.ndarray
) -> None:
    """Median HU of voxels of one tissue, without noise: what the contrast table says at this time and strength."""
    truth = json.loads((case / "truth.json").read_text())
    hu = np.asarray(nib.load(next((case / "nifti").glob("3_*"))).dataobj)[tuple(places[0].T)]
    for name in ("spleen", "bile", "muscle", "fat", "stomach_fluid", "lung", "vena_cava"):
        here = tissues == TISSUES[name].id
        assert here.sum() > 20, name
        expected = tissue_hu(name, truth["phases"][2]["delay_s"], truth["strength"])
        assert np.median(hu[here]) == pytest.approx(expected, abs=4), name


def test_a_lesion_is_where_breathing_has_taken_it(case: Path) -> None:
    truth = json.loads((case / "truth.json").read_text())
    big = [k for k, one in enumerate(truth["lesions"]) if one["diameter_mm"] > 10]
    assert big
    for phase in truth["phases"]:
        centres = np.array([phase["lesion_centre_lps_mm"][k] for k in big])
        found = tissues_at(coarse(), NUMBER, centres, phase=phase["label"].replace("_late", "").replace("_early", ""))
        assert (found == TISSUES["lesion"].id).all(), phase["label"]


def test_few_places_give_what_many_give(places: tuple[np.ndarray, np.ndarray], tissues: np.ndarray) -> None:
    """Only the part of the body around the places is sampled, on the same grid points."""
    some = np.flatnonzero(tissues == TISSUES["lesion"].id)[:40]
    assert (tissues_at(coarse(), NUMBER, places[1][some]) == tissues[some]).all()


def test_no_places_no_tissues_and_far_away_is_air() -> None:
    assert tissues_at(coarse(), NUMBER, np.zeros((0, 3))).shape == (0,)
    assert tissues_at(coarse(), NUMBER, np.full((1, 3), 5000.0)).tolist() == [TISSUES["air_outside"].id]


def test_a_call_that_cannot_be_answered_says_why() -> None:
    with pytest.raises(WrongCall, match=r"\(3,\); needed: \(n, 3\)"):
        tissues_at(coarse(), NUMBER, np.zeros(3))
    with pytest.raises(WrongCall, match=r"'venous' is none .* native, arterial, portal_venous, delayed"):
        tissues_at(coarse(), NUMBER, np.zeros((1, 3)), phase="venous")


def test_another_version_of_the_distribution_is_not_replayed(case: Path) -> None:
    truth = json.loads((case / "truth.json").read_text())
    assert can_replay(truth, coarse())
    assert not can_replay(truth | {"distribution": truth["distribution"] | {"sha256": "0" * 64}}, coarse())
    assert not can_replay(truth | {"anatomy_sha256": "0" * 64}, coarse())
