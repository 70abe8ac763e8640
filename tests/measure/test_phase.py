"""Contrast phases from the enhancement of organs, alone, with tags, and over an examination."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hepar.errors import Fault, WrongCall
from hepar.measure import OrganHu, OrganValue, choose_reference, fuse, fuse_study, organ_enhancement, phase_evidence
from hepar.measure.phase_table import STAGES, TYPICAL_HU, Stage
from hepar.record import (
    UNKNOWN_PHASE,
    Estimate,
    Geometry,
    LabelSource,
    Organ,
    OrganMap,
    Phase,
    PhaseGuess,
    PhaseLabel,
    Volume,
)

LABEL_OF: dict[Stage, PhaseLabel] = {
    "native": "native", "arterial_early": "arterial", "arterial_late": "arterial",
    "portal_venous": "portal_venous", "delayed": "delayed",
}  # fmt: skip
MISSING = OrganValue(Estimate.cannot_tell("not seen"), 0.0, 0)


def organs(**hu: float) -> OrganHu:
    """Medians in HU; what is not named was not seen."""
    values = {name: OrganValue(Estimate(value), 12.0, 1000) for name, value in hu.items()}
    fields = ("aorta", "portal_vein", "vena_cava", "liver", "spleen", "kidney", "kidney_cortex", "kidney_medulla",
              "inner_vessels")  # fmt: skip
    return OrganHu(**{name: values.get(name, MISSING) for name in fields})


def typical(stage: Stage) -> OrganHu:
    liver = TYPICAL_HU["liver"][stage][0]
    return organs(
        aorta=TYPICAL_HU["aorta"][stage][0], liver=liver, spleen=TYPICAL_HU["spleen"][stage][0],
        kidney=TYPICAL_HU["kidney"][stage][0], portal_vein=liver + TYPICAL_HU["portal_vein-liver"][stage][0],
    )  # fmt: skip


def tagged(label: PhaseLabel, probability: float = 0.9, source: LabelSource = "tags") -> PhaseGuess:
    rest = (1 - probability) / 3
    four = [probability if name == label else rest for name in ("native", "arterial", "portal_venous", "delayed")]
    return PhaseGuess(label, "unknown", probability, source, (four[0], four[1], four[2], four[3]))


@pytest.mark.parametrize("stage", STAGES)
def test_the_typical_values_of_a_phase_name_it(stage: Stage) -> None:
    """Each column of the table, read back."""
    evidence = phase_evidence(typical(stage))
    assert evidence.label == LABEL_OF[stage]
    assert max(evidence.probabilities) > 0.8
    assert sum(evidence.probabilities) == pytest.approx(1.0)
    if stage.startswith("arterial"):
        assert evidence.timing == stage.removeprefix("arterial_")


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("feature", list(TYPICAL_HU))
def test_every_cell_of_the_table_is_a_value_and_its_spread(stage: Stage, feature: str) -> None:
    """HU between water and the brightest aorta, spreads that are neither nothing nor everything."""
    mean, sd = TYPICAL_HU[feature][stage]  # type: ignore[index]
    assert -50 <= mean <= 400
    assert 5 <= sd <= 100


def test_the_enhancement_goshima_measured() -> None:
    """AJR 2006;187:W25: unenhanced (aorta 40, liver 55, spleen 48, portal vein 40) plus the enhancement published."""
    late = organs(aorta=40 + 318, liver=55 + 20, spleen=48 + 102, portal_vein=40 + 90)
    portal = organs(aorta=40 + 121, liver=55 + 61, spleen=48 + 78)
    assert phase_evidence(late).label == "arterial"
    assert phase_evidence(late).timing == "late"
    assert phase_evidence(portal).label == "portal_venous"


def test_a_fatty_liver_does_not_hide_the_phase() -> None:
    """Liver 30 HU darker than usual in the portal venous phase: aorta and spleen still say so."""
    evidence = phase_evidence(organs(aorta=155, liver=78, spleen=122, portal_vein=165, kidney=185))
    assert evidence.label == "portal_venous"


def test_without_organs_every_phase_is_alike() -> None:
    """Nothing seen: 0.25 each, unknown, and the tags' label stands."""
    evidence = phase_evidence(organs())
    assert evidence.probabilities == pytest.approx((0.25, 0.25, 0.25, 0.25))
    assert evidence.label == "unknown"
    guess, notice = fuse(tagged("arterial"), evidence)
    assert (guess.label, guess.source, notice) == ("arterial", "tags", None)


