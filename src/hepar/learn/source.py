"""The stream of training samples: sample number i is a function of the seed and i alone, so a run can resume."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from hepar.errors import WrongCall
from hepar.learn.atlas import Atlas, hepar_atlas, totalseg_atlas
from hepar.learn.negative import negative_atlas
from hepar.learn.recipe import AtlasSource, Recipe
from hepar.learn.sample import Sample, make_sample
from hepar.learn.virtual import virtual_atlas


def load_atlases(source: AtlasSource, seed: int) -> list[Atlas]:
    """Every variant of one source."""
    if source.kind == "virtual":
        return [virtual_atlas(seed=seed + v) for v in range(source.variants)]
    if source.kind == "negative":
        return [negative_atlas(seed=seed + v) for v in range(source.variants)]
    if source.kind in ("totalseg", "labelled") and source.image is not None and source.labels is not None:
        make = totalseg_atlas if source.kind == "totalseg" else hepar_atlas
        return [make(source.image, source.labels, seed=seed + v) for v in range(source.variants)]
    raise WrongCall(
        f"atlas kind {source.kind!r}, needed virtual, negative, or totalseg or labelled with image and labels"
    )


class Stream(IterableDataset):  # type: ignore[misc,type-arg,unused-ignore]
    """Samples first, first + 1, ... as (hu int16, target uint8)."""

    def __init__(self, recipe: Recipe, first: int) -> None:
        self.recipe = recipe
        self.first = first

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Endless; loads the atlases in the process that iterates."""
        torch.set_num_threads(1)
        pools = [load_atlases(s, self.recipe.seed) for s in self.recipe.sources]
        number = self.first
        while True:
            sample = draw(self.recipe, pools, number)
            yield torch.from_numpy(np.round(sample.hu).astype(np.int16)), torch.from_numpy(sample.target)
            number += 1


def draw(recipe: Recipe, pools: list[list[Atlas]], number: int) -> Sample:
    """Sample `number` of a run."""
    rng = np.random.default_rng([recipe.seed, number])
    share = np.array([s.share for s in recipe.sources])
    pool = pools[int(rng.choice(len(pools), p=share / share.sum()))]
    atlas = pool[int(rng.integers(len(pool)))]
    shares = np.array(recipe.shape_shares)
    shape = recipe.shapes[int(rng.choice(len(shares), p=shares / shares.sum()))]
    return make_sample(atlas, shape, rng)


def batches(recipe: Recipe, first: int, *, worker: bool) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of one sample from number `first` on, made in one process of their own if asked."""
    ahead = 8 if worker else None
    return iter(DataLoader(Stream(recipe, first), batch_size=1, num_workers=int(worker), prefetch_factor=ahead))
