"""What the model says of patients it has not seen, against the truth."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepar.measure import PhaseEvidence, fuse, fuse_study
from hepar.measure.phase import LABELS, evidence_of
from hepar.measure.phase_model import PhaseModel
from hepar.measure.phase_table import STAGES
from hepar.record import UNKNOWN_PHASE, PhaseGuess
from phase_labelling.draws import errors, measured_draws
from phase_labelling.patients import read_scans

Array = NDArray[np.float64]
LOOKED_AT = (0, 1, 8)
"""Test patients that were looked at while the model's form was chosen: not judged."""


def judge(folder: Path, model: PhaseModel, draws: int = 2500) -> None:
    """Print the figures."""
    about, measured = read_scans(folder, "test")
    unseen = [i for i, a in enumerate(about) if a["case"] not in LOOKED_AT]
    judge_series("Test patients", [about[i] for i in unseen], measured[unseen], model)
    kept_cases = [np.load(file) for file in sorted(folder.glob("case-*.npz"))]
    if kept_cases:
        about = [json.loads(str(kept["about"])) for kept in kept_cases]
        judge_series("Virtual cases", about, np.array([kept["features"] for kept in kept_cases]), model)
    rng = np.random.default_rng(2026)
    drawn = [str(STAGES[s]) for s in rng.integers(len(STAGES), size=draws)]
    x = measured_draws([STAGES.index(s) for s in drawn], errors(folder), rng, left_out=True)
    evidence = [evidence_of(row, (("liver", 0.0),), model) for row in x]
    show("Fresh draws with organs missing, pixels alone", drawn, [named(e) for e in evidence], list(range(draws)))
    reliability(drawn, evidence)
    print("unlike all that the model knows:", sum(e.far for e in evidence))
    print("\nReal scans, pixels alone")
    for file in sorted(folder.glob("real-*.npz")):
        with np.load(file) as kept:
            about_it, features = json.loads(str(kept["about"])), kept["features"]
        one = evidence_of(features, (("liver", 0.0),), model)
        print(f"| {about_it['scan']} | {about_it['label']} | {one.label} | {max(one.probabilities):.3f} |"
              f" {np.isfinite(features).sum()} |" + (" far" if one.far else ""))  # fmt: skip


def judge_series(title: str, about: list[dict[str, object]], measured: Array, model: PhaseModel) -> None:
    """Series alone, all of a patient together, and beside right and wrong tags."""
    truth, cases = [str(a["stage"]) for a in about], [str(a["case"]) for a in about]
    evidence = [evidence_of(x, (("liver", 0.0),), model) for x in measured]
    show(f"{title}, pixels alone", truth, [named(e) for e in evidence], cases)
    reliability(truth, evidence)
    print("unlike all that the model knows:", sum(e.far for e in evidence))
    print("without a liver found, so never labelled (they count as unknown):", sum("refused" in a for a in about))
    whole: dict[str, list[int]] = {}
    for i, case in enumerate(cases):
        whole.setdefault(case, []).append(i)
    truths, found, patients = [], [], []
    for case, members in whole.items():
        members.sort(key=lambda i: STAGES.index(truth[i]))
        fused = fuse_study([UNKNOWN_PHASE] * len(members), [evidence[i] for i in members])
        for i, (guess, _) in zip(members, fused, strict=True):
            late = "" if guess.label != "arterial" else f"_{guess.arterial_timing}"
            truths.append(truth[i])
            found.append("unknown" if late == "_unknown" else guess.label + late)
            patients.append(case)
    show(f"{title}, the series of an examination together", truths, found, patients)
    with_tags(truth, evidence)


