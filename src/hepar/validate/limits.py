"""Two ways to measure the same quantity: Bland and Altman's limits of agreement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hepar.record import Estimate
from hepar.validate.inputs import Floats, numbers, quantile, same_length


@dataclass(frozen=True, eq=False)
class BlandAltman:
    """bias: mean of a - b. limits_of_agreement: lower and upper, bias -/+ z sd. means, differences: one per case."""

    bias: Estimate
    limits_of_agreement: tuple[Estimate, Estimate]
    standard_deviation: float
    means: Floats
    differences: Floats


def bland_altman(a: ArrayLike, b: ArrayLike, *, level: float = 0.95) -> BlandAltman:
    """Bias and limits of agreement of two measurements of the same cases (differences a - b).

    The limits use the normal quantile (bias -/+ 1.96 sd for 0.95); the intervals of bias and limits use Student's t
    with variance sd2/n and sd2 (1/n + z2 / (2 (n - 1))). One case: a bias without limits.
    Source: Bland and Altman, Stat Methods Med Res 1999.
    """
    one, other = numbers(a, "the first measurement"), numbers(b, "the second measurement")
    same_length(one.size, other.size, "the first measurement", "the second measurement")
    differences, n = one - other, one.size
    bias = float(differences.mean())
    means = (one + other) / 2.0
    if n < 2:
        none = Estimate.cannot_tell("one case; limits of agreement need at least two")
        return BlandAltman(Estimate(bias), (none, none), 0.0, means, differences)
    from scipy.stats import t

    spread, z, student = float(differences.std(ddof=1)), quantile(level), float(t.ppf(0.5 + level / 2.0, n - 1))
    of_bias = student * spread / np.sqrt(n)
    of_limit = student * spread * np.sqrt(1.0 / n + z * z / (2.0 * (n - 1)))
    ends = [
        Estimate(end, float(end - of_limit), float(end + of_limit), level, "Bland and Altman 1999, t")
        for end in (bias - z * spread, bias + z * spread)
    ]
    centre = Estimate(bias, float(bias - of_bias), float(bias + of_bias), level, "t")
    return BlandAltman(centre, (ends[0], ends[1]), spread, means, differences)
