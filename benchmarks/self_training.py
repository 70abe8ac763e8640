"""What unlabelled scans and 2D slices bring to the organ network, against hand-drawn labels and against nothing.

    python benchmarks/self_training.py train OUT [--data ../shared/data] [--warm-steps 320] [--arm-steps 160] [--arms ARM ...]
    python benchmarks/self_training.py judge OUT [--data ../shared/data] [--cases 16]
    python benchmarks/self_training.py draw OUT -o FIGURE.svg

train: one network from nothing, taught by the native anatomy with invented domes, virtual patients and negatives; it
never sees crlm-1004 and crlm-1006. From its weights four arms go on, equally many steps and the same settings:
`nothing` more of the same; `pseudo` with 42 of 100 samples from the two crlm scans, labelled by that first network;
`slices` with as many from the 2D slices; `hand` with as many from the two scans with the hand-drawn labels of the
shipped recipe. Stopped, it goes on where it was. judge: each arm's network alone, at 3 mm, on fixed simulated cases
that no training draws and, once, on 3D-IRCADb 17; writes OUT/judged.json. The weights of `slices` derive from data
under CC BY-SA 4.0: they stay in OUT/slices and are never shipped.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from hepar.validate import surface_distances
from hepar.validate.bootstrap import mean

LEARN = Path(__file__).resolve().parents[1] / "src" / "hepar" / "learn"
ARMS = ("nothing", "pseudo", "slices", "hand")
SCANS = ("crlm-1004", "crlm-1006")
EXTRA = 0.42
CONFIDENCE = 0.8

HEAD = """seed = 20261122
steps = {steps}
learning_rate = {rate}
weight_decay = 1e-4
ema = 0.99
bf16 = true
widths = [24, 48, 64, 96, 128]
blocks = [1, 2, 2, 1]
shapes = [[32, 80, 96]]
shape_shares = [1.0]
{start}
[[atlas]]
kind = "totalseg"
image = "{data}/ct/totalseg-native.nii.gz"
labels = "{data}/ct/totalseg-native_organs.nii.gz"
variants = 5
share = 0.33

[[atlas]]
kind = "virtual"
variants = 6
share = 0.20

[[atlas]]
kind = "negative"
variants = 4
share = 0.05
"""


def recipe_text(arm: str, data: Path, out: Path, steps: int) -> str:
    """The recipe of one arm, or of the network that all arms start from (`warm`)."""
    warm = out / "warm" / "liver3mm.onnx"
    start = "" if arm == "warm" else f'start = "{warm}"'
    text = HEAD.format(steps=steps, rate=2e-3 if arm == "warm" else 8e-4, start=start, data=data)
    if arm == "slices":
        text += f"""
