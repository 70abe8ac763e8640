"""report.html and the content that it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import report_examples as ex

from hepar.page import Figures, Notes, Page, Section, Table, Text, Tiles
from hepar.record import Notice
from hepar.report import report_content, write_html
from hepar.report.findings import validate_findings


def section(content: Page, title: str) -> Section:
    return next(one for one in content.sections if one.title == title)


def table(content: Page, title: str) -> Table:
    return next(block for block in section(content, title).blocks if isinstance(block, Table))


def written(content: Page, folder: Path) -> str:
    write_html(content, folder / "report.html")
    return (folder / "report.html").read_text(encoding="utf-8")


def test_warnings_come_first_and_provenance_last() -> None:
    """The order of the issue."""
    titles = [one.title for one in ex.report()[1].sections]
    assert titles[0] == "Warnings"
    assert titles[1] == "Summary"
    assert titles[-1] == "Provenance"
    assert ex.report()[1].banner == "Research use, not a certified device"


@pytest.mark.parametrize("lesions", [1, 4, 30])
def test_one_row_per_lesion(lesions: int, tmp_path: Path) -> None:
    """In the content and in the file."""
    document, content = ex.report(lesions)
    rows = table(content, "Lesions").rows
    assert [row[0].text for row in rows] == [str(n + 1) for n in range(lesions)]
    made = written(content, tmp_path)
    body = made[made.index("<h2>Lesions</h2>") : made.index("<h2>What to expect")]
    assert body.count("<tr>") == 1 + lesions
    assert len(document["lesions"]) == lesions


def test_the_numbers_of_a_row_are_those_of_the_findings() -> None:
    """Lesion 1: 24.43 ml, 36.12 x 32 mm, 37.5 mm, 0.93; arterial 125 HU, +57 against the shell."""
    first = table(ex.report()[1], "Lesions").rows[0]
    assert [cell.text for cell in first[:7]] == ["1", "24.4", "36.1", "32.0", "37.5", "0.93", "16"]
    assert first[1].small == "23.2 to 25.6"
    assert [cell.text for cell in first[7:]] == ["48", "125", "84", "70"]
    assert first[8].small == "Δ +57\n+55 to +59"
    assert first[9].small == "Δ −28\n−30 to −26"


def test_the_summary_says_what_was_found() -> None:
    """One sentence, and five figures with their intervals."""
    sentence, phases, tiles = section(ex.report()[1], "Summary").blocks
    assert isinstance(sentence, Text)
    assert sentence.text == "2 lesions found in the liver. The largest, lesion 1, measures 36.1 × 32.0 mm (axial)."
    assert isinstance(phases, Text)
    assert phases.text.startswith("Measured in 4 phases: p1 Native, p2 Arterial (late)")
    assert isinstance(tiles, Tiles)
    assert [(tile.value, tile.small) for tile in tiles.items] == [
        ("2", "confidence 0.87 to 0.93"), ("36.1 mm", "35.0 to 37.2"), ("40.7 ml", "38.7 to 42.7"),
        ("2.45 %", "2.33 to 2.57"), ("1660 ml", "1640 to 1680"),
    ]  # fmt: skip


def test_no_lesion_is_said_and_not_shown_as_a_number() -> None:
    """A clean liver has no largest lesion, and the report does not promise that there is none."""
    content = ex.report(0)[1]
    sentence, _, tiles = section(content, "Summary").blocks
    assert isinstance(sentence, Text)
    assert sentence.text == "No lesion was found in the liver. This does not rule one out."
    assert isinstance(tiles, Tiles)
    assert tiles.items[1].value == "none"
    assert not [block for block in section(content, "Key images").blocks if isinstance(block, Figures)]


def test_a_refused_phase_is_shown_as_cannot_tell_with_the_reason(tmp_path: Path) -> None:
    """In the lesion's row, in the phase strip, and no picture of it."""
    content = ex.report(refused=("p2",))[1]
    cell = table(content, "Lesions").rows[0][8]
    assert (cell.text, cell.missing) == ("cannot tell", True)
    assert cell.small == "the phase is kept out of the measurements"
    used = table(content, "Phases and quality").rows[1][-1]
    assert used.text == "no"
    assert "6.3 mm apart" in used.small
    figures = next(block for block in section(content, "Key images").blocks if isinstance(block, Figures))
    assert [one.title for one in figures.items] == ["p1 Native", "p3 Portal venous", "p4 Delayed"]
    assert "Kept out: p2 Arterial (late)." in written(content, tmp_path)


