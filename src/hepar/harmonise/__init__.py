"""Step 2: put the other phases onto the reference, and say how well that went."""

from hepar.harmonise.align import align, identity
from hepar.harmonise.grid import liver_box
from hepar.harmonise.register import register
from hepar.harmonise.residual import refusal
from hepar.harmonise.settings import HarmoniseSettings

__all__ = ["HarmoniseSettings", "align", "identity", "liver_box", "refusal", "register"]
