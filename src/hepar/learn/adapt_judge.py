"""A site's candidate against the shipped model, on held-out cases of the site and on the fixed simulated set.

Lesions count from 5 mm (a ball of their volume) on; a find is matched as in `learn.calibrate`. F1 = 2 found /
(2 found + missed + false), one figure for misses and false finds, pooled over cases. Differences are candidate minus
shipped, cases drawn together (2,000 bootstrap draws of patients, 90 % intervals: each end is a one-sided 5 %).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepar.learn.adapt_cases import ReadyCase, Truth
from hepar.learn.adapt_checks import COUNTED_MM
from hepar.learn.calibrate import Rows, rows_of
from hepar.learn.recipe import Recipe
from hepar.learn.region_evaluate import RegionScore, judge, region_cases
from hepar.record import Estimate, OrganMap
from hepar.segment.builtin import Builtin
from hepar.segment.confidence import Curve
from hepar.segment.region import CLASSES, RegionNetwork
from hepar.validate.bootstrap import of_sums
from hepar.validate.froc import froc_curve, marks

LEVEL = 0.9
SITE_MARGIN = {"liver_dice": 0.01}
FIXED_MARGIN = {"f1": 0.05, "recall": 0.05, "liver_dice": 0.01}
"""How much worse a candidate may be: the lower end of the interval of each difference must stay above minus this."""
RULE: Final = (
    "Promoted when, on held-out cases of the site, lesion F1 at the operating point measuring is better (its difference"
    " and the lower end of its 90 % interval are above 0), recall is not lower, and the liver's Dice is not worse by"
    " 0.01 (lower end); and when, on the fixed simulated set, F1 and recall are not worse by 0.05 and the liver's Dice"
    " not by 0.01 (lower ends). Anything that cannot be told counts as not passed."
)
_SUMS: Final = ("found", "missed", "false", "dice", "cases")


@dataclass(frozen=True, eq=False)
class Judged:
    """One case as one network sees it: every candidate lesion down to confidence 0, the liver's Dice, and what it says
    at 1.2 mm."""

    rows: Rows
    liver_dice: float
    finer: OrganMap


def judge_case(name: str, ready: ReadyCase, truth: Truth, engine: Builtin) -> Judged:
    """engine: with lesion_min_confidence 0, so that every candidate is there."""
    native, finer, lesions = engine.propose(ready.reference, ready.organs, ready.others, labels=ready.phases)
    rows = rows_of(name, 1 + len(ready.others), lesions, truth.lesions, ready.reference.geometry.voxel_volume_ml)
    return Judged(rows, float(2 * (native & truth.liver).sum() / max(1, native.sum() + truth.liver.sum())), finer)


def logit(rows: Rows, curve: Curve) -> NDArray[np.float64]:
    """The curve's log-odds of every candidate."""
    out: NDArray[np.float64] = curve.intercept + rows.features @ np.array(curve.coefficients)
    return out


def counts(rows: Rows, curve: Curve, point: str = "measuring") -> tuple[int, int, int]:
    """Found, missed and false lesions of one scan at an operating point."""
    shown = np.round(1 / (1 + np.exp(-logit(rows, curve))), 3) >= curve.limits[point]
    counted = {k for k, across in enumerate(rows.sizes_mm, 1) if across >= COUNTED_MM}
    found = len(counted & set(rows.hit[shown & rows.true].tolist()))
    return found, len(counted) - found, int((shown & ~rows.true).sum())


def site_sums(judged: Judged, curve: Curve) -> list[float]:
    """What the figures are made of, in the order of _SUMS."""
    return [*map(float, counts(judged.rows, curve)), judged.liver_dice, 1.0]


def fixed_sums(score: RegionScore) -> list[float]:
    """The same of one simulated patch. The Dice counts where there is a liver."""
    found, lesions = float(sum(score.found)), float(sum(score.lesions))
    known = score.liver_dice is not None
    return [found, lesions - found, float(score.false), score.liver_dice or 0.0, float(known)]


def _f1(s: NDArray[Any], at: int) -> Any:
    return 2 * s[..., at] / (2 * s[..., at] + s[..., at + 1] + s[..., at + 2])


def _recall(s: NDArray[Any], at: int) -> Any:
    return s[..., at] / (s[..., at] + s[..., at + 1])


def _false(s: NDArray[Any], at: int) -> Any:
    return s[..., at + 2] / s[..., at + 5]


def _dice(s: NDArray[Any], at: int) -> Any:
    return s[..., at + 3] / s[..., at + 4]


FIGURES: Final[dict[str, Callable[[NDArray[Any], int], Any]]] = {
    "f1": _f1, "recall": _recall, "false_per_scan": _false, "liver_dice": _dice,
}  # fmt: skip


def compare(
    candidate: Sequence[Sequence[float]], shipped: Sequence[Sequence[float]], patients: Sequence[str]
) -> dict[str, dict[str, Estimate]]:
    """Every figure of both, and the difference. Rows of sums, one per case, in the same order."""
    one = np.array([[*a, 1.0] for a in candidate])
    other = np.array([[*b, 1.0] for b in shipped])
    width = len(_SUMS) + 1
    both = np.hstack([one, other])
    out: dict[str, dict[str, Estimate]] = {}
    for name, figure in FIGURES.items():
        asked = {
            "candidate": lambda s, f=figure: np.asarray(f(s, 0)),
            "shipped": lambda s, f=figure: np.asarray(f(s, width)),
            "difference": lambda s, f=figure: np.asarray(f(s, 0) - f(s, width)),
        }
        out[name] = {
            what: of_sums(both, how, why_none="no such case", patients=list(patients), level=LEVEL)
            for what, how in asked.items()
        }
    return out