[[atlas]]
kind = "slices"
image = "{data}/slices2d/antillia-liver-2d.zip"
pixel_mm = 1.5
turns = {{ flipped_ = 1, mirrored_ = -1 }}
share = {EXTRA}
"""
    for scan in SCANS if arm in ("pseudo", "hand") else ():
        who = f'network = "{warm}"\nconfidence = {CONFIDENCE}'
        if arm == "hand":
            who = f'labels = "{LEARN}/labels/{scan}_organs.nii.gz"'
        kind = {"pseudo": "pseudo", "hand": "labelled"}[arm]
        text += f'\n[[atlas]]\nkind = "{kind}"\nimage = "{data}/ct/{scan}.zip"\n{who}\nshare = {EXTRA / len(SCANS)}\n'
    return text


def train(out: Path, data: Path, warm_steps: int, arm_steps: int, threads: int, arms: list[str]) -> None:
    """Train and export the first network and those of the arms that are not there yet."""
    for arm in ("warm", *arms):
        folder = out / arm
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "liver3mm.onnx").is_file():
            continue
        recipe = folder / "recipe.toml"
        recipe.write_text(recipe_text(arm, data.resolve(), out.resolve(), warm_steps if arm == "warm" else arm_steps))
        began, before = time.monotonic(), _cpu_s()
        learn = [sys.executable, "-m", "hepar", "learn"]
        run = ["--run", str(folder)]
        subprocess.run([*learn, "train", str(recipe), *run, "--threads", str(threads)], check=True)
        spent = {"cpu_s": round(_cpu_s() - before, 1), "wall_s": round(time.monotonic() - began, 1)}
        subprocess.run([*learn, "export", str(recipe), *run, "-o", str(folder)], check=True)
        (folder / "spent.json").write_text(json.dumps(spent) + "\n")
        print(f"{arm}: {spent}", flush=True)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def judge(out: Path, data: Path, cases: int) -> dict[str, Any]:
    """Figures of the arms; kept in OUT/judged.json, so that nobody looks at 3D-IRCADb 17 twice."""
    from hepar.learn.classes import LESION_CLASS, LIVER_CLASSES, SPACING_MM
    from hepar.learn.evaluate import open_network, read_case, score, simulated_cases, tidy
    from hepar.learn.recipe import read_recipe

    kept = out / "judged.json"
    if kept.is_file():
        return dict(json.loads(kept.read_text()))
    simulated = simulated_cases(read_recipe(out / "nothing" / "recipe.toml"), cases)
    labels = data / "ct" / "ircadb-17_liver1_tumour2.nii.gz"
    hu, reference = read_case(data / "ct" / "ircadb-17.zip", labels)
    liver = np.isin(reference, (1, 2))
    found: dict[str, Any] = {"pseudo_labels": pseudo_figures(out, data), "arms": {}}
    for arm in ("warm", *ARMS):
        network = open_network(out / arm / "liver3mm.onnx", threads=1)
        rows = [
            score(name, network(image), np.isin(target, LIVER_CLASSES), target == LESION_CLASS)
            for name, image, target in simulated
        ]
        found["arms"][arm] = {**json.loads((out / arm / "spent.json").read_text()), "cases": [asdict(r) for r in rows]}
        if arm == "warm":
            continue
        p = network(hu)
        distance = surface_distances(tidy(p)[0], liver, (SPACING_MM,) * 3)
        real = asdict(score("3D-IRCADb 17", p, liver, reference == 2))
        found["arms"][arm]["ircadb_17"] = {**real, "surface_mm": round(distance.assd_mm, 2)}
    kept.write_text(json.dumps(found, indent=1) + "\n")
    return found


def pseudo_figures(out: Path, data: Path) -> dict[str, Any]:
    """How the pseudo labels stand to the hand-drawn ones (which are no ground truth), and every view's agreement."""
    from hepar.learn.classes import AIR_HU, IGNORE, LIVER_CLASSES, NOT_LIVER
    from hepar.learn.evaluate import open_network
    from hepar.learn.pseudo import VIEWS, pseudo_labels
    from hepar.learn.recipe import PseudoSettings
    from hepar.learn.scan import onto, read_lps

    network = open_network(out / "warm" / "liver3mm.onnx", threads=1)
    figures = {}
    for scan in SCANS:
        hu, first = read_lps(data / "ct" / f"{scan}.zip", order=1)
        hu = np.maximum(hu, AIR_HU)
        drawn, first_label = read_lps(LEARN / "labels" / f"{scan}_organs.nii.gz", order=0)
        hand = onto(drawn, first_label, hu.shape, first)
        one = pseudo_labels(network, hu, confidence=CONFIDENCE, views=PseudoSettings.views)
        flips = tuple(v for v in VIEWS if v not in PseudoSettings.views)
        flipped = pseudo_labels(network, hu, confidence=CONFIDENCE, views=flips)
        body, by_hand, pseudo = hu > -300, np.isin(hand, LIVER_CLASSES), np.isin(one.classes, LIVER_CLASSES)
        told = hand != IGNORE
        figures[scan] = {
            "agreement": one.agreement | flipped.agreement,
            "body_named": round(float((one.classes[body] < NOT_LIVER).mean()), 3),
            "body_not_liver": round(float((one.classes[body] == NOT_LIVER).mean()), 3),
            "hand_liver_named_liver": round(float(pseudo[by_hand].mean()), 3),
            "hand_liver_named_other": round(float((~pseudo & (one.classes != IGNORE))[by_hand].mean()), 4),
            "pseudo_liver_in_hand_liver": round(float(by_hand[pseudo & told].mean()), 3),
        }
    return figures


