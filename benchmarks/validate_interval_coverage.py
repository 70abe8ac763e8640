"""How often the intervals of hepar.validate hold the truth, for every measure but the plain AUC (see
validate_auc_coverage.py).

    python benchmarks/validate_interval_coverage.py [REPLICATES] [PART ...]      default 1000, all parts

Each part draws samples from a model whose true value is known (in closed form, or from millions of draws) and counts
the 95 % intervals that hold it; seeds are fixed. Calibration curves run a quarter of the replicates, counts four times
as many. One Markdown row per interval: coverage, its Monte-Carlo error, and how many samples gave no interval
(they are not counted).
"""

import sys
from collections.abc import Callable, Iterator

import numpy as np
from scipy.special import expit, ndtr, ndtri
from scipy.stats import norm

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate import auc, bland_altman, fleiss_kappa, net_benefit
from hepar.validate.bootstrap import of_sums, ratio
from hepar.validate.calibration import calibration, calibration_curve
from hepar.validate.cox import cox
from hepar.validate.discrimination import compare_paired, compare_unpaired
from hepar.validate.froc import Marks, afroc, luna_mean, marks
from hepar.validate.icc import icc
from hepar.validate.interrater import gwet_ac1
from hepar.validate.kappa import kappa_of_table
from hepar.validate.mrmc import mrmc
from hepar.validate.multiclass import hand_till
from hepar.validate.proportion import clustered, difference, proportion
from hepar.validate.reclassification import idi, nri
from hepar.validate.roc import partial_auc
from hepar.validate.survival import at_time, concordance, kaplan_meier
from hepar.validate.thresholds import TwoByTwo

Rows = dict[str, tuple[float, Estimate]]
"""Name of an interval -> the true value, and one sample's estimate."""


def shares(r: np.random.Generator, n: int, share: float) -> Rows:
    x = int(r.binomial(n, share))
    return {method: (share, proportion(x, n, method=method)) for method in ("wilson", "clopper-pearson", "jeffreys")}


def table(r: np.random.Generator, n: int, prevalence: float) -> Rows:
    """A test of sensitivity 0.85 and specificity 0.80 on n cases."""
    sens, spec = 0.85, 0.80
    sick = int(r.binomial(n, prevalence))
    tp, tn = int(r.binomial(sick, sens)), int(r.binomial(n - sick, spec))
    found = TwoByTwo(tp, n - sick - tn, sick - tp, tn)
    positive = sens * prevalence + (1 - spec) * (1 - prevalence)
    return {
        "LR+": (sens / (1 - spec), found.lr_positive), "LR-": ((1 - sens) / spec, found.lr_negative),
        "odds ratio": (sens * spec / ((1 - sens) * (1 - spec)), found.odds_ratio),
        "PPV": (sens * prevalence / positive, found.ppv),
        "NPV": (spec * (1 - prevalence) / (1 - positive), found.npv),
        "difference of two shares": (
            sens - spec, difference(int(r.binomial(n, sens)), n, int(r.binomial(n, spec)), n)),
    }  # fmt: skip


def two_scores(r: np.random.Generator, n: int) -> Rows:
    """Binormal areas 0.85 and 0.78, correlation 0.5, prevalence 0.3."""
    truth = np.arange(n) < round(0.3 * n)
    shared = r.normal(size=n)
    a, b = (np.sqrt(0.5) * (shared + r.normal(size=n)) + np.sqrt(2) * ndtri(v) * truth for v in (0.85, 0.78))
    other = r.normal(size=n) + np.sqrt(2) * ndtri(0.78) * truth
    part = partial_auc(truth, a, lowest_specificity=0.9)
    return {
        "paired difference of AUCs": (0.07, compare_paired(truth, a, b).difference),
        "unpaired difference of AUCs": (0.07, compare_unpaired(truth, a, truth, other).difference),
        "partial AUC, specificity over 0.9": (PARTIAL, part.raw),
        "partial AUC, sensitivity over 0.8": (PARTIAL_SENS, partial_auc(truth, a, lowest_sensitivity=0.8).raw),
    }