def test_in_between_values_cannot_tell() -> None:
    """An aorta and a liver between portal venous and delayed: no label."""
    evidence = phase_evidence(organs(aorta=130, liver=103))
    assert evidence.label == "unknown"
    assert fuse(UNKNOWN_PHASE, evidence)[0].label == "unknown"


def test_enhancement_confirms_the_tags() -> None:
    """Both say portal venous: surer than either, source tags+enhancement, no notice."""
    guess, notice = fuse(tagged("portal_venous"), phase_evidence(typical("portal_venous")))
    assert guess.label == "portal_venous"
    assert guess.source == "tags+enhancement"
    assert guess.probability > 0.95
    assert notice is None


def test_enhancement_overrules_wrong_tags() -> None:
    """Tags say arterial, the organs are unenhanced: native, with a notice that says both."""
    guess, notice = fuse(tagged("arterial"), phase_evidence(typical("native")))
    assert guess.label == "native"
    assert guess.source == "enhancement"
    assert notice is not None
    assert notice.code == "phase_disagreement"
    assert "arterial" in notice.text
    assert "native" in notice.text


def test_what_the_user_says_stands() -> None:
    """The user's label is kept, and the disagreement is said."""
    guess, notice = fuse(tagged("delayed", 1.0, "user"), phase_evidence(typical("arterial_late")))
    assert (guess.label, guess.source, guess.probability) == ("delayed", "user", 1.0)
    assert notice is not None
    assert notice.code == "phase_disagreement"


def test_unknown_tags_are_no_disagreement() -> None:
    """No tags: the enhancement names the phase without a notice."""
    guess, notice = fuse(UNKNOWN_PHASE, phase_evidence(typical("portal_venous")))
    assert (guess.label, guess.source, notice) == ("portal_venous", "enhancement", None)


def test_an_arterial_label_gets_its_timing() -> None:
    """Portal vein not enhanced: early; enhanced: late; no other phase has a timing."""
    early, _ = fuse(UNKNOWN_PHASE, phase_evidence(typical("arterial_early")))
    late, _ = fuse(UNKNOWN_PHASE, phase_evidence(typical("arterial_late")))
    other, _ = fuse(UNKNOWN_PHASE, phase_evidence(typical("delayed")))
    assert (early.arterial_timing, late.arterial_timing, other.arterial_timing) == ("early", "late", "unknown")


def test_a_four_phase_examination() -> None:
    """Four series without tags, in order: each its own label."""
    stages: list[Stage] = ["native", "arterial_late", "portal_venous", "delayed"]
    result = fuse_study([UNKNOWN_PHASE] * 4, [phase_evidence(typical(stage)) for stage in stages])
    assert [guess.label for guess, _ in result] == ["native", "arterial", "portal_venous", "delayed"]


def test_the_order_of_acquisition_settles_doubt() -> None:
    """A series that alone could be portal venous or delayed, after a sure portal venous one: delayed."""
    doubtful = phase_evidence(organs(aorta=130, liver=103))
    portal = phase_evidence(typical("portal_venous"))
    alone = fuse_study([UNKNOWN_PHASE], [doubtful])[0][0].probabilities
    after = fuse_study([UNKNOWN_PHASE] * 2, [portal, doubtful])[1][0].probabilities
    before = fuse_study([UNKNOWN_PHASE] * 2, [doubtful, phase_evidence(typical("delayed"))])[0][0].probabilities
    assert after[3] > alone[3]
    assert before[2] > alone[2]


def test_a_wrong_clock_does_not_overrule_plain_pixels() -> None:
    """A sure native series after a sure delayed one keeps its label."""
    result = fuse_study([UNKNOWN_PHASE] * 2, [phase_evidence(typical("delayed")), phase_evidence(typical("native"))])
    assert [guess.label for guess, _ in result] == ["delayed", "native"]


def test_nothing_to_fuse() -> None:
    """No series, no labels; unequal lists are our fault."""
    assert fuse_study([], []) == []
    with pytest.raises(Fault):
        fuse_study([UNKNOWN_PHASE], [])


