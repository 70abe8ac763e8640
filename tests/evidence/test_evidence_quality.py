"""Risk of bias: how tables are read, agreement of two reviewers, what is drawn and handed over."""

import csv
import json
import re

import pytest
from typer.testing import CliRunner

from evidence.evidence_reference import SHARED, need_shared
from hepar.cli.evidence import app
from hepar.errors import HeparError, Refused, WrongCall
from hepar.evidence.document import check
from hepar.evidence.figures.draw import NAME_INCH, NAME_SIZE, short, svg, width_inch
from hepar.evidence.figures.quality import bars, item_light, traffic_light
from hepar.evidence.quality_deliver import quality_document
from hepar.evidence.quality_summary import TO_SETTLE, quality
from hepar.evidence.quality_table import parse_quality, read_quality

HEAD = "study,patient selection,index test,reference standard,flow and timing"
R_TABLE = ((53, 5, 2), (11, 14, 5), (1, 6, 3))


def reviewers(table=R_TABLE):
    """A table of judgements whose first domain has these counts, reviewer A down, B across."""
    names, lines, number = ("low", "unclear", "high"), ["study,reviewer,index test"], 0
    for one, row in zip(names, table, strict=True):
        for two, times in zip(names, row, strict=True):
            for _ in range(times):
                lines += [f"s{number},A,{one}", f"s{number},B,{two}"]
                number += 1
    return "\n".join(lines)


@pytest.mark.parametrize(
    "header",
    [
        "Study,Patient selection,Index test,Reference standard,Flow & timing",
        "study,rob_PS,rob_IT,rob_RS,rob_FT",
        "Study,D1,D2,D3,D4",
        "study;ROB: patient selection;ROB: index test;ROB: reference standard;ROB: flow and timing",
        "Author,SAMPLE_SELECTION_BR,INDEX_TEST_BR,REFERENCE_STANDARD_BR,FLOW_AND_TIMING_BR",
        "study,Risk of bias - subject selection,Risk of bias (index test),reference test bias,workflow",
    ],
)
def test_common_names_of_the_domains_are_understood(header):
    separator = ";" if ";" in header else ","
    found = parse_quality(f"{header}\nZhang 2022{separator}{separator.join('LH?+')}\n")
    assert found.columns == (
        "bias.patient_selection", "bias.index_test", "bias.reference_standard", "bias.flow_and_timing"
    )  # fmt: skip
    assert found.rows == (("Zhang 2022", "", ("low", "high", "unclear", "low")),)


@pytest.mark.parametrize(
    ("cell", "meant"),
    [
        ("low", "low"), ("LOW RISK", "low"), ("+", "low"), ("h", "high"), ("-", "high"), ("\u2212", "high"),
        ("?", "unclear"), ("U", "unclear"), ("", ""), ("NA", ""),
    ],
)  # fmt: skip
def test_common_spellings_of_a_judgement(cell, meant):
    found = parse_quality(f"study,index test\nx,{cell}\n")
    assert found.rows[0][2] == (meant,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("study,index test\n", "no rows"),
        ("index test,flow\nlow,low\n", "no column study"),
        ("study,a,b\nx,low,low\n", "no column is a domain"),
        ("study,index test\nx,maybe\n", "row 2 (x): index test is 'maybe'"),
        ("study,index test\nx,2\n", "--codes"),
        ("study,index test\nx,low\nx,low\n", "x is judged 2 times"),
        ("study,reviewer,index test\nx,A,low\nx,A,high\n", "x is judged 2 times by A"),
        ("study,reviewer,index test\nx,,low\n", "names no reviewer"),
        ("study,reviewer,index test\nx,A,low\nx,B,low\nx,C,low\n", "3 reviewers (A, B, C)"),
        ("study,index test,index test\nx,low,high\n", "both mean index test"),
        ("study,index test\nx,low,high\n", "row 2 of the table has 3 fields"),
        ("study,index test,item_scanner\nx,low,perhaps\n", "needed: yes, no or unclear"),
        ("study,index test\n,low\n", "names no study"),
    ],
)
def test_bad_tables_get_a_sentence(text, words):
    with pytest.raises(Refused, match=re.escape(words)):
        parse_quality(text)


