"""The stream of training samples: sample number i is a function of the seed and i alone, so a run can resume."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from hepar.errors import WrongCall
from hepar.learn.atlas import Atlas, hepar_atlas, totalseg_atlas
from hepar.learn.negative import negative_atlas
from hepar.learn.pseudo import pseudo_atlas
from hepar.learn.recipe import AtlasSource, Recipe
from hepar.learn.region import RegionAtlas, stored_atlas
from hepar.learn.region_sample import RegionSample, make_region_sample
from hepar.learn.sample import Sample, make_sample
from hepar.learn.slices2d import SliceSet, read_slices, slice_sample
from hepar.learn.virtual import virtual_atlas

_A = TypeVar("_A", Atlas | SliceSet, RegionAtlas)


def load_atlases(source: AtlasSource, seed: int) -> list[Atlas]:
    """Every variant of one source."""
    if source.kind == "virtual":
        return [virtual_atlas(seed=seed + v) for v in range(source.variants)]
    if source.kind == "negative":
        return [negative_atlas(seed=seed + v) for v in range(source.variants)]
    if source.kind in ("totalseg", "labelled") and source.image is not None and source.labels is not None:
        make = totalseg_atlas if source.kind == "totalseg" else hepar_atlas
        return [make(source.image, source.labels, seed=seed + v) for v in range(source.variants)]
    if source.pseudo is not None and source.image is not None:
        return [pseudo_atlas(source.image, source.pseudo, seed=seed)]
    raise WrongCall(
        f"atlas kind {source.kind!r}, needed virtual, negative, totalseg or labelled with image and labels, pseudo with"
        " image and network, or slices with image"
    )


def load_pool(source: AtlasSource, seed: int) -> list[Atlas | SliceSet]:
    """What a source of stage organs is drawn from: its anatomies, or one set of 2D slices."""
    if source.slices is not None and source.image is not None:
        return [read_slices(source.image, source.slices)]
    return [*load_atlases(source, seed)]


class Stream(IterableDataset):  # type: ignore[misc,type-arg,unused-ignore]
    """Samples first, first + 1, ... as (image, target uint8).

    image: HU as int16 for stage organs, float16 [4, ...] relative to the liver for stage region.
    keep: folder where the anatomies of stage region are stored.
    """

    def __init__(self, recipe: Recipe, first: int, keep: Path) -> None:
        self.recipe = recipe
        self.first = first
        self.keep = keep

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Endless; loads the atlases in the process that iterates."""
        torch.set_num_threads(1)
        if get_worker_info() is not None:
            # Whoever stops a run signals the whole group; the training saves, then it ends this process.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self.recipe.stage == "region":
            yield from self._regions()
        pools = [load_pool(s, self.recipe.seed) for s in self.recipe.sources]
        number = self.first
        while True:
            sample = draw(self.recipe, pools, number)
            yield torch.from_numpy(np.round(sample.hu).astype(np.int16)), torch.from_numpy(sample.target)
            number += 1

    def _regions(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        pools = [
            [stored_atlas(s, self.recipe.seed + v, self.keep) for v in range(s.variants)] for s in self.recipe.sources
        ]
        number = self.first
        while True:
            sample = draw_region(self.recipe, pools, number)
            yield torch.from_numpy(sample.image), torch.from_numpy(sample.target)
            number += 1


def draw(recipe: Recipe, pools: list[list[Atlas | SliceSet]], number: int) -> Sample:
    """Sample `number` of a run of stage organs."""
    rng = np.random.default_rng([recipe.seed, number])
    atlas, shape = _pick(recipe, pools, rng)
    if isinstance(atlas, SliceSet):
        return slice_sample(atlas, shape, rng)
    return make_sample(atlas, shape, rng)


def draw_region(recipe: Recipe, pools: list[list[RegionAtlas]], number: int) -> RegionSample:
    """Sample `number` of a run of stage region."""
    rng = np.random.default_rng([recipe.seed, number])
    atlas, shape = _pick(recipe, pools, rng)
    return make_region_sample(atlas, shape, rng, many_lesions=recipe.many_lesions)


def _pick(recipe: Recipe, pools: list[list[_A]], rng: np.random.Generator) -> tuple[_A, tuple[int, int, int]]:
    share = np.array([s.share for s in recipe.sources])
    pool = pools[int(rng.choice(len(pools), p=share / share.sum()))]
    atlas = pool[int(rng.integers(len(pool)))]
    shares = np.array(recipe.shape_shares)
    return atlas, recipe.shapes[int(rng.choice(len(shares), p=shares / shares.sum()))]


def batches(recipe: Recipe, first: int, keep: Path, *, worker: bool) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of one sample from number `first` on, made in one process of their own if asked."""
    ahead = 8 if worker else None
    return iter(DataLoader(Stream(recipe, first, keep), batch_size=1, num_workers=int(worker), prefetch_factor=ahead))
