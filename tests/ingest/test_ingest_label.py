"""Phase labels from words and times: a row is a test."""

from __future__ import annotations

import pytest
from ingest_phantom import body, clock, make_enhanced, make_series, save

from hepar.ingest.label import Evidence, delay_in_words_s, guess_phases, words_label

N, A, P, D, U = "native", "arterial", "portal_venous", "delayed", "unknown"

WORDS = [
    # English
    ("Abdomen without contrast", N), ("ABD W/O", N), ("Non-Contrast Liver", N), ("NON CONTRAST", N), ("unenhanced", N),
    ("Pre Contrast", N), ("precontrast 2.0", N), ("C- Liver", N), ("NCCT ABD", N), ("plain 5mm", N), ("w/o IV", N),
    ("No Contrast", N), ("Non con", N),
    ("Arterial Phase", A), ("LIVER ART", A), ("art35s", A), ("Late Arterial 1.5", A), ("early arterial", A),
    ("HAP", A), ("Arterial_Phase_35s", A), ("C+ A late arterial", A), ("Hepatic arterial phase", A),
    ("Portal Venous", P), ("PORTALVENOUS", P), ("PV 70s", P), ("PVP", P), ("Liver ven", P), ("venous phase", P),
    ("porto-venous", P), ("Abdomen Portal 3.0 B30f", P), ("portovenous", P),
    ("Delayed", D), ("DELAY 3min", D), ("equilibrium phase", D), ("Late Venous", D), ("del 180", D), ("late phase", D),
    ("delayed venous", D), ("venous late", D), ("W/WO contrast", U), ("with and without contrast", U),
    # German
    ("Oberbauch nativ", N), ("Leber ohne KM", N), ("Abd. nativ 5.0", N), ("Leber arteriell", A), ("spätarteriell", A),
    ("spät arteriell", A), ("frühe arterielle Phase", A), ("portalvenös", P), ("portalvenoes 1.0", P), ("venös", P),
    ("Spätphase", D), ("spaet venoes", D), ("spätvenös", D),
    # French
    ("Foie sans injection", N), ("SANS IV", N), ("temps artériel", A), ("arteriel tardif", A), ("temps portal", P),
    ("portal", P), ("temps tardif", D), ("phase tardive", D),
    # Spanish, Portuguese
    ("ABD sin contraste", N), ("simple", N), ("fase arterial", A), ("arterial tardía", A), ("fase portal", P),
    ("fase venosa", P), ("fase tardía", D), ("tardia", D), ("equilibrio", D), ("sem contraste", N),
    # Italian
    ("senza mdc", N), ("basale", N), ("fase arteriosa", A), ("arteriosa tardiva", A), ("fase portale", P),
    ("fase tardiva", D),
    # Chinese
    ("平扫", N), ("pingsao", N), ("动脉期", A), ("dongmaiqi", A), ("dong mai qi", A), ("门脉期", P), ("门静脉期", P),
    ("menmaiqi", P), ("menjingmaiqi", P), ("jingmaiqi", P), ("延迟期", D), ("yanchiqi", D),
    # several, none, and words that only look alike
    ("art + pv", U), ("Liver triphasic", U), ("", U), ("CT CH/AB/PEL", U), ("Abdomen/Pelvis", U), ("Thorax 1.0", U),
    ("smart abdomen", U), ("hepatic artery aneurysm", U), ("APPENDIX", U), ("AP Pelvis", U), ("Standard", U),
    ("ABDOMEN HR", U), ("model", U), ("heart", U), ("Cart", U), ("native and arterial", U),
]  # fmt: skip


@pytest.mark.parametrize(("text", "label"), WORDS)
def test_words(text, label):
    """The phase a description names."""
    assert words_label(text) == label


@pytest.mark.parametrize(
    ("text", "delay"),
    [("Art 35s", 35), ("70 sec", 70), ("PV 70s 3.0", 70), ("delay 3 min", 180), ("3min", 180), ("180 sek", 180),
     ("Abd 5.0 B30s", None), ("1.5s", None), ("35s 70s", None), ("B30f", None), ("", None), ("25 seg", 25),
     ("art_35s_1mm", 35)],
)  # fmt: skip
def test_delays_in_words(text, delay):
    """Seconds or minutes after injection; kernels and exposure times are none."""
    assert delay_in_words_s(text) == delay


def guess(**evidence):
    return guess_phases([Evidence(**evidence)], min_probability=0.6)[0]


