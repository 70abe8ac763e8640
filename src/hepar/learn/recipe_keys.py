"""What a recipe may say: its keys, the kind of value of each, and the sentence that a wrong one gets."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from hepar.errors import WrongCall
from hepar.learn.classes import STRIDE


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _list(value: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and bool(value) and all(fits(v) for v in value)


def _side(value: Any) -> bool:
    return _whole(value) and value > 0 and value % STRIDE == 0


Rule = tuple[Callable[[Any], bool], str]

_TEXT: Rule = (lambda v: isinstance(v, str) and bool(v), "a text")
_FLAG: Rule = (lambda v: isinstance(v, bool), "true or false")
_COUNT: Rule = (lambda v: _whole(v) and v >= 0, "a whole number, 0 or more")
_SOME: Rule = (lambda v: _whole(v) and v > 0, "a whole number above 0")
_WEIGHT: Rule = (lambda v: _number(v) and v >= 0, "a number, 0 or more")
_POSITIVE: Rule = (lambda v: _number(v) and v > 0, "a number above 0")
_SHARE: Rule = (lambda v: _number(v) and 0 <= v <= 1, "a number from 0 to 1")
_TEXTS: Rule = (lambda v: _list(v, _TEXT[0]), "a list of texts")
_NUMBERS: Rule = (lambda v: _list(v, _WEIGHT[0]) and sum(v) > 0, "a list of numbers, one of them above 0")
_TURNS: Rule = (lambda v: isinstance(v, dict) and all(map(_whole, v.values())), "a table of whole numbers")


_WIDTHS: Rule = (
    lambda v: _list(v, lambda w: _whole(w) and w > 0 and w % 8 == 0) and len(v) == 5,
    "a list of five multiples of 8",  # groups of 8 channels are normalised together
)
_BLOCKS: Rule = (lambda v: _list(v, _SOME[0]) and len(v) == 4, "a list of four whole numbers above 0")
_SHAPES: Rule = (
    lambda v: _list(v, lambda shape: _list(shape, _side) and len(shape) == 3),
    f"a list of shapes, each three multiples of {STRIDE}",
)

RECIPE_KEYS: dict[str, Rule] = {
    "stage": _TEXT, "architecture": _TEXT, "seed": _COUNT, "minutes": _WEIGHT, "steps": _COUNT,
    "learning_rate": _POSITIVE, "weight_decay": _WEIGHT, "ema": _SHARE, "bf16": _FLAG, "widths": _WIDTHS,
    "blocks": _BLOCKS, "shapes": _SHAPES, "shape_shares": _NUMBERS, "start": _TEXT, "watched": _COUNT,
    "each_lesion": _WEIGHT, "hard_healthy": _WEIGHT, "hard_outside": _WEIGHT, "many_lesions": _FLAG,
    "atlas": (lambda v: _list(v, lambda one: isinstance(one, dict)), "[[atlas]] tables"),
}  # fmt: skip
_ATLAS: dict[str, Rule] = {"kind": _TEXT, "image": _TEXT, "labels": _TEXT, "variants": _SOME, "share": _WEIGHT}
ATLAS_KEYS: dict[str, dict[str, Rule]] = {
    "totalseg": _ATLAS,
    "labelled": _ATLAS,
    "virtual": _ATLAS,
    "negative": _ATLAS,
    "pseudo": {**_ATLAS, "network": _TEXT, "confidence": _SHARE, "views": _TEXTS, "agreement": _SHARE},
    "slices": {**_ATLAS, "pixel_mm": _POSITIVE, "liver_hu": _POSITIVE, "turns": _TURNS},
}
"""The keys of an [[atlas]] by its kind."""


def check_keys(table: Mapping[str, Any], allowed: Mapping[str, Rule], where: str) -> None:
    """Raises WrongCall, naming the key, where a table holds another key or another kind of value."""
    for key, value in table.items():
        if key not in allowed:
            near = difflib.get_close_matches(key, allowed, n=1)
            hint = f"did you mean {near[0]}?" if near else f"allowed: {', '.join(allowed)}"
            raise WrongCall(f"{where}: unknown key {key}; {hint}")
        fits, needed = allowed[key]
        if not fits(value):
            raise WrongCall(f"{where}: {key} = {value!r}; needed {needed}")


def check_atlases(tables: list[dict[str, Any]], where: str) -> None:
    """The same for the [[atlas]] tables of a recipe, counted from 1."""
    for number, table in enumerate(tables, 1):
        kind = table.get("kind")
        if isinstance(kind, str) and kind not in ATLAS_KEYS:
            raise WrongCall(f"{where}, [[atlas]] {number}: kind {kind!r}; needed one of {', '.join(ATLAS_KEYS)}")
        check_keys(table, ATLAS_KEYS.get(str(kind), _ATLAS), f"{where}, [[atlas]] {number}")
    if tables and not sum(table.get("share", 1) for table in tables):
        raise WrongCall(f"{where}: every [[atlas]] has share = 0; needed one above 0")
