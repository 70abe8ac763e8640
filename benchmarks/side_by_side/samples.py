"""What every network trains on and is judged on: made once, kept in a folder, read again for the next network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np


class Samples:
    """Sample `number` of a seed, made once and kept below folder."""

    def __init__(self, recipe: Any, seed: int, anatomies: Path, folder: Path) -> None:
        self.recipe, self.seed, self.anatomies, self.folder = recipe, seed, anatomies, folder
        self.pools: list[Any] = []
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, number: int) -> tuple[Any, Any]:
        """Image [1, 4, D, H, W] float16 and target [1, D, H, W] uint8 as tensors."""
        import torch

        from hepar.learn.region import stored_atlas
        from hepar.learn.source import draw_region

        path = self.folder / f"{number:05d}.npz"
        if not path.exists():
            if not self.pools:
                self.pools = [
                    [stored_atlas(s, self.recipe.seed + v, self.anatomies) for v in range(s.variants)]
                    for s in self.recipe.sources
                ]
            sample = draw_region(self.recipe, self.pools, self.seed * 1_000_000 + number)
            _keep(path, image=sample.image, target=sample.target)
        with np.load(path) as kept:
            return torch.from_numpy(kept["image"])[None], torch.from_numpy(kept["target"])[None]


def patches(recipe: Any, count: int, anatomies: Path, folder: Path) -> Iterator[Any]:
    """The fixed patches, made once and kept below folder."""
    from hepar.learn.region_evaluate import region_cases
    from hepar.learn.region_sample import RegionSample

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{i:03d}.npz" for i in range(count)]
    if not all(p.exists() for p in paths):
        for path, sample in zip(paths, region_cases(recipe, count, anatomies), strict=True):
            _keep(path, image=sample.image, target=sample.target, phases=sample.phases, atlas=sample.atlas)
    for path in paths:
        with np.load(path) as kept:
            phases = tuple(int(p) for p in kept["phases"])
            yield RegionSample(kept["image"], kept["target"], phases, str(kept["atlas"]))


def _keep(path: Path, **arrays: Any) -> None:
    """Whole or not at all, since several processes may work on one folder."""
    part = path.with_suffix(f".{os.getpid()}.npz")
    np.savez_compressed(part, **arrays)
    part.replace(path)
