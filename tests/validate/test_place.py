"""Placing a model on the published pooled result."""

import csv
import json

import numpy as np
import pytest
from validate_reference import REFERENCE

from hepar.cli.validate import scores
from hepar.errors import Fault, WrongCall
from hepar.record import Estimate
from hepar.validate.place import Circumstances, difference, place
from hepar.validate.place_report import SECTION, place_chart
from hepar.validate.place_table import POOLED, pooled_table
from hepar.validate.proportion import proportion
from hepar.validate.results import validate_results

HIGH, LOW = Estimate(0.95, 0.90, 0.98, 0.95, "wilson"), Estimate(0.5, 0.4, 0.6, 0.95, "wilson")
BEST = Circumstances(target="MVI", positive=120, negative=180, threshold="other cases", rows="one")


def weights(found):
    return {one.name: one.weight for one in found.points if one.weight != "note"}


def test_the_copy_is_the_published_table():
    source = REFERENCE / "mvi_pooled_table2.csv"
    if not source.is_file():
        pytest.skip("needs ../shared/reference, which is not here")
    assert POOLED.read_bytes() == source.read_bytes()


def test_a_model_is_held_against_its_own_kind():
    """CECT, external: 4 sets, sensitivity 0.82 (0.73 to 0.88), specificity 0.76 (0.64 to 0.85).

    0.95 - 0.82 = 0.13, from 0.13 - hypot(0.05, 0.06) = 0.05 to 0.13 + hypot(0.03, 0.09) = 0.22;
    0.5 - 0.76 = -0.26, from -0.26 - hypot(0.1, 0.09) = -0.39 to -0.26 + hypot(0.1, 0.12) = -0.10.
    """
    found = place(HIGH, LOW, modality="CECT", validation="external")
    assert found.exact
    assert found.sentence == (
        "Against 4 published validation sets (CECT external validation): "
        "sensitivity 0.95 (0.90 to 0.98), pooled 0.82 (0.73 to 0.88): higher by 0.13 (0.05 to 0.22); "
        "specificity 0.50 (0.40 to 0.60), pooled 0.76 (0.64 to 0.85): lower by 0.26 (0.10 to 0.39)."
    )
    assert "only 4 sets were pooled" in found.fairness
    assert found.beside.subgroup == "CECT internal validation"


def test_a_difference_within_chance_is_said_to_be_none():
    found = place(Estimate(0.8, 0.7, 0.88, 0.95, "wilson"), Estimate(0.75), modality="cemri", validation="external")
    assert "sensitivity 0.80 (0.70 to 0.88), pooled 0.74 (0.65 to 0.82): no difference shown (-0.07 to +0.18)" in (
        found.sentence
    )
    assert "without an interval nothing more can be said" in found.sentence
    nothing = place(Estimate.cannot_tell("no positive case"), HIGH, modality="cemri", validation="external")
    assert "sensitivity cannot be told (no positive case), pooled 0.74" in nothing.sentence


def test_the_interval_of_a_difference_of_two_shares_is_newcombes():
    """Newcombe 1998, method 10, his example 56/70 less 48/80: 0.2 (0.0524 to 0.3339)."""
    found = difference(proportion(56, 70), proportion(48, 80))
    assert (found.estimate, round(found.low, 4), round(found.high, 4)) == (pytest.approx(0.2), 0.0524, 0.3339)
    assert difference(proportion(56, 70), Estimate(0.6)) == Estimate(0.8 - 0.6)


def test_every_name_of_the_table_can_be_asked_for_in_any_writing():
    for asked, row in (("ct", "CECT internal validation"), ("cect", "CECT internal validation"), ("MRI", "MRI"),
                       (" multimodal ", "Multimodal internal validation"), ("pathology", "Pathological Sections"),
                       ("overall", "Internal validation")):  # fmt: skip
        assert place(HIGH, LOW, modality=asked, validation="internal").pooled.subgroup == row
    assert pooled_table().names == ("Overall", "CECT", "CEUS", "CEMRI", "MRI", "Multimodal", "Pathological Sections")


def test_what_the_table_does_not_have_is_refused_with_what_it_has():
    with pytest.raises(WrongCall, match="no 'PET'; it has: Overall, CECT, CEUS, CEMRI, MRI, Multimodal, Pathological"):
        place(HIGH, LOW, modality="PET", validation="internal")
    with pytest.raises(WrongCall, match=r"needed: internal .* or external"):
        place(HIGH, LOW, modality="CECT", validation="temporal")


def test_a_comparison_without_any_doubt_is_called_fair():
    """CEMRI external has 8 sets, so no row of one modality is free of doubt; all modalities, external: 19 sets."""
    found = place(HIGH, LOW, modality="CEMRI", validation="external", circumstances=BEST)
    assert {name for name, weight in weights(found).items() if weight == "doubt"} == {"published sets"}
    assert found.verdict == "with care"


