"""A stated distribution of virtual patients: a TOML file with every share and spread, and its sources as comments.

`load_distribution("virtual60")` reads one of the package, `load_distribution(Path(...))` one of your own. A patient is
replayed from the file and its number alone.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from hepar.errors import WrongCall

BUILT_IN = ("virtual60", "virtual-tuning", "clinic", "site-shifted")
PHASES = ("native", "arterial", "portal_venous", "delayed")
TRAITS = ("capsule", "rim", "mosaic", "necrosis", "fat", "globules", "scar", "calcified")

_NEEDED = {
    "patient": ("strength", "steatosis", "liver_hu_sd", "steatosis_hu", "warp_mm", "liver_grain_hu"),
    "liver": ("volume_ml",),
    "cirrhosis": ("volume_ml", "nodules_mm", "right_shrink_mm", "caudate_mm", "left_mm", "spleen_scale", "ascites",
                  "ascites_mm", "grain_hu"),
    "lesions": ("count", "sizes", "small_mm", "middle_mm", "large_mm", "large_most", "seat", "common_share",
                "least_hu"),
    "phases": ("delay_s", "shift_z_mm", "shift_xy_mm", "bend_mm"),
    "scanner": ("spacing_mm", "pixel_mm", "overlap", "noise_hu", "noise_along", "blur_mm", "sharp", "beyond_mm"),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Distribution:
    """A distribution file. tables: its content; sha256: of that, comments left out; seed: of its cases; cases: how many
    the set has (more can be drawn)."""

    name: str
    version: str
    seed: int
    cases: int
    tables: Mapping[str, Any]
    sha256: str

    def draw(self, table: str, key: str, rng: np.random.Generator) -> float:
        """One number of this entry."""
        return float(drawn(self.tables[table][key], rng))

    def pick(self, table: str, key: str, rng: np.random.Generator) -> Any:
        """One of the entry's list."""
        return drawn(self.tables[table][key], rng)

    @cached_property
    def types(self) -> tuple[Mapping[str, Any], ...]:
        """Kinds of patients: name, share, cirrhosis (share) and kinds (lesion kind to share)."""
        return tuple(self.tables["type"])

    def kind(self, name: str) -> Mapping[str, Any]:
        """A kind of lesion."""
        found: Mapping[str, Any] = self.tables["kind"][name]
        return found

    def rng(self, number: int, *stream: int) -> np.random.Generator:
        """The generator of one part of one case: changing one part leaves the others alone."""
        return np.random.default_rng([self.seed, number, *stream])


def load_distribution(source: str | Path) -> Distribution:
    """Read a distribution. source: a built-in name or a TOML file. Raises WrongCall where it is unknown, incomplete."""
    if str(source) in BUILT_IN:
        data = (resources.files("hepar.simulate") / "distributions" / f"{source}.toml").read_bytes()
    elif Path(source).is_file():
        data = Path(source).read_bytes()
    else:
        raise WrongCall(f"no distribution of that name or file; needed: a TOML file, or one of {', '.join(BUILT_IN)}")
    try:
        tables = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongCall(f"the distribution is no valid TOML: {error}; correct it there") from error
    _check(tables)
    name, version = str(tables["name"]), str(tables["version"])
    return Distribution(name, version, int(tables["seed"]), int(tables["cases"]), tables,
                        _digest(tables))  # fmt: skip


def _digest(tables: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()


def drawn(spread: Any, rng: np.random.Generator) -> Any:
    """A value of one entry: see the head of virtual60.toml for the forms. A plain value is itself."""
    if not isinstance(spread, Mapping):
        return spread
    if "choose" in spread:
        weights = np.asarray(spread.get("weights", [1.0] * len(spread["choose"])), float)
        return spread["choose"][int(rng.choice(len(weights), p=weights / weights.sum()))]
    low, high = float(spread["low"]), float(spread["high"])
    if "mean" in spread:
        return _within(lambda: float(rng.normal(spread["mean"], spread["sd"])), low, high)
    if "median" in spread:
        return _within(lambda: float(spread["median"] * np.exp(rng.normal(0, spread["log_sd"]))), low, high)
    if spread.get("log"):
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))
    return float(rng.uniform(low, high))


def _within(once: Any, low: float, high: float) -> float:
    for _ in range(200):
        value = float(once())
        if low <= value <= high:
            return value
    return float(np.clip(value, low, high))


def _check(tables: Mapping[str, Any]) -> None:
    """Everything needed is there and every entry can be drawn from."""
    missing = [key for key in ("name", "version", "seed", "cases", "type", "kind") if key not in tables]
    missing += [f"{t}.{key}" for t, keys in _NEEDED.items() for key in keys if key not in tables.get(t, {})]
    missing += [f"phases.delay_s.{p}" for p in PHASES if p not in tables.get("phases", {}).get("delay_s", {})]
    for name, kind in tables.get("kind", {}).items():
        missing += [f"kind.{name}.{key}" for key in (*PHASES, "edge_mm") if key not in kind]
        unknown = set(kind) - {*PHASES, *TRAITS, "edge_mm", "absolute", "seat"}
        if unknown:
            raise WrongCall(f"kind.{name} has {', '.join(sorted(unknown))}; known traits: {', '.join(TRAITS)}")
    for one in tables.get("type", []):
        missing += [f"type.{key}" for key in ("name", "share", "cirrhosis", "kinds") if key not in one]
        missing += [f"kind.{kind}" for kind in one.get("kinds", {}) if kind not in tables.get("kind", {})]
    if missing:
        raise WrongCall(f"the distribution lacks {', '.join(missing)}; take virtual60.toml as the pattern")
    for where, spread in _spreads(tables, ""):
        forms = ({"choose"}, {"low", "high"}, {"low", "high", "mean", "sd"}, {"low", "high", "median", "log_sd"})
        if set(spread) - {"weights", "log"} not in forms:
            raise WrongCall(f"{where} is given as {dict(spread)}; needed: low and high, with mean and sd or median and"
                            " log_sd, or a list to choose from")  # fmt: skip
        if "low" in spread and spread["low"] > spread["high"]:
            raise WrongCall(f"{where}: low {spread['low']} is above high {spread['high']}")


def _spreads(node: Any, where: str) -> list[tuple[str, Mapping[str, Any]]]:
    if isinstance(node, list):
        return [one for k, item in enumerate(node) for one in _spreads(item, f"{where}[{k}]")]
    if not isinstance(node, Mapping):
        return []
    if {"low", "high", "choose"} & set(node):
        return [(where, node)]
    return [one for key, item in node.items() for one in _spreads(item, f"{where}.{key}" if where else key)]
