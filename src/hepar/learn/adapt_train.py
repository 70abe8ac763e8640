"""The shipped region network trained on with a site's cases, among simulated ones so that it does not forget."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hepar.learn.adapt_sample import SiteVolume, draw_painted, draw_site
from hepar.learn.export import export
from hepar.learn.exported import load_exported
from hepar.learn.recipe import Recipe
from hepar.learn.region import RegionAtlas, stored_atlas
from hepar.learn.region_sample import make_region_sample
from hepar.learn.source import Arrays, drawn
from hepar.learn.trainer import LAST_PUSH, Trainer

SITE_SHARE, PAINTED_SHARE = 0.5, 0.2
"""Shares of samples: cases as they are, cases with invented lesions; the rest is simulated."""
_PACE_STEPS = 12
_WARM_UP_STEPS = 20


class Tuner(Trainer):
    """A trainer whose learning rate is up after 20 steps, since there may be few, and whose loss is that of the end of
    the shipped network's training."""

    def learning_rate(self) -> float:
        """Linear warm-up, then half a cosine to the power 1.5."""
        wave = 0.5 + 0.5 * math.cos(math.pi * self.progress())
        return float(self.recipe.learning_rate * min(1.0, (self.step + 1) / _WARM_UP_STEPS) * math.pow(wave, 1.5))

    def lesion_push(self) -> float:
        """As `Trainer` ends: a network that finds lesions already would only learn to mark more."""
        return LAST_PUSH


def site_samples(recipe: Recipe, volumes: Sequence[SiteVolume], simulated: Sequence[RegionAtlas]) -> Iterator[Arrays]:
    """Samples 0, 1, ... without end; sample i is a function of the seed and i alone."""
    shares = np.array(recipe.shape_shares)
    for number in count():
        rng = np.random.default_rng([recipe.seed, 5, number])
        shape = recipe.shapes[int(rng.choice(len(shares), p=shares / shares.sum()))]
        kind = rng.random()
        volume = volumes[int(rng.integers(len(volumes)))]
        if kind < SITE_SHARE:
            sample = draw_site(volume, shape, rng)
        elif kind < SITE_SHARE + PAINTED_SHARE:
            sample = draw_painted(volume, shape, rng)
        else:
            sample = make_region_sample(simulated[int(rng.integers(len(simulated)))], shape, rng)
        yield sample.image, sample.target


def simulated_atlases(recipe: Recipe, keep: Path, added: int = 0) -> list[RegionAtlas]:
    """The anatomies of the recipe, made once and kept. added: what the recipe's seed was raised by."""
    first = recipe.seed - added
    return [stored_atlas(s, first + v, keep) for s in recipe.sources for v in range(s.variants)]


def fine_tune(
    recipe: Recipe,
    start: Path,
    volumes: Sequence[SiteVolume],
    simulated: Sequence[RegionAtlas],
    folder: Path,
    *,
    seconds: float,
    steps: int,
    threads: int,
    progress: Callable[[float], None],
) -> tuple[Path, dict[str, Any]]:
    """Train from `start` (an exported region network) and export into folder; the ONNX file and what was done.

    steps: how many; 0: as many as fit into `seconds`, told from the pace of the first ones. In bf16 a run repeats on
    the same machine up to rounding; with bf16 = false in the recipe bit for bit, for the same steps and threads.
    """
    with drawn(partial(site_samples, recipe, volumes, simulated)) as stream:
        torch.set_num_threads(threads)
        next(stream)  # the worker has started
        trainer = Tuner(replace(recipe, steps=steps or 10_000, minutes=0.0))
        load_exported(trainer.net, start)
        trainer.mean = {name: value.detach().clone() for name, value in trainer.net.state_dict().items()}
        began = time.monotonic()
        losses = []
        while trainer.step < trainer.recipe.steps:
            image, target = next(stream)
            losses.append(trainer.update(image, target)[0])
            spent = time.monotonic() - began
            if not steps and trainer.step == _PACE_STEPS:
                fit = max(2 * _PACE_STEPS, int(seconds / spent * _PACE_STEPS))
                trainer.recipe = replace(trainer.recipe, steps=fit)
            progress(trainer.step / trainer.recipe.steps)
    trainer.seconds = time.monotonic() - began
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / "state.pt"
    torch.save(trainer.state(), state)
    path = export(state, folder, trainer.recipe)
    state.unlink()
    tenth = max(1, len(losses) // 10)
    return path, {
        "steps": trainer.step,
        "minutes": round(trainer.seconds / 60, 2),
        "loss_first_tenth": round(float(np.mean(losses[:tenth])), 3),
        "loss_last_tenth": round(float(np.mean(losses[-tenth:])), 3),
    }
