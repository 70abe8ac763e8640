"""Two trees made by hand: each vessel belongs to the root it leads to, whatever it looks like."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hepar.record import Geometry, Organ, OrganMap, Vein, Volume
from hepar.segment.trees import tell_trees
from hepar.segment.vessels import outline_vessels

SHAPE = (60, 60, 60)
SPACING_MM = 1.5


def tube(start: tuple[float, ...], end: tuple[float, ...], radius: float) -> NDArray[np.bool_]:
    """Voxels within radius (voxels) of the line from start to end."""
    grid = np.stack(np.indices(SHAPE), -1).astype(float)
    a, along = np.array(start), np.subtract(end, start)
    t = np.clip(((grid - a) @ along) / (along @ along), 0, 1)
    return np.asarray(np.linalg.norm(grid - a - t[..., None] * along, axis=-1) <= radius)


PORTAL = tube((20, 30, 45), (20, 30, 15), 2.5) | tube((20, 30, 25), (20, 12, 12), 1.5)
HEPATIC = tube((50, 45, 30), (30, 45, 30), 2.5) | tube((35, 45, 30), (28, 34, 20), 1.5)
TRUNK, CAVA = tube((20, 30, 58), (20, 30, 48), 3), tube((58, 48, 30), (40, 52, 30), 3)
LIVER = np.ones(SHAPE, bool)
HALF = np.full(SHAPE, 0.5, np.float32)


def tell(
    vessel: NDArray[np.bool_], portal: NDArray[np.float32] = HALF, **organs: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    trunk, cava = organs.get("trunk", TRUNK), organs.get("cava", CAVA)
    return tell_trees(vessel, portal, LIVER, trunk, cava, SPACING_MM)


def test_a_vessel_belongs_to_where_it_leads() -> None:
    """The network is at a loss everywhere, and even leans to the wrong tree in one branch of each."""
    assert not (PORTAL & HEPATIC).any()
    leaning = HALF.copy()
    leaning[:, :20] = 0.42
    leaning[:34, 40:] = 0.6
    for portal in (HALF, leaning):
        told = tell(PORTAL | HEPATIC, portal)
        assert (told[PORTAL] == Vein.PORTAL).all()
        assert (told[HEPATIC] == Vein.HEPATIC).all()
        assert not told[~(PORTAL | HEPATIC)].any()


def test_a_thin_contact_of_the_trees_is_no_short_cut() -> None:
    """A bridge one voxel wide between them: all but the voxels around it stay where they were."""
    bridge = tube((28, 34, 20), (21, 31, 20), 0.5)
    told = tell(PORTAL | HEPATIC | bridge)
    assert (told[PORTAL] == Vein.PORTAL).mean() > 0.98
    assert (told[HEPATIC & ~bridge] == Vein.HEPATIC).mean() > 0.9


def test_vessels_that_cross_and_melt_into_one_run_straight_on() -> None:
    """A hepatic vein and a portal branch, equally thick, through one another: beyond it each keeps its own name, though
    the way from the other root is shorter."""
    cava = tube((58, 30, 45), (50, 30, 45), 3)
    vein, branch = tube((48, 30, 45), (8, 30, 25), 2), tube((25, 30, 56), (25, 30, 8), 2)
    assert (vein & branch).sum() > 30
    told = tell(vein | branch, trunk=tube((25, 30, 59), (25, 30, 58), 3), cava=cava)
    beyond_vein, beyond_branch = vein.copy(), branch.copy()
    beyond_vein[18:], beyond_branch[:, :, 24:] = False, False
    for tree, name in ((beyond_vein, Vein.HEPATIC), (beyond_branch, Vein.PORTAL)):
        assert tree.sum() > 50
        assert (told[tree] == name).all()


def test_all_that_enters_at_the_trunk_is_portal() -> None:
    """The left branch leaves the trunk outside the liver, touches a hepatic vein, and no vessel joins it to the right;
    the network would sooner take the right one for the root."""
    left = tube((16, 30, 54), (16, 54, 30), 2) | tube((16, 54, 30), (28, 47, 30), 1)
    leaning = HALF.copy()
    leaning[left] = 0.4
    told = tell(PORTAL | HEPATIC | left, leaning, trunk=TRUNK | tube((18, 30, 58), (16, 30, 56), 3))
    assert (told[tube((16, 32, 52), (16, 50, 34), 1)] == Vein.PORTAL).all()
    assert (told[PORTAL] == Vein.PORTAL).all()
    assert (told[tube((50, 45, 30), (36, 45, 30), 1)] == Vein.HEPATIC).all()


def test_a_vena_cava_that_ends_too_low_is_prolonged() -> None:
    """Its label ends 21 mm below where the hepatic vein enters, and it bends forward there."""
    low = tube((0, 52, 30), (34, 52, 30), 3)
    vein = tube((48, 48, 30), (36, 20, 30), 2.5)
    told = tell(PORTAL | vein, cava=low)
    assert (told[vein] == Vein.HEPATIC).all()
    assert (told[PORTAL] == Vein.PORTAL).all()
    far_too_low = low.copy()
    far_too_low[4:] = False
    assert (tell(PORTAL | vein, cava=far_too_low)[vein] != Vein.HEPATIC).all()


def test_a_sure_network_overrules_the_way() -> None:
    """A hepatic branch that reaches its vein by a gap only and lies against a portal one: all but where they touch."""
    branch = tube((20, 27, 20), (8, 14, 24), 1.5) & ~PORTAL
    sure = HALF.copy()
    sure[branch] = 0.02
    assert (tell(PORTAL | HEPATIC | branch)[branch] == Vein.PORTAL).mean() > 0.9
    assert (tell(PORTAL | HEPATIC | branch, sure)[branch] == Vein.HEPATIC).mean() > 0.75


def test_what_leads_nowhere_is_of_unknown_tree_and_specks_go() -> None:
    """A branch far from both, 0.3 ml, and a speck of 0.03 ml."""
    island, speck = tube((5, 5, 5), (5, 20, 5), 1.5), np.zeros(SHAPE, bool)
    speck[50:52, 5:7, 50:52] = True
    told = tell(PORTAL | HEPATIC | island | speck)
    assert (told[island] == Vein.UNKNOWN).all()
    assert not told[speck].any()


def test_without_a_vena_cava_only_what_the_network_is_sure_of_is_told() -> None:
    """The one root that is seen would else get every vessel."""
    sure = HALF.copy()
    sure[HEPATIC] = 0.02
    told = tell(PORTAL | HEPATIC, sure, cava=np.zeros(SHAPE, bool))
    assert (told[PORTAL] == Vein.UNKNOWN).all()
    assert (told[tube((45, 45, 30), (38, 45, 30), 1)] == Vein.HEPATIC).all()


def test_without_a_trunk_the_portal_root_is_not_guessed() -> None:
    """The network leans to portal a little in the hepatic vein."""
    leaning = np.where(HEPATIC, np.float32(0.6), np.float32(0.5))
    told = tell(PORTAL | HEPATIC, leaning, trunk=np.zeros(SHAPE, bool))
    assert set(np.unique(told)) == {Vein.NONE, Vein.UNKNOWN}


def test_a_sure_network_needs_no_roots_to_be_right() -> None:
    """Contrast of several phases tells the trees apart where neither trunk nor vena cava is in the scan."""
    sure = np.where(PORTAL, np.float32(0.97), np.float32(0.03))
    none = np.zeros(SHAPE, bool)
    told = tell(PORTAL | HEPATIC, sure, trunk=none, cava=none)
    for tree, vein in ((PORTAL, Vein.PORTAL), (HEPATIC, Vein.HEPATIC)):
        assert not (told[tree] == (Vein.HEPATIC if vein == Vein.PORTAL else Vein.PORTAL)).any()
        assert (told[tree] == vein).mean() > 0.5


def test_no_vessel_gives_no_vein() -> None:
    """Empty is legal, and so is a vessel outside the liver alone."""
    assert not tell(np.zeros(SHAPE, bool)).any()
    assert not tell_trees(PORTAL, HALF, np.zeros(SHAPE, bool), TRUNK, CAVA, SPACING_MM).any()


@pytest.mark.parametrize("told", [True, False])
def test_the_scans_own_voxels_get_the_tree_of_the_nearest_vessel(told: bool) -> None:
    """On a grid of 0.75 mm in the plane, bright vessels; of unknown tree where the map tells none; never lesion."""
    coarse = Geometry.regular(SHAPE, (1.5, 1.5, 1.5))
    labels = np.full(SHAPE, Organ.LIVER, np.uint8)
    labels[PORTAL | HEPATIC] = Organ.HEPATIC_VESSEL
    veins = tell(PORTAL | HEPATIC) if told else None
    organs = OrganMap(labels, np.zeros_like(labels), coarse, None, veins)
    native = Geometry.regular((30, 120, 120), (3.0, 0.75, 0.75), (-0.375, -0.375, 0.75))
    index = np.rint(coarse.to_index(native.to_lps_mm(np.stack(np.indices(native.shape), -1)))).astype(int)
    truth = (1 * PORTAL + 2 * HEPATIC)[tuple(np.clip(index, 0, 59).transpose(3, 0, 1, 2))]
    rng = np.random.default_rng(1)
    hu = np.rint(np.where(truth > 0, 165, 110) + rng.normal(0, 8, native.shape)).astype(np.int16)
    lesions = np.zeros(native.shape, np.uint16)
    lesions[:, 50:70, 60:70] = 1
    out = outline_vessels(Volume(hu, native, "CT"), organs, np.ones(native.shape, bool), lesions)
    assert not out[lesions > 0].any()
    if not told:
        assert set(np.unique(out)) == {Vein.NONE, Vein.UNKNOWN}
        return
    for tree in (Vein.PORTAL, Vein.HEPATIC):
        mine, true = out == tree, (truth == tree) & (lesions == 0)
        assert 2 * (mine & true).sum() / (mine.sum() + true.sum()) > 0.85
        assert not (out[true] == 3 - tree).any()