@pytest.mark.parametrize(
    ("change", "point", "words"),
    [
        ({"target": None}, "what is predicted", "was not told what its truth says"),
        ({"threshold": "same cases"}, "threshold", "chosen on the same cases"),
        ({"threshold": None}, "threshold", "not known"),
        ({"rows": "several"}, "patients or lesions", "some patients have several rows"),
        ({"rows": None}, "patients or lesions", "whether a row is a patient or a lesion is not known"),
        ({"positive": 99, "negative": 150}, "number of cases", "99 positive and 150 negative cases, below 100 of each"),
        ({"positive": None}, "number of cases", "not known"),
        ({"positive": 120, "negative": 1080}, "share of positive cases", "10% of the cases are positive, among those"),
    ],
)
def test_each_doubt_is_told(change, point, words):
    table = pooled_table()
    fair = place(HIGH, LOW, modality="CEMRI", validation="external", circumstances=BEST, table=table)
    assert weights(fair)[point] == "good"
    found = place(HIGH, LOW, modality="CEMRI", validation="external", circumstances=Circumstances(
        **{**vars(BEST), **change}), table=table)  # fmt: skip
    assert weights(found)[point] == "doubt"
    assert words in found.fairness


def test_a_kind_without_a_row_is_said_to_be_mixed():
    found = place(HIGH, LOW, modality="CEUS", validation="internal", circumstances=BEST)
    assert not found.exact
    assert found.beside is None
    assert "held against internal and external sets mixed" in found.fairness


def test_internal_validation_is_said_to_flatter():
    assert "flatters" in place(HIGH, LOW, modality="CECT", validation="internal", circumstances=BEST).fairness


def test_another_target_makes_it_unfair():
    found = place(HIGH, LOW, modality="CECT", validation="external", circumstances=Circumstances(
        **{**vars(BEST), "target": "malignancy"}))  # fmt: skip
    assert found.verdict == "not fair"
    assert found.fairness == (
        "The comparison is not fair: the table is about microvascular invasion, the truth of this run about malignancy."
    )


def test_what_is_known_of_the_table_is_true_of_it():
    """The faults told of the table, counted again."""
    with POOLED.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sum((row["sroc_lo"], row["sroc_hi"]) == ("1.0", "0.0") for row in rows) == 14
    assert len(rows) == 17
    known = " ".join(pooled_table().known)
    assert "14 of the 17 intervals" in known
    source = REFERENCE / "mvi_studies_table1.csv"
    if source.is_file():
        with source.open(encoding="utf-8") as file:
            sets = [row for row in csv.DictReader(file) if row["n_val"]]
        counts = [sum(row["modality_group"] == name for row in sets) for name in ("CECT", "Multimodal")]
        counts.append(sum(row["external"] == "1" for row in sets))
        assert counts == [25, 5, 17]
    assert "25 CECT, 5 multimodal and 17 external sets where the table pools 20, 10 and 19" in known
    table = pooled_table().rows
    assert [table[name].n_tables for name in ("CECT", "Multimodal", "External validation")] == [20, 10, 19]


HEADER = "subgroup,n_tables,sens,sens_lo,sens_hi,spec,spec_lo,spec_hi"


def test_another_table_is_taken_and_judged(tmp_path):
    other = tmp_path / "other.csv"
    other.write_text(f"{HEADER},target\nCT,30,0.9,0.85,0.93,0.8,0.7,0.9,HCC\n"
                     "CT external validation,12,0.88,0.8,0.92,0.8,0.7,0.9,HCC\n")  # fmt: skip
    table = pooled_table(other)
    assert (table.names, table.target, table.known) == (("CT",), "HCC", ())
    known = Circumstances(target="hcc", positive=200, negative=200, threshold="other cases", rows="one")
    found = place(HIGH, LOW, modality="ct", validation="external", circumstances=known, table=table)
    assert found.pooled.n_tables == 12
    assert weights(found)["share of positive cases"] == "doubt"
    with pytest.raises(WrongCall, match="no 'CEMRI'; it has: CT"):
        place(HIGH, LOW, modality="CEMRI", validation="external", table=table)
    richer = tmp_path / "richer.csv"
    richer.write_text(f"{HEADER},target,fagan_prior_pct\nCT external validation,12,0.88,0.8,0.92,0.8,0.7,0.9,HCC,48\n"
                      "CT,30,0.9,0.85,0.93,0.8,0.7,0.9,HCC,48\n")  # fmt: skip
    fair = place(HIGH, LOW, modality="ct", validation="external", circumstances=known, table=pooled_table(richer))
    assert fair.verdict == "fair"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("subgroup,n_tables\nCT,3\n", "lacks sens, sens_lo"),
        (f"{HEADER}\nCT,3,84,79,88,0.8,0.7,0.9\n", "CT: sens is 84 .* needed: three shares from 0 to 1"),
        (f"{HEADER}\nCT,three,0.8,0.7,0.9,0.8,0.7,0.9\n", "n_tables is 'three'"),
        (f"{HEADER}\nCT,3,0.8,0.7,0.9,0.8,0.7,0.9\nCT,3,0.8,0.7,0.9,0.8,0.7,0.9\n", "names a subgroup twice"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_in_a_sentence(tmp_path, text, words):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(WrongCall, match=words):
        pooled_table(path)
    with pytest.raises(WrongCall, match="is no file"):
        pooled_table(tmp_path / "missing.csv")


def test_the_figure_draws_both_intervals_as_a_cross():
    chart = place_chart(place(HIGH, LOW, modality="CECT", validation="external"))
    assert [one.name for one in chart.series] == [
        "this model", "pooled, CECT external validation (4 sets)", "pooled, CECT internal validation (16 sets)",
    ]  # fmt: skip
    assert chart.series[0].x == pytest.approx((0.4, 0.6, 0.5, 0.5, 0.5))
    assert chart.series[0].y == (0.95, 0.95, 0.95, 0.90, 0.98)


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    random = np.random.default_rng(11)
    truth = np.arange(240) % 5 < 2
    score = np.clip(0.4 + 0.25 * truth + 0.2 * random.normal(size=240), 0.001, 0.999)
    path = tmp_path_factory.mktemp("place") / "scores.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ["case", "truth", "score", "split"],
                *[[i, int(truth[i]), f"{score[i]:.4f}", "ab"[i % 2]] for i in range(240)],
            ]
        )
    return path


