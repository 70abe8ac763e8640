"""The model behind the phase labels: its features, its probabilities, what it says it does not know."""

from __future__ import annotations

import json
from importlib import resources

import numpy as np
import pytest

from hepar.errors import Fault
from hepar.measure import OrganHu, OrganValue, PhaseEvidence, fuse, fuse_study, organ_enhancement, phase_evidence
from hepar.measure.phase_model import FEATURES, PhaseModel, features_of, from_document, phase_model
from hepar.measure.phase_table import STAGES
from hepar.record import UNKNOWN_PHASE, Estimate, Geometry, Organ, OrganMap, PhaseGuess, PhaseLabel, Volume

MISSING = OrganValue(Estimate.cannot_tell("not seen"), 0.0, 0)
FIELDS = ("aorta", "portal_vein", "vena_cava", "liver", "spleen", "kidney", "kidney_cortex", "kidney_medulla",
          "inner_vessels")  # fmt: skip


def organs(spread: float = 12.0, **hu: float) -> OrganHu:
    """Medians in HU; what is not named was not seen."""
    return OrganHu(**{
        name: OrganValue(Estimate(hu[name]), spread, 1000) if name in hu else MISSING for name in FIELDS
    })  # fmt: skip


def by_hand(**changes: object) -> PhaseModel:
    """One component per stage, unit covariances; the aorta's mean is 0, 1, 2, 3, 4, all other means are 0."""
    s, f = len(STAGES), len(FEATURES)
    means = np.zeros((s, 1, f))
    means[:, 0, 0] = range(s)
    parts = {
        "before": np.full(s, 1 / s), "weights": np.ones((s, 1)), "means": means,
        "covariances": np.tile(np.eye(f), (s, 1, 1, 1)), "sharpness": np.ones(f + 1), "farthest": np.full(f + 1, 9.0),
    }  # fmt: skip
    return PhaseModel(**(parts | changes))  # type: ignore[arg-type]


def only(**features: float) -> np.ndarray:
    """Features of the model, the others not seen."""
    return np.array([features.get(name, np.nan) for name in FEATURES])


def test_features_by_hand() -> None:
    """asinh((HU - 45) / 30); inner vessels less liver; cortex less medulla without the noise, 1.683 times 12 HU."""
    got = features_of(organs(aorta=105, liver=75, inner_vessels=90, kidney_cortex=150, kidney_medulla=50))
    assert got[0] == pytest.approx(np.log(2 + np.sqrt(5)))
    assert got[3] == pytest.approx(np.log(1 + np.sqrt(2)))
    assert got[7] == pytest.approx(np.log(0.5 + np.sqrt(1.25)))
    assert got[6] == pytest.approx(np.arcsinh(np.sqrt(100**2 - 20.196**2) / 30), abs=1e-4)
    assert np.isnan(got[[1, 2, 4]]).all()


def test_the_kidneys_contrast_is_not_their_noise() -> None:
    """A kidney whose percentiles differ by less than noise of 20 HU makes them differ: 0. Without a liver: missing."""
    assert features_of(organs(20.0, liver=55, kidney_cortex=47, kidney_medulla=17))[6] == 0.0
    assert np.isnan(features_of(organs(20.0, kidney_cortex=47, kidney_medulla=17))[6])


def test_probabilities_by_hand() -> None:
    """An aorta at 1: densities exp(-d * d / 2) with d = 1, 0, 1, 2, 3."""
    stages, far = by_hand().judge(only(aorta=1.0))
    expected = np.exp([-0.5, 0.0, -0.5, -2.0, -4.5])
    assert stages == pytest.approx(expected / expected.sum())
    assert not far


def test_sharpness_is_a_power() -> None:
    """Half as sharp: the root of each density."""
    stages, _ = by_hand(sharpness=np.full(len(FEATURES) + 1, 0.5)).judge(only(aorta=1.0))
    expected = np.exp([-0.25, 0.0, -0.25, -1.0, -2.25])
    assert stages == pytest.approx(expected / expected.sum())


def test_what_was_not_seen_does_not_count() -> None:
    """An organ whose means are all alike changes nothing; none seen gives what was thought before."""
    with_liver, _ = by_hand().judge(only(aorta=1.0, liver=0.7))
    without, _ = by_hand().judge(only(aorta=1.0))
    assert with_liver == pytest.approx(without)
    assert by_hand().judge(only())[0] == pytest.approx([0.2] * 5)


def test_correlated_organs_count_once() -> None:
    """Aorta and vena cava that always rise together say as much as the aorta alone."""
    f = len(FEATURES)
    spread = np.eye(f)
    spread[0, 2] = spread[2, 0] = 0.999999
    means = np.zeros((5, 1, f))
    means[:, 0, 0] = means[:, 0, 2] = range(5)
    model = by_hand(means=means, covariances=np.tile(spread, (5, 1, 1, 1)))
    assert model.judge(only(aorta=1.0, vena_cava=1.0))[0] == pytest.approx(
        by_hand().judge(only(aorta=1.0))[0], abs=1e-4
    )


def test_far_from_everything_is_told() -> None:
    """Squared distance 3.1 * 3.1 from the nearest mean is over 9; 2.9 * 2.9 is not."""
    assert by_hand().judge(only(aorta=7.1))[1]
    assert not by_hand().judge(only(aorta=6.9))[1]


