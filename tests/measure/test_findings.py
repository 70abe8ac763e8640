"""The whole step on a box of a liver."""

from __future__ import annotations

import numpy as np
import pytest
from measure_phantom import CENTRE, LIVER, SHAPE, aligned, anatomy, geometry, image

from hepar.errors import Fault
from hepar.measure import MeasureSettings, measure
from hepar.measure.findings import liver_is_cut
from hepar.record import AlignedPhase, Anatomy, Findings, Notice

SETTINGS = MeasureSettings()


def found(outlines: Anatomy, *phases: AlignedPhase) -> Findings:
    return measure(outlines, phases, reference_phase=phases[0].phase_id, study_uid="1.2.3", settings=SETTINGS)


def test_one_lesion_in_one_litre() -> None:
    """A ball of 20 mm: 4.19 ml, 0.42 % of the liver, 20 mm long; the centre where it was put."""
    outlines = anatomy((CENTRE, 10.0))
    result = found(outlines, aligned("p1", image(outlines)))
    (lesion,) = result.lesions
    assert result.reference_phase == "p1"
    assert result.liver.complete
    assert result.liver.volume_ml.estimate == pytest.approx(1000.0)
    assert result.liver.voxels == 50 * 100 * 100
    assert lesion.volume_ml.estimate == pytest.approx(0.002 * lesion.voxels)
    assert lesion.volume_ml.estimate == pytest.approx(4.19, rel=0.03)
    assert lesion.long_axis.length_mm.estimate == pytest.approx(20.0, abs=1.0)
    assert lesion.axial_slice == 30
    assert lesion.centre_lps_mm == pytest.approx((0.0, 0.0, 160.0))
    assert lesion.confidence.estimate == pytest.approx(0.8)
    assert result.burden.lesion_count == 1
    assert result.burden.total_volume_ml.estimate == pytest.approx(lesion.volume_ml.estimate)
    assert result.burden.percent_of_liver.estimate == pytest.approx(lesion.volume_ml.estimate / 10.0)
    assert result.burden.largest_long_axis_mm == lesion.long_axis.length_mm
    assert result.notices == ()


def test_several_lesions_add_up() -> None:
    """Volumes in falling order; the burden is their sum."""
    outlines = anatomy((CENTRE, 12.0), ((20, 30, 30), 8.0), ((45, 90, 90), 5.0))
    result = found(outlines, aligned("p1", image(outlines)))
    volumes = [lesion.volume_ml.estimate or 0.0 for lesion in result.lesions]
    assert [lesion.id for lesion in result.lesions] == [1, 2, 3]
    assert volumes == sorted(volumes, reverse=True)
    assert result.burden.total_volume_ml.estimate == pytest.approx(sum(volumes))
    assert result.burden.largest_long_axis_mm == result.lesions[0].long_axis.length_mm
    assert len({lesion.tracking_uid for lesion in result.lesions}) == 3


def test_no_lesion() -> None:
    """Count 0, 0.0 ml, 0 %, and no largest long axis."""
    outlines = anatomy()
    burden = found(outlines, aligned("p1", image(outlines))).burden
    assert burden.lesion_count == 0
    assert burden.total_volume_ml.estimate == 0.0
    assert burden.percent_of_liver.estimate == 0.0
    assert burden.largest_long_axis_mm.missing == "no lesion"


def test_a_liver_cut_by_the_edge_keeps_its_part_and_loses_its_share() -> None:
    """The liver fills the last slice: not complete, a notice, the method says it, no percent of liver."""
    cut = (slice(10, 60), LIVER[1], LIVER[2])
    outlines = anatomy((CENTRE, 10.0), liver=cut)
    result = found(outlines, aligned("p1", image(outlines)))
    assert not result.liver.complete
    assert result.liver.volume_ml.estimate == pytest.approx(1000.0)
    assert "part inside" in result.liver.volume_ml.method
    assert [notice.code for notice in result.notices] == ["liver_cut"]
    assert result.burden.percent_of_liver.estimate is None
    assert result.burden.total_volume_ml.estimate == pytest.approx(4.19, rel=0.03)


