"""How good a model is: masks, detection, scores, calibration, usefulness, agreement, generalisation, fairness.

Takes arrays and gives numbers with intervals; reads no images. Each name is imported where it is first used. Everything
runs in the core environment (numpy and scipy).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hepar.validate.discrimination import auc
    from hepar.validate.interrater import fleiss_kappa
    from hepar.validate.limits import bland_altman
    from hepar.validate.matching import match_lesions
    from hepar.validate.overlap import dice
    from hepar.validate.surfaces import surface_distances
    from hepar.validate.utility import net_benefit

_HOME = {
    "auc": "discrimination",
    "bland_altman": "limits",
    "dice": "overlap",
    "fleiss_kappa": "interrater",
    "match_lesions": "matching",
    "net_benefit": "utility",
    "surface_distances": "surfaces",
}
"""Public name -> the module of this folder that holds it."""

__all__ = [
    "auc", "bland_altman", "dice", "fleiss_kappa", "match_lesions", "net_benefit", "surface_distances",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
