"""Virtual patients and real scans: made, outlined and measured; kept in a folder, so that it can be stopped."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepar import segment
from hepar.errors import Refused
from hepar.ingest import IngestSettings, read_study
from hepar.measure import organ_enhancement
from hepar.measure.phase_model import FEATURES, features_of
from hepar.record import Geometry, OrganMap, Volume
from hepar.segment import SegmentSettings
from hepar.simulate.breathing import Breathing
from hepar.simulate.contrast import tissue_hu
from hepar.simulate.distribution import load_distribution
from hepar.simulate.draw import draw_case, moved
from hepar.simulate.scanner import Looks, scan
from hepar.simulate.still import StillPatient, region_of
from hepar.simulate.study import scan_geometry
from hepar.simulate.tumour import Envelope, TumourInlay

Array = NDArray[np.float64]
SEEDS = {"fit": 51001, "test": 77003}
RANGES_S = {
    "native": (0.0, 0.0), "arterial_early": (15.0, 25.0), "arterial_late": (30.0, 45.0),
    "portal_venous": (60.0, 90.0), "delayed": (150.0, 300.0),
}  # fmt: skip
"""Seconds after the start of injection at a usual circulation; between the ranges a series has no truth."""
LESION_LOOKS = {"arterial_early": "arterial", "arterial_late": "arterial"}
BLOOD = ("aorta", "artery", "vena_cava", "portal_vein", "portal_tree", "hepatic_veins", "mesenteric_vein",
         "renal_vein", "heart_left", "heart_right", "lung_vessel")  # fmt: skip
SPREAD = (("aorta", "artery", "heart_left"), ("portal_vein", "portal_tree", "mesenteric_vein"), ("hepatic_veins",),
          ("vena_cava", "renal_vein", "heart_right"), ("spleen",), ("kidney_cortex",), ("kidney_medulla",),
          ("liver",))  # fmt: skip
TRUE = ("aorta", "portal_vein", "vena_cava", "liver", "spleen", "kidney_cortex", "kidney_medulla", "portal_tree",
        "hepatic_veins")  # fmt: skip
REAL = {"crlm-1004.zip": "portal_venous", "crlm-1006.zip": "portal_venous", "ircadb-17.zip": "portal_venous",
        "totalseg-native.nii.gz": "native"}  # fmt: skip
STEP_MM = 3.0


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


def read_about(file: Path) -> dict[str, object]:
    with np.load(file) as kept:
        found: dict[str, object] = json.loads(str(kept["about"]))
        return found


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
