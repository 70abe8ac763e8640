"""What a recipe may say; what it may not is refused by name before anything is trained."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from small_recipe import PATCH, SMALL, VIRTUAL

from hepar.errors import WrongCall
from hepar.learn.recipe import read_recipe

LEARN = Path(sys.modules["hepar.learn"].__file__ or "").parent
RECIPE = "steps = 6\n" + SMALL + PATCH + VIRTUAL


def _read(folder: Path, text: str) -> None:
    path = folder / "mine.toml"
    path.write_text(text)
    read_recipe(path)


@pytest.mark.parametrize("name", ["region.toml", "liver3mm.toml", "adapt.toml"])
def test_the_recipes_of_the_package_read(name: str) -> None:
    """Every one that ships."""
    assert read_recipe(LEARN / name).sources


def test_the_example_of_the_guide_reads(tmp_path: Path) -> None:
    """Its [[atlas]] tables, as they stand in the text."""
    guide = (Path(__file__).parents[2] / "docs" / "how-to" / "train-the-network.md").read_text()
    tables = guide.split("```\n[[atlas]]")[1].split("```")[0]
    path = tmp_path / "mine.toml"
    path.write_text(RECIPE + "[[atlas]]" + tables)
    assert [s.kind for s in read_recipe(path).sources] == ["virtual", "pseudo", "slices"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("steps = 6", "steps = 6\neach_lesions = 0.6", "unknown key each_lesions; did you mean each_lesion"),
        ("steps = 6", "steps = 6\nzz = 1", "unknown key zz; allowed: stage, architecture, seed"),
        ("share = 1.0", "share = 1.0\nvariant = 2", r"\[\[atlas\]\] 1: unknown key variant; did you mean variants"),
        ("share = 1.0", 'share = 1.0\nnetwork = "a.onnx"', "unknown key network; allowed: kind, image"),
        ('"virtual"', '"virtuel"', "kind 'virtuel'; needed one of totalseg"),
        ("seed = 3", 'seed = "x"', "seed = 'x'; needed a whole number"),
        ("bf16 = false", "bf16 = 1", "bf16 = 1; needed true or false"),
        ("widths = [8, 8, 8, 8, 8]", "widths = [8, 8]", "needed a list of five multiples of 8"),
        ("[[16, 32, 32]]", "[[16, 32, 30]]", "three multiples of 16"),
        ("shape_shares = [1.0]", "shape_shares = [0.5, 0.5]", "1 shapes, 2 shape_shares"),
        ("\nshare = 1.0", "\nshare = 0", "every .* has share = 0"),
        (VIRTUAL, "", "no entry 'atlas'"),
        ("steps = 6", "steps = = 6", "mine.toml is no valid TOML .*line 1"),
    ],
)
def test_what_no_recipe_says_is_refused_by_name(tmp_path: Path, old: str, new: str, words: str) -> None:
    """Key or value, what it was, and what is needed or meant."""
    assert RECIPE.count(old) >= 1
    with pytest.raises(WrongCall, match=words):
        _read(tmp_path, RECIPE.replace(old, new, 1))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """A zip in the recipe's place."""
    path = tmp_path / "mine.toml"
    path.write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(WrongCall, match="no valid TOML"):
        read_recipe(path)