def _binormal_part(end: float) -> tuple[float, float]:
    u = (np.arange(200_000) + 0.5) / 200_000 * end
    shift = np.sqrt(2) * ndtri(0.85)
    return float(ndtr(shift + ndtri(u)).mean() * end), float(ndtr(shift - norm.ppf(1 - u)).mean() * end)


PARTIAL, PARTIAL_SENS = _binormal_part(0.1)[0], _binormal_part(0.2)[1]


def patients(r: np.random.Generator, k: int) -> Rows:
    """k patients with 1 to 6 lesions; truths, scores and hits of a patient have a part in common (correlation 0.5)."""
    size = r.integers(1, 7, k)
    of = np.repeat(np.arange(k), size)
    own = r.normal(size=k)[of]
    score = np.sqrt(0.5) * (own + r.normal(size=of.size))
    truth = r.normal(size=k)[of] + r.normal(size=of.size) > np.sqrt(2) * ndtri(0.6)
    score = score + np.sqrt(2) * ndtri(0.8) * truth
    hit = own + r.normal(size=of.size) > np.sqrt(2) * ndtri(0.25)  # 3 of 4 are hits
    return {
        "AUC, clustered": (0.8, auc(truth, score, cluster=of)), "AUC as if independent": (0.8, auc(truth, score)),
        "share, clustered (Wilson)": (0.75, clustered(hit, of)),
        "share, clustered (Clopper-Pearson)": (0.75, clustered(hit, of, method="clopper-pearson")),
        "share as if independent": (0.75, proportion(int(hit.sum()), hit.size)),
    }  # fmt: skip


def classes(r: np.random.Generator, n: int) -> Rows:
    truth = r.integers(0, 3, n)
    scores = r.normal(size=(n, 3)) + np.sqrt(2) * ndtri(0.8) * (truth[:, None] == np.arange(3))
    return {"Hand and Till, 3 classes": (0.8, hand_till(truth, scores, [0, 1, 2]))}


def risk(r: np.random.Generator, n: int) -> Rows:
    """Log odds N(-0.5, 1.2); the model's are off: the truth is 0.3 + 0.8 of them."""
    x = r.normal(-0.5, 1.2, n)
    p = expit(x)
    y = r.random(n) < expit(0.3 + 0.8 * x)
    found, curve = calibration(y, p), net_benefit(y, p, [0.1, 0.3, 0.5])
    straight = calibration(r.random(n) < expit(0.3 + x), p)
    rows = {
        "calibration slope, Wald": (0.8, found.slope), "calibration slope, profile": (0.8, found.slope_profile),
        "calibration in the large": (TRUE_RISK["large"], found.offset_intercept),
        "calibration in the large where the slope is 1": (0.3, straight.offset_intercept),
    }  # fmt: skip
    for i, cut in enumerate((0.1, 0.3, 0.5)):
        rows[f"net benefit at {cut}"] = (
            TRUE_RISK[cut], Estimate(curve.model[i], curve.model_low[i], curve.model_high[i], 0.95, "x"))  # fmt: skip
    return rows


def curve(r: np.random.Generator, n: int) -> Rows:
    """The same risks; 200 bootstrap draws."""
    x = r.normal(-0.5, 1.2, n)
    p = expit(x)
    y = r.random(n) < expit(0.3 + 0.8 * x)
    rows = {}
    for smoother in ("rcs3", "loess"):
        found = calibration_curve(y, p, smoother=smoother, draws=200)
        assert found.ici_range is not None
        assert found.low is not None
        assert found.high is not None
        ends = sorted((*found.ici_range, found.ici))
        rows[f"ICI, {smoother}"] = (TRUE_RISK["ici"], Estimate(found.ici, ends[0], ends[-1], 0.95, "x"))
        for at in (0.2, 0.5):
            lines = (found.low, found.observed, found.high)
            low, middle, high = (float(np.interp(at, found.predicted, v)) for v in lines)
            true = float(expit(0.3 + 0.8 * np.log(at / (1 - at))))
            rows[f"calibration band at {at}, {smoother}"] = (true, Estimate(middle, low, high, 0.95, "x"))
    return rows


