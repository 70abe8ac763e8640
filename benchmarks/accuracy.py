"""How well `hepar analyze` outlines a labelled scan: liver Dice, surface distance, lesions found and false.

    python benchmarks/accuracy.py STUDY LABELS.nii.gz [--modality CT] [--liver 1,2] [--lesion 2]
        [--veins VEINS.nii.gz --portal 1 --hepatic 2]

STUDY: as for `hepar analyze`, one phase. LABELS: NIfTI on the scan's grid (any orientation); --liver: values that are
liver (lesions included); --lesion: values that are lesion, "" for none. A lesion is found when its outline overlaps a
find at all; a find that overlaps none is false. VEINS: labels of portal and hepatic veins; clDice is of what lies
inside the labelled liver, since such labels run on into portal trunk and vena cava, which hepar's veins do not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel
import numpy as np

from hepar.record import Vein
from hepar.validate import dice, match_lesions, surface_distances
from hepar.validate.centreline import centrelines


def load(path: Path) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Voxels as (slice, row, column) in the closest canonical orientation, and the spacing in that order."""
    image = nibabel.as_closest_canonical(nibabel.load(path))
    column, row, slice_ = (float(v) for v in image.header.get_zooms()[:3])
    return np.asanyarray(image.dataobj).transpose(2, 1, 0), (slice_, row, column)


def main() -> None:
    """Analyse, compare, print one row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--modality", default=None)
    parser.add_argument("--liver", default="1,2")
    parser.add_argument("--lesion", default="2")
    parser.add_argument("--veins", type=Path)
    parser.add_argument("--portal", type=int, default=1)
    parser.add_argument("--hepatic", type=int, default=2)
    options = parser.parse_args()
    truth, spacing_mm = load(options.labels)
    true_liver = np.isin(truth, [int(v) for v in options.liver.split(",")])
    true_lesions = np.isin(truth, [int(v) for v in options.lesion.split(",") if v])
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result"
        command = [sys.executable, "-m", "hepar", "analyze", str(options.study), "-o", str(out), "--quiet"]
        subprocess.run(command + (["--modality", options.modality] if options.modality else []), check=True)
        liver, _ = load(out / "masks" / "liver.nii.gz")
        lesions, _ = load(out / "masks" / "lesions.nii.gz")
        veins, _ = load(out / "masks" / "veins.nii.gz")
        phase = json.loads((out / "findings.json").read_text())["phases"][0]
    surface = surface_distances(liver > 0, true_liver, spacing_mm)
    print(f"phase            {phase['label']} ({phase['label_probability']:.2f})")
    print(f"liver Dice       {dice(liver > 0, true_liver):.3f}")
    print(f"liver surface    mean {surface.assd_mm:.1f} mm, 95 % {surface.hd95_mm:.1f} mm")
    volumes = [mask.sum() * np.prod(spacing_mm) / 1000 for mask in (liver > 0, true_liver)]
    print(f"liver volume     {volumes[0]:.0f} ml, truth {volumes[1]:.0f} ml")
    if options.lesion:
        match = match_lesions(lesions, true_lesions, criterion="overlap")
        print(f"lesions          {len(match.pairs)} found, {len(match.missed)} missed, {len(match.false)} false")
        print(f"lesion Dice      {dice(lesions > 0, true_lesions):.2f}")
    if options.veins:
        true_veins = load(options.veins)[0]
        rows = [
            ("portal clDice", veins == Vein.PORTAL, true_veins == options.portal),
            ("hepatic clDice", veins == Vein.HEPATIC, true_veins == options.hepatic),
            ("both clDice", veins > 0, np.isin(true_veins, (options.portal, options.hepatic))),
        ]
        for name, found, true in rows:
            lines = centrelines(found & true_liver, true & true_liver)
            shares = f"precision {lines.precision:.2f}, sensitivity {lines.sensitivity:.2f}"
            print(f"{name:<17}{lines.cl_dice:.3f} ({shares})")


if __name__ == "__main__":
    main()
