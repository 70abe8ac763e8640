"""Whether acting on a model does more good than acting on everybody or nobody: decision curves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.inputs import Bools, Floats, numbers, quantile, risks


@dataclass(frozen=True, eq=False)
class NetBenefit:
    """A decision curve: arrays with one value per threshold.

    model, treat_all, treat_none: net benefit per patient (true positives less false positives times the odds of
    the threshold). model_low, model_high: interval of `model`. interventions_avoided: per patient against treating all,
    with no more missed. over_all_low, over_all_high: interval of model - treat_all. tp_rate, fp_rate: per patient.
    """

    thresholds: Floats
    model: Floats
    treat_all: Floats
    treat_none: Floats
    model_low: Floats
    model_high: Floats
    over_all_low: Floats
    over_all_high: Floats
    interventions_avoided: Floats
    tp_rate: Floats
    fp_rate: Floats
    level: float

    def helps(self, *, surely: bool = False) -> tuple[tuple[float, float], ...]:
        """Ranges of neighbouring thresholds where the model beats treating all and treating nobody.

        surely: the whole interval of both differences must lie above 0, not just the estimate.
        """
        if surely:
            good = (self.model_low > 0.0) & (self.over_all_low > 0.0)
        else:
            good = (self.model > 0.0) & (self.model > self.treat_all)
        ranges: list[tuple[float, float]] = []
        start: int | None = None
        for i, one in enumerate([*good.tolist(), False]):
            if one and start is None:
                start = i
            elif not one and start is not None:
                ranges.append((float(self.thresholds[start]), float(self.thresholds[i - 1])))
                start = None
        return tuple(ranges)


def net_benefit(
    truth: ArrayLike, risk: ArrayLike, thresholds: ArrayLike, *, prevalence: float | None = None, level: float = 0.95
) -> NetBenefit:
    """Decision curve of a risk for a yes-or-no outcome.

    risk: probability per case; acted on when risk >= threshold. thresholds: inside 0 to 1, any order kept.
    prevalence: weight the classes to this share (for case-control samples); None takes that of the cases.
    Intervals: normal, from the spread of the patients' contributions. Source: Vickers and Elkin 2006; dcurves.
    """
    positive, values = risks(truth, risk)
    cuts = _cuts(thresholds)
    seen = float(positive.mean())
    if prevalence is not None and not 0.0 < prevalence < 1.0:
        raise WrongCall(f"the prevalence is {prevalence:g}; needed: between 0 and 1")
    if prevalence is not None and seen in (0.0, 1.0):
        raise WrongCall("all cases are of one class, so they cannot be weighted to a prevalence; leave prevalence out")
    share = seen if prevalence is None else prevalence
    weight_pos = share / seen if seen > 0 else 0.0
    weight_neg = (1.0 - share) / (1.0 - seen) if seen < 1 else 0.0
    high_pos, high_neg = np.sort(values[positive]), np.sort(values[~positive])
    n = positive.size
    tp = (high_pos.size - np.searchsorted(high_pos, cuts, "left")) / n * weight_pos
    fp = (high_neg.size - np.searchsorted(high_neg, cuts, "left")) / n * weight_neg
    odds = cuts / (1.0 - cuts)
    model, treat_all = tp - fp * odds, share - (1.0 - share) * odds
    # a patient's contribution is weight_pos, -weight_neg * odds or 0, so its variance follows from the two rates
    z = quantile(level)
    spread = z * _deviation(tp * weight_pos + fp * weight_neg * odds**2, model, n)
    gap = model - treat_all
    missed, spared = share - tp, (1.0 - share) - fp
    spread_gap = z * _deviation(missed * weight_pos + spared * weight_neg * odds**2, gap, n)
    return NetBenefit(
        cuts, model, treat_all, np.zeros(cuts.size), model - spread, model + spread, gap - spread_gap, gap + spread_gap,
        gap / odds, tp, fp, level,
    )  # fmt: skip


def _cuts(thresholds: ArrayLike) -> Floats:
    cuts = numbers(np.atleast_1d(np.asarray(thresholds, dtype=np.float64)), "the thresholds")
    if cuts.size == 0 or cuts.min() <= 0.0 or cuts.max() >= 1.0:
        raise WrongCall("a threshold lies outside 0 to 1, or there is none; needed: probabilities above 0 and below 1")
    return cuts


def _deviation(mean_square: Floats, mean: Floats, n: int) -> Floats:
    return np.sqrt(np.maximum(mean_square - mean**2, 0.0) / max(n - 1, 1))


def net_benefit_survival(
    time: ArrayLike, event: ArrayLike, risk: ArrayLike, thresholds: ArrayLike, *, at: float
) -> NetBenefit:
    """Decision curve of a risk of an event by the time `at`, censored cases included through Kaplan and Meier.

    risk: probability of the event by `at`. Intervals are not given here (the arrays hold NaN): bootstrap them.
    A threshold where those acted on are not followed as long as `at` has NaN. Source: Vickers 2008; dcurves.
    """
    from hepar.validate.survival import followed, kaplan_meier

    times, events = followed(time, event)
    _, values = risks(events, risk)
    cuts = _cuts(thresholds)

    def survival(who: Bools) -> float:
        if float(times[who].max()) < at and not bool(events[who][times[who] == times[who].max()].all()):
            return float("nan")
        return kaplan_meier(times[who], events[who]).at(at)

    share = 1.0 - survival(np.ones(times.size, dtype=np.bool_))
    tp, fp = np.zeros(cuts.size), np.zeros(cuts.size)
    for i, cut in enumerate(cuts):
        who = values >= cut
        if who.any():
            left = survival(who)
            tp[i], fp[i] = (1.0 - left) * who.mean(), left * who.mean()
    odds = cuts / (1.0 - cuts)
    model, treat_all, none = tp - fp * odds, share - (1.0 - share) * odds, np.full(cuts.size, np.nan)
    avoided = (model - treat_all) / odds
    return NetBenefit(cuts, model, treat_all, np.zeros(cuts.size), none, none, none, none, avoided, tp, fp, 0.95)


@dataclass(frozen=True)
class PostTest:
    """Chance of disease after a positive and after a negative test."""

    prior: float
    after_positive: Estimate
    after_negative: Estimate


def post_test(prior: float, lr_positive: Estimate, lr_negative: Estimate) -> PostTest:
    """Fagan's nomogram: odds before the test times the likelihood ratio; the intervals carry over from the ratios."""
    if not 0.0 < prior < 1.0:
        raise WrongCall(f"the chance before the test is {prior:g}; needed: between 0 and 1")
    odds = prior / (1.0 - prior)

    def chance(ratio: float) -> float:
        return odds * ratio / (1.0 + odds * ratio)

    def carry(ratio: Estimate) -> Estimate:
        if ratio.estimate is None:
            return Estimate.cannot_tell(ratio.missing)
        if ratio.low is None or ratio.high is None:
            return Estimate(chance(ratio.estimate))
        return Estimate(chance(ratio.estimate), chance(ratio.low), chance(ratio.high), ratio.level, ratio.method)

    return PostTest(prior, carry(lr_positive), carry(lr_negative))
