"""CPU seconds of the meta-analysis on 68 studies: exact fit, the pool with everything, 400 bootstrap fits.

    python benchmarks/evidence_speed.py [TABLE.csv]

Without a table: the simulated one of the tests, of the size of the MVI review.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hepar.evidence.deliver import write_results
from hepar.evidence.fit import fit
from hepar.evidence.intervals import bootstrap
from hepar.evidence.likelihood import bivariate
from hepar.evidence.pooling import pool
from hepar.evidence.table import read_table

SIMULATED = Path(__file__).resolve().parents[1] / "tests" / "evidence" / "reference" / "simulated" / "sim_mvi68.csv"


def seconds(task: Callable[[], object], times: int) -> float:
    """CPU seconds of the quickest of several runs."""
    found = []
    for _ in range(times):
        start = time.process_time()
        task()
        found.append(time.process_time() - start)
    return min(found)


def main() -> None:
    table = read_table(Path(sys.argv[1]) if len(sys.argv) > 1 else SIMULATED)
    problem = bivariate(table.tp, table.n1, table.tn, table.n0)
    fitted = fit(problem)

    def everything() -> None:
        with tempfile.TemporaryDirectory() as folder:
            write_results(pool(table), Path(folder))

    print(f"{table.k} studies")
    print(f"exact fit                     {seconds(lambda: fit(problem), 5):.3f} s")
    print(f"pool with figures and report  {seconds(everything, 2):.2f} s")
    print(f"400 bootstrap fits            {seconds(lambda: bootstrap(fitted, 400), 1):.2f} s")


if __name__ == "__main__":
    main()
