"""What an operating point states of itself is what its file says, with intervals as R computes them."""

from __future__ import annotations

from typing import Any

import pytest

from hepar.segment.confidence import confidence_file, operating_point


def counts(found: int, lesions: int, false_per_scan: float, scans: int = 23) -> dict[str, Any]:
    """A file with one range of sizes filled and the others empty."""
    point: dict[str, Any] = {"least_confidence": 0.3, "scans": scans, "false_per_scan": false_per_scan}
    for key in ("under_10_mm", "10_to_20_mm", "over_20_mm"):
        point |= {f"found_{key}": 0, f"lesions_{key}": 0}
    point |= {"found_10_to_20_mm": found, "lesions_10_to_20_mm": lesions}
    return {"fitted_on": "nobody", "several_phases": {"operating_points": {"measuring": point}}}


def test_intervals_are_those_of_r() -> None:
    """R 4.2.2: prop.test(22, 31, correct = FALSE)$conf.int gives 0.534076707 0.839041998;
    poisson.test(5, 23)$conf.int gives 0.0705863648 0.5073187861."""
    point = operating_point(counts(22, 31, 0.22), 3, "measuring")
    assert point is not None
    one = point.recall[1]
    assert (one.least_mm, one.below_mm, one.found, one.lesions) == (10.0, 20.0, 22, 31)
    assert one.recall.estimate == pytest.approx(22 / 31)
    assert (one.recall.low, one.recall.high) == pytest.approx((0.534076707, 0.839041998), abs=1e-8)
    assert point.false_per_scan.estimate == pytest.approx(5 / 23)
    false = point.false_per_scan
    assert (false.low, false.high) == pytest.approx((0.0705863648, 0.5073187861), abs=1e-8)
    assert point.recall[0].recall.missing == "no lesion of this size was among them"


def test_no_false_find_still_has_an_upper_limit() -> None:
    """R 4.2.2: poisson.test(0, 23)$conf.int gives 0 0.160386063."""
    point = operating_point(counts(31, 31, 0.0), 2, "measuring")
    assert point is not None
    assert point.false_per_scan.low == 0
    assert point.false_per_scan.high == pytest.approx(0.160386063, abs=1e-8)
    assert point.recall[1].recall.high == 1.0


@pytest.mark.parametrize("phases", [1, 4])
@pytest.mark.parametrize("name", ["measuring", "screening"])
def test_the_shipped_points_state_what_their_file_holds(phases: int, name: str) -> None:
    held = confidence_file()["one_phase" if phases == 1 else "several_phases"]["operating_points"][name]
    point = operating_point(confidence_file(), phases, name)
    assert point is not None
    assert point.phases == ("one" if phases == 1 else "several")
    assert point.least_confidence == held["least_confidence"]
    assert [one.found for one in point.recall] == [
        held[f"found_{key}"] for key in ("under_10_mm", "10_to_20_mm", "over_20_mm")
    ]
    assert point.false_per_scan.estimate == pytest.approx(held["false_per_scan"], abs=0.5 / held["scans"])
    assert "virtual" in point.fitted_on
    assert point.virtual


def test_a_sites_figures_do_not_pass_for_virtual_ones() -> None:
    """A site moves the curve of virtual patients: the figures are then of its own scans."""
    document = counts(22, 31, 0.22)
    document["fitted_on"] = "virtual-tuning; moved by 10 cases of the site"
    before = operating_point(document, 3, "measuring")
    document["several_phases"]["recalibrated"] = {"scans": 10}
    after = operating_point(document, 3, "measuring")
    assert before is not None
    assert before.virtual
    assert after is not None
    assert not after.virtual


def test_a_file_without_figures_promises_nothing() -> None:
    document = {"fitted_on": "a site", "one_phase": {"operating_points": {"measuring": {"least_confidence": 0.4}}}}
    assert operating_point(document, 1, "measuring") is None
