"""Placing a model on the published pooled result."""

import pytest
from validate_reference import REFERENCE

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.place import POOLED, place, pooled_table


def test_the_copy_is_the_published_table():
    source = REFERENCE / "mvi_pooled_table2.csv"
    if not source.is_file():
        pytest.skip("needs ../shared/reference, which is not here")
    assert POOLED.read_bytes() == source.read_bytes()


def test_a_model_is_held_against_its_own_kind():
    """CECT, external: 4 sets, sensitivity 0.82 (0.73 to 0.88), specificity 0.76 (0.64 to 0.85)."""
    found = place(Estimate(0.95, 0.90, 0.98, 0.95, "wilson"), Estimate(0.5, 0.4, 0.6, 0.95, "wilson"), modality="CECT",
                  validation="external")  # fmt: skip
    assert found.exact
    assert "sensitivity 0.95 (0.90 to 0.98), pooled 0.82 (0.73 to 0.88): above the pooled interval" in found.sentence
    assert "specificity 0.50 (0.40 to 0.60), pooled 0.76 (0.64 to 0.85): below the pooled interval" in found.sentence
    assert "only 4 sets were pooled" in found.fairness


def test_a_kind_without_a_row_is_said_to_be_mixed():
    found = place(Estimate(0.7, 0.6, 0.8, 0.95, "wilson"), Estimate(0.9), modality="CEUS", validation="internal")
    assert not found.exact
    assert "mixed" in found.fairness
    assert "the intervals overlap" in found.sentence


def test_an_unknown_modality_is_refused():
    with pytest.raises(WrongCall, match="needed: one of CECT"):
        place(Estimate(0.5), Estimate(0.5), modality="PET", validation="internal")


def test_all_rows_are_read():
    assert pooled_table()["Overall"].n_tables == 68