def test_a_score_is_placed_from_the_command_line(patients, tmp_path):
    scores(patients, tmp_path / "out", patient="case", place="ct", validation="external", target="mvi", threshold=0.55,
           risk=False, quiet=True)  # fmt: skip
    made = json.loads((tmp_path / "out" / "results.json").read_text())
    validate_results(made)
    own = made["place"]
    sensitivity = next(one for one in made["measures"] if one["name"] == "sensitivity" and not one["group"])
    assert own["sensitivity"]["estimate"] == sensitivity["estimate"]
    assert (own["subgroup"], own["published_sets"], own["own_subgroup"]) == ("CECT external validation", 4, True)
    assert own["sensitivity_difference"]["estimate"] == pytest.approx(sensitivity["estimate"] - 0.82)
    assert made["provenance"]["settings"]["place"]["modality"] == "CECT"
    assert {one["weight"] for one in own["points"] if one["name"] in ("what is predicted", "patients or lesions")} == {
        "good"
    }
    assert any(one["section"] == SECTION for one in made["figures"])
    with pytest.raises(Fault, match=r"breaks its schema 1\.0 at \$: .*'place' was unexpected"):
        validate_results({**made, "schema_version": "1.0"})
    validate_results({key: value for key, value in made.items() if key != "place"} | {"schema_version": "1.0"})
    with pytest.raises(Fault, match="breaks its schema 7"):
        validate_results({**made, "schema_version": "7"})
    text = (tmp_path / "out" / "report.html").read_text()
    assert own["sentence"] in text
    assert "doi:10.2196/82000" in text


def test_the_report_says_where_the_threshold_came_from(patients, tmp_path):
    for name, more, words in (("same", {}, "chosen on the same cases"),
                              ("split", {"split": "split", "fit_split": "a"}, "chosen on other cases")):  # fmt: skip
        scores(patients, tmp_path / name, place="cemri", validation="internal", risk=False, quiet=True, **more)
        made = json.loads((tmp_path / name / "results.json").read_text())
        assert any(words in one["text"] for one in made["place"]["points"] if one["name"] == "threshold")


def test_half_a_wish_is_refused(patients, tmp_path):
    with pytest.raises(WrongCall, match="--place needs --validation"):
        scores(patients, tmp_path / "out", place="ct", quiet=True)
    with pytest.raises(WrongCall, match="--place is not given"):
        scores(patients, tmp_path / "out", target="mvi", quiet=True)
    with pytest.raises(WrongCall, match="--validation temporal; needed: internal"):
        scores(patients, tmp_path / "out", validation="temporal", quiet=True)
    with pytest.raises(WrongCall, match="--validation temporal; needed: internal"):
        scores(patients, tmp_path / "out", validation="temporal", time="case", event="truth", quiet=True)
    with pytest.raises(WrongCall, match="--place does not go with --time"):
        scores(patients, tmp_path / "out", validation="external", place="ct", time="case", event="truth", quiet=True)
    assert not (tmp_path / "out").exists()


def test_cases_of_one_class_are_not_placed_and_a_note_says_so(tmp_path):
    path = tmp_path / "one.csv"
    path.write_text("truth,score\n0,0.1\n0,0.4\n")
    scores(path, tmp_path / "out", place="ct", validation="external", quiet=True)
    made = json.loads((tmp_path / "out" / "results.json").read_text())
    assert "place" not in made
    assert any("not placed beside published ones" in text for text in made["notes"])
