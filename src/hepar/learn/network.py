"""A small residual 3D U-Net: 3 mm in, 3 mm out, most of its work at 6 mm and coarser."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from hepar.learn.classes import CLASS_NAMES

ORGAN_CHANNELS = 2
"""What `channels` makes of one volume."""


def group_norm(channels: int) -> nn.GroupNorm:
    """Normalised over groups of 8 channels."""
    return nn.GroupNorm(max(1, channels // 8), channels)


class Residual(nn.Module):  # type: ignore[misc,unused-ignore]
    """Two 3x3x3 convolutions beside an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = group_norm(channels)
        self.second = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = group_norm(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape out as in."""
        y = F.leaky_relu(self.norm1(self.first(x)), 0.01)
        return F.leaky_relu(x + self.norm2(self.second(y)), 0.01)


class UNet(nn.Module):  # type: ignore[misc,unused-ignore]
    """Input [n, inputs, D, H, W], sides multiples of 16; output logits [n, classes, D, H, W].

    In training it also returns half-resolution logits for deep supervision.
    """

    def __init__(
        self,
        widths: tuple[int, ...] = (24, 48, 64, 96, 128),
        blocks: tuple[int, ...] = (1, 2, 2, 1),
        classes: int = len(CLASS_NAMES),
        inputs: int = ORGAN_CHANNELS,
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.stem = nn.Sequential(nn.Conv3d(inputs, widths[0], 3, padding=1, bias=False), group_norm(widths[0]))
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv3d(a, b, 2, stride=2, bias=False), group_norm(b), nn.LeakyReLU(0.01))
            for a, b in pairwise(widths)
        )
        self.encode = nn.ModuleList(
            nn.Sequential(*(Residual(w) for _ in range(n))) for w, n in zip(widths[1:], blocks, strict=True)
        )
        self.lift = nn.ModuleList(nn.Conv3d(b, a, 1, bias=False) for a, b in pairwise(widths[1:]))
        self.decode = nn.ModuleList(Residual(w) for w in widths[1:-1])
        self.last_lift = nn.Conv3d(widths[1], widths[0], 1, bias=False)
        self.last = nn.Sequential(
            nn.Conv3d(widths[0], widths[0], 3, padding=1, bias=False), group_norm(widths[0]), nn.LeakyReLU(0.01)
        )
        self.head = nn.Conv3d(widths[0], classes, 1)
        self.half_head = nn.Conv3d(widths[1], classes, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Logits; in training mode also those at half resolution."""
        full = F.leaky_relu(self.stem(image), 0.01)
        return self.up(full, self.levels(image, full))

    def levels(self, image: torch.Tensor, full: torch.Tensor) -> list[torch.Tensor]:
        """Features at a half, a quarter, an eighth and a sixteenth of the resolution."""
        x = full
        skips = []
        for down, encode in zip(self.down, self.encode, strict=True):
            x = encode(down(x))
            skips.append(x)
        return skips

    def up(self, full: torch.Tensor, skips: list[torch.Tensor]) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """From the features of every level to logits."""
        x = skips[-1]
        for level in reversed(range(len(self.lift))):
            x = skips[level] + F.interpolate(self.lift[level](x), scale_factor=2.0, mode="nearest")
            x = self.decode[level](x)
        logits: torch.Tensor = self.head(
            self.last(full + F.interpolate(self.last_lift(x), scale_factor=2.0, mode="nearest"))
        )
        return (logits, self.half_head(x)) if self.training else logits


def channels(hu: torch.Tensor) -> torch.Tensor:
    """HU [n, D, H, W] -> the two input channels [n, 2, D, H, W]: -150..250 and -1024..800, each to -1..1."""
    narrow = (hu.clamp(-150, 250) - 50) / 200
    wide = (hu.clamp(-1024, 800) + 112) / 912
    return torch.stack([narrow, wide], 1)