def _true_risk() -> dict[object, float]:
    x = -0.5 + 1.2 * ndtri((np.arange(1_000_000) + 0.5) / 1_000_000)
    p, true = expit(x), expit(0.3 + 0.8 * x)
    low, high = -2.0, 2.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(x + middle).mean() < true.mean() else (low, middle)
    found: dict[object, float] = {"large": low, "ici": float(np.abs(p - true).mean())}
    for cut in (0.1, 0.3, 0.5):
        act = p >= cut
        found[cut] = float((true * act).mean() - ((1 - true) * act).mean() * cut / (1 - cut))
    return found


TRUE_RISK = _true_risk()


def reclassified(r: np.random.Generator, n: int) -> Rows:
    y, old, new = _two_risks(r, n)
    found = nri(y, old, new, cutoffs=(0.2, 0.5))
    return {"NRI, continuous": (TRUE_NRI[0], nri(y, old, new).nri), "NRI, categories": (TRUE_NRI[1], found.nri),
            "IDI": (TRUE_NRI[2], idi(y, old, new).idi)}  # fmt: skip


def _two_risks(r: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two markers, each worth a log odds of 0.8 per deviation; the old risk knows the first only."""
    a, b = r.normal(size=(2, n))
    return r.random(n) < expit(-1 + 0.8 * a + 0.8 * b), expit(-0.92 + 0.74 * a), expit(-1 + 0.8 * a + 0.8 * b)


def _true_nri() -> tuple[float, ...]:
    y, old, new = _two_risks(np.random.default_rng(1), 4_000_000)
    parts = [nri(y, old, new).nri, nri(y, old, new, cutoffs=(0.2, 0.5)).nri, idi(y, old, new).idi]
    return tuple(v.estimate or 0.0 for v in parts)


TRUE_NRI = _true_nri()


def raters(r: np.random.Generator, n: int) -> Rows:
    """Two raters who each see the true class (three in order, 0.5, 0.3, 0.2) with 0.8, else its neighbour or any; and
    three raters of a class that is rare."""
    joint = _joint()
    counts = r.multinomial(n, joint.ravel()).reshape(3, 3)
    rows: Rows = {}
    for weights in ("none", "linear", "quadratic"):
        true = kappa_of_table(joint * 1e9, weights=weights).kappa.estimate
        assert true is not None
        rows[f"Cohen's kappa, weights {weights}"] = (true, kappa_of_table(counts, weights=weights).kappa)
        on_z = kappa_of_table(counts, weights=weights, method="fisher-z").kappa
        rows[f"Cohen's kappa, weights {weights}, Fisher's z"] = (true, on_z)
    for rare, share in (("", 0.5), (" of a rare class", 0.1)):
        ratings = (r.random(n)[:, None] < share) ^ (r.random((n, 3)) < 0.1)
        p = share * 0.9 + (1 - share) * 0.1
        agree = 0.9**2 + 0.1**2
        by_kappa, by_ac1 = p * p + (1 - p) ** 2, 2 * p * (1 - p)
        rows[f"Fleiss' kappa{rare}"] = ((agree - by_kappa) / (1 - by_kappa), fleiss_kappa(ratings))
        rows[f"Gwet's AC1{rare}"] = ((agree - by_ac1) / (1 - by_ac1), gwet_ac1(ratings))
    return rows


def _joint() -> np.ndarray:
    share, seen = np.array([0.5, 0.3, 0.2]), np.array([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.05, 0.15, 0.8]])
    return np.asarray((seen * share[:, None]).T @ seen)


def measured(r: np.random.Generator, n: int) -> Rows:
    """n subjects, 3 raters: subjects' variance 4, raters' 0.5, the rest 1; two methods with bias 1 and deviation 2."""
    subject, rest = 2 * r.normal(size=(n, 1)), r.normal(size=(n, 3))
    x = subject + np.sqrt(0.5) * r.normal(size=(1, 3)) + rest
    true = {"1,1": 4 / 5.5, "2,1": 4 / 5.5, "3,1": 4 / 5}
    true |= {"2,k": 12 / 13.5, "3,k": 12 / 13}
    rows: Rows = {f"ICC({form})": (true[form], icc(x, form=form).icc) for form in ("2,1", "3,1", "2,k", "3,k")}
    rows["ICC(2,k) as irr"] = (true["2,k"], icc(x, form="2,k", method="irr").icc)
    one_way = subject + np.sqrt(1.5) * r.normal(size=(n, 3))
    rows["ICC(1,1)"] = (true["1,1"], icc(one_way, form="1,1").icc)
    found = bland_altman(1 + 2 * r.normal(size=n), np.zeros(n))
    rows["Bland-Altman bias"] = (1.0, found.bias)
    rows["Bland-Altman upper limit"] = (1 + 2 * float(ndtri(0.975)), found.limits_of_agreement[1])
    return rows


def followed(r: np.random.Generator, n: int) -> Rows:
    """Exponential times, log hazard 0.8 per deviation; censored up to a third, uniformly in 0.5 to 3."""
    x, time, event = _times(r, n)
    fit = cox(time, event, x[:, None], ["x"])
    found = at_time(time, event, x, 1.0, risk=1 - np.exp(-np.exp(0.8 * x)))
    curve = kaplan_meier(time, event)
    assert found.brier is not None
    return {
        "Cox hazard ratio": (float(np.exp(0.8)), fit.hazard_ratios[0]),
        "Harrell's C": (TRUE_TIME["harrell"], concordance(time, event, x).c),
        "Uno's C before 2.5": (TRUE_TIME["uno"], concordance(time, event, x, weights="uno", until=2.5).c),
        "AUC at a time": (TRUE_TIME["auc"], found.auc), "Brier score at a time": (TRUE_TIME["brier"], found.brier),
        "Kaplan-Meier at a time": (TRUE_TIME["km"], curve.estimate_at(1.0)),
        "median survival": (TRUE_TIME["median"], curve.median()),
        "restricted mean": (TRUE_TIME["mean"], curve.restricted_mean(2.0)),
    }  # fmt: skip


def _times(r: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = r.normal(size=n)
    late, end = r.exponential(size=n) * np.exp(-0.8 * x), r.uniform(0.5, 3.0, n)
    return x, np.minimum(late, end), late <= end


def _true_time() -> dict[str, float]:
    r, n = np.random.default_rng(2), 4_000_000
    x = r.normal(size=n)
    late, end = r.exponential(size=n) * np.exp(-0.8 * x), r.uniform(0.5, 3.0, n)
    time, event = np.minimum(late, end), late <= end
    half = n // 2
    a, b = slice(0, half), slice(half, n)

    def pairs(first: np.ndarray, second: np.ndarray, counts: np.ndarray) -> float:
        ok = counts & (first < second)
        return float((x[a][ok] > x[b][ok]).mean())

    both = (pairs(time[a], time[b], event[a]), pairs(late[a], late[b], late[a] < 2.5))
    had = late <= 1.0
    return {
        "harrell": both[0], "uno": both[1], "auc": auc(had, x).estimate or 0.0,
        "brier": float((((1 - np.exp(-np.exp(0.8 * x))) - had) ** 2).mean()), "km": float((~had).mean()),
        "median": float(np.median(late)), "mean": float(np.minimum(late, 2.0).mean()),
    }  # fmt: skip


TRUE_TIME = _true_time()


def readers(r: np.random.Generator, n: int) -> Rows:
    """Roe and Metz' model: 5 readers, 2 modalities of the same area (0.85), n cases, half positive."""
    truth = np.arange(n) < n // 2
    case = np.sqrt(0.3) * r.normal(size=(1, 1, n)) + np.sqrt(0.2) * r.normal(size=(1, 5, n))
    case = case + np.sqrt(0.2) * r.normal(size=(2, 1, n)) + np.sqrt(0.3) * r.normal(size=(2, 5, n))
    skill = np.sqrt(0.011) * (r.normal(size=(1, 5, 1)) + r.normal(size=(2, 5, 1)))
    found = mrmc(truth, case + truth * (np.sqrt(2) * ndtri(0.85) + skill))
    return {"readers and cases random (Obuchowski-Rockette)": (0.0, found.random_readers_random_cases.difference)}


def lesions(r: np.random.Generator, k: int) -> Rows:
    """k patients with 0 to 6 lesions, found or not with a patient's own skill (correlation 0.3 on the probit scale);
    false marks Poisson(1); 1,000 bootstrap draws of patients (300 for the LUNA mean)."""
    made, count, found = _marks(r, k)
    recall = of_sums(np.column_stack([found, count]), ratio, why_none="no lesion", draws=1000)
    return {
        "recall, patients drawn": (TRUE_LESIONS[0], recall),
        "FROC, LUNA mean": (TRUE_LESIONS[1], luna_mean(made, draws=300)),
        "AFROC": (TRUE_LESIONS[2], afroc(made)),
    }  # fmt: skip


def _marks(r: np.random.Generator, k: int) -> tuple[Marks, np.ndarray, np.ndarray]:
    count = np.where(r.random(k) < 0.4, 0, r.integers(1, 7, k))
    image = np.repeat(np.arange(k), count)
    lesion = np.arange(image.size) - np.repeat(np.cumsum(count) - count, count)
    score = np.sqrt(0.3) * r.normal(size=k)[image] + np.sqrt(0.7) * r.normal(size=image.size) + 1.2
    hit = score > 0.4
    false = np.repeat(np.arange(k), r.poisson(1.0, k))
    made = marks(count, image[hit], lesion[hit], score[hit], false, r.normal(size=false.size))
    return made, count, np.bincount(image, weights=hit, minlength=k)


def _true_lesions() -> tuple[float, float, float]:
    made, count, found = _marks(np.random.default_rng(3), 300_000)
    return float(found.sum() / count.sum()), luna_mean(made, draws=0).estimate or 0.0, afroc(made).estimate or 0.0


TRUE_LESIONS = _true_lesions()

PARTS: dict[str, tuple[Callable[..., Rows], list[dict[str, float]], float]] = {
    "shares": (shares, [{"n": n, "share": p} for n in (20, 100) for p in (0.8, 0.95)], 4),
    "table": (table, [{"n": 50, "prevalence": 0.3}, {"n": 200, "prevalence": 0.3}, {"n": 200, "prevalence": 0.1}], 4),
    "two_scores": (two_scores, [{"n": 50}, {"n": 100}, {"n": 500}], 1),
    "patients": (patients, [{"k": 15}, {"k": 40}, {"k": 150}], 1),
    "classes": (classes, [{"n": 60}, {"n": 200}], 1),
    "risk": (risk, [{"n": 100}, {"n": 500}], 1),
    "curve": (curve, [{"n": 200}], 0.25),
    "reclassified": (reclassified, [{"n": 100}, {"n": 500}], 1),
    "raters": (raters, [{"n": 30}, {"n": 100}], 1),
    "measured": (measured, [{"n": 15}, {"n": 50}], 1),
    "followed": (followed, [{"n": 80}, {"n": 250}], 1),
    "readers": (readers, [{"n": 60}, {"n": 120}], 1),
    "lesions": (lesions, [{"k": 30}, {"k": 100}], 1),
}
"""Name -> the part, its settings, and how many times the asked replicates it runs."""


def samples(part: str, setting: dict[str, float], replicates: int) -> Iterator[Rows]:
    draw = PARTS[part][0]
    for i in range(replicates):
        try:
            yield draw(np.random.default_rng([i, *(int(1000 * v) for v in setting.values())]), **setting)
        except WrongCall:  # a sample without both classes, or one that separates them
            continue


def main(replicates: int, parts: list[str]) -> None:
    print("| interval | setting | samples | coverage | error | none |\n|---|---|---|---|---|---|")
    for part in parts:
        _, settings, share = PARTS[part]
        for setting in settings:
            held: dict[str, list[int]] = {}
            for rows in samples(part, setting, round(replicates * share)):
                for name, (true, found) in rows.items():
                    count = held.setdefault(name, [0, 0, 0])
                    if found.low is None or found.high is None:
                        count[2] += 1
                    else:
                        count[0] += found.low <= true <= found.high
                        count[1] += 1
            for name, (good, n, none) in held.items():
                rate = good / n if n else float("nan")
                words = ", ".join(f"{key} = {value:g}" for key, value in setting.items())
                error = np.sqrt(max(rate * (1 - rate), 1 / max(n, 1)) / max(n, 1))
                print(f"| {name} | {words} | {n} | {rate:.3f} | {error:.3f} | {none} |", flush=True)


if __name__ == "__main__":
    chosen = sys.argv[2:] or list(PARTS)
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, chosen)