def test_a_cut_that_segmentation_noticed_is_not_said_twice() -> None:
    """The anatomy's liver_cut makes the liver incomplete, and adds no second notice."""
    outlines = anatomy(notices=(Notice("liver_cut", "cut"),))
    result = found(outlines, aligned("p1", image(outlines)))
    assert not result.liver.complete
    assert result.notices == ()
    assert "cuts the liver" in result.burden.percent_of_liver.missing


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("end", [0, -1])
def test_each_side_of_the_volume_can_cut(axis: int, end: int) -> None:
    """A liver of 2 cm2 in one outermost plane is cut, one of 0.1 cm2 ends there."""
    liver = np.zeros(SHAPE, bool)
    where: list[slice] = [slice(30, 40), slice(50, 70), slice(50, 70)]
    where[axis] = slice(0, 40) if end == 0 else slice(40, None)
    liver[tuple(where)] = True
    assert liver_is_cut(liver, geometry(), 100.0)
    tip = np.zeros(SHAPE, bool)
    where = [slice(30, 32), slice(50, 53), slice(50, 53)]
    where[axis] = slice(0, 40) if end == 0 else slice(40, None)
    tip[tuple(where)] = True
    assert not liver_is_cut(tip, geometry(), 100.0)


def test_a_lesion_at_the_edge_says_so_in_every_number() -> None:
    """Half a ball in the last slices: sizes of the part inside, a notice, and the burden carries it."""
    cut = (slice(10, 60), LIVER[1], LIVER[2])
    outlines = anatomy(((59, 60, 60), 10.0), liver=cut)
    result = found(outlines, aligned("p1", image(outlines)))
    (lesion,) = result.lesions
    assert [notice.code for notice in lesion.notices] == ["lesion_cut"]
    for number in (lesion.volume_ml, lesion.long_axis.length_mm, lesion.short_axis.length_mm,
                   lesion.max_3d_diameter.length_mm, result.burden.total_volume_ml,
                   result.burden.largest_long_axis_mm):  # fmt: skip
        assert "part inside" in number.method


def test_a_tracking_uid_is_that_of_study_and_place() -> None:
    """The same place in the same study: the same identifier; another study, or 5 mm further: another."""
    outlines, moved = anatomy((CENTRE, 10.0)), anatomy(((30, 65, 60), 10.0))
    phase = aligned("p1", image(outlines))
    first = found(outlines, phase).lesions[0].tracking_uid
    other = measure(outlines, [phase], reference_phase="p1", study_uid="1.2.4", settings=SETTINGS)
    assert found(outlines, phase).lesions[0].tracking_uid == first
    assert other.lesions[0].tracking_uid != first
    assert found(moved, aligned("p1", image(moved))).lesions[0].tracking_uid != first
    assert first.startswith("2.25.")


def test_two_runs_are_equal() -> None:
    """The same findings, to the last digit."""
    outlines = anatomy((CENTRE, 10.0), ((20, 30, 30), 8.0))
    rng = np.random.default_rng(1)
    phase = aligned("p1", image(outlines) + rng.normal(0, 10, SHAPE))
    assert found(outlines, phase) == found(outlines, phase)


def test_progress_rises_to_one() -> None:
    """Fractions that never fall, the last one 1."""
    outlines = anatomy((CENTRE, 10.0), ((20, 30, 30), 8.0))
    told: list[float] = []
    measure(
        outlines, [aligned("p1", image(outlines))], reference_phase="p1", study_uid="1", settings=SETTINGS,
        progress=told.append,
    )  # fmt: skip
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_a_missing_reference_is_our_fault() -> None:
    """The reference must be among the aligned phases."""
    outlines = anatomy()
    with pytest.raises(Fault, match="p9"):
        measure(outlines, [aligned("p1", image(outlines))], reference_phase="p9", study_uid="1", settings=SETTINGS)


def test_no_liver_is_our_fault() -> None:
    """Segmentation refuses a study without liver; here it must not arrive."""
    outlines = anatomy(liver=(slice(0, 0), slice(0, 0), slice(0, 0)))
    with pytest.raises(Fault, match="liver"):
        found(outlines, aligned("p1", np.zeros(SHAPE)))