def found_within(rows: Sequence[Rows], curves: Sequence[Curve], rate: float = 1.0) -> list[int]:
    """Lesions found in each scan with one limit for all: the lowest at which these scans hold at most `rate` false
    lesions each on average. What a model can tell apart, whatever its operating points. No lesion: zeros."""
    scores = [logit(r, c) for r, c in zip(rows, curves, strict=True)]
    number = [np.cumsum(np.array(r.sizes_mm) >= COUNTED_MM) - 1 for r in rows]
    lesions = [sum(across >= COUNTED_MM for across in r.sizes_mm) for r in rows]
    hits, false = [], []
    for image, (r, score) in enumerate(zip(rows, scores, strict=True)):
        for value, true, hit in zip(score, r.true, r.hit, strict=True):
            if not true:
                false.append((image, value))
            elif r.sizes_mm[hit - 1] >= COUNTED_MM:
                hits.append((image, number[image][hit - 1], value))
    if not sum(lesions):
        return [0] * len(rows)
    of = marks(lesions, *np.array(hits).reshape(-1, 3).T, *np.array(false).reshape(-1, 2).T)
    limit = froc_curve(of).threshold(rate)
    return [int((of.lesion_scores[of.lesion_image == n] >= limit).sum()) for n in range(len(rows))]


def compare_within(
    candidate: tuple[Sequence[Rows], Sequence[Curve]], shipped: tuple[Sequence[Rows], Sequence[Curve]],
    patients: Sequence[str],
) -> dict[str, Estimate]:  # fmt: skip
    """Recall of both, each where it makes at most one false find a scan, and the difference. Same scans, same order."""
    lesions = [sum(across >= COUNTED_MM for across in r.sizes_mm) for r in candidate[0]]
    table = np.column_stack([found_within(*candidate), found_within(*shipped), lesions]).astype(float)
    asked: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
        "candidate": lambda s: s[..., 0] / s[..., 2],
        "shipped": lambda s: s[..., 1] / s[..., 2],
        "difference": lambda s: (s[..., 0] - s[..., 1]) / s[..., 2],
    }
    return {
        what: of_sums(table, how, why_none="no such case", patients=list(patients), level=LEVEL)
        for what, how in asked.items()
    }


def verdict(site: dict[str, dict[str, Estimate]], fixed: dict[str, dict[str, Estimate]]) -> list[str]:
    """Why the candidate is not promoted, a sentence each; empty: it is. The rule stands in RULE."""
    reasons = []
    gain = site["f1"]["difference"]
    # No interval: every draw alike, so that the figure itself is both ends.
    if gain.estimate is None or gain.estimate <= 0 or _low(gain) <= 0:
        reasons.append(f"on held-out cases of the site lesion F1 changes by {said(gain)}; needed: surely above 0")
    recall = site["recall"]["difference"]
    if recall.estimate is None or recall.estimate < 0:
        reasons.append(f"on held-out cases of the site lesion recall changes by {said(recall)}; needed: not below 0")
    for where, figures, margins in (
        ("held-out cases of the site", site, SITE_MARGIN), ("the fixed simulated set", fixed, FIXED_MARGIN),
    ):  # fmt: skip
        for name, margin in margins.items():
            change = figures[name]["difference"]
            if change.estimate is None or _low(change) <= -margin:
                label = {"f1": "lesion F1", "recall": "lesion recall", "liver_dice": "the liver's Dice"}[name]
                reasons.append(f"on {where} {label} changes by {said(change)}; needed: surely above {-margin}")
    return reasons


def _low(estimate: Estimate) -> float:
    return float(estimate.low if estimate.low is not None else estimate.estimate or 0.0)


def said(estimate: Estimate) -> str:
    """`+0.12 (0.03 to 0.20)`."""
    if estimate.estimate is None:
        return f"cannot tell ({estimate.missing})"
    interval = f" ({estimate.low:.3f} to {estimate.high:.3f})" if estimate.low is not None else ""
    return f"{estimate.estimate:+.3f}{interval}"


def fixed_scores(recipe: Recipe, networks: Sequence[Path], count: int, keep: Path, threads: int) -> list[
    list[RegionScore]
]:  # fmt: skip
    """Scores of every network on the same simulated patches, which no training draws."""
    runs = [RegionNetwork(path, "f32", threads, 4_000_000) for path in networks]
    scores: list[list[RegionScore]] = [[] for _ in networks]
    for number, sample in enumerate(region_cases(recipe, count, keep), 1):
        for run, mine in zip(runs, scores, strict=True):
            logits = run.logits(sample.image[None].astype(np.float32), len(CLASSES))
            p = np.exp(logits - logits.max(0))
            mine.append(judge(f"{sample.atlas}-{number}", p / p.sum(0), sample))
    return scores


def folds_of(patients: Sequence[str], lesions: Sequence[int], hashes: Sequence[str]) -> NDArray[np.int64]:
    """0 or 1 per case: two halves of the patients, each alike in lesions; told by content, not by names.

    Patients in order of falling number of lesions (ties: by hash) go to the halves as 0, 1, 1, 0, 0, 1, ...
    """
    names = sorted(set(patients))
    total = {n: sum(c for c, p in zip(lesions, patients, strict=True) if p == n) for n in names}
    first = {n: min(h for h, p in zip(hashes, patients, strict=True) if p == n) for n in names}
    order = sorted(names, key=lambda n: (-total[n], first[n]))
    half = {name: (0, 1, 1, 0)[number % 4] for number, name in enumerate(order)}
    return np.array([half[p] for p in patients], dtype=np.int64)
