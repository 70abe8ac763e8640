"""The stream of training samples: sample number i is a function of the seed and i alone, so a run can resume."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from hepar.errors import Fault, HeparError, WrongCall
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
Batch = tuple[torch.Tensor, torch.Tensor]
Arrays = tuple[NDArray[Any], NDArray[np.uint8]]


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


class Samples(IterableDataset):  # type: ignore[misc,type-arg,unused-ignore]
    """Batches of one without end as (image, target uint8), each with an axis of 1 before it.

    Arrays, which go from one process to another by value: of tensors torch sends a handle, fetched later, and a run
    that is stopped in the midst of that leaves a traceback of the process that made them. An error ends the stream and
    is its last item, as it is: DataLoader would make a traceback with the paths of this machine of its text.
    """

    def samples(self) -> Iterator[Arrays]:
        """Endless; loads what it needs in the process that iterates."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Arrays | HeparError]:
        torch.set_num_threads(1)
        if get_worker_info() is not None:
            # Whoever stops a run signals the whole group; the training saves, then `drawn` ends this process.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            for image, target in self.samples():
                yield image[None], target[None]
        except HeparError as error:
            yield error
        except Exception as error:
            what = f"{type(error).__name__} in {_where(error)}"
            yield Fault(f"a training sample could not be made ({what}); check the scans, or report this")


class Stream(Samples):
    """Samples first, first + 1, ... of a recipe: HU as int16 for stage organs, float16 [4, ...] relative to the liver
    for stage region. keep: folder where the anatomies of stage region are stored."""

    def __init__(self, recipe: Recipe, first: int, keep: Path) -> None:
        self.recipe = recipe
        self.first = first
        self.keep = keep

    def samples(self) -> Iterator[Arrays]:
        """Endless; loads the atlases."""
        return self._regions() if self.recipe.stage == "region" else self._organs()

    def _organs(self) -> Iterator[Arrays]:
        pools = [load_pool(s, self.recipe.seed) for s in self.recipe.sources]
        number = self.first
        while True:
            sample = draw(self.recipe, pools, number)
            yield np.round(sample.hu).astype(np.int16), sample.target
            number += 1

    def _regions(self) -> Iterator[Arrays]:
        pools = [
            [stored_atlas(s, self.recipe.seed + v, self.keep) for v in range(s.variants)] for s in self.recipe.sources
        ]
        number = self.first
        while True:
            sample = draw_region(self.recipe, pools, number)
            yield sample.image, sample.target
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


@contextmanager
def batches(recipe: Recipe, first: int, keep: Path, *, worker: bool) -> Iterator[Iterator[Batch]]:
    """Batches of one sample from number `first` on, made in one process of their own if asked, which ends with this.

    Raises WrongCall where a file of the recipe is missing. Drawing one raises what making it raised: HeparError, and
    Fault for anything else.
    """
    for source in recipe.sources:
        for path in (source.image, source.labels, source.pseudo and source.pseudo.network):
            if path and not path.exists():
                raise WrongCall(f"{path.name}, from which the recipe makes an anatomy, is not there; see its [[atlas]]")
    with drawn(Stream(recipe, first, keep), worker=worker) as stream:
        yield stream


@contextmanager
def drawn(samples: Samples, *, worker: bool) -> Iterator[Iterator[Batch]]:
    """The samples as tensors, made in one process of their own if asked, which ends with this.

    Drawing one raises what making it raised: HeparError, and Fault for anything else.
    """
    ahead = 8 if worker else None
    made = iter(
        DataLoader(samples, batch_size=None, num_workers=int(worker), prefetch_factor=ahead, collate_fn=_as_it_is)
    )
    try:
        yield _tensors(made)
    finally:
        if worker:
            _end(made)


def _as_it_is(item: Arrays | HeparError) -> Arrays | HeparError:
    return item


def _tensors(made: Iterator[Arrays | HeparError]) -> Iterator[Batch]:
    for one in made:
        if isinstance(one, HeparError):
            raise one
        image, target = one
        yield torch.from_numpy(image), torch.from_numpy(target)


def _end(made: Any) -> None:
    """End the worker now: it ignores the signals that Python would end it by at its own exit, and so would be waited
    for without end."""
    made._shutdown_workers()
    for process in made._workers:
        if process.is_alive():  # in the midst of an anatomy, which takes longer than torch waits
            process.kill()
            process.join()


def _where(error: BaseException) -> str:
    """Module and line of the last place in hepar."""
    places = [(str(frame.f_globals["__name__"]), line) for frame, line in traceback.walk_tb(error.__traceback__)]
    return [f"{name}:{line}" for name, line in places if name.startswith("hepar.")][-1]
