"""From a phantom to its outlines, with a stand-in network whose answers are known."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from segment_phantom import BODY_HU, LESION_HU, LIVER_HU, LIVER_ML, phantom

from hepar.errors import Refused, WrongCall
from hepar.record import PADDING_HU, AlignedPhase, Estimate, Geometry, PhaseLabel, Residual, Transform, Volume
from hepar.segment import SegmentSettings, engine
from hepar.segment.builtin import Builtin

BALLS = (
    ((-60.0, -10.0, 0.0), 20.0, LESION_HU),
    ((-95.0, 15.0, 20.0), 10.0, LESION_HU),
    ((-60.0, -40.0, -30.0), 8.0, LESION_HU),
)


def test_unknown_engine_is_refused_with_the_list() -> None:
    """The message says which engines there are."""
    with pytest.raises(WrongCall, match="builtin"):
        engine("nnunet", SegmentSettings())


def test_phantom_liver_and_lesions_have_their_volumes(outliner: Builtin, grid: Geometry) -> None:
    """Liver within 2 %, lesions of 10 mm radius and more within 15 %, ids by falling volume, no notice."""
    volume = phantom(grid, BALLS)
    anatomy = outliner.anatomy(volume, outliner.organs(volume))
    ml = grid.voxel_volume_ml
    assert anatomy.liver.sum() * ml == pytest.approx(LIVER_ML, rel=0.02)
    sizes = np.bincount(anatomy.lesions.ravel())[1:] * ml
    assert len(sizes) == len(anatomy.confidence) == 3
    assert list(sizes) == sorted(sizes, reverse=True)
    for number, (centre, radius, _) in enumerate(BALLS, 1):
        assert anatomy.lesions[tuple(np.rint(grid.to_index(centre)).astype(int))] == number
        if radius >= 10:
            assert sizes[number - 1] == pytest.approx(4 / 3 * np.pi * radius**3 / 1000, rel=0.15)
    assert anatomy.liver[anatomy.lesions > 0].all()
    assert all(0.5 < c <= 1 for c in anatomy.confidence)
    assert anatomy.notices == ()


def test_repeated_run_gives_the_same_outlines(
    outliner: Builtin, weights: Path, region_weights: Path, grid: Geometry
) -> None:
    """Another engine object with another number of threads outlines the same voxels."""
    volume = phantom(grid, BALLS)
    one = outliner.anatomy(volume, outliner.organs(volume))
    again = Builtin(SegmentSettings(threads=2), weights=weights, region_weights=region_weights)
    two = again.anatomy(volume, again.organs(volume))
    assert (one.liver == two.liver).all()
    assert (one.lesions == two.lesions).all()
    assert one.confidence == two.confidence
    assert again.weights_sha256 == outliner.weights_sha256


def test_tilted_scan_shows_the_same_lesions(outliner: Builtin) -> None:
    """A gantry tilt of 15 degrees, kept as a sheared grid: volumes within 2 %, centres within 1 mm."""
    straight = Geometry.regular((68, 236, 170), (2.5, 1.0, 1.0), (-149.0, -105.0, -84.0))
    affine = straight.affine.copy()
    affine[1, 0] = 2.5 * np.tan(np.radians(15))
    affine[1, 3] -= affine[1, 0] * 34
    tilted = Geometry(straight.shape, affine)
    balls = [((-60.0, -10.0, 0.0), 20.0, LESION_HU), ((-95.0, 15.0, 20.0), 12.0, LESION_HU)]
    found = []
    for place in (straight, tilted):
        volume = phantom(place, balls, noise_hu=4)
        anatomy = outliner.anatomy(volume, outliner.organs(volume))
        parts = [np.argwhere(anatomy.lesions == n) for n in (1, 2)]
        assert anatomy.lesions.max() == 2
        found.append([(len(p) * place.voxel_volume_ml, place.to_lps_mm(p).mean(axis=0)) for p in parts])
    for (one_ml, one), (two_ml, two) in zip(*found, strict=True):
        assert two_ml == pytest.approx(one_ml, rel=0.02)
        assert np.linalg.norm(one - two) < 1.0


def test_lesion_at_the_border_belongs_to_the_liver(outliner: Builtin, grid: Geometry) -> None:
    """A ball half of which bulges out of the liver is inside the liver's outline as a whole."""
    volume = phantom(grid, [((-60.0, -72.0, 0.0), 16.0, LESION_HU)])
    anatomy = outliner.anatomy(volume, outliner.organs(volume))
    assert anatomy.lesions.max() == 1
    size = (anatomy.lesions == 1).sum() * grid.voxel_volume_ml
    assert size == pytest.approx(4 / 3 * np.pi * 16**3 / 1000, rel=0.15)
    assert anatomy.liver[anatomy.lesions > 0].all()


