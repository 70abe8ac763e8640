"""Which contrast phase a series shows, from the enhancement of its organs, and how that joins the tags' label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Fault, WrongCall
from hepar.measure.contrast import OrganHu
from hepar.measure.phase_model import PhaseModel, features_of, phase_model
from hepar.record import PHASE_LABELS, ArterialTiming, LabelSource, Notice, Phase, PhaseGuess, PhaseLabel

LABELS: tuple[PhaseLabel, ...] = PHASE_LABELS[:4]
"""native, arterial, portal_venous, delayed: in order of time."""
_FLOOR = 0.005
"""No phase is less likely than this from pixels alone, nor from tags alone: either may be plainly wrong."""
SURE = 0.6
"""Below this probability the label is "unknown"."""
OVERRULES = 0.9
"""What the tags say gives way to another phase only where the pixels alone are as sure of it as this."""
_EVEN = (0.25, 0.25, 0.25, 0.25)
_BACKWARDS = 0.05
"""Weight of a phase that follows a later one in time (a wrong clock, or files without times)."""
_AGAIN = 0.5
"""Weight of the same phase twice in a row (a second reconstruction)."""


@dataclass(frozen=True)
class PhaseEvidence:
    """What the enhancement of one series says.

    probabilities: of native, arterial, portal_venous, delayed; all 0.25 when no organ could be judged or when the
    series is `far`. early_probability: of early among arterial; None in the same cases.
    seen: median HU of the organs that were used. far: the organs look like nothing that the model knows (another
    kilovoltage than it covers, wrong outlines, other contrast media); such a series says nothing about its phase.
    """

    probabilities: tuple[float, float, float, float]
    early_probability: float | None
    seen: tuple[tuple[str, float], ...]
    far: bool = False

    @property
    def label(self) -> PhaseLabel:
        """The likeliest phase; unknown below 0.6."""
        best = int(np.argmax(self.probabilities))
        return LABELS[best] if self.probabilities[best] >= SURE else "unknown"

    @property
    def timing(self) -> ArterialTiming:
        """Early when the portal vein is not enhanced yet, late when it is; unknown in between. Of arterial series."""
        if self.early_probability is None:
            return "unknown"
        return "early" if self.early_probability >= 0.7 else "late" if self.early_probability <= 0.3 else "unknown"


def phase_evidence(organ_hu: OrganHu, model: PhaseModel | None = None) -> PhaseEvidence:
    """Calibrated probability of each phase from the organs' HU. model: another than the one that ships."""
    return evidence_of(features_of(organ_hu), tuple(_medians(organ_hu).items()), model or phase_model())


def evidence_of(features: NDArray[np.float64], seen: tuple[tuple[str, float], ...], model: PhaseModel) -> PhaseEvidence:
    """The same from the model's features; seen: the medians that they stand for, to be named in a notice."""
    if not np.isfinite(features).any():
        return PhaseEvidence(_EVEN, None, seen)
    stages, far = model.judge(features)
    if far:
        return PhaseEvidence(_EVEN, None, seen, far=True)
    arterial = float(stages[1] + stages[2])
    four = np.array([stages[0], arterial, stages[3], stages[4]])
    return PhaseEvidence(_four(_floored(four)), float(stages[1] / max(arterial, 1e-300)), seen)


def fuse(guess: PhaseGuess, evidence: PhaseEvidence) -> tuple[PhaseGuess, Notice | None]:
    """One series' label from tags and enhancement together; see `fuse_study`."""
    return fuse_study([guess], [evidence])[0]


def fuse_study(
    guesses: Sequence[PhaseGuess], evidence: Sequence[PhaseEvidence]
) -> list[tuple[PhaseGuess, Notice | None]]:
    """The labels of all series of one examination, in order of acquisition.

    Tags and enhancement count as independent; over the series runs a chain that expects native, arterial, portal
    venous, delayed in this order (forward-backward, so each label has its marginal probability). A label that the user
    gave stands; a label of the tags gives way only to pixels that alone are at least 0.9 sure of another one, else
    neither is taken. A `phase_disagreement` notice where tags (or the user) and enhancement each name another phase.
    """
    if len(guesses) != len(evidence):
        raise Fault(f"{len(guesses)} guesses but {len(evidence)} pieces of evidence")
    if not guesses:
        return []
    each = np.array([_prior(g) * np.array(e.probabilities) for g, e in zip(guesses, evidence, strict=True)])
    for row, guess in zip(each, guesses, strict=True):
        if guess.source == "user" and guess.label in LABELS:
            row[:] = 0.0
            row[LABELS.index(guess.label)] = 1.0
    marginals = _chain(each)
    return [_decided(g, e, m) for g, e, m in zip(guesses, evidence, marginals, strict=True)]


