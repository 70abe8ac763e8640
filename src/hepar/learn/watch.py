"""A run watched on fixed simulated cases that no training draws: Dice, recall and false finds as training goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hepar.learn.classes import LESION_CLASS, LIVER_CLASSES
from hepar.learn.evaluate import score, simulated_cases
from hepar.learn.network import channels
from hepar.learn.recipe import Recipe
from hepar.learn.region_evaluate import judge, region_cases
from hepar.learn.region_sample import RegionSample

Probabilities = NDArray[np.float32]


class _Seen(NamedTuple):
    liver_dice: float | None
    lesion_dice: float | None
    found: int
    lesions: int
    false: int


Case = tuple[torch.Tensor, Callable[[Probabilities], _Seen]]
"""The network's input [1, inputs, slice, row, column], and what its class probabilities are worth."""


def watched_cases(recipe: Recipe, keep: Path) -> list[Case]:
    """The recipe's `watched` cases, the first of `hepar learn evaluate`. keep: folder of the region's anatomies."""
    return list(_cases(recipe, keep)) if recipe.watched else []


def _cases(recipe: Recipe, keep: Path) -> Iterator[Case]:
    if recipe.stage == "region":
        for sample in region_cases(recipe, recipe.watched, keep):
            yield torch.from_numpy(sample.image)[None], partial(_of_region, sample)
    else:
        for name, hu, target in simulated_cases(recipe, recipe.watched):
            yield channels(torch.from_numpy(hu)[None]), partial(_of_organs, name, target)


def _of_region(sample: RegionSample, p: Probabilities) -> _Seen:
    got = judge(sample.atlas, p, sample)
    return _Seen(got.liver_dice, got.lesion_dice, sum(got.found), sum(got.lesions), got.false)


def _of_organs(name: str, target: NDArray[np.uint8], p: Probabilities) -> _Seen:
    got = score(name, p, np.isin(target, LIVER_CLASSES), target == LESION_CLASS)
    return _Seen(got.liver_dice, got.lesion_dice, got.found, got.lesions, got.false_lesions)


def watch(net: nn.Module, cases: list[Case], *, bf16: bool) -> dict[str, float]:
    """Mean Dice of liver and lesions, share of the lesions found and false finds per case; {} without cases."""
    net.eval()
    device = next(net.parameters()).device
    seen = []
    for image, worth in cases:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            logits = net(image.to(device).float().contiguous(memory_format=torch.channels_last_3d))[0]
        seen.append(worth(logits.float().softmax(0).cpu().numpy()))
    out = {}
    for name, values in (("liver", [s.liver_dice for s in seen]), ("lesion", [s.lesion_dice for s in seen])):
        known = [v for v in values if v is not None]
        if known:
            out[f"watched_{name}"] = round(float(np.mean(known)), 4)
    lesions = sum(s.lesions for s in seen)
    if lesions:
        out["watched_found"] = round(sum(s.found for s in seen) / lesions, 4)
    if seen:
        out["watched_false"] = round(sum(s.false for s in seen) / len(seen), 2)
    return out
