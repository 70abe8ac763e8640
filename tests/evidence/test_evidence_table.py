"""Reading tables: any order and separator, and a sentence for each thing that is wrong."""

import numpy as np
import pytest

from evidence.evidence_reference import table_of
from hepar.errors import Refused, WrongCall
from hepar.evidence.pooling import pool
from hepar.evidence.table import check_poolable, parse_table, read_table

HEAD = "study,TP,FP,FN,TN\n"
GOOD = HEAD + "".join(f"s{i},{20 + i},{5 + i},{4 + i},{30 - i}\n" for i in range(5))


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_case_order_and_separator_of_the_header_do_not_matter(separator):
    rows = "tn|Fn|TP|fp|Modality|STUDY\n30|4|20|5|CT|a\n\n9|8|7|6|MR|b\n"
    table = parse_table(rows.replace("|", separator))
    assert table.study == ("a", "b")
    assert [table.tp.tolist(), table.fp.tolist(), table.fn.tolist(), table.tn.tolist()] == [
        [20, 7], [5, 6], [4, 8], [30, 9]
    ]  # fmt: skip
    assert table.covariate("modality")[0] == "CT"


def test_rows_without_counts_are_excluded_with_the_reason():
    table = parse_table(GOOD + "gap,12,,3,NA\nempty,0,0,0,0\n")
    assert table.k == 5
    assert [(one.row, one.study, one.reason) for one in table.excluded] == [
        (7, "gap", "no FP, TN"), (8, "empty", "all four counts are 0")
    ]  # fmt: skip
    assert table.notices


def test_a_repeated_study_is_a_warning_and_two_tables():
    table = parse_table(GOOD + "s1,9,8,7,6\n")
    assert table.k == 6
    assert "s1" in table.notices[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("study,TP,FP,FN\na,1,2,3\n", "lacks the column TN"),
        (HEAD + "a,1,2,3\n", "has 4 fields and the header 5"),
        (HEAD + "a,-1,2,3,4\n", "TP is '-1'"),
        (HEAD + "a,1,2.5,3,4\n", "FP is '2.5'"),
        (HEAD + "a,1,2,three,4\n", "FN is 'three'"),
        (HEAD + "a,1,2,inf,4\n", "FN is 'inf'"),
        (HEAD + 'a,"1,2,3,4\n', "well-formed"),
        ("study,TP,tp,FP,FN,TN\n", "two columns named 'tp'"),
        ("\x00\x01", "binary"),
    ],
)
def test_what_is_not_a_table_is_refused_in_a_sentence(text, words):
    with pytest.raises(Refused, match="(?s)" + words.replace("(", r"\(")):
        parse_table(text)


def test_whole_numbers_may_be_written_with_a_decimal_point():
    assert parse_table(HEAD + "a,12.0,2,3,4\n").tp[0] == 12


def test_a_missing_file_and_a_folder_are_wrong_calls(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(WrongCall):
            read_table(path)
    (tmp_path / "latin.csv").write_bytes(b"study,TP,FP,FN,TN\nM\xfcller,1,2,3,4\n")
    with pytest.raises(Refused, match="UTF-8"):
        read_table(tmp_path / "latin.csv")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "a,1,2,3,4\nb,1,2,3,4\nc,1,2,3,4\n", "3 usable studies"),
        (HEAD + "".join(f"s{i},0,{i + 1},0,9\n" for i in range(6)), "no study has anyone with the disease"),
        (HEAD + "".join(f"s{i},{i + 3},0,4,9\n" for i in range(6)), "FP is 0 in every study"),
        (HEAD + "".join(f"s{i},{i + 3},1,0,9\n" for i in range(6)), "FN is 0 in every study"),
    ],
)
def test_what_cannot_be_pooled_is_refused(text, words):
    with pytest.raises(Refused, match=words):
        check_poolable(parse_table(text))


def test_a_study_of_one_side_informs_that_side_alone():
    table = table_of("sim_k10")
    rows = zip(table.study, table.tp, table.fp, table.fn, table.tn, strict=True)
    text = HEAD + "".join(",".join(map(str, row)) + "\n" for row in rows)
    with_one = pool(parse_table(text + "only,40,0,10,0\n"))
    assert with_one.data.k == 11
    assert np.isfinite(with_one.summary.sensitivity.estimate)
    assert any("one side only" in notice for notice in with_one.data.notices)