def test_an_unknown_phase_names_the_likeliest() -> None:
    """Cannot tell is a value; the reader learns what it might be."""
    row = table(ex.report(phases=5)[1], "Phases and quality").rows[4]
    assert row[0].text == "p5 Phase unknown"
    assert row[0].small == "likeliest: arterial, by tags, enhancement"
    assert row[1].text == "0.31"


def test_many_phases_get_a_table_of_their_own() -> None:
    """Seven phases do not fit beside the sizes; every lesion still has its row in both."""
    tables = [one for one in section(ex.report(3, phases=7)[1], "Lesions").blocks if isinstance(one, Table)]
    assert [len(one.rows) for one in tables] == [3, 3]
    assert len(tables[1].columns) == 1 + 7


def test_thirty_lesions_get_pictures_of_ten_and_a_sentence_about_the_rest() -> None:
    """The report stays small enough to send."""
    blocks = section(ex.report(30)[1], "Key images").blocks
    assert len([one for one in blocks if isinstance(one, Figures)]) == 10
    assert isinstance(blocks[-1], Text)
    assert "10 largest lesions; 20 smaller ones" in blocks[-1].text


def test_the_same_notice_on_two_phases_is_said_once() -> None:
    """Two thick series, one note that names both."""
    (notes,) = section(ex.report()[1], "Warnings").blocks
    assert isinstance(notes, Notes)
    assert [one.title for one in notes.items] == [
        "No time", "Check lesions", "Slices thick (p1, p2)", "Lesion split (lesion 2)",
    ]  # fmt: skip


def test_no_identity_without_being_asked(tmp_path: Path) -> None:
    """Name, id, birth date and paths are all through the study; none is in the report."""
    assert "SECRET" not in written(ex.report()[1], tmp_path)
    patient = {"name": "SECRET^NAME^", "id": "4711", "birth_date": "19500102", "sex": "F", "note": "<b>x</b>"}
    made = written(ex.report(identity=patient, with_identity=True)[1], tmp_path)
    assert "<dd>SECRET, NAME</dd>" in made
    assert "<dd>1950-01-02</dd>" in made
    assert "<b>x</b>" not in made


def test_long_and_hostile_texts_stay_texts(tmp_path: Path) -> None:
    """A warning as long as a page, with the look of HTML."""
    notice = Notice("odd", "<img src=x onerror=alert(1)> " + "very long " * 300)
    made = written(ex.report(warnings=(notice,))[1], tmp_path)
    assert "<img" not in made
    assert "&lt;img src=x" in made


def test_the_file_needs_nothing_else(tmp_path: Path) -> None:
    """No address but the pictures inside."""
    made = written(ex.report()[1], tmp_path)
    assert set(re.findall(r'(?:href|src)="([^"]{0,15})', made)) == {"data:image/png;"}
    assert "url(" not in made
    assert "://" not in made


def test_two_writes_give_the_same_bytes(tmp_path: Path) -> None:
    """Made twice from the start."""
    assert written(ex.report()[1], tmp_path) == written(ex.report()[1], tmp_path)


def test_the_operating_point_is_stated_with_what_to_expect_of_it() -> None:
    """3 of 40 are 8 %, 21 of 30 are 70 %, 36 of 36 are 100 %; 6 false ones in 24 scans are 0.25; said to be virtual."""
    document, content = ex.report()
    shown, found = section(content, "What to expect of this reading").blocks
    assert isinstance(shown, Text)
    assert shown.text == ("Operating point measuring (few false lesions, at the price of missed ones): lesions with a"
                          " confidence of 0.42 or more are shown.")  # fmt: skip
    assert isinstance(found, Table)
    assert [tuple(cell.text for cell in row) for row in found.rows] == [
        ("Found, under 10 mm", "8 %", "3 to 20 %", "3 of 40 lesions"),
        ("Found, 10 to 20 mm", "70 %", "52 to 83 %", "21 of 30 lesions"),
        ("Found, 20 mm and over", "100 %", "90 to 100 %", "36 of 36 lesions"),
        ("False lesions per scan", "0.25", "0.09 to 0.54", "24 scans"),
    ]
    assert found.note.startswith("These figures are from virtual patients (virtual patients of an example)")
    assert "no evidence about real patients" in found.note
    assert document["operating_point"]["expected"]["recall_by_size"][0]["recall"]["estimate"] == 0.075


def test_an_engine_without_operating_points_promises_nothing() -> None:
    document = ex.report()[0]
    outline = ex.anatomy()
    bare = {key: value for key, value in document.items() if key != "operating_point"}
    validate_findings(bare)
    titles = [one.title for one in report_content(bare, outline, ex.aligned(outline)).sections]
    assert "What to expect of this reading" not in titles
