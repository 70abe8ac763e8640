"""A network in the slices and one in the volume, whose features are added: the idea of H-DenseUNet.

After Li and others, IEEE Transactions on Medical Imaging 2018 (arXiv:1709.07330): a 2D dense U-Net finds features
within each slice; its class scores are given to a 3D U-Net together with the image (auto-context); the features of
both are summed, and one more convolution (hybrid feature fusion) decides. Differences: the original's 2D network has
167 layers and was trained before, on photographs and then on its own; here both are small and are trained together from
the start, and the 3D part works from half the resolution down.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from hepar.learn.network import UNet, group_norm

_PLANE = (1, 3, 3)
_LAYERS = 3


def _plane(into: int, out: int) -> nn.Conv3d:
    return nn.Conv3d(into, out, _PLANE, padding=(0, 1, 1), bias=False)


class DensePlane(nn.Module):  # type: ignore[misc,unused-ignore]
    """Three convolutions within the slice, each of which sees all before it; then back to the given width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        grow = channels // 2
        self.layers = nn.ModuleList(
            nn.Sequential(_plane(channels + i * grow, grow), group_norm(grow), nn.LeakyReLU(0.01))
            for i in range(_LAYERS)
        )
        self.close = nn.Sequential(
            nn.Conv3d(channels + _LAYERS * grow, channels, 1, bias=False), group_norm(channels), nn.LeakyReLU(0.01)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape out as in."""
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        closed: torch.Tensor = self.close(x)
        return closed


class PlaneNet(nn.Module):  # type: ignore[misc,unused-ignore]
    """A dense U-Net within the slices: features at full resolution from the image; the slices stay apart."""

    def __init__(self, widths: tuple[int, ...], inputs: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(_plane(inputs, widths[0]), group_norm(widths[0]), nn.LeakyReLU(0.01))
        self.down = nn.ModuleList(
            nn.Sequential(
                nn.Conv3d(a, b, (1, 2, 2), stride=(1, 2, 2), bias=False),
                group_norm(b),
                nn.LeakyReLU(0.01),
                DensePlane(b),
            )
            for a, b in pairwise(widths)
        )
        self.lift = nn.ModuleList(nn.Conv3d(b, a, 1, bias=False) for a, b in pairwise(widths))
        self.decode = nn.ModuleList(nn.Sequential(_plane(a, a), group_norm(a), nn.LeakyReLU(0.01)) for a in widths[:-1])

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """[n, inputs, D, H, W] -> [n, widths[0], D, H, W]."""
        skips = [self.stem(image)]
        for down in self.down:
            skips.append(down(skips[-1]))
        x = skips[-1]
        for level in reversed(range(len(self.lift))):
            lifted = F.interpolate(self.lift[level](x), scale_factor=(1.0, 2.0, 2.0), mode="nearest")
            x = self.decode[level](skips[level] + lifted)
        return x


class Hybrid(UNet):
    """`UNet` that starts from a 2D network: same arguments, input and output.

    widths: the 2D network has the first four (full resolution to an eighth), the 3D network the last four. What the 3D
    network halves first is the image and the 2D scores; the 2D features stand in the place of its stem.
    """

    def __init__(self, widths: tuple[int, ...], blocks: tuple[int, ...], classes: int, inputs: int) -> None:
        super().__init__(widths, blocks, classes, inputs)
        del self.stem
        self.plane = PlaneNet(widths[:-1], inputs)
        self.plane_head = nn.Conv3d(widths[0], classes, 1)
        self.down[0][0] = nn.Conv3d(inputs + classes, widths[1], 2, stride=2, bias=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Logits; in training mode also those at half resolution, the 2D scores plus what the volume adds."""
        flat = self.plane(image)
        scores = self.plane_head(flat)
        out = self.up(flat, self.levels(image, torch.cat([image.to(scores.dtype), scores], 1)))
        return (out[0], out[1] + scores[:, :, ::2, ::2, ::2]) if isinstance(out, tuple) else out
