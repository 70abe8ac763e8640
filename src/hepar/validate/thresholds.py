"""A score read as yes or no: the two-by-two table, how to choose the threshold, and McNemar's test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.inputs import classes, paired, quantile, same_length
from hepar.validate.proportion import proportion


@dataclass(frozen=True)
class TwoByTwo:
    """Counts of a test against the truth. `method` names the interval of shares, see `proportion`."""

    tp: int
    fp: int
    fn: int
    tn: int
    method: str = "wilson"
    level: float = 0.95

    @property
    def sensitivity(self) -> Estimate:
        """Positive tests among the diseased."""
        return self._share(self.tp, self.tp + self.fn, "no positive case")

    @property
    def specificity(self) -> Estimate:
        """Negative tests among the healthy."""
        return self._share(self.tn, self.tn + self.fp, "no negative case")

    @property
    def ppv(self) -> Estimate:
        """Diseased among the positive tests, at the prevalence of these cases."""
        return self._share(self.tp, self.tp + self.fp, "no positive test")

    @property
    def npv(self) -> Estimate:
        """Healthy among the negative tests, at the prevalence of these cases."""
        return self._share(self.tn, self.tn + self.fn, "no negative test")

    @property
    def accuracy(self) -> Estimate:
        """Right tests among all."""
        return self._share(self.tp + self.tn, self.tp + self.fp + self.fn + self.tn, "no case")

    @property
    def lr_positive(self) -> Estimate:
        """sensitivity / (1 - specificity), interval on the log scale (Simel 1991)."""
        return self._ratio(self.tp, self.tp + self.fn, self.fp, self.fp + self.tn)

    @property
    def lr_negative(self) -> Estimate:
        """(1 - sensitivity) / specificity, interval on the log scale."""
        return self._ratio(self.fn, self.tp + self.fn, self.tn, self.fp + self.tn)

    @property
    def odds_ratio(self) -> Estimate:
        """Diagnostic odds ratio, tp tn / (fp fn), Woolf's interval."""
        if min(self.tp, self.fp, self.fn, self.tn) == 0:
            return Estimate.cannot_tell("a count of the table is 0")
        value = self.tp * self.tn / (self.fp * self.fn)
        return self._log(value, 1 / self.tp + 1 / self.fp + 1 / self.fn + 1 / self.tn)

    @property
    def f1(self) -> float | None:
        """2 tp / (2 tp + fp + fn); None where nothing is positive."""
        bottom = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / bottom if bottom else None

    @property
    def mcc(self) -> float | None:
        """Matthews' correlation; None where a row or column of the table is empty."""
        sides = (self.tp + self.fp, self.tp + self.fn, self.tn + self.fp, self.tn + self.fn)
        if min(sides) == 0:
            return None
        return float((self.tp * self.tn - self.fp * self.fn) / np.sqrt(np.prod([float(v) for v in sides])))

    @property
    def youden(self) -> float | None:
        """sensitivity + specificity - 1."""
        sens, spec = self.sensitivity.estimate, self.specificity.estimate
        return None if sens is None or spec is None else sens + spec - 1.0

    @property
    def balanced_accuracy(self) -> float | None:
        """(sensitivity + specificity) / 2."""
        return None if self.youden is None else (self.youden + 1.0) / 2.0

    def _share(self, x: int, n: int, why: str) -> Estimate:
        return proportion(x, n, method=self.method, level=self.level, why_none=why)

    def _ratio(self, a: int, m: int, b: int, n: int) -> Estimate:
        if min(a, b) == 0 or m == 0 or n == 0:
            return Estimate.cannot_tell("a count of the table is 0")
        return self._log((a / m) / (b / n), 1 / a - 1 / m + 1 / b - 1 / n)

    def _log(self, value: float, variance: float) -> Estimate:
        half = quantile(self.level) * float(np.sqrt(variance))
        return Estimate(value, value * float(np.exp(-half)), value * float(np.exp(half)), self.level, "log, wald")


