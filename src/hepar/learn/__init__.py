"""Train, export and judge the built-in network: `hepar learn` (extra `learn`)."""

from __future__ import annotations

from hepar.learn.classes import CLASS_NAMES, LESION_CLASS, LIVER_CLASSES
from hepar.learn.recipe import Recipe, read_recipe

__all__ = ["CLASS_NAMES", "LESION_CLASS", "LIVER_CLASSES", "Recipe", "read_recipe"]
