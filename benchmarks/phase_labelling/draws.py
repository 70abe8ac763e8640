"""Features of patients, drawn from the contrast table, the training colours and the literature, with errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepar.learn.classes import Tissue
from hepar.learn.colour import draw_colours
from hepar.measure.phase_model import FEATURES, SCALE_HU, bent
from hepar.measure.phase_table import STAGES, TYPICAL_HU
from hepar.simulate.contrast import tissue_hu
from phase_labelling.patients import BLOOD, RANGES_S, SPREAD, TRUE, read_scans

Array = NDArray[np.float64]
MIXED, WRONG = 0.25, 0.02
"""Share of series whose outlined portal vein takes in fat or bowel, and of other outlines that are plainly off."""


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
