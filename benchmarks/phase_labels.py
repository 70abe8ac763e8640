"""Phase labels from pixels: make the model's virtual patients, fit the model, judge it.

    python benchmarks/phase_labels.py scan DIR --set fit|test [--first 0] [--cases N]
    python benchmarks/phase_labels.py fit DIR [--out src/hepar/measure/phase_model.json]
    python benchmarks/phase_labels.py real DIR [--of ../shared/data/ct]
    python benchmarks/phase_labels.py cases DIR --of VIRTUAL60 [--first 0] [--cases N]
    python benchmarks/phase_labels.py judge DIR

scan draws patients of `virtual-tuning`'s kind with seeds of their own (fit and test never share one), scans five phases
of each at 3 mm at a time drawn within the phase's range, outlines the organs with hepar's own network and keeps HU and
organs below DIR, so that it can be stopped and goes on.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepar import segment
from hepar.errors import Refused
from hepar.ingest import IngestSettings, read_study
from hepar.learn.classes import Tissue
from hepar.learn.colour import draw_colours
from hepar.measure import PhaseEvidence, fuse, fuse_study, organ_enhancement
from hepar.measure.phase import LABELS, evidence_of
from hepar.measure.phase_model import (
    FEATURES,
    SCALE_HU,
    SCHEMA,
    PhaseModel,
    bent,
    features_of,
    from_document,
    phase_model,
)
from hepar.measure.phase_table import STAGES, TYPICAL_HU
from hepar.record import UNKNOWN_PHASE, Geometry, OrganMap, PhaseGuess, Volume
from hepar.segment import SegmentSettings
from hepar.simulate.breathing import Breathing
from hepar.simulate.contrast import tissue_hu
from hepar.simulate.distribution import load_distribution
from hepar.simulate.draw import draw_case, moved
from hepar.simulate.scanner import Looks, scan
from hepar.simulate.still import StillPatient, region_of
from hepar.simulate.study import scan_geometry
from hepar.simulate.tumour import Envelope, TumourInlay

SEEDS = {"fit": 51001, "test": 77003}
RANGES_S = {
    "native": (0.0, 0.0), "arterial_early": (15.0, 25.0), "arterial_late": (30.0, 45.0),
    "portal_venous": (60.0, 90.0), "delayed": (150.0, 300.0),
}  # fmt: skip
"""Seconds after the start of injection at a usual circulation; between the ranges a series has no truth."""
LESION_LOOKS = {"arterial_early": "arterial", "arterial_late": "arterial"}
LOOKED_AT = (0, 1, 8)
"""Test patients that were looked at while the model's form was chosen: not judged."""
BLOOD = ("aorta", "artery", "vena_cava", "portal_vein", "portal_tree", "hepatic_veins", "mesenteric_vein",
         "renal_vein", "heart_left", "heart_right", "lung_vessel")  # fmt: skip
SPREAD = (("aorta", "artery", "heart_left"), ("portal_vein", "portal_tree", "mesenteric_vein"), ("hepatic_veins",),
          ("vena_cava", "renal_vein", "heart_right"), ("spleen",), ("kidney_cortex",), ("kidney_medulla",),
          ("liver",))  # fmt: skip
TRUE = ("aorta", "portal_vein", "vena_cava", "liver", "spleen", "kidney_cortex", "kidney_medulla", "portal_tree",
        "hepatic_veins")  # fmt: skip
MIXED, WRONG = 0.25, 0.02
"""Share of series whose outlined portal vein takes in fat or bowel, and of other outlines that are plainly off."""
REAL = {"crlm-1004.zip": "portal_venous", "crlm-1006.zip": "portal_venous", "ircadb-17.zip": "portal_venous",
        "totalseg-native.nii.gz": "native"}  # fmt: skip
