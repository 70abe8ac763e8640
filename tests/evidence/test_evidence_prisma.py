"""The flow of a review: what is read, what follows, what contradicts."""

import json
import re

import pytest

from hepar.errors import Refused, WrongCall
from hepar.evidence.figures.draw import svg
from hepar.evidence.figures.prisma import flow_diagram
from hepar.evidence.prisma import flow_of, parse_flow, read_flow

MVI = {
    "identified": 11266, "after_duplicates": 7539, "full_text": 62, "included": 52, "two_by_two_tables": 68,
    "full_text_excluded": {"not deep learning": 2, "no 2x2 table": 3, "segmentation only": 5},
}  # fmt: skip


def test_the_flow_of_the_mvi_review_balances_and_is_completed():
    """Duplicates and exclusions by title are not printed in the paper: 11,266 - 7,539 and 7,539 - 62."""
    flow = flow_of(MVI)
    assert (flow.counts["duplicates"], flow.counts["records_excluded"], flow.counts["reports_excluded"]) == (
        3727, 7477, 10
    )  # fmt: skip
    assert flow.computed == ("duplicates", "records_excluded", "sought")
    assert flow.included == 52
    assert flow.form == "PRISMA-DTA"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"identified": 100, "duplicates": 30, "screened": 80}, "records screened are 80, but .* 100 - 30 = 70"),
        ({"screened": 80, "records_excluded": 90}, "sought would be -10, from screened 80 and records excluded 90"),
        ({"sought": 70, "not_retrieved": 3, "assessed": 66}, "reports assessed are 66, .* 70 - 3 = 67"),
        ({"assessed": 62, "reports_excluded": 9, "included": 52}, "are 52, .* 62 - 9 = 53; where a study has several"),
        ({"new_studies": 12, "new_reports": 11}, "12 studies are included from only 11 reports"),
        ({"included": 5, "meta_analysis": 6}, "6 studies are in the meta-analysis, but 5 are included"),
        ({"included": 9, "meta_analysis": 6, "tables": 5}, "6 studies .* only 5 2x2 tables"),
        ({"previous_studies": 5, "new_studies": 3, "total_studies": 9}, "studies in all are 9, .* 5 \\+ 3 = 8"),
        ({"citations": 7, "other_sought": 8}, "other methods\\) are 8, .* gives 7"),
        ({"reports_excluded": {"a": 2, "b": 3, "": 6}}, "sum to 5, and reports_excluded is 6"),
    ],
)
def test_every_contradiction_is_named_with_its_numbers(given, words):
    with pytest.raises(Refused, match=words):
        flow_of(given)


def test_all_contradictions_are_named_at_once():
    with pytest.raises(Refused) as caught:
        flow_of({"identified": 100, "duplicates": 20, "screened": 90, "records_excluded": 10, "sought": 70,
                 "assessed": 71, "reports_excluded": 60, "included": 12})  # fmt: skip
    assert len(re.findall(r"are \d+, but", str(caught.value))) == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"), ("{", "well-formed JSON"), ("{}", "no number"), ("wrong,5\n", "no box 'wrong'"),
        ("screened,many\n", "screened is 'many'"), ("screened,-3\n", "screened is '-3'"), ("screened,5.5\n", "whole"),
        ("screened,5\nscreened,6\n", "twice"), ('{"screened": true}', "whole number"),
        ('{"screened": {"a": 5}}', "given in parts"), ("screened,5\nsought\n", "has 1 fields"),
        ("box,reason,n\nscreened,,5\nsought\n", "row 3 of the flow has 1 fields"),
        ('{"screened": 5, "records_screened": 5}', "twice"),
    ],
)  # fmt: skip
def test_bad_flows_get_a_sentence(text, words):
    with pytest.raises(Refused, match=words):
        parse_flow(text)


def test_a_missing_file(tmp_path):
    with pytest.raises(WrongCall, match="there is no file"):
        read_flow(tmp_path / "none.json")


def test_csv_json_and_the_r_package_say_the_same():
    plain = parse_flow('identified,"1,150"\nduplicates,50\nassessed,10\nreports_excluded,7\nincluded,3\n')
    parts = parse_flow(
        "box,reason,n\nidentified,PubMed,1000\nidentified,Embase,150\nduplicates,,50\nassessed,,10\n"
        "reports_excluded,no table,3\nreports_excluded,not DL,4\nreports_excluded,,7\nincluded,,3\n"
    )
    package = parse_flow(
        "data,node,box,description,n\nNA,node4,prevstud,Grey title box,0\ndatabase_results,node7,box2,x,1150\n"
        "duplicates,node8,box3,x,50\ndbr_assessed,node13,box8,x,10\n"
        'dbr_excluded,node14,box9,x,"no table, 3; not DL, 4"\nnew_studies,node15,box10,x,3\n'
    )
    given = parse_flow(json.dumps({"databases": 1150, "duplicates": 50, "assessed": 10, "reports_excluded": 7,
                                   "included": 3}))  # fmt: skip
    assert plain.counts == parts.counts == package.counts == given.counts
    assert parts.parts["databases"] == (("PubMed", 1000), ("Embase", 150))
    assert package.parts["reports_excluded"] == parts.parts["reports_excluded"] == (("no table", 3), ("not DL", 4))


def test_other_methods_and_an_earlier_version_take_part():
    flow = flow_of({
        "previous_studies": 12, "databases": 120, "duplicates": 20, "screened": 100, "records_excluded": 80,
        "assessed": 20, "reports_excluded": {"no table": 15}, "citations": 6, "other_not_retrieved": 1,
        "other_assessed": 5, "other_excluded": {"no table": 3}, "new_studies": 7, "total_studies": 19,
    })  # fmt: skip
    assert (flow.counts["other_sought"], flow.included) == (6, 19)
    drawn = flow_diagram(flow)
    words = " ".join(text.get_text() for text in drawn.figure.axes[0].texts)
    for text in ("Other methods", "previous version", "citation searching", "Studies in all"):
        assert text in words
    assert svg(drawn) == svg(flow_diagram(flow))


def test_no_text_leaves_its_box():
    """Measured with the renderer of matplotlib, on long reasons."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    flow = flow_of({**MVI, "full_text_excluded": {
        "no reference standard by histopathology within three months of imaging": 4,
        "segmentation only, WITHOUT ANY MODEL OF MICROVASCULAR INVASION WHATSOEVER": 6}})  # fmt: skip
    figure = flow_diagram(flow).figure
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.canvas.draw()
    (ax,) = figure.axes
    boxes = [patch.get_window_extent(renderer) for patch in ax.patches]
    for text in ax.texts:
        if text.get_text():
            own = text.get_window_extent(renderer)
            assert any(b.x0 <= own.x0 and own.x1 <= b.x1 and b.y0 <= own.y0 and own.y1 <= b.y1 for b in boxes), text
