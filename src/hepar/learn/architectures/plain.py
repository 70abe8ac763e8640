"""The plain U-Net that nnU-Net configures (Isensee and others, Nature Methods 2021, arXiv:1904.08128), made narrow.

Two units of convolution, instance normalisation and leaky ReLU per level, strided convolutions on the way down,
transposed ones and concatenation on the way up, deep supervision. nnU-Net begins with 32 channels and supervises every
level but the two coarsest; here the widths follow the budget and the trainer's one coarser output is supervised.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn


class _Norm(nn.InstanceNorm3d):  # type: ignore[misc,unused-ignore]
    """Instance normalisation that keeps channels last: torch's own hands on another layout, slow to convolve."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape out as in."""
        y: torch.Tensor = super().forward(x)
        return y.contiguous(memory_format=torch.channels_last_3d) if self.training else y


def _unit(into: int, out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(into, out, 3, stride=stride, padding=1), _Norm(out, affine=True), nn.LeakyReLU(0.01))


class Plain(nn.Module):  # type: ignore[misc,unused-ignore]
    """widths: channels per level. blocks: pairs of units in the encoder per halved level (one pair at full size)."""

    def __init__(self, widths: tuple[int, ...], blocks: tuple[int, ...], classes: int, inputs: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.encode = nn.ModuleList([nn.Sequential(_unit(inputs, widths[0]), _unit(widths[0], widths[0]))])
        for (a, b), pairs in zip(pairwise(widths), blocks, strict=True):
            self.encode.append(nn.Sequential(_unit(a, b, 2), *(_unit(b, b) for _ in range(2 * pairs - 1))))
        self.lift = nn.ModuleList(nn.ConvTranspose3d(b, a, 2, stride=2) for a, b in pairwise(widths))
        self.decode = nn.ModuleList(nn.Sequential(_unit(2 * a, a), _unit(a, a)) for a in widths[:-1])
        self.head = nn.Conv3d(widths[0], classes, 1)
        self.half_head = nn.Conv3d(widths[1], classes, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Logits; in training mode also those at half resolution."""
        skips = [self.encode[0](image)]
        for encode in self.encode[1:]:
            skips.append(encode(skips[-1]))
        x = half = skips[-1]
        for level in reversed(range(len(self.lift))):
            half = x
            x = self.decode[level](torch.cat([skips[level], self.lift[level](x)], 1))
        logits: torch.Tensor = self.head(x)
        return (logits, self.half_head(half)) if self.training else logits
