"""Coverage of the 95 % intervals of `pool`: sizes like those of the MVI review, few studies, sparse studies.

    python benchmarks/evidence_coverage.py [REPLICATES]

Each replicate takes set sizes from the review without replacement, draws logits from a bivariate normal distribution
and tables from them, and fits; the true values are known.
Prints coverage of sensitivity, specificity and AUC for t(k - 2) and z intervals. 2,000 replicates take a few minutes
on one core.
"""

from __future__ import annotations

import sys

import numpy as np

from hepar.evidence import quantities as q
from hepar.evidence.fit import covariance_of, fit
from hepar.evidence.intervals import quantile
from hepar.evidence.likelihood import bivariate

SIZES = (
    (143, 80), (105, 253), (15, 29), (26, 28), (16, 26), (63, 71), (64, 74), (25, 28), (20, 38), (82, 130), (37, 74),
    (26, 84), (15, 29), (24, 18), (10, 13), (31, 69), (14, 28), (21, 33), (29, 28), (29, 82), (33, 37), (12, 18),
    (20, 41), (9, 12), (87, 137), (43, 37), (44, 76), (35, 67), (12, 21), (15, 25), (23, 38), (34, 70), (7, 7),
    (7, 7), (152, 140), (327, 251), (166, 184), (11, 74), (99, 73), (21, 19), (22, 18), (31, 48), (28, 65),
    (39, 125), (54, 61), (19, 21), (13, 21), (18, 39), (44, 37), (51, 89), (7, 9), (48, 107), (16, 24), (11, 17),
    (43, 53), (21, 37), (37, 53), (32, 45), (38, 57), (30, 58), (26, 40), (27, 66), (35, 62), (28, 26), (52, 54),
    (86, 80), (26, 53), (21, 29),
)  # fmt: skip
"""Patients with and without microvascular invasion in the 68 validation sets of the review's Table 1 (JMIR
2026;28:e82000, CC BY 4.0)."""
SCENARIOS = {
    # name: k, sensitivity, specificity, standard deviations of the logits, correlation, most people on a side
    "k5": (5, 0.80, 0.82, 0.5, 0.62, 0.02, None), "k10": (10, 0.80, 0.82, 0.5, 0.62, 0.02, None),
    "k20": (20, 0.80, 0.82, 0.5, 0.62, 0.02, None), "k68": (68, 0.80, 0.82, 0.5, 0.62, 0.02, None),
    "sparse12": (12, 0.95, 0.92, 0.5, 0.62, -0.3, 25),
}  # fmt: skip
"""The review's own values; and twelve small sets with high accuracy, where zero cells are common."""


def main() -> None:
    replicates = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print("scenario   used  interval  sensitivity  specificity   AUC   (coverage, %)")
    for name, (k, one, two, s1, s2, rho, most) in SCENARIOS.items():
        truth = np.array([np.log(one / (1 - one)), np.log(two / (1 - two)), s1, rho * s2, np.sqrt(1 - rho**2) * s2])
        target = np.array([truth[0], truth[1], q.logit_auc(truth)[0]])
        generator = np.random.default_rng(20260101)
        factor = np.linalg.cholesky(covariance_of(truth[2:]))
        rows = []
        for _ in range(replicates):
            sizes = np.array(SIZES)[generator.permutation(len(SIZES))[:k]]
            n1, n0 = np.minimum(sizes, most or sizes.max()).T
            p = q.expit(truth[:2] + generator.standard_normal((k, 2)) @ factor.T)
            tp, tn = generator.binomial(n1, p[:, 0]), generator.binomial(n0, p[:, 1])
            if 0 in (tp.sum(), tn.sum(), (n1 - tp).sum(), (n0 - tn).sum()):
                continue
            found = fit(bivariate(tp, n1, tn, n0))
            area = q.logit_auc if found.boundary != "var=0" else q.logit_auc_symmetric
            logit, spread = q.delta(found, area)
            values = np.array([*found.means, logit[0]])
            errors = np.sqrt([*np.diag(found.covariance)[:2], spread[0, 0]])
            rows.append(np.abs(values - target) / errors)
        distance = np.array(rows)
        for interval in ("t", "z"):
            covered = 100 * (distance <= quantile(interval, k)).mean(axis=0)
            shown = f"{covered[0]:>11.1f} {covered[1]:>12.1f} {covered[2]:>8.1f}"
            print(f"{name:<10} {len(rows):>4}  {interval:<8} {shown}", flush=True)


if __name__ == "__main__":
    main()
