"""The training loop: from a recipe to a saved state, stopped by its schedule or a signal, resumed by the same call."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import torch

from hepar.errors import WrongCall
from hepar.learn.classes import EITHER_VEIN, LESION_CLASS, LIVER_CLASSES, NOT_LIVER
from hepar.learn.recipe import Recipe
from hepar.learn.region_loss import REGION_LIVER
from hepar.learn.source import Batch, batches
from hepar.learn.trainer import Trainer
from hepar.learn.watch import Case, watch, watched_cases

_WATCH_EVERY_S = 300.0


class Ended(NamedTuple):
    """How a training ended. signal: the number of the one that stopped it, 0 at the end of the schedule."""

    state: Path
    step: int
    minutes: float
    signal: int


class _Wake(BaseException):
    """A signal came while nothing was being learnt."""


class _Stop:
    """Handler of the signals that end a run: after the step at hand, or at once while a sample is waited for."""

    def __init__(self) -> None:
        self.signal = 0
        self.waiting = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or number
        if self.waiting:
            self.waiting = False
            raise _Wake

    @contextmanager
    def caught(self) -> Iterator[None]:
        """SIGINT (Ctrl-C) and SIGTERM come here until the end of the block."""
        before = {number: signal.signal(number, self) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        except _Wake:  # before anything was learnt
            pass
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def train(recipe: Recipe, run: Path, *, threads: int = 2, device: str = "cpu", save_every_s: float = 120.0) -> Ended:
    """Train until the schedule ends; continues from run/state.pt if it is there. device: cpu or cuda.

    Writes run/log.jsonl: a line every 20 steps, and one from the watched cases every five minutes and at the end
    (their time is not part of the schedule). SIGINT and SIGTERM save and stop; a killed run loses at most
    `save_every_s`. Raises WrongCall where there is no such device, a file of the recipe is missing, or the state is of
    another network.
    """
    if device not in ("cpu", "cuda"):
        raise WrongCall(f"device {device!r}; needed cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise WrongCall("device cuda, but torch finds no GPU here; train with --device cpu")
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongCall(f"the folder {run} cannot be made ({error.strerror}); give another --run") from None
    saved = run / "state.pt"
    state = torch.load(saved, weights_only=True, map_location="cpu") if saved.exists() else None
    trainer = Trainer(recipe, state, device=device)
    stop = _Stop()
    with stop.caught():
        stop.waiting = True
        cases = watched_cases(recipe, run / "atlases")
        stop.waiting = False
        with batches(recipe, trainer.step, run / "atlases") as stream:
            torch.set_num_threads(threads)
            _learn(trainer, stream, cases, run, stop, save_every_s)
    return Ended(saved, trainer.step, trainer.seconds / 60, stop.signal)


def _learn(
    trainer: Trainer, stream: Iterator[Batch], cases: list[Case], run: Path, stop: _Stop, save_every_s: float
) -> None:
    """Step until the schedule, a signal or an error ends it; then everything that was learnt is saved."""
    recipe, saved, kept_step = trainer.recipe, run / "state.pt", trainer.step
    kept = watched = before = time.monotonic()
    notes: list[dict[str, float]] = []
    try:
        with (run / "log.jsonl").open("a") as log:
            while trainer.progress() < 1 and not stop.signal:
                stop.waiting = True
                hu, target = next(stream)
                stop.waiting = False
                waited = time.monotonic() - before
                loss, logits = trainer.update(hu, target)
                now = time.monotonic()
                trainer.seconds += now - before
                note = {"loss": loss, "wait": waited, "s": now - before}
                if trainer.step % 4 == 0:
                    note |= _scores(logits, target, REGION_LIVER if recipe.stage == "region" else LIVER_CLASSES)
                before = now
                notes.append(note)
                if trainer.step % 20 == 0:
                    log.write(json.dumps(_summary(trainer, notes)) + "\n")
                    log.flush()
                    notes = []
                if now - kept > save_every_s or trainer.progress() >= 1:
                    _save(trainer, saved)
                    kept, kept_step = now, trainer.step
                if cases and (now - watched > _WATCH_EVERY_S or trainer.progress() >= 1):
                    stop.waiting = True
                    seen = watch(trainer.averaged(), cases, bf16=recipe.bf16)
                    stop.waiting = False
                    log.write(json.dumps({**_where(trainer), **seen}) + "\n")
                    log.flush()
                    watched = before = time.monotonic()
    except _Wake:
        pass
    finally:
        if trainer.step > kept_step:
            _save(trainer, saved)


def _save(trainer: Trainer, path: Path) -> None:
    fresh = path.with_suffix(".new")
    torch.save(trainer.state(), fresh)
    fresh.replace(path)


def _scores(logits: torch.Tensor, target: torch.Tensor, liver: tuple[int, ...]) -> dict[str, float]:
    guess, target = logits.argmax(1), target.to(logits.device)
    known = target < min(EITHER_VEIN, NOT_LIVER)
    out = {}
    for name, classes in (("liver", liver), ("lesion", (LESION_CLASS,))):
        kinds = torch.tensor(classes, device=logits.device)
        a, b = torch.isin(guess, kinds) & known, torch.isin(target.long(), kinds)
        if bool(b.any()):
            out[name] = float(2 * (a & b).sum() / (a.sum() + b.sum()))
    return out


def _where(trainer: Trainer) -> dict[str, float]:
    return {"step": trainer.step, "min": round(trainer.seconds / 60, 2), "lr": trainer.learning_rate()}


def _summary(trainer: Trainer, notes: list[dict[str, float]]) -> dict[str, float]:
    line = _where(trainer)
    for key in ("loss", "liver", "lesion", "wait", "s"):
        values = [n[key] for n in notes if key in n]
        if values:
            line[key] = round(sum(values) / len(values), 4)
    return line
