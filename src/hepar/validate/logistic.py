"""Logistic regression by Newton's method, without penalty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hepar.errors import WrongCall
from hepar.validate.inputs import Bools, Floats


@dataclass(frozen=True, eq=False)
class LogisticFit:
    """Coefficients, their covariance, and the log-likelihood."""

    coefficients: Floats
    covariance: Floats
    loglik: float


def logistic(design: Floats, positive: Bools, *, offset: Floats | None = None) -> LogisticFit:
    """Maximum likelihood. design: cases x terms (with its own column of ones). Raises WrongCall when it diverges."""
    y, shift = positive.astype(np.float64), np.zeros(positive.size) if offset is None else offset
    beta = np.zeros(design.shape[1])
    last = loglik(shift + design @ beta, y)
    for _ in range(100):
        eta = shift + design @ beta
        p = 1.0 / (1.0 + np.exp(-np.clip(eta, -700, 700)))
        information = (design * (p * (1 - p))[:, None]).T @ design
        try:
            step = np.linalg.solve(information, design.T @ (y - p))
        except np.linalg.LinAlgError as error:
            raise _separated() from error
        for _ in range(30):
            new = loglik(shift + design @ (beta + step), y)
            if new >= last - 1e-12 * abs(last):
                break
            step = step / 2
        beta = beta + step
        if float(np.abs(step).max()) < 1e-12 * (1.0 + float(np.abs(beta).max())):
            return LogisticFit(beta, np.linalg.inv(information), new)
        if float(np.abs(shift + design @ beta).max()) > 500:
            raise _separated()
        last = new
    return LogisticFit(beta, np.linalg.inv(information), last)


def loglik(eta: Floats, y: Floats) -> float:
    """Bernoulli log-likelihood of log odds."""
    return float(y @ eta - np.logaddexp(0.0, eta).sum())


def _separated() -> WrongCall:
    return WrongCall("the classes are perfectly separated or the terms repeat each other, so the regression has no "
                     "solution; more cases, or fewer terms, are needed")  # fmt: skip
