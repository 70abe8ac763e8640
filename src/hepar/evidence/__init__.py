"""What the literature says: meta-analysis of diagnostic accuracy.

Each name is imported where it is first used, so that the command line starts without scipy and matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hepar.evidence.bayes import Bayes, Priors, bayes
    from hepar.evidence.compare import Compared, compare
    from hepar.evidence.compat import Compat, compat
    from hepar.evidence.deliver import write_comparison, write_results
    from hepar.evidence.impute import Imputed, pool_imputed
    from hepar.evidence.pool import pool
    from hepar.evidence.reconstruct import Reported, Solution, read_reported, solve
    from hepar.evidence.result import Result
    from hepar.evidence.table import Table, read_table

_HOME = {
    "Bayes": "bayes",
    "Priors": "bayes",
    "bayes": "bayes",
    "Compared": "compare",
    "Compat": "compat",
    "Imputed": "impute",
    "Reported": "reconstruct",
    "Result": "result",
    "Solution": "reconstruct",
    "Table": "table",
    "compare": "compare",
    "compat": "compat",
    "pool": "pool",
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
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    # a verb and its module share a name; the verb is what the folder exports
    globals()[name] = value
    return value
