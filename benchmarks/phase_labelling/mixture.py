"""The model: a mixture of normals per stage, how sharp its answers are, how far is too far."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepar.measure.phase_model import FEATURES, SCHEMA, PhaseModel
from hepar.measure.phase_table import STAGES
from phase_labelling.draws import errors, measured_draws
from phase_labelling.patients import RANGES_S, SEEDS, read_about

Array = NDArray[np.float64]
COMPONENTS, DRAWS, ROUNDS, TRIALS = 3, 4000, 40, 8000
STAGE_SHARE = (0.25, 0.08, 0.17, 0.25, 0.25)
"""Of the stages before anything is seen: the four labels alike, one arterial series in three early."""


def fit_mixture(x: Array, components: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Weights, means, covariances of a mixture of normals, by expectation and maximisation; nan are left out of it by
    their conditional mean and covariance."""
    n, f = x.shape
    start = np.nan_to_num(x, nan=0.0) + np.isnan(x) * np.nanmean(x, 0)
    order = np.argsort(start @ np.linalg.svd(start - start.mean(0), full_matrices=False)[2][0])
    share = np.full((n, components), 0.02)
    share[order, np.minimum(np.arange(n) * components // n, components - 1)] = 1.0
    share /= share.sum(1, keepdims=True)
    means = np.array([(share[:, [c]] * start).sum(0) / share[:, c].sum() for c in range(components)])
    covs = np.array([np.cov(start.T, aweights=share[:, c]) for c in range(components)])
    weights = share.mean(0)
    patterns: dict[bytes, list[int]] = {}
    for i, row in enumerate(np.isnan(x)):
        patterns.setdefault(row.tobytes(), []).append(i)
    for _ in range(ROUNDS):
        log, filled, extra = np.zeros((n, components)), np.zeros((n, components, f)), np.zeros((components, n, f, f))
        for rows in patterns.values():
            gone = np.isnan(x[rows[0]])
            known = ~gone
            for c in range(components):
                inner = covs[c][np.ix_(known, known)]
                off = x[np.ix_(np.array(rows), known)] - means[c][known]
                solved = np.linalg.solve(inner, off.T).T
                log[rows, c] = np.log(weights[c]) - 0.5 * ((off * solved).sum(1) + np.linalg.slogdet(inner)[1])
                full = np.tile(x[rows], 1)
                full[:, gone] = means[c][gone] + solved @ covs[c][np.ix_(known, gone)]
                filled[rows, c] = full
                if gone.any():
                    rest = covs[c][np.ix_(gone, gone)] - covs[c][np.ix_(gone, known)] @ np.linalg.solve(
                        inner, covs[c][np.ix_(known, gone)])  # fmt: skip
                    block = np.zeros((f, f))
                    block[np.ix_(gone, gone)] = rest
                    extra[c, rows] = block
        share = np.exp(log - np.logaddexp.reduce(log, axis=1, keepdims=True))
        weights = share.mean(0)
        for c in range(components):
            total = share[:, c].sum()
            means[c] = (share[:, [c]] * filled[:, c]).sum(0) / total
            off = filled[:, c] - means[c]
            covs[c] = ((share[:, [c]] * off).T @ off + np.einsum("n,nij->ij", share[:, c], extra[c])) / total
            covs[c] += 1e-3 * np.eye(f)
    return weights, means, covs


def fit(folder: Path, seed: int = 3) -> dict[str, object]:
    """The model as its file holds it."""
    rng, seen = np.random.default_rng(seed), errors(folder)
    parts = [fit_mixture(measured_draws([s] * DRAWS, seen, rng, left_out=False), COMPONENTS, rng)
             for s in range(len(STAGES))]  # fmt: skip
    weights, means, covariances = (np.array([part[k] for part in parts]) for k in range(3))
    many = len(FEATURES) + 1
    raw = PhaseModel(np.array(STAGE_SHARE), weights, means, covariances, np.ones(many), np.full(many, np.inf))
    stages = rng.choice(len(STAGES), TRIALS, p=STAGE_SHARE)
    x = measured_draws(list(stages), seen, rng, left_out=True)
    counts = np.isfinite(x).sum(1)
    judged = [raw.likelihoods(row) if k else (np.zeros(len(STAGES)), 0.0) for row, k in zip(x, counts, strict=True)]
    likelihoods, distances = np.array([j[0] for j in judged]), np.array([j[1] for j in judged])
    sharpness, farthest = np.ones(many), np.zeros(many)
    for k in range(1, many):
        here = counts == k
        near = np.abs(counts - k) <= 1  # few series have so few organs seen
        sharpness[k] = _sharpness(likelihoods[near], stages[near])
        farthest[k] = float(np.quantile(distances[here if here.sum() > 1500 else near], 0.999))
    farthest = np.maximum.accumulate(farthest)
    return {
        "schema": SCHEMA, "features": list(FEATURES), "stages": list(STAGES),
        "fitted_on": {
            "draws_per_stage": DRAWS, "seed": seed, "scans_with_network_errors": len(seen), "fit_seed": SEEDS["fit"],
            "organ_network_sha256": sorted({str(read_about(file)["weights"]) for file in folder.glob("fit-*.npz")}),
            "delays_s": {stage: list(r) for stage, r in RANGES_S.items()},
            "sources": "hepar.simulate.contrast 0.65, hepar.learn.colour 0.20, measure/phase_table.py 0.15",
            "made_by": "python benchmarks/phase_labels.py fit DIR",
        },
        "before": list(STAGE_SHARE), "sharpness": _short(sharpness), "farthest": _short(farthest),
        "weights": _short(weights), "means": _short(means), "covariances": _short(covariances),
    }  # fmt: skip


def _sharpness(likelihoods: Array, stages: NDArray[np.intp]) -> float:
    """The power that makes the drawn stages likeliest."""
    before = np.log(STAGE_SHARE)

    def loss(power: float) -> float:
        log = before + power * likelihoods
        log = log - np.logaddexp.reduce(log, axis=1, keepdims=True)
        return -float(log[np.arange(len(stages)), stages].mean())

    powers = np.linspace(0.3, 1.5, 49)
    return float(powers[int(np.argmin([loss(p) for p in powers]))])


def _short(values: Array) -> object:
    return np.round(values, 5).tolist()