def test_a_far_series_says_nothing() -> None:
    """The tags stand, and the label is theirs alone."""
    evidence = phase_evidence(organs(aorta=45 + 30 * float(np.sinh(8.0))), by_hand())
    assert evidence.far
    assert evidence.label == "unknown"
    assert evidence.probabilities == (0.25, 0.25, 0.25, 0.25)
    guess, notice = fuse(tagged("delayed"), evidence)
    assert (guess.label, guess.source, notice) == ("delayed", "tags", None)
    assert fuse(UNKNOWN_PHASE, evidence)[0].label == "unknown"


def tagged(label: PhaseLabel) -> PhaseGuess:
    four = [0.92 if one == label else 0.08 / 3 for one in ("native", "arterial", "portal_venous", "delayed")]
    return PhaseGuess(label, "unknown", 0.92, "tags", (four[0], four[1], four[2], four[3]))


@pytest.mark.parametrize(("sure", "label"), [(0.80, "unknown"), (0.985, "arterial")])
def test_only_sure_pixels_overrule_the_tags(sure: float, label: str) -> None:
    """Tags portal venous 0.92; pixels arterial, portal venous at the floor. 0.8 x 0.027 is the largest product."""
    rest = (1 - sure - 0.005) / 2
    evidence = PhaseEvidence((rest, sure, 0.005, rest), 0.1, (("aorta", 300.0),))
    guess, notice = fuse(tagged("portal_venous"), evidence)
    assert guess.label == label
    assert guess.probabilities[1] > 0.6
    assert notice is not None
    assert ("neither is taken" in notice.text) == (label == "unknown")


def test_the_shipped_model_is_one() -> None:
    """Shares sum to 1, spreads are those of real variables, it says what it was fitted on."""
    model = phase_model()
    assert model.before.sum() == pytest.approx(1.0)
    assert model.weights.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-4)
    assert np.linalg.eigvalsh(model.covariances).min() > 0
    assert (np.diff(model.farthest) >= 0).all()
    document = json.loads((resources.files("hepar.measure") / "phase_model.json").read_text())
    assert document["stages"] == list(STAGES)
    assert document["fitted_on"]["scans_with_network_errors"] > 0
    assert document["fitted_on"]["delays_s"]["portal_venous"] == [60.0, 90.0]


def test_a_model_that_is_none_is_our_fault() -> None:
    """Another schema, other features, parts of other shapes."""
    document = json.loads((resources.files("hepar.measure") / "phase_model.json").read_text())
    assert from_document(document).means.shape == phase_model().means.shape
    with pytest.raises(Fault, match=r"hepar-phase-model/1\.0"):
        from_document(document | {"schema": "hepar-phase-model/2.0"})
    with pytest.raises(Fault, match="features"):
        from_document(document | {"features": ["aorta"]})
    with pytest.raises(Fault, match="shape"):
        from_document(document | {"sharpness": [1.0]})


@pytest.mark.parametrize("factor", [0.75, 1.0, 1.3])
def test_dose_and_tube_voltage_do_not_change_the_phase(factor: float) -> None:
    """Enhancement (aorta 112, liver 55, spleen 74, portal vein 125 HU), dosed weaker and stronger."""
    evidence = phase_evidence(organs(
        aorta=42 + 112 * factor, portal_vein=42 + 125 * factor, vena_cava=42 + 92 * factor, liver=57 + 55 * factor,
        spleen=47 + 74 * factor, kidney_cortex=34 + 150 * factor, kidney_medulla=30 + 140 * factor,
    ))  # fmt: skip
    assert evidence.label == "portal_venous"


def test_unenhanced_organs_are_native_whatever_the_blood_and_the_fat() -> None:
    """Anaemic blood of 32 HU, a liver of 10 HU: native all the same."""
    evidence = phase_evidence(
        organs(aorta=32, portal_vein=32, liver=10, spleen=46, kidney_cortex=36, kidney_medulla=28)
    )
    assert evidence.label == "native"


def test_a_series_between_two_sure_ones_takes_its_place() -> None:
    """Native, a series that pixels give to arterial or portal venous alike, delayed: neither end is disturbed."""
    doubtful = PhaseEvidence((0.02, 0.48, 0.48, 0.02), 0.2, (("liver", 90.0),))
    native = PhaseEvidence((0.985, 0.005, 0.005, 0.005), 0.5, (("liver", 55.0),))
    delayed = PhaseEvidence((0.005, 0.005, 0.005, 0.985), 0.5, (("liver", 90.0),))
    result = [g.label for g, _ in fuse_study([UNKNOWN_PHASE] * 3, [native, doubtful, delayed])]
    assert result == ["native", "unknown", "delayed"]


def test_cortex_medulla_and_inner_vessels_are_measured() -> None:
    """A kidney of two layers (150 and 50 HU, a good third of it medulla) and a vessel of 120 HU in the liver."""
    grid = Geometry.regular((24, 24, 24), (3.0, 3.0, 3.0))
    hu = np.full(grid.shape, 60, np.int16)
    labels = np.zeros(grid.shape, np.uint8)
    labels[2:22, 2:12, 2:12] = Organ.KIDNEY
    hu[2:22, 2:12, 2:12] = 150
    hu[2:22, 5:9, 2:12] = 50
    labels[2:22, 2:22, 13:23] = Organ.LIVER
    labels[2:22, 8:12, 16:20] = Organ.HEPATIC_VESSEL
    hu[2:22, 8:12, 16:20] = 120
    found = organ_enhancement(Volume(hu, grid, "CT"), OrganMap(labels, np.zeros_like(labels), grid))
    assert found.kidney_cortex.median_hu.estimate == 150
    assert found.kidney_medulla.median_hu.estimate == 50
    assert found.inner_vessels.median_hu.estimate == 120
    assert features_of(found)[7] == pytest.approx(np.arcsinh(2.0))
