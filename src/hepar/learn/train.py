"""The training loop: bf16 on a CPU or GPU, AdamW, cosine to the end of the time, averaged weights, resumable."""

from __future__ import annotations

import hashlib
import json
import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch import nn

from hepar.errors import WrongCall
from hepar.learn.architectures import build
from hepar.learn.classes import (
    CLASS_NAMES,
    EITHER_VEIN,
    LESION_CLASS,
    LIVER_CLASSES,
    NOT_LIVER,
    PHASE_SLOTS,
    REGION_CLASS_NAMES,
)
from hepar.learn.exported import start_from
from hepar.learn.loss import total_loss
from hepar.learn.network import ORGAN_CHANNELS, channels
from hepar.learn.recipe import Recipe
from hepar.learn.region_loss import REGION_LIVER, region_loss
from hepar.learn.source import Batch, batches
from hepar.learn.watch import Case, watch, watched_cases

_WARM_UP_STEPS = 100
_CLIP = 2.0
_WATCH_EVERY_S = 300.0


def new_network(
    stage: str, widths: tuple[int, ...], blocks: tuple[int, ...], architecture: str = "residual"
) -> nn.Module:
    """An untrained network of a stage."""
    if stage == "region":
        return build(architecture, widths, blocks, classes=len(REGION_CLASS_NAMES), inputs=len(PHASE_SLOTS))
    return build(architecture, widths, blocks, classes=len(CLASS_NAMES), inputs=ORGAN_CHANNELS)


class Trainer:
    """A network, its average, its optimiser and the clock of its schedule.

    saved: the state to go on from; then the recipe's start weights are not read. start: name and sha256 of the weights
    that the run began from, None without any.
    """

    def __init__(self, recipe: Recipe, saved: dict[str, Any] | None = None, *, device: str = "cpu") -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.device = torch.device(device)
        self.net = new_network(recipe.stage, recipe.widths, recipe.blocks, recipe.architecture)
        self.start: dict[str, str] | None = None
        if recipe.start and saved is None:
            start_from(self.net, recipe.start)
            self.start = {
                "name": recipe.start.name,
                "sha256": hashlib.sha256(recipe.start.read_bytes()).hexdigest(),
            }
        self.net.to(self.device, memory_format=torch.channels_last_3d)
        self.mean = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.step = 0
        self.seconds = 0.0
        if saved is not None:
            self.load(saved)

    def progress(self) -> float:
        """0 at the start, 1 at the end of the schedule."""
        if self.recipe.steps:
            return min(1.0, self.step / self.recipe.steps)
        return min(1.0, self.seconds / (60 * self.recipe.minutes))

    def learning_rate(self) -> float:
        """Linear warm-up, then half a cosine to the power 1.5 (a fifth of the start at 60 percent)."""
        warm = min(1.0, (self.step + 1) / _WARM_UP_STEPS)
        wave = 0.5 + 0.5 * math.cos(math.pi * self.progress())
        return self.recipe.learning_rate * warm * math.pow(wave, 1.5)

    def lesion_push(self) -> float:
        """Weight of the term that pulls lesions out of the liver: 0.8 up to 45 percent, then down to 0.25."""
        return 0.8 - 0.55 * min(1.0, max(0.0, (self.progress() - 0.45) / 0.3))

    def update(self, hu: torch.Tensor, target: torch.Tensor) -> tuple[float, torch.Tensor]:
        """One optimisation step on a batch; the loss and the logits before it."""
        self.net.train()
        hu, target = hu.to(self.device), target.to(self.device)
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate()
        image = hu.float() if self.recipe.stage == "region" else channels(hu.float())
        image = image.contiguous(memory_format=torch.channels_last_3d)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.bf16):
            logits, half = self.net(image)
        push = self.lesion_push()
        if self.recipe.stage == "region":
            loss = region_loss(
                logits, half, target, lesion_push=push,
                each_lesion=self.recipe.each_lesion, hard_healthy=self.recipe.hard_healthy,
                hard_outside=self.recipe.hard_outside,
            )  # fmt: skip
        else:
            loss = total_loss(logits, half, target, lesion_push=push)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        length = torch.nn.utils.clip_grad_norm_(self.net.parameters(), _CLIP)
        if bool(torch.isfinite(length)):  # bf16 kernels can return NaN on tiny grids; it must not reach the weights
            self.optimiser.step()
        self.step += 1
        keep = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.net.state_dict().items():
                self.mean[name].lerp_(value, 1 - keep)
        return float(loss.detach()), logits.detach()

    def averaged(self) -> nn.Module:
        """A network with the averaged weights, on the same device."""
        net = new_network(self.recipe.stage, self.recipe.widths, self.recipe.blocks, self.recipe.architecture)
        net.load_state_dict(self.mean)
        net.to(self.device, memory_format=torch.channels_last_3d)
        return net

    def state(self) -> dict[str, Any]:
        """Everything that a run needs to continue."""
        return {
            "net": self.net.state_dict(),
            "mean": self.mean,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "stage": self.recipe.stage,
            "architecture": self.recipe.architecture,
            "recipe": self.recipe.sha256,
            "start": self.start,
            "widths": self.recipe.widths,
            "blocks": self.recipe.blocks,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a saved state (the recipe may have gained anatomies since).

        Raises WrongCall where the state is of another network than the recipe's.
        """
        for key in ("stage", "architecture", "widths", "blocks"):
            saved, wanted = state[key], getattr(self.recipe, key)
            if saved != wanted:
                raise WrongCall(
                    f"the run has {key} {saved}, the recipe {wanted}; give the run's recipe, or another --run"
                )
        self.net.load_state_dict(state["net"])
        self.mean = {k: v.to(self.device, copy=True) for k, v in state["mean"].items()}
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.start = state.get("start")  # not in states from before it was kept


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
    run.mkdir(parents=True, exist_ok=True)
    saved = run / "state.pt"
    state = torch.load(saved, weights_only=True, map_location="cpu") if saved.exists() else None
    trainer = Trainer(recipe, state, device=device)
    stop = _Stop()
    with stop.caught():
        stop.waiting = True
        cases = watched_cases(recipe, run / "atlases")
        stop.waiting = False
        with batches(recipe, trainer.step, run / "atlases", worker=True) as stream:
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
