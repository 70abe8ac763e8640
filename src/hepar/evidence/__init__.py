"""What the literature says: meta-analysis of diagnostic accuracy.

Each name is imported where it is first used, so that the command line starts without scipy and matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hepar.evidence.comparison import Compared, compare
    from hepar.evidence.compatibility import Compat, compat
    from hepar.evidence.deliver import write_comparison, write_results
    from hepar.evidence.impute import Imputed, pool_imputed
    from hepar.evidence.pooling import pool
    from hepar.evidence.posterior import Bayes, Priors, bayes
    from hepar.evidence.reconstruct import Reported, Solution, read_reported, solve
    from hepar.evidence.result import Result
    from hepar.evidence.table import Table, read_table

_HOME = {
    "Bayes": "posterior",
    "Priors": "posterior",
    "bayes": "posterior",
    "Compared": "comparison",
    "Compat": "compatibility",
    "Imputed": "impute",
    "Reported": "reconstruct",
    "Result": "result",
    "Solution": "reconstruct",
    "Table": "table",
    "compare": "comparison",
    "compat": "compatibility",
    "pool": "pooling",
    "pool_imputed": "impute",
    "read_reported": "reconstruct",
    "read_table": "table",
    "solve": "reconstruct",
    "write_comparison": "deliver",
    "write_results": "deliver",
}
"""Public name -> the module of this folder that holds it."""

__all__ = [
    "Bayes", "Compared", "Compat", "Imputed", "Priors", "Reported", "Result", "Solution", "Table", "bayes", "compare",
    "compat", "pool", "pool_imputed", "read_reported", "read_table", "solve", "write_comparison", "write_results",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
