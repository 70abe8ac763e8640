"""How far simulated scans are from real ones: HU, texture, and whether a classifier can tell them apart.

    python benchmarks/realism.py SIMULATED [--data ../shared/data/ct] [--cases 12] [--vessels] [--out FILE.json]

SIMULATED: a folder of cases made by `virtual60.py make` (or `hepar simulate --distribution`). Real: crlm-1004 and
crlm-1006 (portal venous, our own organ labels), totalseg-native (no contrast, automatic labels), ircadb-17 (portal
venous, expert labels; measured only). Prints, per organ, mean, standard deviation and texture of its inside, and the
AUC of a ridge logistic regression on small liver patches that tells simulated from real, each real scan left out in
turn with its half of the simulated cases: 0.5 is what perfect simulation would give, 1.0 says they always differ.
Patches are compared without their mean, so that the contrast phase does not give them away.

Spleen and aorta of a simulated case, which its label map does not hold, are asked of the case, drawn again; a case of
an older version of its distribution, or on a real anatomy, has its liver alone.

--vessels leaves the liver's vessels in the simulated masks: those of the real scans hold them, too, but for ircadb-17,
whose vessels experts drew. Without it they are taken out with a margin.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from scipy import ndimage

from hepar.errors import WrongCall
from hepar.ingest import read_study
from hepar.ingest.settings import IngestSettings
from hepar.simulate.distribution import load_distribution
from hepar.simulate.replay import can_replay, tissues_at
from hepar.simulate.tissues import TISSUES
from hepar.validate import auc

PIXEL_MM = 0.8
PATCH = 20
PER_SCAN = 400
REAL = {
    "crlm-1004": ("portal_venous", "labels/crlm-1004_organs.nii.gz", {"liver": [1], "spleen": [3], "aorta": [5]}),
    "crlm-1006": ("portal_venous", "labels/crlm-1006_organs.nii.gz", {"liver": [1], "spleen": [3], "aorta": [5]}),
    "totalseg-native": ("native", "totalseg-native_organs.nii.gz", {"liver": [5], "spleen": [1], "aorta": [52]}),
    "ircadb-17": ("portal_venous", "ircadb-17_liver1_tumour2.nii.gz", {"liver": [1]}),
}


@dataclass
class Scan:
    """hu (slice, row, column); masks per organ, without lesions and vessels, eroded; spacing in mm."""

    name: str
    phase: str
    hu: np.ndarray
    masks: dict[str, np.ndarray]
    spacing_mm: tuple[float, float, float]


def lps(path: Path) -> tuple[np.ndarray, tuple[float, float, float]]:
    """A NIfTI as (slice, row, column) with rows to the back and columns to the left, and its spacing."""
    image = nibabel.as_closest_canonical(nibabel.load(path))
    x, y, z = (float(v) for v in image.header.get_zooms()[:3])
    return np.asarray(image.dataobj).transpose(2, 1, 0)[:, ::-1, ::-1], (z, y, x)


def inside(mask: np.ndarray, spacing_mm: tuple[float, float, float], depth_mm: float = 5.0) -> np.ndarray:
    """What lies at least depth_mm below the surface, slice by slice."""
    out = np.zeros(mask.shape, bool)
    for k in np.flatnonzero(mask.any(axis=(1, 2))):
        box = ndimage.find_objects(mask[k].astype(np.uint8))[0]
        out[k][box] = ndimage.distance_transform_edt(np.pad(mask[k][box], 1), spacing_mm[1:])[1:-1, 1:-1] > depth_mm
    return out


def real(name: str, data: Path) -> Scan:
    phase, labels, organs = REAL[name]
    root = Path(__file__).resolve().parents[1] / "src" / "hepar" / "learn"
    values, _ = lps(root / labels if labels.startswith("labels/") else data / labels)
    source = next(p for p in (data / f"{name}.zip", data / f"{name}.nii.gz") if p.is_file())
    if source.suffix == ".zip":
        with tempfile.TemporaryDirectory() as work:
            study = read_study(source, settings=IngestSettings(), study_uid=None, modality="CT", phase_paths={},
                               workspace=Path(work), progress=lambda share: None)  # fmt: skip
        volume = study.phases[0].volume
        hu, spacing = np.asarray(volume.array, np.float32), volume.geometry.spacing_mm
        if volume.geometry.affine[2, 0] < 0:
            hu = hu[::-1]
    else:
        hu, spacing = lps(source)
    assert hu.shape == values.shape, (name, hu.shape, values.shape)
    masks = {organ: inside(np.isin(values, ids), spacing) for organ, ids in organs.items()}
    vessels = data / f"{name}_portal1_hepatic2_artery3.nii.gz"
    if vessels.is_file():
        masks["liver"] &= ~ndimage.binary_dilation(lps(vessels)[0] > 0, iterations=2)
    return Scan(name, phase, np.asarray(hu, np.float32), masks, spacing)


def simulated(case: Path, phase: str, vessels: bool) -> Scan:
    """One phase of a simulated case, with spleen and aorta where the case can be drawn again."""
    truth = json.loads((case / "truth.json").read_text(encoding="utf-8"))
    number = next(p["number"] for p in truth["phases"] if p["label"] == phase)
    hu, spacing = lps(next((case / "nifti").glob(f"{number}_*")))
    labels, _ = lps(case / truth["labels_file"])
    if phase != "portal_venous":  # labels are of another breath: only what is liver in both
        shift = next(p for p in truth["phases"] if p["label"] == "portal_venous")["shift_lps_mm"]
        labels = np.roll(labels, tuple(-round(v / s) for v, s in zip(shift[::-1], spacing, strict=True)), (0, 1, 2))
    parts = (1, 2, 3) if vessels else (1,)
    mask = inside(np.isin(labels, parts), spacing, 5.0 if phase == "portal_venous" else 8.0)
    out = labels > 3 if vessels else labels > 1
    mask &= ~ndimage.binary_dilation(out, iterations=2 if phase == "portal_venous" else 6)
    masks = {"liver": mask} | beside(truth, case, phase, hu.shape, spacing)
    return Scan(case.name, phase, np.asarray(hu, np.float32), masks, spacing)


def beside(truth: dict[str, Any], case: Path, phase: str, shape: tuple[int, ...],
           spacing_mm: tuple[float, float, float]) -> dict[str, np.ndarray]:  # fmt: skip
    """Insides of spleen and aorta where they lie in this phase, from the tissues at every third pixel."""
    try:
        distribution = load_distribution(truth["distribution"]["name"])
    except WrongCall:
        return {}
    if not can_replay(truth, distribution):
        return {}
    image = nibabel.as_closest_canonical(nibabel.load(case / truth["labels_file"]))
    index = np.stack(np.meshgrid(*(np.arange(0, n, step) for n, step in zip(shape, (1, 3, 3), strict=True)),
                                 indexing="ij"), -1)  # fmt: skip
    # From (slice, row, column) of `lps`, which runs to the back and the left, to the file's own order.
    ijk = np.stack([shape[2] - 1 - index[..., 2], shape[1] - 1 - index[..., 1], index[..., 0]], -1)
    points = nibabel.affines.apply_affine(image.affine, ijk.reshape(-1, 3)) * [-1, -1, 1]
    ids = tissues_at(distribution, truth["case"], points, phase=phase).reshape(index.shape[:3])
    full = np.repeat(np.repeat(ids, 3, 1), 3, 2)[:, : shape[1], : shape[2]]
    out = {}
    for organ in ("spleen", "aorta"):
        # Repeated to the left and the back of its pixel: one pixel more of margin makes up for it.
        out[organ] = inside(full == TISSUES[organ].id, spacing_mm, 5.0 + 2 * spacing_mm[1])
    return out


def texture(scan: Scan, organ: str) -> dict[str, float]:
    """HU and texture of an organ's inside; lengths in mm."""
    mask, hu = scan.masks[organ], scan.hu
    if mask.sum() < 500:
        return {}
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    mask, hu = mask[box], hu[box]
    values = hu[mask]
    low, high = np.quantile(values, (0.005, 0.995))
    core = values[(values > low) & (values < high)]
    centred = np.where(mask, hu - core.mean(), 0).astype(np.float32)
    step = scan.spacing_mm[1]
    smooth = ndimage.uniform_filter(centred, (1, round(6 / step), round(6 / step)))
    square = ndimage.uniform_filter(centred**2, (1, round(6 / step), round(6 / step)))
    local = np.sqrt(np.clip(square - smooth**2, 0, None))[inside(mask, scan.spacing_mm, 5.0)]
    along = [_correlation(centred, mask, lag, 2) for lag in range(1, 14)]
    length = next((lag * step for lag, r in enumerate(along, 1) if r < 0.5), np.nan)
    gradient = np.hypot(*np.gradient(hu, step, step, axis=(1, 2)))[mask]
    return {
        "mean_hu": float(core.mean()), "sd_hu": float(core.std()), "local_sd_hu": float(np.median(local)) if
        local.size else float("nan"), "half_correlation_mm": float(length), "correlation_4_mm":
        _correlation(centred, mask, max(1, round(4 / step)), 2), "correlation_4_mm_down":
        _correlation(centred, mask, max(1, round(4 / step)), 1), "correlation_12_mm":
        _correlation(centred, mask, max(1, round(12 / step)), 2), "correlation_next_slice":
        _correlation(centred, mask, 1, 0), "gradient_hu_per_mm": float(np.median(gradient)),
    }  # fmt: skip


