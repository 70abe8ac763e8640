"""The training loop: bf16 on the CPU, AdamW, cosine to the end of the time, averaged weights, resumable."""

from __future__ import annotations

import json
import math
import signal
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

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
from hepar.learn.source import batches
from hepar.learn.watch import watch, watched_cases

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
    """A network, its average, its optimiser and the clock of its schedule."""

    def __init__(self, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        net = new_network(recipe.stage, recipe.widths, recipe.blocks, recipe.architecture)
        self.net = net.to(memory_format=torch.channels_last_3d)
        if recipe.start:
            start_from(self.net, recipe.start)
        self.mean = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.step = 0
        self.seconds = 0.0

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
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate()
        image = hu.float() if self.recipe.stage == "region" else channels(hu.float())
        image = image.contiguous(memory_format=torch.channels_last_3d)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.bf16):
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
        """A network with the averaged weights."""
        net = new_network(self.recipe.stage, self.recipe.widths, self.recipe.blocks, self.recipe.architecture)
        net.load_state_dict(self.mean)
        net.to(memory_format=torch.channels_last_3d)
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
            "widths": self.recipe.widths,
            "blocks": self.recipe.blocks,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a saved state (the recipe may have gained anatomies since)."""
        self.net.load_state_dict(state["net"])
        self.mean = {k: v.clone() for k, v in state["mean"].items()}
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds = state["step"], state["seconds"]


def train(recipe: Recipe, run: Path, *, threads: int = 2, save_every_s: float = 120.0) -> Path:
    """Train until the schedule ends; continues from run/state.pt if it is there. Returns that file.

    Writes run/log.jsonl: a line every 20 steps, and one from the watched cases every five minutes and at the end
    (their time is not part of the schedule). SIGTERM saves and stops; a killed run loses at most `save_every_s`.
    """
    run.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(recipe)
    saved = run / "state.pt"
    if saved.exists():
        trainer.load(torch.load(saved, weights_only=True))
    cases = watched_cases(recipe, run / "atlases")
    stream = batches(recipe, trainer.step, run / "atlases", worker=True)
    torch.set_num_threads(threads)
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stop.append(number))
    kept = watched = before = time.monotonic()
    notes: list[dict[str, float]] = []
    with (run / "log.jsonl").open("a") as log:
        while trainer.progress() < 1 and not stop:
            hu, target = next(stream)
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
            if now - kept > save_every_s or trainer.progress() >= 1 or stop:
                _save(trainer, saved)
                kept = now
            if cases and (now - watched > _WATCH_EVERY_S or trainer.progress() >= 1):
                log.write(json.dumps({**_where(trainer), **watch(trainer.averaged(), cases, bf16=recipe.bf16)}) + "\n")
                log.flush()
                watched = before = time.monotonic()
    return saved


def _save(trainer: Trainer, path: Path) -> None:
    fresh = path.with_suffix(".new")
    torch.save(trainer.state(), fresh)
    fresh.replace(path)


def _scores(logits: torch.Tensor, target: torch.Tensor, liver: tuple[int, ...]) -> dict[str, float]:
    guess = logits.argmax(1)
    known = target < min(EITHER_VEIN, NOT_LIVER)
    out = {}
    for name, classes in (("liver", liver), ("lesion", (LESION_CLASS,))):
        kinds = torch.tensor(classes)
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
