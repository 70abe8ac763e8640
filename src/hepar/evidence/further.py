"""What can be asked for beside the pool of the same table: other programs' numbers, a posterior, other readings."""

from __future__ import annotations

from dataclasses import dataclass

from hepar.evidence.compatibility import Compat
from hepar.evidence.imperfect import Imperfect
from hepar.evidence.nonevaluable import NonEvaluable
from hepar.evidence.posterior import Bayes


@dataclass(frozen=True)
class Further:
    """Parts of `results.json` that are there only when asked for; None or empty otherwise."""

    bayes: Bayes | None = None
    compat: tuple[Compat, ...] = ()
    non_evaluable: NonEvaluable | None = None
    imperfect_reference: Imperfect | None = None