def test_wrong_calls(tmp_path):
    with pytest.raises(WrongCall, match="there is no file"):
        read_quality(tmp_path / "none.csv")
    with pytest.raises(WrongCall, match="quadas-2"):
        quality(parse_quality("study,index test\nx,low\n"), tool="robins")
    with pytest.raises(WrongCall, match="neither"):
        quality(None)
    with pytest.raises(WrongCall, match="stands for"):
        parse_quality("study,index test\nx,1\n", {"1": "good"})
    (tmp_path / "latin.csv").write_bytes("study,index test\nMüller,low\n".encode("latin-1"))
    with pytest.raises(Refused, match="UTF-8"):
        read_quality(tmp_path / "latin.csv")


def test_published_judgements_are_counted():
    """Harrison 2015 (CD010772) as MetaDTA ships it: 1 low, 2 high, 3 unclear; counted by hand in the file."""
    need_shared()
    table = read_quality(
        SHARED / "dta" / "iqcode_dementia_quadas.csv", {"1": "low", "2": "high", "3": "unclear"}
    )  # fmt: skip
    found = quality(table)
    assert [(one.low, one.unclear, one.high) for one in found.counts] == [
        (5, 0, 8), (2, 0, 11), (8, 2, 3), (5, 3, 5), (6, 3, 4), (5, 5, 3), (9, 4, 0)
    ]  # fmt: skip
    assert found.low_in_all_domains == 0
    assert "Threshold" in found.notices[0]


def test_agreement_is_that_of_r():
    """R 4.2.2, vcd: confint(Kappa(matrix(c(53,11,1,5,14,6,2,5,3), 3))), weights Equal-Spacing."""
    (found,) = quality(parse_quality(reviewers())).agreement
    assert found.n == 100
    assert found.observed.estimate == pytest.approx(0.70)
    assert (found.kappa.estimate, found.kappa.low, found.kappa.high) == pytest.approx(
        (0.4285714285714, 0.2796948484778, 0.5774480026871), abs=1e-6
    )
    assert (found.weighted.estimate, found.weighted.low, found.weighted.high) == pytest.approx(
        (0.4923076923077, 0.3517254678093, 0.6328899168061), abs=1e-6
    )
    assert found.pabak == pytest.approx((3 * 0.7 - 1) / 2)


def test_one_judgement_throughout_says_why_there_is_no_kappa():
    (found,) = quality(parse_quality(reviewers(((9, 0, 1), (0, 0, 0), (0, 0, 0))))).agreement
    assert found.kappa.estimate is None
    assert "throughout" in found.kappa.missing
    assert found.observed.estimate == pytest.approx(0.9)
    assert found.pabak == pytest.approx(0.85)


def test_full_agreement_has_a_kappa_and_no_interval():
    (found,) = quality(parse_quality(reviewers(((5, 0, 0), (0, 0, 0), (0, 0, 4))))).agreement
    assert (found.kappa.estimate, found.kappa.low) == (1, None)


def test_differences_are_listed_and_stay_open_until_settled():
    text = (
        HEAD.replace("study", "study,reviewer") + "\na,WF,L,L,L,L\na,BQ,L,H,U,L\nb,WF,L,L,L,L\nb,BQ,L,L,,L\n"
        "c,WF,H,L,L,L\na,consensus,L,H,,L\n"
    )
    found = quality(parse_quality(text))
    assert [(d.study, d.column, d.first, d.second, d.settled) for d in found.disagreements] == [
        ("a", "bias.index_test", "low", "high", "high"), ("a", "bias.reference_standard", "low", "unclear", "")
    ]  # fmt: skip
    assert [one.judgements for one in found.studies] == [
        ("low", "high", TO_SETTLE, "low"), ("low",) * 4, ("high", "low", "low", "low")
    ]  # fmt: skip
    assert found.low_in_all_domains == 1
    assert "Not judged by BQ: c." in found.notices
    assert "1 judgement is still to be settled between the reviewers." in found.notices
    assert [one.n for one in found.agreement] == [2, 2, 1, 2]


