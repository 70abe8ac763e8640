"""One encoder for every contrast phase, and a recurrence over the phases in the order of time.

After Zheng and others, IEEE Transactions on Medical Imaging 2022 (doi:10.1109/TMI.2022.3175461): a shallow 3D network
looks at each phase of dynamic MRI, a convolutional LSTM reads its features in time. Made small: the same weights look
at each phase at a half and a quarter of the resolution, and at each of these levels a gated recurrent unit, voxel by
voxel, reads native, arterial, portal venous, delayed. A phase that is missing is passed over: it leaves the state as
it was. The coarser levels, the way up and a first layer at full resolution see all phases together.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from hepar.learn.network import UNet, group_norm

_APART = 2
"""Levels at which phases are looked at one by one; the finest and the coarser ones see them together."""


class PhaseMemory(nn.Module):  # type: ignore[misc,unused-ignore]
    """A gated recurrent unit over phases, each voxel on its own."""

    def __init__(self, channels: int, phases: int) -> None:
        super().__init__()
        self.name = nn.Parameter(torch.zeros(phases, channels, 1, 1, 1))
        nn.init.normal_(self.name, std=0.1)
        self.gates = nn.Conv3d(2 * channels, 2 * channels, 1)
        self.news = nn.Conv3d(2 * channels, channels, 1)

    def forward(self, x: torch.Tensor, which: list[int], there: torch.Tensor) -> torch.Tensor:
        """x [n, phases, channels, D, H, W] of the phases `which`; there [n, phases]: 1, or 0 for missing ones.

        The state after the last phase, [n, channels, D, H, W]; zero where none is there.
        """
        state = torch.zeros_like(x[:, 0])
        for place, phase in enumerate(which):
            now = x[:, place] + self.name[phase]
            keep, forget = torch.sigmoid(self.gates(torch.cat([now, state], 1))).chunk(2, 1)
            news = torch.tanh(self.news(torch.cat([now, forget * state], 1)))
            state = state + there[:, place, None, None, None, None].to(state.dtype) * keep * (news - state)
        return state


class PhaseNet(UNet):
    """`UNet` whose encoder sees the phases one by one at its first two levels; same arguments, input and output.

    An input channel that is zero everywhere is a missing phase. inputs: the number of phases.
    """

    def __init__(self, widths: tuple[int, ...], blocks: tuple[int, ...], classes: int, inputs: int) -> None:
        super().__init__(widths, blocks, classes, inputs)
        # Two voxels at once instead of a full-resolution layer per phase: that one would cost more than all the rest.
        self.down[0] = nn.Sequential(
            nn.Conv3d(1, widths[1], 4, stride=2, padding=1, bias=False), group_norm(widths[1]), nn.LeakyReLU(0.01)
        )
        self.memory = nn.ModuleList(PhaseMemory(w, inputs) for w in widths[1 : 1 + _APART])

    def levels(self, image: torch.Tensor, full: torch.Tensor) -> list[torch.Tensor]:
        """Features at a half, a quarter, an eighth and a sixteenth of the resolution."""
        there = image.abs().amax((2, 3, 4)) > 0
        which = list(range(self.inputs))
        if not torch.jit.is_tracing():  # an exported network looks at all phases; the missing ones count nothing
            which = [p for p in which if bool(there[:, p].any())] or which[:1]
            image, there = image[:, which], there[:, which]
        x = image.flatten(0, 1)[:, None]
        skips = []
        for level in range(_APART):
            x = self.encode[level](self.down[level](x))
            apart = x.reshape(-1, len(which), *x.shape[1:])
            skips.append(F.leaky_relu(self.memory[level](apart, which, there), 0.01))
        x = skips[-1]
        for level in range(_APART, len(self.encode)):
            x = self.encode[level](self.down[level](x))
            skips.append(x)
        return skips
