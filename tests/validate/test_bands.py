"""Subgroups of numbers."""

import numpy as np
import pytest

from hepar.errors import WrongCall
from hepar.validate.bands import banded, in_order


def test_a_cut_belongs_to_the_band_above():
    found, notes = banded("age", np.array(["49.9", "50", "64", "65", "", "old"], dtype=object), "50,65")
    assert found.tolist() == ["under 50", "50 to under 65", "50 to under 65", "65 and over", "not stated", "not stated"]
    assert notes == ["1 rows have no number in the column age; they stand as not stated."]
    assert in_order(found) == ["under 50", "50 to under 65", "65 and over", "not stated"]


def test_words_stand_as_they_are():
    found, notes = banded("sex", np.array(["M", "F", ""], dtype=object))
    assert in_order(found) == ["F", "M", "not stated"]
    assert notes == []


def test_many_numbers_ask_for_bands():
    with pytest.raises(WrongCall, match=r"holds 30 different numbers; needed: bands, for example age:\d+,\d+"):
        banded("age", np.array([str(n) for n in range(40, 70)], dtype=object))


@pytest.mark.parametrize("cuts", ["65,50", "fifty", "50,,65"])
def test_bands_rise(cuts):
    with pytest.raises(WrongCall, match="rising numbers"):
        banded("age", np.array(["50"], dtype=object), cuts)
