"""The training recipe: one TOML file, read into one frozen record."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepar.errors import WrongCall

STAGES = ("organs", "region")
ARCHITECTURES = ("residual", "hybrid", "transformer", "phases", "plain")
"""What `hepar.learn.architectures` builds; the names stand here so that a recipe is read without torch."""


@dataclass(frozen=True)
class AtlasSource:
    """Where one anatomy comes from. kind: totalseg, labelled, virtual or negative; variants: how many are drawn."""

    kind: str
    image: Path | None
    labels: Path | None
    variants: int
    share: float


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a training run makes.

    stage: organs (whole scan, 3 mm) or region (liver region, 1.5 mm, one to four phases). start: an ONNX file whose
    weights of equal name and shape begin the run. watched: fixed simulated cases that the run is watched on.
    architecture: one of ARCHITECTURES, residual if the file names none; widths and blocks are its sizes.
    """

    stage: str
    architecture: str
    seed: int
    minutes: float
    steps: int
    learning_rate: float
    weight_decay: float
    ema: float
    bf16: bool
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    shapes: tuple[tuple[int, int, int], ...]
    shape_shares: tuple[float, ...]
    sources: tuple[AtlasSource, ...]
    start: Path | None
    watched: int
    sha256: str


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; paths in it are relative to the file. Exactly one of minutes and steps is above zero."""
    raw = path.read_bytes()
    table: dict[str, Any] = tomllib.loads(raw.decode())
    base = path.resolve().parent

    def place(text: str | None) -> Path | None:
        return (base / text).resolve() if text else None

    try:
        sources = tuple(
            AtlasSource(s["kind"], place(s.get("image")), place(s.get("labels")), s.get("variants", 1), s["share"])
            for s in table["atlas"]
        )
        recipe = Recipe(
            stage=table.get("stage", "organs"),
            architecture=table.get("architecture", "residual"),
            seed=table["seed"],
            minutes=table.get("minutes", 0.0),
            steps=table.get("steps", 0),
            learning_rate=table["learning_rate"],
            weight_decay=table["weight_decay"],
            ema=table["ema"],
            bf16=table["bf16"],
            widths=tuple(table["widths"]),
            blocks=tuple(table["blocks"]),
            shapes=tuple((s[0], s[1], s[2]) for s in table["shapes"]),
            shape_shares=tuple(table["shape_shares"]),
            sources=sources,
            start=place(table.get("start")),
            watched=table.get("watched", 0),
            sha256=hashlib.sha256(raw).hexdigest(),
        )
    except KeyError as missing:
        raise WrongCall(f"{path.name}: no entry {missing}, needed for training; add it as in liver3mm.toml") from None
    if recipe.stage not in STAGES:
        raise WrongCall(f"{path.name}: stage {recipe.stage!r}; needed one of {', '.join(STAGES)}")
    if recipe.architecture not in ARCHITECTURES:
        raise WrongCall(f"{path.name}: architecture {recipe.architecture!r}; needed one of {', '.join(ARCHITECTURES)}")
    if recipe.architecture == "phases" and recipe.stage != "region":
        raise WrongCall(
            f"{path.name}: architecture phases, stage {recipe.stage}, whose input is one phase; needed: stage region"
        )
    if (recipe.minutes > 0) == (recipe.steps > 0):
        raise WrongCall(f"{path.name}: minutes = {recipe.minutes}, steps = {recipe.steps}; set exactly one above zero")
    return recipe