def choose_reference(phases: Sequence[Phase], requested: str | None = None) -> Phase:
    """The phase that is outlined and measured.

    requested: a label or a phase id; WrongCall when the study has none. Otherwise portal venous first, where liver
    and most lesions have their clearest outline, then delayed, late arterial, other arterial, native, unknown: LI-RADS
    v2018 asks not to size lesions in the arterial phase while another one shows the margin. Of several the one with
    the thinnest slices, then the first.
    """
    if not phases:
        raise Fault("no phase to choose a reference from")
    candidates = list(phases)
    if requested is not None:
        candidates = [phase for phase in phases if requested in (phase.id, phase.guess.label)]
        if not candidates:
            there = ", ".join(f"{phase.id} {phase.guess.label}" for phase in phases)
            raise WrongCall(f"no phase {requested} in this study, which has {there}; choose one of these")
    return min(candidates, key=_preference)


def _preference(phase: Phase) -> tuple[int, float]:
    label, timing = phase.guess.label, phase.guess.arterial_timing
    order = {"portal_venous": 0, "delayed": 1, "arterial": 2 if timing == "late" else 3, "native": 4, "unknown": 5}
    return order[label], round(phase.volume.geometry.slice_distance_mm, 3)


def _medians(organ_hu: OrganHu) -> dict[str, float]:
    values = {
        "aorta": organ_hu.aorta,
        "portal_vein": organ_hu.portal_vein,
        "vena_cava": organ_hu.vena_cava,
        "liver": organ_hu.liver,
        "spleen": organ_hu.spleen,
        "kidney": organ_hu.kidney,
        "inner_vessels": organ_hu.inner_vessels,
    }
    return {name: v.median_hu.estimate for name, v in values.items() if v.median_hu.estimate is not None}


def _prior(guess: PhaseGuess) -> NDArray[np.float64]:
    return _floored(np.array(guess.probabilities))


def _floored(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    floored = np.maximum(probabilities, _FLOOR)
    result: NDArray[np.float64] = floored / floored.sum()
    return result


def _chain(each: NDArray[np.float64]) -> NDArray[np.float64]:
    """Marginals (n, 4) of a chain whose steps go forward in time, now and then stay, seldom go back."""
    step = np.where(np.subtract.outer(range(4), range(4)) < 0, 1.0, _BACKWARDS)
    np.fill_diagonal(step, _AGAIN)
    forward, backward = each.copy(), np.ones_like(each)
    for i in range(1, len(each)):
        forward[i] *= forward[i - 1] @ step
        forward[i] /= forward[i].sum()
    for i in range(len(each) - 2, -1, -1):
        backward[i] = step @ (each[i + 1] * backward[i + 1])
        backward[i] /= backward[i].sum()
    joint = forward * backward
    result: NDArray[np.float64] = joint / joint.sum(axis=1, keepdims=True)
    return result


def _decided(
    guess: PhaseGuess, evidence: PhaseEvidence, marginal: NDArray[np.float64]
) -> tuple[PhaseGuess, Notice | None]:
    best = int(np.argmax(marginal))
    label: PhaseLabel = LABELS[best] if marginal[best] >= SURE else "unknown"
    tagged = guess.source != "user" and guess.label != "unknown"
    if tagged and label != guess.label and evidence.probabilities[best] < OVERRULES:
        label = "unknown"
    timing: ArterialTiming = "unknown"
    if label == "arterial":
        timing = evidence.timing if evidence.timing != "unknown" else guess.arterial_timing
    source: LabelSource = guess.source
    if guess.source != "user" and evidence.seen and not evidence.far:
        source = "tags+enhancement" if label == guess.label != "unknown" else "enhancement"
    notice = None
    named = evidence.label
    if evidence.seen and guess.label != "unknown" and named not in ("unknown", guess.label):
        who = "The user" if guess.source == "user" else "The series' tags"
        verdict = "neither is taken" if label == "unknown" else f"taken as {_words(label)}"
        seen = ", ".join(f"{name.replace('_', ' ')} {hu:.0f} HU" for name, hu in evidence.seen)
        notice = Notice(
            "phase_disagreement",
            f"{who} say{'s' if who == 'The user' else ''} {_words(guess.label)}, the enhancement ({seen}) looks"
            f" {_words(named)}; {verdict}.",
        )
    return PhaseGuess(label, timing, float(marginal[best]), source, _four(marginal)), notice


def _words(label: PhaseLabel) -> str:
    return label.replace("_", " ")


def _four(values: NDArray[np.float64]) -> tuple[float, float, float, float]:
    a, b, c, d = (float(v) for v in values)
    return a, b, c, d
