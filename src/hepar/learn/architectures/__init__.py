"""The networks that one trainer can train, side by side: `build` makes one by its name in the recipe.

All take [n, inputs, D, H, W] with sides that are multiples of 16 and answer with logits [n, classes, D, H, W]; in
training mode also with those at half resolution. docs/reference/architectures.md compares them.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from hepar.errors import WrongCall
from hepar.learn.architectures.hybrid import Hybrid
from hepar.learn.architectures.phases import PhaseNet
from hepar.learn.architectures.plain import Plain
from hepar.learn.architectures.transformer import TransformerUNet
from hepar.learn.network import UNet

__all__ = ["ARCHITECTURES", "Hybrid", "PhaseNet", "Plain", "TransformerUNet", "build"]

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "residual": UNet,
    "hybrid": Hybrid,
    "transformer": TransformerUNet,
    "phases": PhaseNet,
    "plain": Plain,
}
"""Name in the recipe -> network."""


def build(name: str, widths: tuple[int, ...], blocks: tuple[int, ...], *, classes: int, inputs: int) -> nn.Module:
    """An untrained network.

    widths: channels at full resolution and at a half, a quarter, an eighth and a sixteenth of it. blocks: how often the
    network's building block stands in the encoder at each of the last four. Raises WrongCall for an unknown name.
    """
    if name not in ARCHITECTURES:
        raise WrongCall(f"architecture {name!r}; needed one of {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name](widths, blocks, classes=classes, inputs=inputs)
