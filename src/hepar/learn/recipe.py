"""The training recipe: one TOML file, read into one frozen record."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepar.errors import WrongCall
from hepar.learn.recipe_keys import RECIPE_KEYS, check_atlases, check_keys

STAGES = ("organs", "region")
ARCHITECTURES = ("residual", "hybrid", "transformer", "phases", "plain")
"""What `hepar.learn.architectures` builds; the names stand here so that a recipe is read without torch."""


@dataclass(frozen=True)
class PseudoSettings:
    """Who labels an unlabelled scan, and which voxels are kept.

    network: exported ONNX of stage organs that never saw the scan. confidence: least probability in every view.
    views: other showings of the scan that have to agree (`hepar.learn.pseudo`). agreement: least Dice of the liver
    between each of them and the scan as it is; below it the scan is refused.
    """

    network: Path
    confidence: float = 0.9
    views: tuple[str, ...] = ("shifted", "denser", "smoothed")
    agreement: float = 0.8


@dataclass(frozen=True)
class SliceSettings:
    """How 2D slices with liver masks are read. pixel_mm: guess of the pixel size, where the files state none.

    liver_hu: what the liver's median grey value stands for; grey 0 is taken as 0 HU. turns: start of a file's name and
    the quarter turns anticlockwise that bring it to face up, liver on the left of the picture.
    """

    pixel_mm: float = 1.5
    liver_hu: float = 105.0
    turns: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class AtlasSource:
    """Where one anatomy comes from. variants: how many are drawn.

    kind: totalseg, labelled, virtual or negative; for stage organs also pseudo (image without labels) and slices.
    """

    kind: str
    image: Path | None
    labels: Path | None
    variants: int
    share: float
    pseudo: PseudoSettings | None = None
    slices: SliceSettings | None = None


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a training run makes.

    stage: organs (whole scan, 3 mm) or region (liver region, 1.2 mm, one to four phases). start: an ONNX file whose
    weights of equal name and shape begin the run. watched: fixed simulated cases that the run is watched on.
    each_lesion: stage region, weight of the term in which every lesion counts the same, whatever its size.
    hard_healthy, hard_outside: the same for the healthy voxels, in the liver and outside it, that look most like a
    lesion. many_lesions: twice as many lesions a
    patch, more of them under 5 mm.
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
    each_lesion: float
    hard_healthy: float
    hard_outside: float
    many_lesions: bool
    sha256: str


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; paths in it are relative to the file. Exactly one of minutes and steps is above zero.

    Raises WrongCall for what is no TOML, for keys that no recipe has and for values that cannot be.
    """
    raw = path.read_bytes()
    try:
        table: dict[str, Any] = tomllib.loads(raw.decode())
    except ValueError as error:  # of TOML, and of bytes that are no text
        raise WrongCall(f"{path.name} is no valid TOML ({error}); correct it there") from None
    check_keys(table, RECIPE_KEYS, path.name)
    check_atlases(table.get("atlas", []), path.name)
    base = path.resolve().parent

    def place(text: str | None) -> Path | None:
        return (base / text).resolve() if text else None

    try:
        sources = tuple(_source(s, place, path.name) for s in table["atlas"])
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
            each_lesion=table.get("each_lesion", 0.0),
            hard_healthy=table.get("hard_healthy", 0.0),
            hard_outside=table.get("hard_outside", 0.0),
            many_lesions=table.get("many_lesions", False),
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
    if len(recipe.shapes) != len(recipe.shape_shares):
        raise WrongCall(
            f"{path.name}: {len(recipe.shapes)} shapes, {len(recipe.shape_shares)} shape_shares; needed as many of both"
        )
    if (recipe.minutes > 0) == (recipe.steps > 0):
        raise WrongCall(f"{path.name}: minutes = {recipe.minutes}, steps = {recipe.steps}; set exactly one above zero")
    return recipe


def _source(table: dict[str, Any], place: Callable[[str | None], Path | None], recipe: str) -> AtlasSource:
    """One [[atlas]] of a recipe."""
    image, kind, pseudo, slices = place(table.get("image")), table["kind"], None, None
    if kind == "pseudo":
        network = place(table.get("network"))
        if image is None or network is None:
            raise WrongCall(f"{recipe}: atlas kind pseudo without image or network; needed: both, a scan and an ONNX")
        limits = {k: float(table[k]) for k in ("confidence", "agreement") if k in table}
        pseudo = PseudoSettings(network, views=tuple(table.get("views", PseudoSettings.views)), **limits)
        if not 0.5 < pseudo.confidence < 1:
            raise WrongCall(f"{recipe}: confidence = {pseudo.confidence}; needed above 0.5 and below 1")
    if kind == "slices":
        if image is None:
            raise WrongCall(f"{recipe}: atlas kind slices without image; needed: a zip or folder with images and masks")
        sizes = {k: float(table[k]) for k in ("pixel_mm", "liver_hu") if k in table}
        slices = SliceSettings(**sizes, turns=tuple(table.get("turns", {}).items()))
    labels = place(table.get("labels"))
    return AtlasSource(kind, image, labels, table.get("variants", 1), table["share"], pseudo, slices)