STEP_MM = 3.0
COMPONENTS, DRAWS, ROUNDS, TRIALS = 3, 4000, 40, 8000
STAGE_SHARE = (0.25, 0.08, 0.17, 0.25, 0.25)
"""Of the stages before anything is seen: the four labels alike, one arterial series in three early."""


def scans(folder: Path, name: str, first: int, cases: int) -> None:
    """Draw, scan and outline the patients that are not there yet."""
    distribution = replace(load_distribution("virtual-tuning"), seed=SEEDS[name])
    engine = segment.engine("builtin", SegmentSettings(threads=1))
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + cases):
        if all((folder / f"{name}-{number:03d}-{stage}.npz").is_file() for stage in RANGES_S):
            continue
        case = draw_case(distribution, number)
        rng = distribution.rng(number, 20)
        size = [max(20, round(n * s / STEP_MM)) for n, s in zip(case.settings.shape, case.settings.spacing_mm,
                                                                 strict=True)]  # fmt: skip
        # Averaging the fine voxels of a scan into one of 3 mm takes about half its noise away.
        scanner = replace(case.settings.scanner, thickness_mm=STEP_MM, blur_mm=0.9,
                          noise_hu=0.5 * case.settings.scanner.noise_hu)  # fmt: skip
        settings = replace(case.settings, shape=(size[0], size[1], size[2]), spacing_mm=(STEP_MM,) * 3, scanner=scanner)
        geometry = scan_geometry(settings)
        rest = Breathing.draw(distribution.rng(number, 7), (0.0, 0.0, 0.0), 0.0)
        cover = region_of([geometry], case.patient, case.warp.reach_mm + 8, 4.0)
        still = StillPatient(case.patient, cover, distribution.rng(number, 8), case.warp)
        parts = list(still.breathe(rest))
        envelope = Envelope(next(p for p in parts if p.structure.name == "liver"), still.cavity(cover), cover)
        blood = float(rng.normal(0, 4))
        factors = {t: f for group in SPREAD for f in [float(np.exp(rng.normal(0, 0.08)))] for t in group}
        if case.cirrhosis:
            factors["liver"] *= float(rng.uniform(0.75, 1.0))
        times = {stage: float(rng.uniform(*range_s)) for stage, range_s in RANGES_S.items()}
        for k, (stage, delay_s) in enumerate(times.items()):
            file = folder / f"{name}-{number:03d}-{stage}.npz"
            added = {"liver": case.liver_added_hu} | dict.fromkeys(BLOOD, blood)
            for tissue, factor in factors.items():
                rise = tissue_hu(tissue, delay_s, settings.strength) - tissue_hu(tissue, 0.0)
                added[tissue] = added.get(tissue, 0.0) + (factor - 1) * rise
            inlays = []
            for tumour in case.tumours:
                here = moved(tumour, case.warp, rest)
                inlays.append(TumourInlay(here, here.centre_lps_mm, LESION_LOOKS.get(stage, stage), envelope))
            hu, _ = scan(still, parts, inlays, geometry, scanner, delay_s, rest, distribution.rng(number, 9, k),
                         strength=settings.strength, looks=Looks(added, {"liver": case.grain_hu}))  # fmt: skip
            truth = {t: round(tissue_hu(t, delay_s, settings.strength) + added.get(t, 0.0), 2) for t in TRUE}
            about = {"stage": stage, "delay_s": delay_s, "case": number, "set": name, "true_hu": truth,
                     "cirrhosis": case.cirrhosis, "steatosis": case.steatosis,
                     "strength": settings.strength, "weights": engine.weights_sha256}  # fmt: skip
            try:
                labels = engine.organs(Volume(hu, geometry, "CT")).labels
            except Refused as reason:
                about["refused"] = str(reason)
                labels = np.zeros(geometry.shape, np.uint8)
            np.savez(file, hu=hu, labels=labels, affine=geometry.affine, about=json.dumps(about))
        print(f"{name} {number}: {size}", flush=True)


Array = NDArray[np.float64]