def test_lesion_seen_only_in_another_phase_is_found(outliner: Builtin, grid: Geometry) -> None:
    """A lesion as bright as the liver in the reference but dark in an accepted phase counts; in a refused one not."""
    balls = [((-70.0, -10.0, 5.0), 12.0, float(LIVER_HU))]
    reference = phantom(grid, balls)
    other = phantom(grid, [(c, r, LESION_HU) for c, r, _ in balls], seed=5)
    box = (slice(0, 80), slice(10, 150), slice(5, 120))
    unknown = Estimate.cannot_tell("test")
    aligned = AlignedPhase("p2", box, other.array[box], Transform.identity(), Residual(unknown, unknown, unknown, 0.0))
    organs = outliner.organs(reference)
    assert outliner.anatomy(reference, organs).lesions.max() == 0
    refused = replace(aligned, accepted=False, reason="test")
    names: list[PhaseLabel] = ["portal_venous", "arterial"]
    assert outliner.anatomy(reference, organs, [refused], labels=names).lesions.max() == 0
    found = outliner.anatomy(reference, organs, [aligned], labels=names)
    assert found.lesions.max() == 1
    size = (found.lesions == 1).sum() * grid.voxel_volume_ml
    assert size == pytest.approx(4 / 3 * np.pi * 12**3 / 1000, rel=0.2)


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [((30, 0, 0), (80, 180, 180), "lowest slice"), ((0, 0, 0), (45, 180, 180), "highest slice"),
     ((0, 0, 50), (80, 180, 180), "right")],
)  # fmt: skip
def test_liver_cut_by_the_edge_is_said(
    outliner: Builtin, grid: Geometry, start: tuple[int, int, int], stop: tuple[int, int, int], expected: str
) -> None:
    """The notice names the edge."""
    whole = phantom(grid)
    box = (slice(start[0], stop[0]), slice(start[1], stop[1]), slice(start[2], stop[2]))
    volume = Volume(whole.array[box].copy(), grid.crop(box), "CT")
    (notice,) = outliner.anatomy(volume, outliner.organs(volume)).notices
    assert notice.code == "liver_cut"
    assert expected in notice.text


def test_liver_cut_by_a_round_field_of_view_is_said(outliner: Builtin, grid: Geometry) -> None:
    """Padding outside a circle of 120 mm cuts the phantom's liver on its right side."""
    volume = phantom(grid)
    rows, columns = np.mgrid[: grid.shape[1], : grid.shape[2]]
    x, y = columns * 2.0 - 179, rows * 2.0 - 179
    array = volume.array.copy()
    array[:, x**2 + y**2 > 120**2] = PADDING_HU
    cut = Volume(array, grid, "CT")
    (notice,) = outliner.anatomy(cut, outliner.organs(cut)).notices
    assert notice.code == "liver_cut"
    assert "round field of view" in notice.text


@pytest.mark.parametrize("kind", ["air", "water", "noise", "one organ only", "too small"])
def test_no_liver_is_refused(outliner: Builtin, grid: Geometry, kind: str) -> None:
    """Nothing is invented where there is no liver."""
    rng = np.random.default_rng(2)
    hu = {
        "air": np.full(grid.shape, -1000.0),
        "water": phantom(grid).array * 0.0,
        "noise": rng.normal(100, 300, grid.shape),
        "one organ only": np.full(grid.shape, float(LIVER_HU)),
        "too small": np.full(grid.shape, float(BODY_HU)),
    }[kind]
    if kind == "too small":
        hu[30:45, 80:100, 80:100] = LIVER_HU
    volume = Volume(hu.astype(np.int16), grid, "CT")
    with pytest.raises(Refused, match="no liver found"):
        outliner.organs(volume)


def test_mr_is_refused(outliner: Builtin, grid: Geometry) -> None:
    """No model supports MR yet."""
    with pytest.raises(Refused, match="CT only, got MR"):
        outliner.organs(Volume(np.zeros(grid.shape, np.int16), grid, "MR"))


def test_memory_stays_small_on_a_full_scan(outliner: Builtin) -> None:
    """On 512 x 512 x 120 voxels at most 600 MB of arrays live beside the input at any time."""
    geometry = Geometry.regular((120, 512, 512), (1.6, 0.7, 0.7), (-179.0, -179.0, -96.0))
    volume = phantom(geometry, BALLS)
    tracemalloc.start()
    anatomy = outliner.anatomy(volume, outliner.organs(volume))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert anatomy.lesions.max() == 3
    assert peak < 600e6


@pytest.mark.parametrize(
    ("outside", "tumour", "told"), [(0, 90, False), (2, 8, False), (3, 27, True), (3, 28, False), (10, 90, True)]
)
def test_tumour_beyond_the_first_outline_is_told(outside: int, tumour: int, told: bool) -> None:
    """From 3 ml and a tenth of the tumour on; voxels of 1 ml. `tumour` lies inside, `outside` beyond."""
    from hepar.segment.builtin import _missed

    lesions = np.zeros((5, 5, 5), np.uint16)
    lesions.flat[: outside + tumour] = 1
    beyond = np.zeros(lesions.shape, bool)
    beyond.flat[:outside] = True
    notices = _missed(beyond, lesions, Geometry((5, 5, 5), np.diag([10.0, 10.0, 10.0, 1.0])))
    assert [n.code for n in notices] == (["liver_missed_tumour"] if told else [])
    assert not told or f"{outside} ml of tumour" in notices[0].text
