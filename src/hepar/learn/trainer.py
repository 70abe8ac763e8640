"""A network in training: one step, its average, its schedule, and what has to be kept for the next day."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import torch
from torch import nn

from hepar.errors import WrongCall
from hepar.learn.architectures import build
from hepar.learn.classes import CLASS_NAMES, PHASE_SLOTS, REGION_CLASS_NAMES
from hepar.learn.exported import start_from
from hepar.learn.loss import total_loss
from hepar.learn.network import ORGAN_CHANNELS, channels
from hepar.learn.recipe import Recipe
from hepar.learn.region_loss import region_loss

_FIRST_PUSH, LAST_PUSH = 0.8, 0.25
_WARM_UP_STEPS = 100
_CLIP = 2.0


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
        return _FIRST_PUSH - (_FIRST_PUSH - LAST_PUSH) * min(1.0, max(0.0, (self.progress() - 0.45) / 0.3))

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