def read_scan(file: Path) -> tuple[dict[str, object], Array]:
    """What is true of a scan that was made, and the features that hepar measures in it."""
    with np.load(file) as kept:
        about = json.loads(str(kept["about"]))
        geometry = Geometry(kept["hu"].shape, kept["affine"])
        organs = OrganMap(kept["labels"], np.zeros_like(kept["labels"]), geometry)
        return about, features_of(organ_enhancement(Volume(kept["hu"], geometry, "CT"), organs))


def read_scans(folder: Path, name: str) -> tuple[list[dict[str, object]], Array]:
    found = [read_scan(file) for file in sorted(folder.glob(f"{name}-*.npz"))]
    return [about for about, _ in found], np.array([features for _, features in found]).reshape(-1, len(FEATURES))


def ideal(hu: dict[str, float]) -> Array:
    """Features of organs whose HU are known: an inner vessel is the portal tree and the hepatic veins, half each."""
    inner = 0.5 * (hu.get("portal_tree", np.nan) + hu.get("hepatic_veins", np.nan)) - hu["liver"] + 45.0
    contrast = abs(hu.get("kidney_cortex", np.nan) - hu.get("kidney_medulla", np.nan)) + 45.0
    known = hu | {"kidney_contrast": contrast, "inner_vessels": inner}
    return bent(np.array([known.get(name, np.nan) - 45.0 for name in FEATURES]))


def draw(stage: int, rng: np.random.Generator) -> Array:
    """Features of one patient in one stage, measured without error."""
    source = rng.random()
    if source < 0.65:
        return _sinus(ideal(_from_curves(STAGES[stage], rng)), rng)
    return _sinus(ideal(_from_colours(stage, rng) if source < 0.85 else _from_literature(stage, rng)), rng)


def _from_curves(stage: str, rng: np.random.Generator) -> dict[str, float]:
    """The contrast table at a drawn time; dose and tube voltage scale all of it, each organ has its own factor. Blood
    mixes: the vessels differ less and less."""
    delay_s = float(rng.uniform(*RANGES_S[stage]) * np.exp(rng.normal(0, 0.05)))
    strength = float(np.exp(rng.normal(0, 0.14))) * (float(rng.uniform(1.1, 1.4)) if rng.random() < 0.2 else 1.0)
    apart = {"portal_venous": 0.06, "delayed": 0.03}.get(stage, 0.10)
    pool = float(np.exp(rng.normal(0, 0.06)))
    factors: dict[str, float] = {}
    for group in SPREAD:
        vessel = group[0] in BLOOD
        own = float(np.exp(rng.normal(0, apart if vessel else 0.10)))
        factors |= dict.fromkeys(group, own * (pool if vessel else 1.0))
    added = dict.fromkeys(BLOOD, float(rng.normal(0, 5))) | {"liver": float(rng.normal(0, 8))}
    added |= {organ: float(rng.normal(0, 4)) for organ in ("spleen", "kidney_cortex", "kidney_medulla")}
    factors["kidney_medulla"] = factors["kidney_cortex"] * float(np.exp(rng.normal(0, 0.06)))
    added["kidney_medulla"] -= strength * _lag_hu(delay_s, rng) * (stage == "portal_venous")
    if rng.random() < 0.3:
        factors["liver"] *= rng.uniform(0.7, 1.0)
        factors["portal_vein"] *= (portal := rng.uniform(0.8, 1.0))
        factors["portal_tree"] *= portal
    elif rng.random() < 0.3:
        added["liver"] -= rng.uniform(10, 55)
    return {t: tissue_hu(t, delay_s, strength * factors[t]) + added[t] for t in TRUE}