def dices(arm: dict[str, Any]) -> list[float]:
    """Liver Dice of the simulated cases; none of them is without a liver."""
    return [row["liver_dice"] for row in arm["cases"]]


def table(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    arms = found["arms"]
    base = dices(arms["nothing"])
    lines = [
        "| arm | CPU s | simulated cases, liver Dice | less `nothing` | lesions found, false a case |"
        " 3D-IRCADb 17 (N = 1): liver Dice | surface distance mm | volume ml |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, arm in arms.items():
        own, rows = dices(arm), arm["cases"]
        gain = "" if name in ("warm", "nothing") else _shown(mean([a - b for a, b in zip(own, base, strict=True)]), "+")
        lesions = f"{sum(r['found'] for r in rows)} of {sum(r['lesions'] for r in rows)}"
        false = sum(r["false_lesions"] for r in rows) / len(rows)
        real = arm.get("ircadb_17")
        cells = [f"`{name}`", f"{arm['cpu_s']:.0f}", _shown(mean(own)), gain, f"{lesions}, {false:.1f}"]
        if real is None:
            cells += ["", "", ""]
        else:
            volumes = f"{real['liver_ml']:.0f} of {real['liver_reference_ml']:.0f}"
            cells += [f"{real['liver_dice']:.3f}", f"{real['surface_mm']:.1f}", volumes]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n\n" + json.dumps(found["pseudo_labels"], indent=1)


def _shown(estimate: Any, sign: str = "") -> str:
    if estimate.low is None:
        return f"{estimate.estimate:{sign}.3f}"
    return f"{estimate.estimate:{sign}.3f} ({estimate.low:{sign}.3f} to {estimate.high:{sign}.3f})"


def draw(found: dict[str, Any], target: Path) -> None:
    """Dice per arm: every simulated case with the mean and its interval, and the one real case, as SVG."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "hepar"
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    for place, name in enumerate(ARMS):
        arm = found["arms"][name]
        own = dices(arm)
        middle = mean(own)
        spread = np.linspace(-0.18, 0.18, len(own))
        left.plot(place + spread, sorted(own), "o", ms=3, color="0.7")
        left.plot([place, place], [middle.low, middle.high], color="C0", lw=2)
        left.plot(place, middle.estimate, "s", color="C0")
        right.plot(place, arm["ircadb_17"]["liver_dice"], "D", color="C3")
    left.set_title(f"{len(own)} simulated cases, mean and 95 % interval")
    right.set_title("3D-IRCADb 17, one case")
    for axis in (left, right):
        axis.set_xticks(range(len(ARMS)), ARMS)
        axis.set_xlim(-0.5, len(ARMS) - 0.5)
        axis.set_ylabel("liver Dice")
    figure.savefig(target, format="svg", metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    data = Path(__file__).resolve().parents[2] / "shared" / "data"
    for name in ("train", "judge", "draw"):
        one = verbs.add_parser(name)
        one.add_argument("out", type=Path)
        if name != "draw":
            one.add_argument("--data", type=Path, default=data)
    verbs.choices["train"].add_argument("--warm-steps", type=int, default=320)
    verbs.choices["train"].add_argument("--arm-steps", type=int, default=160)
    verbs.choices["train"].add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    verbs.choices["train"].add_argument("--threads", type=int, default=1)
    verbs.choices["judge"].add_argument("--cases", type=int, default=16)
    verbs.choices["draw"].add_argument("-o", dest="target", type=Path, required=True)
    options = parser.parse_args()
    if options.verb == "train":
        train(options.out, options.data, options.warm_steps, options.arm_steps, options.threads, options.arms)
    elif options.verb == "judge":
        print(table(judge(options.out, options.data, options.cases)))
    else:
        draw(json.loads((options.out / "judged.json").read_text()), options.target)


if __name__ == "__main__":
    main()