def many(k):
    lines = [HEAD + ",applicability patient selection,item scanner named"]
    for i in range(k):
        name = f"A long name of a multicentre study with several first authors and a subtitle no {i}"
        lines.append(f"{name},{'LHU'[i % 3]},L,{'LU'[i % 2]},L,H,{('yes', 'no')[i % 2]}")
    return quality(parse_quality("\n".join(lines)))


@pytest.mark.parametrize("k", [4, 20, 70])
def test_figures_hold_any_number_of_studies(k):
    found = many(k)
    for drawn in (traffic_light(found), bars(found), item_light(found)):
        wide, tall = drawn.figure.get_size_inches()
        assert wide < 14
        assert tall < 10
        assert k > 4 or svg(drawn) == svg(drawn)
    texts = [text.get_text() for text in traffic_light(found).figure.axes[0].texts]
    assert sum("study" in text or "no " in text for text in texts) >= k
    assert len({text for text in texts if text.startswith("A long name")}) == k


def test_a_shortened_name_keeps_its_end():
    name = "Papadopoulou-Konstantinidis, van den Bergh-Schmidt and others 2023b"
    assert width_inch(short(name), NAME_SIZE) <= NAME_INCH
    assert width_inch(short("W" * 90), NAME_SIZE) <= NAME_INCH
    assert short(name).endswith("2023b")
    assert short("Zhang $x$ 2022") == r"Zhang \$x\$ 2022"


def test_the_command_line_hands_over_a_checked_folder(tmp_path):
    run = CliRunner()
    (tmp_path / "judged.csv").write_text(reviewers(((5, 1, 0), (2, 3, 1), (0, 1, 2))))
    flow = "duplicates,50\nassessed,17\nreports_excluded,2\nincluded,15\n"
    (tmp_path / "flow.csv").write_text("identified,60\n" + flow)
    call = ["quality", str(tmp_path / "judged.csv"), "-o", str(tmp_path / "out"), "--flow", str(tmp_path / "flow.csv")]
    bad = run.invoke(app, call)
    assert isinstance(bad.exception, Refused)
    assert not (tmp_path / "out").exists()
    (tmp_path / "flow.csv").write_text("identified,67\n" + flow)
    done = run.invoke(app, [*call, "--json", "--tool", "quadas-ai"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.output)
    check(document)
    assert document == json.loads((tmp_path / "out" / "results.json").read_text())
    assert document["tool"] == "QUADAS-AI"
    names = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    assert names == {
        "results.json", "report.html", "judgements.csv", "agreement.csv", "disagreements.csv", "flow.csv",
        *(f"figures/{name}.{kind}" for name in ("traffic_light", "bars", "flow") for kind in ("svg", "pdf")),
    }  # fmt: skip
    page = (tmp_path / "out" / "report.html").read_text()
    assert "[[figure" not in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert str(tmp_path) not in page
    rows = list(csv.DictReader((tmp_path / "out" / "disagreements.csv").read_text().splitlines()))
    assert len(rows) == 5
    again = run.invoke(app, [*call, "--overwrite", "--tool", "quadas-ai"])
    assert again.exit_code == 0, again.output
    assert "kappa 0.48 (" in again.output
    assert (tmp_path / "out" / "report.html").read_text() == page


def test_codes_of_the_command_line(tmp_path):
    run = CliRunner()
    (tmp_path / "judged.csv").write_text("study,index test\n<b>x</b>,1\n=1+1,moderate\n")
    call = ["quality", str(tmp_path / "judged.csv"), "-o", str(tmp_path / "out")]
    done = run.invoke(app, [*call, "--codes", "1=low,moderate=unclear"])
    assert done.exit_code == 0, done.output
    assert "<b>x</b>" not in (tmp_path / "out" / "report.html").read_text()
    assert "\n'=1+1,unclear" in (tmp_path / "out" / "judgements.csv").read_text()
    bad = run.invoke(app, [*call, "--codes", "1"])
    assert isinstance(bad.exception, HeparError)


def test_a_flow_alone_is_enough():
    from hepar.evidence.prisma import flow_of

    document = quality_document(quality(None, flow=flow_of({"screened": 10, "records_excluded": 4})))
    check(document)
    assert document["flow"]["counts"]["sought"] == 6
