"""The stream of training samples: sample number i is a function of the seed and i alone, so a run can resume."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, IterableDataset

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
_AHEAD = 8


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


class _Stream(IterableDataset):  # type: ignore[misc,type-arg,unused-ignore]
    """What `make` makes, each array with an axis of 1 before it, and as its last item the error that ended it: of an
    error's text DataLoader would make a traceback with the paths of this machine.

    Arrays, which go from one process to another by value: of tensors torch sends a handle, fetched later, and a run
    that is stopped in the midst of that leaves a traceback of the process that made them.
    """

    def __init__(self, make: Callable[[], Iterator[Arrays]]) -> None:
        self.make = make

    def __iter__(self) -> Iterator[Arrays | HeparError]:
        torch.set_num_threads(1)
        # Whoever stops a run signals the whole group; the training saves, then `drawn` ends this process.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            for image, target in self.make():
                yield image[None], target[None]
        except HeparError as error:
            yield error
        except Exception as error:
            what = f"{type(error).__name__} in {_where(error)}"
            yield Fault(f"a training sample could not be made ({what}); check the scans, or report this")


def _organs(recipe: Recipe, first: int) -> Iterator[Arrays]:
    """Samples first, first + 1, ... of stage organs: HU as int16."""
    pools = [load_pool(s, recipe.seed) for s in recipe.sources]
    for number in count(first):
        sample = draw(recipe, pools, number)
        yield np.round(sample.hu).astype(np.int16), sample.target


def _regions(recipe: Recipe, first: int, keep: Path) -> Iterator[Arrays]:
    """The same of stage region: float16 [4, ...] relative to the liver."""
    pools = [[stored_atlas(s, recipe.seed + v, keep) for v in range(s.variants)] for s in recipe.sources]
    for number in count(first):
        sample = draw_region(recipe, pools, number)
        yield sample.image, sample.target


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
def batches(recipe: Recipe, first: int, keep: Path) -> Iterator[Iterator[Batch]]:
    """Batches of one sample from number `first` on, as `drawn` gives them. keep: folder where the anatomies of stage
    region are stored.

    Raises WrongCall where a file of the recipe is missing.
    """
    for source in recipe.sources:
        for path in (source.image, source.labels, source.pseudo and source.pseudo.network):
            if path and not path.exists():
                raise WrongCall(f"{path.name}, from which the recipe makes an anatomy, is not there; see its [[atlas]]")
    make = partial(_regions, recipe, first, keep) if recipe.stage == "region" else partial(_organs, recipe, first)
    with drawn(make) as stream:
        yield stream


@contextmanager
def drawn(make: Callable[[], Iterator[Arrays]]) -> Iterator[Iterator[Batch]]:
    """Samples (image, target uint8) as batches of one, made in one process of their own, which ends with this.

    make: makes them without end, and loads what it needs, in that process. Drawing one raises what making it raised:
    HeparError, and Fault for anything else.
    """
    made = iter(DataLoader(_Stream(make), batch_size=None, num_workers=1, prefetch_factor=_AHEAD, collate_fn=_as_it_is))
    try:
        yield _tensors(made)
    finally:
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
