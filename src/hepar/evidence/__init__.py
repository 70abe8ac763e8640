"""What the literature says: meta-analysis of diagnostic accuracy.

Each name is imported where it is first used, so that the command line starts without scipy and matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hepar.evidence.arms import Network, network
    from hepar.evidence.comparison import Compared, compare
    from hepar.evidence.compatibility import Compat, compat
    from hepar.evidence.cutoffs import Thresholds, thresholds
    from hepar.evidence.deliver import write_comparison, write_network, write_results, write_thresholds
    from hepar.evidence.further import Further
    from hepar.evidence.imperfect import Imperfect, imperfect_reference
    from hepar.evidence.impute import Imputed, pool_imputed
    from hepar.evidence.nonevaluable import NonEvaluable, non_evaluable
    from hepar.evidence.pooling import pool
    from hepar.evidence.posterior import Bayes, Priors, bayes
    from hepar.evidence.reconstruct import Reported, Solution, read_reported, solve
    from hepar.evidence.result import Result
    from hepar.evidence.table import Table, read_table

_HOME = {
    "Bayes": "posterior",
    "Compared": "comparison",
    "Compat": "compatibility",
    "Further": "further",
    "Imperfect": "imperfect",
    "Imputed": "impute",
    "Network": "arms",
    "NonEvaluable": "nonevaluable",
    "Priors": "posterior",
    "Reported": "reconstruct",
    "Result": "result",
    "Solution": "reconstruct",
    "Table": "table",
    "Thresholds": "cutoffs",
    "bayes": "posterior",
    "compare": "comparison",
    "compat": "compatibility",
    "imperfect_reference": "imperfect",
    "network": "arms",
    "non_evaluable": "nonevaluable",
    "pool": "pooling",
    "pool_imputed": "impute",
    "read_reported": "reconstruct",
    "read_table": "table",
    "solve": "reconstruct",
    "thresholds": "cutoffs",
    "write_comparison": "deliver",
    "write_network": "deliver",
    "write_results": "deliver",
    "write_thresholds": "deliver",
}
"""Public name -> the module of this folder that holds it."""

__all__ = [
    "Bayes", "Compared", "Compat", "Further", "Imperfect", "Imputed", "Network", "NonEvaluable", "Priors", "Reported",
    "Result", "Solution", "Table", "Thresholds", "bayes", "compare", "compat", "imperfect_reference", "network",
    "non_evaluable", "pool", "pool_imputed", "read_reported", "read_table", "solve", "thresholds", "write_comparison",
    "write_network", "write_results", "write_thresholds",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