def phase(
    number: int, label: PhaseLabel, step_mm: float = 2.5, timing: str = "unknown", probability: float = 0.9
) -> Phase:
    geometry = Geometry.regular((2, 2, 2), (step_mm, 1.0, 1.0))
    guess = PhaseGuess(label, timing, probability, "tags")  # type: ignore[arg-type]
    return Phase(f"p{number}", Volume(np.zeros((2, 2, 2), np.int16), geometry, "CT"), guess, f"1.2.{number}")


@pytest.mark.parametrize(
    ("labels", "chosen"),
    [
        (["native", "arterial", "portal_venous", "delayed"], "p3"),
        (["native", "arterial", "delayed"], "p3"),
        (["native", "arterial"], "p2"),
        (["unknown", "native"], "p2"),
        (["unknown"], "p1"),
    ],
)
def test_the_reference_is_where_outlines_are_clearest(labels: list[PhaseLabel], chosen: str) -> None:
    """Portal venous, else delayed, else arterial, else native."""
    assert choose_reference([phase(n, label) for n, label in enumerate(labels, start=1)]).id == chosen


def test_late_arterial_before_early_and_thin_slices_before_thick() -> None:
    """Of several: late arterial first; of equal labels the thinnest slices."""
    arterial = [phase(1, "arterial", timing="early"), phase(2, "arterial", timing="late")]
    assert choose_reference(arterial).id == "p2"
    assert choose_reference([phase(1, "portal_venous", 5.0), phase(2, "portal_venous", 1.25)]).id == "p2"


def test_the_user_chooses_the_reference() -> None:
    """By label or id; one that is not there is a wrong call that lists what is."""
    phases = [phase(1, "native"), phase(2, "portal_venous")]
    assert choose_reference(phases, "native").id == "p1"
    assert choose_reference(phases, "p1").id == "p1"
    with pytest.raises(WrongCall, match="p2 portal_venous"):
        choose_reference(phases, "arterial")
    with pytest.raises(Fault):
        choose_reference([])


def test_an_organs_median_is_that_of_its_core() -> None:
    """A liver of 100 HU with a rim of fat: 100, whatever the grid of the outlines."""
    fine = Geometry.regular((40, 60, 60), (2.0, 1.0, 1.0))
    hu = np.full(fine.shape, -100, np.int16)
    hu[7:33, 14:46, 14:46] = 100
    coarse = Geometry.regular((27, 20, 20), (3.0, 3.0, 3.0))
    labels = np.zeros(coarse.shape, np.uint8)
    labels[4:22, 4:16, 4:16] = Organ.LIVER
    found = organ_enhancement(Volume(hu, fine, "CT"), OrganMap(labels, np.zeros_like(labels), coarse))
    assert found.liver.median_hu.estimate == pytest.approx(100.0)
    assert found.liver.voxels == 16 * 10 * 10
    assert found.aorta.median_hu.missing == "no aorta found"


def test_an_organ_that_cannot_be_one_is_not_believed() -> None:
    """Bone and fat taken for an aorta (spread 100 HU), or a few voxels of spleen: missing, with the reason."""
    grid = Geometry.regular((20, 20, 20), (3.0, 3.0, 3.0))
    rng = np.random.default_rng(1)
    hu = rng.normal(200, 100, grid.shape).astype(np.int16)
    labels = np.zeros(grid.shape, np.uint8)
    labels[2:18, 2:8, 2:8] = Organ.AORTA
    labels[2:5, 12:15, 12:16] = Organ.SPLEEN
    found = organ_enhancement(Volume(hu, grid, "CT"), OrganMap(labels, np.zeros_like(labels), grid))
    assert "no believable" in found.aorta.median_hu.missing
    assert "no believable" in found.spleen.median_hu.missing


def from_nifti(path: Path) -> tuple[np.ndarray, Geometry]:
    """Array (slice, row, column) and LPS geometry of a NIfTI file."""
    import nibabel

    image = nibabel.load(path)
    affine = (np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine)[:, [2, 1, 0, 3]]
    array = np.asarray(image.dataobj).transpose(2, 1, 0)
    return array, Geometry(array.shape, affine)


