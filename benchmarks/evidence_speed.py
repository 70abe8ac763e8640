"""CPU seconds of the meta-analysis on 68 studies: exact fit, the pool with everything, 400 bootstrap fits.

    python benchmarks/evidence_speed.py [TABLE.csv]

Without a table: the simulated one of the tests, of the size of the MVI review. Where R with lme4 is installed its
Laplace fit of the same table is timed in the same run, and GLMMadaptive's 21-point fit where that is installed.
"""

from __future__ import annotations

import subprocess
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


R_SCRIPT = """
suppressMessages(library(lme4))
d <- read.csv(commandArgs(TRUE)[1]); k <- nrow(d)
long <- data.frame(study = factor(rep(seq_len(k), 2)), sens = rep(1:0, each = k), spec = rep(0:1, each = k),
                   x = c(d$TP, d$TN), n = c(d$TP + d$FN, d$TN + d$FP))
quickest <- function(f, times) min(sapply(seq_len(times), function(i) { t <- system.time(f()); t[1] + t[2] }))
laplace <- function() suppressMessages(glmer(cbind(x, n - x) ~ 0 + sens + spec + (0 + sens + spec | study),
                                             data = long, family = binomial))
cat("laplace", quickest(laplace, 5), "\\n")
if (requireNamespace("GLMMadaptive", quietly = TRUE)) {
  adaptive <- function() GLMMadaptive::mixed_model(cbind(x, n - x) ~ 0 + sens + spec, ~ 0 + sens + spec | study,
                                                   data = long, family = binomial(), nAGQ = 21)
  cat("agq21", quickest(adaptive, 2), "\\n")
}
"""
"""The Cochrane Handbook's call of lme4; CPU seconds of the quickest of five fits, without R's start."""


def in_r(path: Path) -> dict[str, float]:
    """Name and CPU seconds of R's fits of the table; empty without R or lme4."""
    try:
        run = subprocess.run(
            ["Rscript", "-e", R_SCRIPT, str(path)], capture_output=True, text=True, timeout=600, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return {name: float(value) for name, value in (line.split() for line in run.stdout.splitlines() if line.strip())}


def seconds(task: Callable[[], object], times: int) -> float:
    """CPU seconds of the quickest of several runs."""
    found = []
    for _ in range(times):
        start = time.process_time()
        task()
        found.append(time.process_time() - start)
    return min(found)


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else SIMULATED
    table = read_table(path)
    problem = bivariate(table.tp, table.n1, table.tn, table.n0)
    fitted = fit(problem)

    def everything() -> None:
        with tempfile.TemporaryDirectory() as folder:
            write_results(pool(table), Path(folder))

    print(f"{table.k} studies")
    exact = seconds(lambda: fit(problem), 5)
    print(f"exact fit                     {exact:.3f} s")
    theirs = in_r(path)
    if "laplace" in theirs:
        print(f"lme4, Laplace                 {theirs['laplace']:.3f} s, {theirs['laplace'] / exact:.1f} times ours")
    else:
        print("lme4, Laplace                 R with lme4 is not installed here")
    if "agq21" in theirs:
        print(f"GLMMadaptive, 21 points       {theirs['agq21']:.3f} s, {theirs['agq21'] / exact:.1f} times ours")
    else:
        print("GLMMadaptive, 21 points       not installed here; 3.2 s when the reference numbers were made")
    print(f"pool with figures and report  {seconds(everything, 2):.2f} s")
    print(f"400 bootstrap fits            {seconds(lambda: bootstrap(fitted, 400), 1):.2f} s")


if __name__ == "__main__":
    main()
