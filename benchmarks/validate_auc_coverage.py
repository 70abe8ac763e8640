"""How often the intervals of `auc` hold the true area: binormal scores, areas 0.75 to 0.95, n 50 to 500.

    python benchmarks/validate_auc_coverage.py [REPLICATES]      default 4000

The classes are of fixed size. Prints one line per setting: coverage of both intervals, and how often nothing could be
drawn because the separation was perfect.
"""

import sys

import numpy as np
from scipy.special import ndtri

from hepar.validate import auc

METHODS = ("logit-delong", "delong")


def main(replicates: int) -> None:
    print(f"{replicates} replicates\n area  prev    n  " + "  ".join(f"{m:>12}" for m in METHODS) + "  perfect")
    for area in (0.75, 0.85, 0.95):
        shift = np.sqrt(2.0) * ndtri(area)
        for prevalence in (0.2, 0.5):
            for n in (50, 100, 500):
                truth = np.arange(n) < round(prevalence * n)
                random = np.random.default_rng([int(100 * area), int(10 * prevalence), n])
                held, perfect = dict.fromkeys(METHODS, 0), 0
                for _ in range(replicates):
                    score = random.normal(size=n) + shift * truth
                    for method in METHODS:
                        found = auc(truth, score, method=method)
                        held[method] += found.low <= area <= found.high
                    perfect += found.estimate == 1.0
                shares = "  ".join(f"{held[m] / replicates:12.4f}" for m in METHODS)
                print(f"{area:5.2f} {prevalence:5.1f} {n:4d}  {shares}  {perfect / replicates:7.4f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000)