def _lag_hu(delay_s: float, rng: np.random.Generator) -> float:
    """How much further behind the cortex than in the contrast table the medulla is: in half of the patients up to 60 HU
    at 65 s, none from 100 s.

    The difference falls from 110 to 140 HU at 25 to 50 s to 30 HU at about 65 s where injection is quick (PMID
    17367973); usual renal protocols count the corticomedullary phase to 70 s, the nephrographic one from 80 to 100 s.
    """
    return float(rng.uniform(0, 60) * np.clip((100 - delay_s) / 35, 0, 1) * (rng.random() < 0.5))


def _sinus(features: Array, rng: np.random.Generator) -> Array:
    """The renal sinus, which no table has, adds to the kidneys' contrast, in squares (18 HU in a real native scan)."""
    at = FEATURES.index("kidney_contrast")
    features[at] = bent(np.hypot(np.sinh(features[at]) * SCALE_HU, rng.normal(0, 18)))
    return features


def _from_colours(stage: int, rng: np.random.Generator) -> dict[str, float]:
    hu, portal, hepatic = draw_colours(stage, rng)
    names = {"aorta": Tissue.AORTA, "portal_vein": Tissue.PORTAL_VEIN, "vena_cava": Tissue.VENA_CAVA,
             "liver": Tissue.LIVER, "spleen": Tissue.SPLEEN, "kidney_cortex": Tissue.CORTEX,
             "kidney_medulla": Tissue.MEDULLA}  # fmt: skip
    found = {name: float(hu[t]) for name, t in names.items()}
    if stage >= 3:  # drawn one by one there, though the medulla follows the cortex
        lag = _lag_hu(float(rng.uniform(*RANGES_S[STAGES[stage]])), rng)
        found["kidney_medulla"] = found["kidney_cortex"] - lag + float(rng.normal(0, 8))
    found |= {"portal_tree": portal, "hepatic_veins": hepatic}
    if STAGES[stage] == "delayed":  # blood has mixed by then
        vessels = ("aorta", "portal_vein", "vena_cava", "portal_tree", "hepatic_veins")
        pool = float(np.mean([found[v] for v in vessels]))
        found |= {v: pool + 0.3 * (found[v] - pool) for v in vessels}
    return found


def _from_literature(stage: int, rng: np.random.Generator) -> dict[str, float]:
    """Published means; half of an organ's spread is common to all organs (dose)."""
    common = rng.normal()

    def one(feature: str) -> float:
        mean, sd = TYPICAL_HU[feature][STAGES[stage]]  # type: ignore[index]
        return float(mean + sd * (0.7 * common + 0.7 * rng.normal()))

    liver = one("liver")
    return {"aorta": one("aorta"), "liver": liver, "spleen": one("spleen"),
            "portal_vein": liver + one("portal_vein-liver")}  # fmt: skip


def errors(folder: Path) -> list[tuple[int, Array]]:
    """Stage and measured less true features, nan where the network did not give the organ, of the fit patients. A
    series in which no liver is found is never labelled, and left out."""
    about, measured = read_scans(folder, "fit")
    return [(STAGES.index(str(a["stage"])), m - ideal(a["true_hu"]))  # type: ignore[arg-type]
            for a, m in zip(about, measured, strict=True) if "refused" not in a]  # fmt: skip


def measured_draws(stages: Sequence[int], seen: list[tuple[int, Array]], rng: np.random.Generator, *, left_out: bool,
                   ) -> Array:  # fmt: skip
    """Draws with the network's errors, each of a scan of the same stage. left_out: organs go missing as well."""
    out, pools = [], [[error for s, error in seen if s == stage] for stage in range(len(STAGES))]
    for stage in stages:
        features, pool = draw(int(stage), rng), pools[int(stage)]
        error = pool[int(rng.integers(len(pool)))] if pool else np.zeros(len(FEATURES))
        features = features + np.nan_to_num(error) + rng.normal(0, 0.05, len(FEATURES))
        if rng.random() < MIXED:
            vein = FEATURES.index("portal_vein")
            features[vein] = bent(np.sinh(features[vein]) * SCALE_HU * (1 - rng.uniform(0, 0.6)) - rng.uniform(0, 20))
        wrong = rng.random(len(FEATURES)) < WRONG
        features[wrong] += rng.normal(0, 0.4, int(wrong.sum()))
        if left_out:
            features[np.isnan(error)] = np.nan
            features[rng.random(len(FEATURES)) < (0.5 if rng.random() < 0.2 else 0.07)] = np.nan
        out.append(features)
    return np.array(out)


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