ALONE = [
    # evidence, label, timing, source
    ({"description": "arterial"}, A, U, "tags"),
    ({"description": "late arterial"}, A, "late", "tags"),
    ({"description": "early arterial"}, A, "early", "tags"),
    ({"description": "Art 35s"}, A, "late", "tags"),
    ({"description": "Art 20s"}, A, "early", "tags"),
    ({"description": "frühe arterielle Phase"}, A, "early", "tags"),
    ({"description": "arteriosa tardiva"}, A, "late", "tags"),
    ({"description": "70 sec"}, P, U, "tags"),
    ({"description": "180s"}, D, U, "tags"),
    ({"description": "5 min"}, D, U, "tags"),
    ({"description": "Liver", "contrast_phase": "PORTAL_VENOUS"}, P, U, "tags"),
    ({"description": "Liver", "contrast_phase": "PRE_CONTRAST"}, N, U, "tags"),
    ({"acquired_s": 1035.0, "contrast_start_s": 1000.0, "contrast": True}, A, "late", "times"),
    ({"acquired_s": 1022.0, "contrast_start_s": 1000.0, "contrast": True}, A, "early", "times"),
    ({"acquired_s": 1070.0, "contrast_start_s": 1000.0, "contrast": True}, P, U, "times"),
    ({"acquired_s": 1058.0, "contrast_start_s": 1000.0, "contrast": True}, P, U, "times"),
    ({"acquired_s": 1095.0, "contrast_start_s": 1000.0, "contrast": True}, P, U, "times"),
    ({"acquired_s": 1145.0, "contrast_start_s": 1000.0, "contrast": True}, D, U, "times"),
    ({"acquired_s": 1200.0, "contrast_start_s": 1000.0, "contrast": True}, D, U, "times"),
    ({"acquired_s": 1600.0, "contrast_start_s": 1000.0, "contrast": True}, D, U, "times"),
    ({"acquired_s": 900.0, "contrast_start_s": 1000.0}, N, U, "times"),
    ({"acquired_s": 86420.0, "contrast_start_s": 86385.0, "contrast": True}, A, "late", "times"),
    ({"acquired_s": 86420.0, "contrast_start_s": -15.0, "contrast": True}, A, "late", "times"),
    ({"name": "patient_art.nii.gz"}, A, U, "tags"),
    # cannot tell
    ({}, U, U, "none"),
    ({"contrast": True}, U, U, "none"),
    ({"description": "Abdomen", "protocol": "Liver 3 phases art pv del"}, U, U, "none"),
    ({"description": "art + pv"}, U, U, "none"),
    ({"acquired_s": 1051.0, "contrast_start_s": 1000.0, "contrast": True}, U, U, "none"),
    ({"acquired_s": 1115.0, "contrast_start_s": 1000.0, "contrast": True}, U, U, "none"),
    ({"description": "arterial", "acquired_s": 1200.0, "contrast_start_s": 1000.0}, U, U, "none"),
    ({"description": "hepatobiliary 20 min"}, U, U, "none"),
]


@pytest.mark.parametrize(("evidence", "label", "timing", "source"), ALONE)
def test_one_series_alone(evidence, label, timing, source):
    """What a single series tells."""
    found = guess(**evidence)
    assert (found.label, found.arterial_timing, found.source) == (label, timing, source)
    assert sum(found.probabilities) == pytest.approx(1.0, abs=1e-9)
    assert found.probability == pytest.approx(max(found.probabilities), abs=1e-3)


TOGETHER = [
    # starts in s, contrast named, descriptions, labels
    ([0, 120, 160, 300], [None, True, True, True], ["", "", "", ""], [N, A, P, D]),
    ([0, 90, 125, 260], [None] * 4, ["", "", "", ""], [N, A, P, D]),
    ([0, 35, 180], [True] * 3, ["", "", ""], [A, P, D]),
    ([0, 100, 140], [None, True, True], ["", "", ""], [N, A, P]),
    ([0, 120, 160, 300], [None] * 4, ["nativ", "art", "pv", "spaet"], [N, A, P, D]),
    ([0, 38], [True, True], ["", ""], [A, P]),
    ([0, 130], [None, True], ["", "portal"], [N, P]),
    ([0, 120, 132, 165], [None, True, True, True], ["", "", "", ""], [N, A, A, P]),
    ([None, None], [True, True], ["", ""], [U, U]),
    ([None, None, None], [None] * 3, ["art", "pv", "x"], [A, P, U]),
]


@pytest.mark.parametrize(("starts", "contrast", "words", "labels"), TOGETHER)
def test_series_together(starts, contrast, words, labels):
    """What the order and the pauses add; the order in the list does not matter."""
    evidence = [
        Evidence(description=w, contrast=c, acquired_s=None if s is None else 40000.0 + s)
        for s, c, w in zip(starts, contrast, words, strict=True)
    ]
    found = guess_phases(evidence, min_probability=0.6)
    assert [g.label for g in found] == labels
    back = guess_phases(evidence[::-1], min_probability=0.6)
    assert [g.label for g in back[::-1]] == labels


def test_contradicting_evidence_is_less_sure():
    """The word arterial with a late delay is less probable than the word alone."""
    alone = guess(description="arterial").probability
    against = guess(description="arterial", acquired_s=1070.0, contrast_start_s=1000.0).probability
    with_it = guess(description="arterial", acquired_s=1035.0, contrast_start_s=1000.0).probability
    assert against < alone < with_it


def test_no_series_no_guess():
    """An empty list."""
    assert guess_phases([], min_probability=0.6) == []


def test_a_whole_study_is_labelled_from_its_files(tmp_path, read):
    """Four series, the description of one, the contrast tags and the clock."""
    agent = {"ContrastBolusAgent": "Iomeron 400", "ContrastBolusStartTime": clock(37000.0)}
    folder = save(
        tmp_path / "s",
        make_series(body(5), series="1.2.3.51", acquisition_s=36900.0),
        make_series(body(5, seed=1), series="1.2.3.52", acquisition_s=37036.0, **agent),
        make_series(body(5, seed=2), series="1.2.3.53", acquisition_s=37072.0, **agent),
        make_series(body(5, seed=3), series="1.2.3.54", acquisition_s=37200.0, **agent, SeriesDescription="delayed"),
        shuffle=1,
    )
    study = read(folder)
    assert [(p.guess.label, p.guess.source) for p in study.phases] == [
        (N, "times"), (A, "times"), (P, "times"), (D, "tags"),
    ]  # fmt: skip
    assert study.phases[1].guess.arterial_timing == "late"
    assert all(p.guess.probability > 0.8 for p in study.phases)


def test_phases_inside_one_enhanced_object(tmp_path, read):
    """Times alone, of frames in one object."""
    ds = make_enhanced([body(5), body(5, seed=1), body(5, seed=2)], pause_s=36.0)
    ds.ContrastBolusAgent = "Iomeron"
    ds.ContrastBolusStartTime = clock(36965.0)
    study = read(save(tmp_path / "s", ds))
    assert [p.guess.label for p in study.phases[:2]] == [A, P]
