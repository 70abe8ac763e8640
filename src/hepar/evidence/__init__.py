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
    from hepar.evidence.paper_deliver import write_paper
    from hepar.evidence.paper_review import Paper, paper
    from hepar.evidence.pooling import pool
    from hepar.evidence.posterior import Bayes, Priors, bayes
    from hepar.evidence.prisma import Flow, read_flow
    from hepar.evidence.quality_deliver import write_quality
    from hepar.evidence.quality_summary import Quality, quality
    from hepar.evidence.quality_table import read_quality
    from hepar.evidence.reconstruct import Reported, Solution, read_reported, solve
    from hepar.evidence.result import Result
    from hepar.evidence.table import Table, read_table

_HOME = {
    "Bayes": "posterior",
    "Compared": "comparison",
    "Compat": "compatibility",
    "Flow": "prisma",
    "Further": "further",
    "Imperfect": "imperfect",
    "Imputed": "impute",
    "Network": "arms",
    "NonEvaluable": "nonevaluable",
    "Paper": "paper_review",
    "Priors": "posterior",
    "Quality": "quality_summary",
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
    "paper": "paper_review",
    "pool": "pooling",
    "pool_imputed": "impute",
    "quality": "quality_summary",
    "read_flow": "prisma",
    "read_quality": "quality_table",
    "read_reported": "reconstruct",
    "read_table": "table",
    "solve": "reconstruct",
    "thresholds": "cutoffs",
    "write_comparison": "deliver",
    "write_network": "deliver",
    "write_paper": "paper_deliver",
    "write_quality": "quality_deliver",
    "write_results": "deliver",
    "write_thresholds": "deliver",
}
"""Public name -> the module of this folder that holds it."""

__all__ = [
    "Bayes", "Compared", "Compat", "Flow", "Further", "Imperfect", "Imputed", "Network", "NonEvaluable", "Paper",
    "Priors", "Quality", "Reported", "Result", "Solution", "Table", "Thresholds", "bayes", "compare", "compat",
    "imperfect_reference", "network", "non_evaluable", "paper", "pool", "pool_imputed", "quality", "read_flow",
    "read_quality", "read_reported", "read_table", "solve", "thresholds", "write_comparison", "write_network",
    "write_paper", "write_quality", "write_results", "write_thresholds",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
