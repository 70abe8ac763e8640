"""Is it a liver, and where it ends."""

from dataclasses import replace

import numpy as np
import pytest

from hepar.errors import Refused
from hepar.record import Geometry, Organ, OrganMap
from hepar.segment import SegmentSettings
from hepar.segment.evidence import Evidence
from hepar.segment.liver import Plausibility, liver_parts, plausibility
from hepar.segment.place import native_box, signed_distance_mm

LIVER = Plausibility(volume_ml=400, score=0.97, median_hu=105, alike=0.97, fat=0.25, bone=0.03, encased=0.02, right=0.3)


def test_a_usual_liver_meets_no_objection() -> None:
    """Nor does a fatty one in a slim patient, or a large one in the middle of a narrow field of view."""
    assert LIVER.objection(SegmentSettings()) == ""
    assert replace(LIVER, volume_ml=1500.0, right=-0.1).objection(SegmentSettings()) == ""
    assert replace(LIVER, median_hu=-5.0, fat=0.03).objection(SegmentSettings()) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"score": 0.7}, "probability"),
        ({"median_hu": -90.0}, "no liver has"),
        ({"alike": 0.5}, "one density"),
        ({"fat": 0.0}, "no body"),
        ({"bone": 0.0}, "no body"),
        ({"bone": 0.24}, "head"),
        ({"right": -0.11}, "wrong side"),
        ({"encased": 0.6}, "against bone"),
    ],
)
def test_each_sign_of_another_body_part_is_an_objection(change: dict[str, float], words: str) -> None:
    """One sign is enough."""
    assert words in replace(LIVER, **change).objection(SegmentSettings())


def _map(liver: np.ndarray) -> OrganMap:
    labels = np.where(liver, np.uint8(Organ.LIVER), np.uint8(0))
    return OrganMap(labels, np.zeros_like(labels), Geometry.regular(liver.shape, (3.0, 3.0, 3.0)))


def test_spur_and_stray_part_go_and_a_large_second_part_stays() -> None:
    """A thread into the heart and a part of 4 % are left out; a part of a third stays; a hole is filled."""
    liver = np.zeros((40, 60, 60), bool)
    liver[10:30, 10:40, 5:30] = True
    liver[18, 20, 15] = False
    liver[20, 20, 30:50] = True
    liver[10:24, 15:35, 45:57] = True
    liver[34:38, 50:58, 3:18] = True
    kept = liver_parts(_map(liver), SegmentSettings())
    assert kept[18, 20, 15]
    assert kept[12:28, 12:38, 8:28].all()
    assert kept[12:22, 18:32, 47:55].all()
    assert not kept[34:38, 50:58, 3:18].any()
    alone = liver.copy()
    alone[:, :, 44:] = False
    assert not liver_parts(_map(alone), SegmentSettings())[20, 20, 34:].any()


def test_too_little_liver_is_refused() -> None:
    """100 ml are not enough, and nothing is nothing."""
    small = np.zeros((30, 30, 30), bool)
    small[5:20, 5:21, 5:21] = True
    with pytest.raises(Refused, match=r"only 10[0-9] ml"):
        liver_parts(_map(small), SegmentSettings())
    with pytest.raises(Refused, match="nothing that looks like one"):
        liver_parts(_map(np.zeros((30, 30, 30), bool)), SegmentSettings())


def test_signed_distance_is_the_distance_to_the_outline() -> None:
    """A cube of 10 voxels of 3 mm: 13.5 mm deep in the middle, -1.5 mm just outside, cut at the limit."""
    cube = np.zeros((30, 30, 30), bool)
    cube[10:20, 10:20, 10:20] = True
    distance = signed_distance_mm(cube, 3.0, 12.0)
    assert distance[14, 14, 10] == pytest.approx(1.5)
    assert distance[14, 14, 9] == pytest.approx(-1.5)
    assert distance[14, 14, 14] == pytest.approx(12.0)
    assert distance[0, 0, 0] == pytest.approx(-12.0)
    assert (signed_distance_mm(np.zeros((4, 4, 4), bool), 3.0, 12.0) == -12.0).all()


def test_native_box_holds_the_whole_mask() -> None:
    """A voxel of 3 mm at 30 to 33 mm with 2 mm around it, on a grid of 1 x 0.5 x 0.5 mm."""
    mask = np.zeros((20, 20, 20), bool)
    mask[10, 10, 10] = True
    box = native_box(
        mask, Geometry.regular((20, 20, 20), (3, 3, 3)), Geometry.regular((60, 120, 120), (1, 0.5, 0.5)), 2.0
    )
    assert box[0].start <= 26.5
    assert box[0].stop >= 33.5
    assert box[1].start <= 53
    assert box[2].stop >= 67
    assert box[0].stop - box[0].start <= 10


def test_evidence_is_the_ratio_of_two_histograms() -> None:
    """Gaussians of 100 +- 20 and 40 +- 20 HU: the ratio is 0 in the middle and rises by 60 / variance per HU."""
    rng = np.random.default_rng(0)
    inside = rng.normal(100, 20, 200_000).astype(np.int16)
    outside = rng.normal(40, 20, 200_000).astype(np.int16)
    evidence = Evidence(inside, outside)
    below, above, far = evidence(np.array([66, 70, 86], np.int16))
    assert below + above == pytest.approx(0, abs=0.1)
    # The blur of both histograms (0.15 x 60 HU) widens them to a variance of 481.
    assert (far - below) / 20 == pytest.approx(60 / 481, rel=0.15)
    assert not Evidence(inside[:10], outside)(np.array([50], np.int16)).any()


def test_a_large_dark_tumour_does_not_make_a_liver_implausible() -> None:
    """A third of the liver is tumour at 30 HU, labelled as lesion: what is left is of one density."""
    labels = np.zeros((40, 60, 60), np.uint8)
    labels[5:35, 10:50, 10:40] = Organ.LIVER
    labels[8:30, 15:45, 12:28] = Organ.LESION
    hu = np.full(labels.shape, -100, np.float32)
    hu[labels == Organ.LIVER] = 105
    hu[labels == Organ.LESION] = 30
    grid = Geometry.regular((40, 60, 60), (3.0, 3.0, 3.0), (0.0, 0.0, 0.0))
    organs = OrganMap(labels, np.zeros_like(labels), grid)
    found = plausibility(organs.liver, organs, hu)
    assert found.alike == 1.0
    assert found.median_hu == 105