def _mean(values: list[float]) -> float:
    """Mean of what is known; an aorta is too narrow for some."""
    known = [v for v in values if not np.isnan(v)]
    return float(np.mean(known)) if known else float("nan")


def _correlation(values: np.ndarray, mask: np.ndarray, lag: int, axis: int) -> float:
    one = [slice(None)] * 3
    two = [slice(None)] * 3
    one[axis], two[axis] = slice(lag, None), slice(None, -lag)
    both = mask[tuple(one)] & mask[tuple(two)]
    if both.sum() < 200:
        return float("nan")
    return float(np.corrcoef(values[tuple(one)][both], values[tuple(two)][both])[0, 1])


def patches(scan: Scan, rng: np.random.Generator) -> np.ndarray:
    """Features of liver patches of 16 x 16 mm, wholly inside."""
    zoom = scan.spacing_mm[1] / PIXEL_MM
    found = []
    for hu, mask in zip(scan.hu, scan.masks["liver"], strict=True):
        if mask.sum() < 400:
            continue
        box = ndimage.find_objects(mask.astype(np.uint8))[0]
        hu, mask = hu[box], mask[box]
        plane = ndimage.zoom(hu, zoom, order=1) if abs(zoom - 1) > 0.02 else hu
        full = ndimage.zoom(mask.astype(np.float32), zoom, order=1) > 0.5 if plane is not hu else mask
        room = ndimage.minimum_filter(full, PATCH, mode="constant")
        places = np.argwhere(room)
        for y, x in places[rng.permutation(len(places))[:25]]:
            found.append(features(plane[y - PATCH // 2 :, x - PATCH // 2 :][:PATCH, :PATCH]))
    table = np.array(found)
    return table[rng.permutation(len(table))[:PER_SCAN]]


def features(patch: np.ndarray) -> list[float]:
    """Spread, shape of the histogram, gradient, correlation at some lags and spectrum of one patch."""
    patch = patch - patch.mean()
    sd = patch.std() + 1e-3
    unit = patch / sd
    lags = [float((unit[:, k:] * unit[:, :-k]).mean()) for k in (1, 2, 3, 5, 8)]
    lags += [float((unit[k:] * unit[:-k]).mean()) for k in (1, 2, 3, 5, 8)]
    power = np.abs(np.fft.rfft2(unit * np.hanning(PATCH)[:, None] * np.hanning(PATCH)[None])) ** 2
    radius = np.hypot(np.fft.fftfreq(PATCH)[:, None], np.fft.rfftfreq(PATCH)[None])
    rings = [(radius >= a) & (radius < a + 0.07) for a in np.arange(0.02, 0.5, 0.07)]
    bands = [float(np.log(power[ring].mean() + 1e-6)) for ring in rings]
    slope = np.hypot(*np.gradient(patch))
    return [np.log(sd), float((unit**3).mean()), float((unit**4).mean()), float(np.log(slope.mean() + 1e-3)), *lags,
            *bands]  # fmt: skip


def ridge(x: np.ndarray, y: np.ndarray, weight: np.ndarray, penalty: float = 1.0) -> np.ndarray:
    """Weighted ridge logistic regression by Newton's method; x with a first column of ones, which is not penalised."""
    beta = np.zeros(x.shape[1])
    lack = np.full(x.shape[1], penalty)
    lack[0] = 1e-9
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        step = np.linalg.solve((x * (weight * p * (1 - p))[:, None]).T @ x + np.diag(lack),
                               x.T @ (weight * (y - p)) - lack * beta)  # fmt: skip
        beta = beta + step
        if np.abs(step).max() < 1e-8:
            break
    return beta


def told_apart(real_sets: dict[str, np.ndarray], simulated_sets: list[np.ndarray]) -> dict[str, float]:
    """AUC on each real scan left out, against simulated cases that were not trained on; `pooled` is their mean."""
    out = {}
    for k, name in enumerate(real_sets):
        train = [t for n, t in real_sets.items() if n != name]
        held = [t for i, t in enumerate(simulated_sets) if i % 2 == k % 2]
        other = [t for i, t in enumerate(simulated_sets) if i % 2 != k % 2]
        x = np.vstack([*train, *other])
        y = np.repeat([1.0, 0.0], [sum(map(len, train)), sum(map(len, other))])
        weight = np.where(y == 1, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
        centre, scale = x.mean(0), x.std(0) + 1e-9

        def ready(t: np.ndarray, centre: np.ndarray = centre, scale: np.ndarray = scale) -> np.ndarray:
            return np.column_stack([np.ones(len(t)), np.clip((t - centre) / scale, -5, 5)])

        beta = ridge(ready(x), y, weight)
        score = [ready(t) @ beta for t in (real_sets[name], np.vstack(held))]
        truth = np.repeat([True, False], [len(score[0]), len(score[1])])
        out[name] = round(float(auc(truth, np.concatenate(score)).estimate), 3)
    return out | {"mean": round(float(np.mean(list(out.values()))), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("simulated", type=Path)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data" / "ct")
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--vessels", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    rows, sets, fakes = [], {}, {"portal_venous": [], "native": []}
    for name in REAL:
        scan = real(name, options.data)
        rows += [{"scan": name, "phase": scan.phase, "organ": organ} | texture(scan, organ) for organ in scan.masks]
        sets[name] = patches(scan, rng)
    chosen = sorted(p.parent for p in options.simulated.glob("case-*/truth.json"))[: options.cases]
    for phase, tables in fakes.items():
        measured: dict[str, list[dict[str, float]]] = {}
        for case in chosen:
            scan = simulated(case, phase, options.vessels)
            if scan.masks["liver"].sum() > 4000:
                for organ in scan.masks:
                    measured.setdefault(organ, []).append(texture(scan, organ))
                tables.append(patches(scan, rng))
        for organ, found in measured.items():
            full = [one for one in found if one]
            mean = {k: _mean([m[k] for m in full]) for k in (full[0] if full else ())}
            rows.append({"scan": f"{len(full)} simulated", "phase": phase, "organ": organ} | mean)
    # Both phases of each simulated patient stand against the real scans of both phases.
    both = [np.vstack(pair) for pair in zip(*fakes.values(), strict=True)]
    result = {"texture": rows, "auc": told_apart(sets, both)}
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    keys = [k for k in rows[0] if k not in ("scan", "phase", "organ")]
    print(f"{'scan':<17}{'phase':<15}{'organ':<8}" + "".join(f"{k.replace('correlation', 'corr'):>20}" for k in keys))
    for row in rows:
        print(f"{row['scan']:<17}{row['phase']:<15}{row['organ']:<8}" + "".join(
            f"{row[k]:>20.2f}" if k in row else f"{'-':>20}" for k in keys))  # fmt: skip
    print("AUC, simulated against real liver patches:", result["auc"])


if __name__ == "__main__":
    main()