def at_threshold(
    truth: ArrayLike, score: ArrayLike, threshold: float, *, method: str = "wilson", level: float = 0.95
) -> TwoByTwo:
    """The table of a test that is positive when score >= threshold."""
    positive, values = paired(truth, score)
    test = values >= threshold
    tp, fp = int(np.count_nonzero(test & positive)), int(np.count_nonzero(test & ~positive))
    n_pos = int(positive.sum())
    return TwoByTwo(tp, fp, n_pos - tp, positive.size - n_pos - fp, method, level)


def choose_threshold(
    truth: ArrayLike, score: ArrayLike, *, rule: str = "youden", sensitivity: float | None = None
) -> float:
    """A threshold from these cases, half way between two neighbouring scores; apply it to other cases.

    rule: "youden" (largest sensitivity + specificity; the highest such threshold), or "sensitivity" (the highest
    threshold that reaches `sensitivity`). A threshold judged on the cases that chose it looks better than it is.
    """
    positive, values = paired(truth, score)
    n_pos = int(positive.sum())
    if n_pos in (0, positive.size):
        raise WrongCall("all cases are of one class; needed: both, to choose a threshold")
    levels = np.unique(values)
    if levels.size == 1:
        raise WrongCall(f"all scores are {levels[0]:g}; needed: at least two different ones, to choose a threshold")
    cuts = np.concatenate(([levels[0]], (levels[1:] + levels[:-1]) / 2.0))
    high, low = np.sort(values[positive]), np.sort(values[~positive])
    sens = 1.0 - np.searchsorted(high, cuts, "left") / high.size
    spec = np.searchsorted(low, cuts, "left") / low.size
    if rule == "youden":
        best = np.flatnonzero(sens + spec >= (sens + spec).max() - 1e-12)
        return float(cuts[best[-1]])
    if rule == "sensitivity" and sensitivity is not None and 0.0 < sensitivity <= 1.0:
        return float(cuts[np.flatnonzero(sens >= sensitivity - 1e-12)[-1]])
    raise WrongCall(
        f"rule {rule!r} with sensitivity {sensitivity}; needed: youden, or sensitivity with a value in 0..1"
    )


@dataclass(frozen=True)
class McNemar:
    """b, c: cases that only the first, only the second test got right. p values of its four forms."""

    b: int
    c: int
    chi2: float | None
    p: float | None
    chi2_corrected: float | None
    p_corrected: float | None
    p_exact: float
    p_mid: float


def mcnemar(truth: ArrayLike, first: ArrayLike, second: ArrayLike) -> McNemar:
    """Two yes-or-no tests on the same cases: do they err on different numbers of them?"""
    right = classes(truth)
    one, other = classes(first), classes(second)
    same_length(right.size, one.size, "the truth", "the first test")
    same_length(right.size, other.size, "the truth", "the second test")
    one_right, other_right = one == right, other == right
    return mcnemar_counts(int((one_right & ~other_right).sum()), int((~one_right & other_right).sum()))


def mcnemar_counts(b: int, c: int) -> McNemar:
    """As `mcnemar`, from the two discordant counts. No discordant case: p is 1 and chi-square has no value."""
    from scipy.stats import binom, chi2

    n = b + c
    if n == 0:
        return McNemar(b, c, None, None, None, None, 1.0, 1.0)
    plain, corrected = (b - c) ** 2 / n, max(abs(b - c) - 1, 0) ** 2 / n
    tail = float(binom.cdf(min(b, c), n, 0.5))
    exact = min(1.0, 2.0 * tail)
    mid = (
        min(1.0, 2.0 * tail - float(binom.pmf(min(b, c), n, 0.5))) if b != c else 1.0 - float(binom.pmf(b, n, 0.5)) / 2
    )
    return McNemar(b, c, plain, float(chi2.sf(plain, 1)), corrected, float(chi2.sf(corrected, 1)), exact, mid)
