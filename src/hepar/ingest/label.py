"""Phase label of each series from its tags and times.

Every series gives evidence for native, arterial, portal venous and delayed as natural-log weights; the pauses between
series give evidence for what may follow what. Both are weighed together over all series in order of acquisition
(forward-backward over a chain). The weights are set by hand: a plain word weighs 3.5 (0.92 against three others), a
measured delay at most 3, the order at most 2. Below the settings' threshold the label is "cannot tell".

Sources: LI-RADS v2018 CT technique (late arterial 35-40 s, portal venous 60-80 s, delayed 2-5 min after the start of
injection); TotalSegmentator's limits between phases (native, early/late arterial, portal venous) for the gaps between.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepar.ingest.words import PLAIN, WEAK, ArterialWord, timing_word
from hepar.record import ArterialTiming, PhaseGuess, PhaseLabel

CLASSES: tuple[PhaseLabel, ...] = ("native", "arterial", "portal_venous", "delayed")
_WORD, _WEAK_WORD, _NAME = 3.5, 2.2, 1.9
# Usual delay of each enhanced phase and its spread towards shorter and longer delays.
_DELAYS_S: tuple[tuple[float, float, float], ...] = ((33.0, 12.0, 9.0), (72.0, 11.0, 20.0), (200.0, 40.0, math.inf))
_MOST_FROM_DELAY, _MOST_FROM_ORDER = 3.0, 2.0
_KERNEL = re.compile(r"(?<![a-z])[bhiu][a-z]?\d\d[a-z]")
_SECONDS = re.compile(r"(?<![\d.,])(\d{2,3})\s?(?:s|sec|secs|sek|seg|seconds|sekunden)\b")
_MINUTES = re.compile(r"(?<![\d.,])(\d{1,2})\s?(?:min|mins|minutes|minuten|mn)\b")
_EARLY_BELOW_S, _LATE_FROM_S = 28.0, 30.0


@dataclass(frozen=True)
class Evidence:
    """What a series says about its phase.

    description: of the series; protocol: shared by many; both "" when missing. contrast: True (agent named), False
    (expressly none) or None (not said). acquired_s, contrast_start_s: on one clock; None where unknown.
    contrast_phase: ContrastBolusAgentPhase (PS3.3 C.8.15.2.2) or "". name: words of a file name, weaker.
    """

    description: str = ""
    protocol: str = ""
    contrast: bool | None = None
    acquired_s: float | None = None
    contrast_start_s: float | None = None
    contrast_phase: str = ""
    name: str = ""


def words_label(text: str) -> PhaseLabel:
    """The one phase that a text names, unknown when it names none or several."""
    found = {label for pattern, label in PLAIN if pattern.search(_plain(text))}
    return found.pop() if len(found) == 1 else "unknown"


def delay_in_words_s(text: str) -> float | None:
    """A delay after injection in seconds written in a description ("Art 35s", "70 sec", "3 min"), else None."""
    plain = _KERNEL.sub(" ", _plain(text))
    delays = [float(n) for n in _SECONDS.findall(plain)] + [60.0 * float(n) for n in _MINUTES.findall(plain)]
    sane = [d for d in delays if 10.0 <= d <= 900.0]
    return sane[0] if len(sane) == 1 else None


def guess_phases(evidence: Sequence[Evidence], *, min_probability: float) -> list[PhaseGuess]:
    """One guess per series, in the order given. Times need not be there; equal input gives equal output."""
    if not evidence:
        return []
    tags = [_tag_weights(e) + _company_weights(e, evidence) for e in evidence]
    times = [_delay_weights(_measured_delay_s(e)) for e in evidence]
    order = [i for i in np.argsort([_moment(e) for e in evidence], kind="stable") if evidence[i].acquired_s is not None]
    joint = _chain([tags[i] + times[i] for i in order], [evidence[i].acquired_s or 0.0 for i in order])
    posterior: dict[int, NDArray[np.float64]] = dict(zip(order, joint, strict=True))
    return [
        _guess(e, posterior.get(i, _softmax(tags[i] + times[i])), _softmax(tags[i]), min_probability)
        for i, e in enumerate(evidence)
    ]


def _plain(text: str) -> str:
    return re.sub(r"[_\-./\\,;:()\[\]+]+", " ", text.lower().replace("c+", " cplus ").replace("c-", " cminus "))


def _moment(e: Evidence) -> float:
    return math.inf if e.acquired_s is None else e.acquired_s


_AGENT_PHASES: dict[str, PhaseLabel] = {
    "PRE_CONTRAST": "native",
    "ARTERIAL": "arterial",
    "PORTAL_VENOUS": "portal_venous",
    "VENOUS": "portal_venous",
    "DELAYED": "delayed",
}


def _tag_weights(e: Evidence) -> NDArray[np.float64]:
    weights = np.zeros(4)
    if e.contrast_phase in _AGENT_PHASES:
        weights[CLASSES.index(_AGENT_PHASES[e.contrast_phase])] += _WORD
    for text, plain, weak in (
        (e.description, _WORD, _WEAK_WORD),
        (e.name, _NAME, _NAME / 2),
        (e.protocol if words_label(e.protocol) != "unknown" else "", _WEAK_WORD / 2, 0.0),
    ):
        weights += _word_weights(text, plain, weak)
    if e.contrast is False:
        weights[0] += 1.5
    elif e.contrast is True:
        weights[0] -= 2.5
    said = delay_in_words_s(e.description)
    return weights + _delay_weights(said)


def _word_weights(text: str, plain: float, weak: float) -> NDArray[np.float64]:
    weights = np.zeros(4)
    named = {label for pattern, label in PLAIN if pattern.search(_plain(text))}
    for label in named:
        weights[CLASSES.index(label)] += plain
    if not named:
        for pattern, factors in WEAK:
            if pattern.search(_plain(text)):
                weights += weak * np.array(factors)
    return weights


def _company_weights(e: Evidence, everybody: Sequence[Evidence]) -> NDArray[np.float64]:
    """No agent named here, though other series of the same examination name one: most likely native."""
    if e.contrast is None and any(other.contrast for other in everybody):
        return np.array([1.5, 0.0, 0.0, 0.0])
    return np.zeros(4)


def _measured_delay_s(e: Evidence) -> float | None:
    """From the start of the contrast to the start of acquisition; None where it cannot be one."""
    if e.acquired_s is None or e.contrast_start_s is None:
        return None
    # Around midnight one of the two may carry the day before.
    delay = (e.acquired_s - e.contrast_start_s + 43200.0) % 86400.0 - 43200.0
    return delay if -3600.0 < delay < 1200.0 and abs(delay) >= 5.0 else None


def _delay_weights(delay_s: float | None) -> NDArray[np.float64]:
    if delay_s is None:
        return np.zeros(4)
    if delay_s < 5.0:
        return np.array([_MOST_FROM_DELAY, 0.0, 0.0, 0.0])
    likely = [-0.5 * ((delay_s - mean) / (below if delay_s < mean else above)) ** 2 for mean, below, above in _DELAYS_S]
    best = max(likely)
    # A delay that fits no phase well says little; one that fits a single phase says most.
    trust = _MOST_FROM_DELAY * math.exp(min(0.0, best + 1.0))
    weights = np.maximum(np.array(likely) - best, -1.0) * trust
    return np.array([-trust, *weights])


# Pause in seconds from one series to the next (start to start): mean and spread of its logarithm.
_PAUSES: dict[tuple[int, int], tuple[float, float]] = {
    (0, 1): (90.0, 0.8),
    (0, 2): (130.0, 0.8),
    (0, 3): (300.0, 0.8),
    (1, 2): (38.0, 0.35),
    (1, 3): (170.0, 0.5),
    (2, 3): (130.0, 0.6),
    (1, 1): (12.0, 0.5),
    (3, 3): (240.0, 0.8),
}


def _step_weights(pause_s: float) -> NDArray[np.float64]:
    weights = np.full((4, 4), -2.0 * _MOST_FROM_ORDER)
    for (a, b), (mean, spread) in _PAUSES.items():
        fit = -0.5 * (math.log(max(pause_s, 1.0) / mean) / spread) ** 2
        weights[a, b] = max(fit, -_MOST_FROM_ORDER)
    for same in range(4):
        weights[same, same] = max(weights[same, same] - 0.8, -1.5 * _MOST_FROM_ORDER)
    return weights


def _chain(alone: list[NDArray[np.float64]], starts_s: list[float]) -> list[NDArray[np.float64]]:
    """Posterior of each series given all, in order of acquisition."""
    if len(alone) < 2:
        return [_softmax(weights) for weights in alone]
    steps = [_step_weights(b - a) for a, b in itertools.pairwise(starts_s)]
    forward = [alone[0]]
    for weights, step in zip(alone[1:], steps, strict=True):
        forward.append(weights + np.logaddexp.reduce(forward[-1][:, None] + step, axis=0))
    backward = [np.zeros(4)]
    for weights, step in zip(alone[:0:-1], steps[::-1], strict=True):
        backward.append(np.logaddexp.reduce(step + (weights + backward[-1])[None, :], axis=1))
    return [_softmax(f + b) for f, b in zip(forward, backward[::-1], strict=True)]


def _softmax(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    grown = np.exp(weights - weights.max())
    result: NDArray[np.float64] = grown / grown.sum()
    return result


def _guess(
    e: Evidence, posterior: NDArray[np.float64], by_tags: NDArray[np.float64], min_probability: float
) -> PhaseGuess:
    shares = [round(float(p), 4) for p in posterior]
    shares[int(np.argmax(posterior))] += 1.0 - sum(shares)
    best = int(np.argmax(posterior))
    probability = round(float(posterior[best]), 4)
    label = CLASSES[best] if probability >= min_probability else "unknown"
    four = (shares[0], shares[1], shares[2], shares[3])
    if label == "unknown":
        return PhaseGuess("unknown", "unknown", probability, "none", four)
    surest = int(np.argmax(by_tags)) == best and float(by_tags[best]) >= min_probability
    timing = _timing(e) if label == "arterial" else "unknown"
    return PhaseGuess(label, timing, probability, "tags" if surest else "times", four)


def _timing(e: Evidence) -> ArterialTiming:
    said: ArterialWord | None = timing_word(_plain(f"{e.description} {e.name}"))
    if said:
        return said
    delay = delay_in_words_s(e.description)
    delay = _measured_delay_s(e) if delay is None else delay
    if delay is None or _EARLY_BELOW_S <= delay < _LATE_FROM_S:
        return "unknown"
    return "early" if delay < _EARLY_BELOW_S else "late"