def test_the_native_scan_is_native_without_tags(shared_data: Path) -> None:
    """totalseg-native with its own organ labels."""
    hu, grid = from_nifti(shared_data / "ct" / "totalseg-native.nii.gz")
    outlined, _ = from_nifti(shared_data / "ct" / "totalseg-native_organs.nii.gz")
    labels = np.zeros(grid.shape, np.uint8)
    for organ, numbers in {
        Organ.LIVER: [5], Organ.SPLEEN: [1], Organ.KIDNEY: [2, 3], Organ.AORTA: [52], Organ.PORTAL_VEIN: [64],
    }.items():  # fmt: skip
        labels[np.isin(outlined, numbers)] = organ
    found = organ_enhancement(Volume(hu.astype(np.int16), grid, "CT"), OrganMap(labels, np.zeros_like(labels), grid))
    guess, notice = fuse(UNKNOWN_PHASE, phase_evidence(found))
    assert (guess.label, notice) == ("native", None)
    assert guess.probability > 0.9


def test_ircadb_17_is_portal_venous_without_tags(shared_data: Path, tmp_path: Path) -> None:
    """With the expert's labels of liver, portal vein and artery (the aorta with its branches)."""
    from hepar.ingest import IngestSettings, read_study

    study = read_study(shared_data / "ct" / "ircadb-17.zip", settings=IngestSettings(), workspace=tmp_path)
    volume = study.phases[0].volume
    liver, grid = from_nifti(shared_data / "ct" / "ircadb-17_liver1_tumour2.nii.gz")
    vessels, _ = from_nifti(shared_data / "ct" / "ircadb-17_portal1_hepatic2_artery3.nii.gz")
    labels = np.zeros(grid.shape, np.uint8)
    labels[liver == 1] = Organ.LIVER
    labels[liver == 2] = Organ.LESION
    for organ, number in {Organ.PORTAL_VEIN: 1, Organ.HEPATIC_VESSEL: 2, Organ.AORTA: 3}.items():
        labels[vessels == number] = organ
    found = organ_enhancement(volume, OrganMap(labels, np.zeros_like(labels), grid))
    guess, _ = fuse(UNKNOWN_PHASE, phase_evidence(found))
    assert guess.label == "portal_venous"
    assert guess.probability > 0.9


# Discs placed by hand where the organ is plain to see: (slice from the feet, row, column, radius in pixels).
BY_HAND = {
    "crlm-1004.zip": {
        Organ.AORTA: [(22, 264, 262, 7), (18, 253, 268, 7), (12, 240, 270, 6)],
        Organ.PORTAL_VEIN: [(22, 222, 215, 5), (22, 222, 240, 5)],
        Organ.LIVER: [(22, 240, 120, 15), (22, 290, 150, 12)],
        Organ.SPLEEN: [(22, 305, 360, 12)],
    },
    "crlm-1006.zip": {
        Organ.AORTA: [(22, 270, 268, 8), (28, 277, 263, 8)],
        Organ.PORTAL_VEIN: [(28, 215, 204, 6), (22, 236, 240, 5)],
        Organ.LIVER: [(28, 290, 130, 15), (22, 250, 130, 12)],
        Organ.SPLEEN: [(28, 285, 360, 12)],
    },
}


@pytest.mark.parametrize("name", list(BY_HAND))
def test_the_ge_scans_are_portal_venous_without_tags(name: str, shared_data: Path, tmp_path: Path) -> None:
    """crlm-1004 and crlm-1006, medians of discs placed by hand."""
    from hepar.ingest import IngestSettings, read_study

    volume = read_study(shared_data / "ct" / name, settings=IngestSettings(), workspace=tmp_path).phases[0].volume
    y, x = np.ogrid[: volume.array.shape[1], : volume.array.shape[2]]
    hu = {
        organ.name.lower(): float(np.median(np.concatenate(
            [volume.array[k][(y - r) ** 2 + (x - c) ** 2 <= radius**2] for k, r, c, radius in discs]
        )))
        for organ, discs in BY_HAND[name].items()
    }  # fmt: skip
    guess, _ = fuse(UNKNOWN_PHASE, phase_evidence(organs(**hu)))
    assert guess.label == "portal_venous"
    assert guess.probability > 0.65
