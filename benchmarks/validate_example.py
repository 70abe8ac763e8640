"""The example report of `hepar validate masks`: the built-in model on the development cases.

    python benchmarks/validate_example.py [-o docs/examples/validate-built-in] [--data ../shared/data] [--work FOLDER]

Nine virtual patients (two phases each; seven with lesions that are drawn here, two without) and, where it is there,
3D-IRCADb case 17 with its expert labels, which neither trained nor tuned the network. Each is analysed with `hepar
analyze`; its masks and the confidence of its lesions go to `hepar validate masks`. What is checked in are figures and
numbers only. --work keeps studies and results and takes up what is there already.

About 40 s a case on two idle cores, 5 to 8 minutes in all; several times that beside other work.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np

from hepar.simulate import SimulationSettings, simulate
from hepar.simulate.lesions import Lesion
from hepar.simulate.settings import FOUR_PHASES

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("hcc", "hcc", "hcc", "metastasis", "cyst")
SEEDS = (1, 2, 3, 4, 5, 6, 7, 8, 10)
HEALTHY = (5, 10)
ABOUT = (
    "What was judged: the network built into hepar, on {n} cases of its development. {virtual} are virtual patients "
    "made by hepar simulate (computer-drawn abdomens with known lesions; no motion, no metal, textbook "
    "enhancement), {healthy} of them with a healthy liver{real}. Virtual patients are easier than real ones: these "
    "figures show that the tools work together and where the model fails most; they do not say how it will do on your "
    "patients."
)
REAL = (
    "; one is a real scan, 3D-IRCADb case 17 (portal venous CT, two large tumours, outlined by experts; IRCAD, CC "
    "BY-NC-ND 3.0, measured only), on which the network was neither trained nor tuned"
)


def lesions_of(seed: int) -> tuple[Lesion, ...]:
    """One to five round lesions of 6 to 45 mm, many small and few large; none for the healthy."""
    draw = random.Random(seed)
    if seed in HEALTHY:
        return ()
    sizes = sorted((round(6 * (45 / 6) ** draw.random(), 1) for _ in range(draw.randint(1, 5))), reverse=True)
    return tuple(Lesion.ball(draw.choice(KINDS), size, irregularity=0.05) for size in sizes)  # type: ignore[arg-type]


def virtual(folder: Path, seed: int) -> tuple[Path, Path]:
    """Make one virtual patient; the study, and the folder with its truth."""
    if not (folder / "truth.json").is_file():
        settings = SimulationSettings()
        settings = replace(
            settings, phases=FOUR_PHASES[1:3], lesions=lesions_of(seed), shape=(60, 256, 256),
            spacing_mm=(5.0, 1.5, 1.5), scanner=replace(settings.scanner, thickness_mm=5.0),
        )  # fmt: skip
        folder.mkdir(parents=True)
        simulate(folder, settings, seed)
    return folder / "dicom", folder


def analysed(study: Path, out: Path) -> dict[str, object]:
    """Analyse, and give the findings."""
    if not (out / "findings.json").is_file():
        command = [sys.executable, "-m", "hepar", "analyze", str(study), "-o", str(out), "--quiet"]
        subprocess.run([*command, "--threads", "1"], check=True)
    made: dict[str, object] = json.loads((out / "findings.json").read_text())
    return made


def save(path: Path, liver: np.ndarray, lesion: np.ndarray, affine: np.ndarray) -> None:
    """A label map: 1 liver, 2 lesion."""
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = np.where(lesion, 2, liver).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(labels, affine), path)


def voxels(path: Path) -> tuple[np.ndarray, np.ndarray]:
    image = nibabel.load(path)
    return np.asanyarray(image.dataobj), image.affine


def main() -> None:
    """Make the cases, judge them, write the example."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "examples" / "validate-built-in")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--work", type=Path, default=None)
    options = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        marks = []
        names = [f"virtual-{seed:02d}" for seed in SEEDS]
        real = options.data / "ct" / "ircadb-17.zip"
        if real.is_file():
            names.insert(0, "ircadb-17")
        for name in names:
            if name == "ircadb-17":
                study, truth = real, None
            else:
                study, truth = virtual(work / "studies" / name, int(name[-2:]))
            found = analysed(study, work / "results" / name)
            if truth is None:
                labels, affine = voxels(options.data / "ct" / "ircadb-17_liver1_tumour2.nii.gz")
                liver, lesion = labels > 0, labels == 2
            else:
                phase = next(p for p in found["phases"] if p["id"] == found["reference_phase"])  # type: ignore[attr-defined]
                known = json.loads((truth / "truth.json").read_text())["phases"]
                labels, affine = voxels(truth / next(p["labels_file"] for p in known if p["label"] == phase["label"]))
                liver, lesion = labels > 0, labels > 10
            save(work / "ref" / f"{name}.nii.gz", liver, lesion, affine)
            masks = work / "results" / name / "masks"
            (liver, affine), (lesion, _) = voxels(masks / "liver.nii.gz"), voxels(masks / "lesions.nii.gz")
            save(work / "pred" / f"{name}.nii.gz", liver > 0, lesion > 0, affine)
            for one in found["lesions"]:  # type: ignore[attr-defined]
                marks.append([name, one["confidence"], *one["centre_lps_mm"]])
            print(f"{time.perf_counter() - start:5.0f} s  {name}: {len(found['lesions'])} lesions", flush=True)  # type: ignore[arg-type]
        with (work / "marks.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["case", "score", "x_mm", "y_mm", "z_mm"], *marks])
        told = REAL if real.is_file() else "; there is no real scan among them"
        about = ABOUT.format(n=len(names), virtual=len(SEEDS), healthy=len(HEALTHY), real=told)
        command = [sys.executable, "-m", "hepar", "validate", "masks", "--pred", str(work / "pred"), "--ref"]
        command += [str(work / "ref"), "--scores", str(work / "marks.csv"), "--lits", "--about", about]
        subprocess.run([*command, "-o", str(options.output), "--overwrite"], check=True)
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
