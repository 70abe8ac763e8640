"""A residual U-Net whose coarsest grid is looked at as a whole by self-attention.

After TransBTS (Wang and others, MICCAI 2021, arXiv:2103.04430): a convolutional encoder, a transformer over its last
grid, a convolutional decoder. Differences: two layers instead of four and no projection, for the size of the grid and
of the budget; the place of a token is told by a depthwise convolution (Chu and others, arXiv:2102.10882) and not by a
table of fixed length, so that any size of region can be looked at.
"""

from __future__ import annotations

import torch
from torch import nn

from hepar.learn.network import UNet

_LAYERS = 2
_HEAD_WIDTH = 32


class Attention(nn.Module):  # type: ignore[misc,unused-ignore]
    """One transformer layer (normalisation first) over all voxels of a grid [n, channels, D, H, W]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = max(1, channels // _HEAD_WIDTH)
        self.place = nn.Conv3d(channels, channels, 3, padding=1, groups=channels)
        self.norm1 = nn.LayerNorm(channels)
        self.question, self.key, self.value, self.join = (nn.Linear(channels, channels) for _ in range(4))
        self.norm2 = nn.LayerNorm(channels)
        self.think = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape out as in."""
        x = x + self.place(x)
        tokens = x.flatten(2).transpose(1, 2)
        y = self.norm1(tokens)
        # [n, heads, tokens, head width]; the number of tokens stays open for the export
        question, key, value = (
            part(y).unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (self.question, self.key, self.value)
        )
        scale = (question.shape[-1]) ** -0.5
        seen = ((question * scale) @ key.transpose(2, 3)).softmax(-1) @ value
        tokens = tokens + self.join(seen.transpose(1, 2).flatten(2))
        tokens = tokens + self.think(self.norm2(tokens))
        return tokens.transpose(1, 2).reshape(x.shape)


class TransformerUNet(UNet):
    """`UNet` with transformer layers behind the encoder's last level; same arguments, input and output."""

    def __init__(self, widths: tuple[int, ...], blocks: tuple[int, ...], classes: int, inputs: int) -> None:
        super().__init__(widths, blocks, classes, inputs)
        for _ in range(_LAYERS):
            self.encode[-1].append(Attention(widths[-1]))