def read_about(file: Path) -> dict[str, object]:
    with np.load(file) as kept:
        found: dict[str, object] = json.loads(str(kept["about"]))
        return found


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


def measure_real(folder: Path, source: Path) -> None:
    """Measure the organs of the real scans; their true labels stand in `REAL`."""
    engine = segment.engine("builtin", SegmentSettings(threads=1))
    folder.mkdir(parents=True, exist_ok=True)
    for name, truth in REAL.items():
        with tempfile.TemporaryDirectory() as workspace:
            study = read_study(source / name, settings=IngestSettings(), workspace=Path(workspace), modality="CT")
            volume = study.phases[0].volume
            found = organ_enhancement(volume, engine.organs(volume))
        about = {"scan": name, "label": truth, "weights": engine.weights_sha256}
        np.savez(folder / f"real-{name}.npz", features=features_of(found), about=json.dumps(about))
        print(name, np.round(features_of(found), 2).tolist(), flush=True)


def measure_cases(folder: Path, source: Path, first: int, cases: int) -> None:
    """Measure the organs of every phase of the virtual cases first, first + 1, ...; what is there is left out."""
    engine = segment.engine("builtin", SegmentSettings(threads=1))
    folder.mkdir(parents=True, exist_ok=True)
    for case in sorted(source.glob("case-*"))[first : first + cases]:
        for file in sorted((case / "nifti").glob("*.nii*")):
            label = file.name.split(".")[0].split("_", 1)[1]
            stage, target = ("arterial_late" if label == "arterial" else label), folder / f"{case.name}-{label}.npz"
            if target.is_file():
                continue
            about: dict[str, object] = {"case": case.name, "stage": stage, "weights": engine.weights_sha256}
            features = np.full(len(FEATURES), np.nan)
            with tempfile.TemporaryDirectory() as workspace:
                study = read_study(file, settings=IngestSettings(), workspace=Path(workspace), modality="CT")
                volume = study.phases[0].volume
                try:
                    features = features_of(organ_enhancement(volume, engine.organs(volume)))
                except Refused as reason:
                    about["refused"] = str(reason)
            np.savez(target, features=features, about=json.dumps(about))


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    names = ("scan", "fit", "real", "cases", "judge")
    scanner, fitter, realer, caser, judger = (verbs.add_parser(name) for name in names)
    for one in (scanner, fitter, realer, caser, judger):
        one.add_argument("folder", type=Path)
    scanner.add_argument("--set", choices=sorted(SEEDS), required=True)
    caser.add_argument("--of", type=Path, required=True)
    for one, many in ((scanner, 16), (caser, 60)):
        one.add_argument("--first", type=int, default=0)
        one.add_argument("--cases", type=int, default=many)
    fitter.add_argument("--out", type=Path, default=Path("src/hepar/measure/phase_model.json"))
    judger.add_argument("--model", type=Path)
    realer.add_argument("--of", type=Path, default=Path("../shared/data/ct"))
    options = parser.parse_args()
    if options.verb == "scan":
        scans(options.folder, options.set, options.first, options.cases)
    elif options.verb == "fit":
        options.out.write_text(json.dumps(fit(options.folder)) + "\n", encoding="utf-8")
    elif options.verb == "real":
        measure_real(options.folder, options.of)
    elif options.verb == "cases":
        measure_cases(options.folder, options.of, options.first, options.cases)
    else:
        model = from_document(json.loads(options.model.read_text())) if options.model else phase_model()
        judge(options.folder, model)


if __name__ == "__main__":
    main()
