"""What a false find is: the tissue of the virtual patient under it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from hepar.learn.false_finds import LESION, OTHER, agreement, named, tally, tissues_under
from hepar.record import Geometry
from hepar.simulate.case import simulate_case
from hepar.simulate.distribution import load_distribution
from hepar.simulate.replay import tissues_at
from hepar.simulate.tissues import TISSUES

NUMBER = 4
Case = tuple[dict[str, Any], np.ndarray, Geometry]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A patient of virtual60 on a coarse grid: another scanner, the same patient, so that its truth.json holds."""
    from copy import deepcopy
    from dataclasses import replace

    one = load_distribution("virtual60")
    tables = deepcopy(dict(one.tables))
    tables["scanner"] |= {"spacing_mm": 5.0, "pixel_mm": 2.5, "overlap": 1.0, "noise_hu": 0.0, "blur_mm": 0.0}
    folder: Path = tmp_path_factory.mktemp("false") / "one"
    simulate_case(folder, replace(one, tables=tables), NUMBER, only=["portal_venous"])
    image = nib.load(folder / "truth" / "labels.nii.gz")
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine @ np.eye(4)[[2, 1, 0, 3]]  # RAS, column first, to LPS
    labels = np.asarray(image.dataobj).transpose(2, 1, 0)
    return json.loads((folder / "truth.json").read_text()), labels, Geometry(labels.shape, affine)


def test_a_find_in_the_spleen_and_one_in_the_gallbladder(case: Case) -> None:
    """Each a cube of voxels around the place that lies deepest in the organ."""
    from scipy import ndimage

    truth, labels, geometry = case
    index = np.argwhere(np.ones(labels.shape, bool))
    ids = tissues_at(load_distribution("virtual60"), NUMBER, geometry.to_lps_mm(index)).reshape(labels.shape)
    finds = np.zeros(labels.shape, np.uint16)
    for number, tissue in ((1, "spleen"), (2, "bile")):
        depth = ndimage.distance_transform_edt(ids == TISSUES[tissue].id, geometry.spacing_mm)
        z, y, x = (int(k) for k in np.unravel_index(depth.argmax(), depth.shape))
        finds[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2] = number
    under = tissues_under(truth, labels, geometry, finds, [1, 2])
    assert under is not None
    assert under[1] == {"spleen": 1.0}
    assert named(under[2]) == "gallbladder or bile duct"
    assert sum(under[2].values()) == pytest.approx(1, abs=1e-3)


def test_a_find_that_touches_a_lesion_is_part_of_it(case: Case) -> None:
    truth, labels, geometry = case
    lesion = np.argwhere(labels > 10)
    finds = np.zeros(labels.shape, np.uint16)
    z, y, x = lesion[lesion[:, 2].argmin()]
    finds[z, y, max(0, x - 6) : x + 1] = 1
    under = tissues_under(truth, labels, geometry, finds, [1])
    assert under is not None
    assert under[1][LESION] == pytest.approx(1 / 7, abs=1e-3)
    assert named(under[1]) == LESION


def test_a_patient_that_cannot_be_drawn_again_has_no_tissues(case: Case) -> None:
    """Another version of the file, a distribution of the user's, another patient than the labels show."""
    truth, labels, geometry = case
    finds = (labels == 1).astype(np.uint16)
    assert tissues_under(truth, labels, geometry, finds, [1]) is not None
    source = truth["distribution"]
    for other in ({"distribution": source | {"sha256": "0" * 64}}, {"distribution": source | {"name": "mine"}},
                  {"case": NUMBER + 1}):  # fmt: skip
        assert tissues_under(truth | other, labels, geometry, finds, [1]) is None, other


def test_nothing_wanted_needs_no_patient() -> None:
    empty = np.zeros((2, 2, 2), np.uint16)
    geometry = Geometry.regular((2, 2, 2), (1.0, 1.0, 1.0))
    assert tissues_under({}, empty, geometry, empty, []) == {}
    assert tissues_under({}, empty, geometry, empty, [3]) == {3: {}}


def test_agreement_counts_places_whose_tissue_fits_the_label() -> None:
    ids = np.array([TISSUES[n].id for n in ("liver", "portal_tree", "lesion", "spleen", "bile_duct")], np.uint8)
    assert agreement(ids, np.array([1, 3, 12, 0, 1])) == 1.0, "a crossing of the trees may be written as either"
    assert agreement(ids, np.array([0, 2, 1, 1, 11])) == pytest.approx(1 / 5)
    assert agreement(ids[:0], np.zeros(0, int)) == 1.0


def test_the_tally_counts_by_hand() -> None:
    """Five false finds: two in a vein, one of them thinner than a quarter of it; a splinter; air; one not known."""
    finds = [
        {"portal vein": 0.6, "healthy liver": 0.4},
        {"healthy liver": 0.8, "portal vein": 0.2},
        {"healthy liver": 0.9, LESION: 0.1},
        {},
        None,
    ]
    assert tally(finds) == {
        "finds": 5,
        "not_known": 1,
        "by_tissue": {
            "healthy liver": {"most": 1, "much": 3},
            "portal vein": {"most": 1, "much": 1},
            OTHER: {"most": 1, "much": 0},
            LESION: {"most": 1, "much": 0},
        },
    }
    assert tally([]) == {"finds": 0, "not_known": 0, "by_tissue": {}}