def with_tags(truth: Sequence[str], evidence: Sequence[PhaseEvidence]) -> None:
    """Right and wrong descriptions (0.92 sure, as a plain word is), fused series by series."""
    for kind in ("right", "wrong"):
        counts = {"right": 0, "unknown": 0, "wrong": 0}
        for t, e in zip(truth, evidence, strict=True):
            label = t.split("_e")[0].split("_l")[0]
            for said in LABELS:
                if (said == label) != (kind == "right"):
                    continue
                four = [0.92 if one == said else 0.08 / 3 for one in LABELS]
                guess = fuse(PhaseGuess(said, "unknown", 0.92, "tags", (four[0], four[1], four[2], four[3])), e)[0]
                counts["right" if guess.label == label else "unknown" if guess.label == "unknown" else "wrong"] += 1
        print(f"{kind} tags: label right {counts['right']}, unknown {counts['unknown']}, wrong {counts['wrong']}")


def named(evidence: PhaseEvidence) -> str:
    """The stage that pixels alone name; "unknown" too where an arterial series' timing is."""
    if evidence.label != "arterial":
        return evidence.label
    return "unknown" if evidence.timing == "unknown" else f"arterial_{evidence.timing}"


def confusion(truth: Sequence[str], found: Sequence[str]) -> NDArray[np.int64]:
    """Rows: true stages; columns: stages named, the last unknown."""
    table = np.zeros((len(STAGES), len(STAGES) + 1), np.int64)
    names = (*STAGES, "unknown")
    for t, f in zip(truth, found, strict=True):
        table[STAGES.index(t), names.index(f)] += 1
    return table


def macro_f1(table: NDArray[np.int64]) -> float:
    """Mean over the stages that are there of 2 TP / (true + named); a series left unnamed is one missed."""
    there = table.sum(1) > 0
    hit = np.diag(table[:, :-1])
    return float(np.mean((2 * hit / np.maximum(table.sum(1) + table[:, :-1].sum(0), 1))[there]))


def interval(truth: Sequence[str], found: Sequence[str], patients: Sequence[object]) -> tuple[float, float]:
    """Percentile interval, 95 %, of 1000 draws of whole patients."""
    rng = np.random.default_rng(11)
    tables = np.array([
        confusion(*zip(*[(t, f) for t, f, p in zip(truth, found, patients, strict=True) if p == one], strict=True))
        for one in sorted(set(map(str, patients)))
    ]) if patients else np.zeros((1, 5, 6), np.int64)  # fmt: skip
    f1 = [macro_f1(tables[rng.integers(len(tables), size=len(tables))].sum(0)) for _ in range(1000)]
    return float(np.quantile(f1, 0.025)), float(np.quantile(f1, 0.975))


def show(title: str, truth: Sequence[str], found: Sequence[str], patients: Sequence[object]) -> None:
    table = confusion(truth, found)
    low, high = interval(truth, found, [str(p) for p in patients])
    print(f"\n{title}: {len(truth)} series of {len(set(patients))} patients,"
          f" macro F1 {macro_f1(table):.3f} ({low:.3f} to {high:.3f}), unknown {table[:, -1].sum()}")  # fmt: skip
    print("| truth | " + " | ".join((*STAGES, "unknown")) + " |")
    for stage, row in zip(STAGES, table, strict=True):
        print(f"| {stage} | " + " | ".join(map(str, row)) + " |")


def reliability(truth: Sequence[str], evidence: Sequence[PhaseEvidence]) -> None:
    """Probability of the likeliest of the four labels against how often it was right."""
    used = [(max(e.probabilities), LABELS[int(np.argmax(e.probabilities))] == t.split("_e")[0].split("_l")[0])
            for t, e in zip(truth, evidence, strict=True) if not e.far]  # fmt: skip
    said, right = (np.array([u[k] for u in used], float) for k in range(2))
    edges, gap = (0.25, 0.6, 0.8, 0.9, 0.95, 0.98, 1.001), 0.0
    print("| probability | series | mean | right |")
    for low, high in itertools.pairwise(edges):
        here = (said >= low) & (said < high)
        if here.any():
            gap += here.sum() * abs(said[here].mean() - right[here].mean())
            print(f"| {low} to {min(high, 1.0)} | {here.sum()} | {said[here].mean():.3f} | {right[here].mean():.3f} |")
    print(f"expected calibration error {gap / max(len(said), 1):.4f}")
