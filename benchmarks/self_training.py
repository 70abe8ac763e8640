"""What unlabelled scans and 2D slices bring to the organ network, against hand-drawn labels and against nothing.

    python benchmarks/self_training.py train OUT [--data DATA] [--warm-steps 280] [--arm-steps 100] [--seeds 1 2]
    python benchmarks/self_training.py judge OUT [--data DATA] [--cases 12]
    python benchmarks/self_training.py draw OUT -o FIGURE.svg

train: one network from nothing, taught by the native anatomy with invented domes, virtual patients and negatives; it
never sees crlm-1004 and crlm-1006. From its weights four arms go on, equally many steps and the same settings:
`nothing` more of the same; `pseudo` with 42 of 100 samples from the two crlm scans, labelled by that first network;
`slices` with as many from the 2D slices; `hand` with as many from the two scans with the hand-drawn labels of the
shipped recipe. Each arm is trained once per seed. Stopped, it goes on where it was. judge: each network alone, at 3 mm,
on fixed simulated cases that no training draws and, once, on 3D-IRCADb 17; keeps OUT/NAME/judged.json. The weights of
`slices` derive from data under CC BY-SA 4.0: they stay in OUT/slices-SEED and are never shipped.
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

HEAD = """seed = {seed}
steps = {steps}
learning_rate = 2e-3
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


def recipe_text(arm: str, seed: int, data: Path, out: Path, steps: int) -> str:
    """The recipe of one arm and seed, or of the network that all arms start from (`warm`)."""
    warm = out / "warm" / "liver3mm.onnx"
    start = "" if arm == "warm" else f'start = "{warm}"'
    text = HEAD.format(seed=20261121 + seed, steps=steps, start=start, data=data)
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


def train(out: Path, data: Path, steps: tuple[int, int], threads: int, seeds: list[int], arms: list[str]) -> None:
    """Train and export the first network and the arms that are not there yet. steps: of it, and of each arm."""
    wanted = [("warm", "warm", 1, steps[0])]
    wanted += [(f"{arm}-{seed}", arm, seed, steps[1]) for seed in seeds for arm in arms]
    for name, arm, seed, count in wanted:
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "liver3mm.onnx").is_file():
            continue
        recipe = folder / "recipe.toml"
        recipe.write_text(recipe_text(arm, seed, data.resolve(), out.resolve(), count))
        began, before = time.monotonic(), _cpu_s()
        learn = [sys.executable, "-m", "hepar", "learn"]
        run = ["--run", str(folder)]
        subprocess.run([*learn, "train", str(recipe), *run, "--threads", str(threads)], check=True)
        spent = {"cpu_s": round(_cpu_s() - before, 1), "wall_s": round(time.monotonic() - began, 1)}
        (folder / "spent.json").write_text(json.dumps(spent) + "\n")
        subprocess.run([*learn, "export", str(recipe), *run, "-o", str(folder)], check=True)
        print(f"{name}: {spent}", flush=True)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def judge(out: Path, data: Path, cases: int) -> dict[str, Any]:
    """Figures of every network there is; each is kept beside it, so that nobody looks at 3D-IRCADb 17 twice."""
    folders = sorted(p.parent for p in out.glob("*/liver3mm.onnx"))
    fresh = [f for f in folders if not (f / "judged.json").is_file()]
    if fresh:
        from hepar.learn.evaluate import read_case, simulated_cases
        from hepar.learn.recipe import read_recipe

        simulated = simulated_cases(read_recipe(out / "warm" / "recipe.toml"), cases)
        ct = data / "ct"
        real = read_case(ct / "ircadb-17.zip", ct / "ircadb-17_liver1_tumour2.nii.gz")
        for folder in fresh:
            found = judge_one(folder, simulated, None if folder.name == "warm" else real)
            (folder / "judged.json").write_text(json.dumps(found, indent=1) + "\n")
            print(f"{folder.name}: judged", flush=True)
    labels = out / "pseudo_labels.json"
    if not labels.is_file():
        labels.write_text(json.dumps(pseudo_figures(out, data), indent=1) + "\n")
    networks = {f.name: json.loads((f / "judged.json").read_text()) for f in folders}
    return {"pseudo_labels": json.loads(labels.read_text()), "networks": networks}


def judge_one(folder: Path, simulated: list[Any], real: tuple[Any, Any] | None) -> dict[str, Any]:
    """Figures of one network on the simulated cases and on the real one."""
    from hepar.learn.classes import LESION_CLASS, LIVER_CLASSES, SPACING_MM
    from hepar.learn.evaluate import open_network, score, tidy

    network = open_network(folder / "liver3mm.onnx", threads=1)
    rows = [
        asdict(score(name, network(image), np.isin(target, LIVER_CLASSES), target == LESION_CLASS))
        for name, image, target in simulated
    ]
    found = {**json.loads((folder / "spent.json").read_text()), "cases": rows}
    if real is not None:
        hu, reference = real
        p, liver = network(hu), np.isin(reference, (1, 2))
        distance = surface_distances(tidy(p)[0], liver, (SPACING_MM,) * 3)
        row = asdict(score("3D-IRCADb 17", p, liver, reference == 2))
        found["ircadb_17"] = {**row, "surface_mm": round(distance.assd_mm, 2)}
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
            "pseudo_liver_in_hand_liver": _share(by_hand[pseudo & told]),
        }
    return figures


def _share(values: np.ndarray) -> float | None:
    return round(float(values.mean()), 3) if values.size else None


def seeds_of(found: dict[str, Any], arm: str) -> list[dict[str, Any]]:
    """The networks of an arm, by seed."""
    return [n for name, n in sorted(found["networks"].items()) if name.rpartition("-")[0] == arm or name == arm]


def dices(networks: list[dict[str, Any]]) -> list[float]:
    """Liver Dice of the simulated cases, mean over seeds; none of the cases is without a liver."""
    each = [[row["liver_dice"] for row in network["cases"]] for network in networks]
    return [float(v) for v in np.mean(each, axis=0)]


def table(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    base = dices(seeds_of(found, "nothing"))
    lines = [
        "| arm | CPU s a seed | simulated cases, liver Dice | more than `nothing` | the same, by seed |"
        " 3D-IRCADb 17 (N = 1), by seed: liver Dice | surface distance mm | volume ml |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for arm in ("warm", *ARMS):
        networks = seeds_of(found, arm)
        own, spent = dices(networks), " and ".join(f"{n['cpu_s']:.0f}" for n in networks)
        cells = [f"`{arm}`", spent, _shown(mean(own)), "", "", "", "", ""]
        if arm not in ("warm", "nothing"):
            cells[3] = _shown(mean([a - b for a, b in zip(own, base, strict=True)]), "+")
            pairs = zip(networks, seeds_of(found, "nothing"), strict=True)
            cells[4] = ", ".join(f"{np.mean(dices([a])) - np.mean(dices([b])):+.3f}" for a, b in pairs)
        if arm != "warm":
            real = [n["ircadb_17"] for n in networks]
            cells[5] = ", ".join(f"{r['liver_dice']:.3f}" for r in real)
            cells[6] = ", ".join(f"{r['surface_mm']:.1f}" for r in real)
            cells[7] = ", ".join(f"{r['liver_ml']:.0f}" for r in real) + f"; truth {real[0]['liver_reference_ml']:.0f}"
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
    left, right = figure.subplots(1, 2, width_ratios=(3, 2), sharey=True)
    for place, name in enumerate(ARMS):
        networks = seeds_of(found, name)
        own = dices(networks)
        middle = mean(own)
        spread = np.linspace(-0.18, 0.18, len(own))
        left.plot(place + spread, sorted(own), "o", ms=3, color="0.7")
        left.plot([place, place], [middle.low, middle.high], color="C0", lw=2)
        left.plot(place, middle.estimate, "s", color="C0")
        for seed, network in enumerate(networks):
            right.plot(place - 0.08 + 0.16 * seed, network["ircadb_17"]["liver_dice"], "D", color="C3")
    left.set_title(f"{len(own)} simulated cases, mean and 95 % interval")
    right.set_title("3D-IRCADb 17, by seed")
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
        one.add_argument("--data", type=Path, default=data)
    verbs.choices["train"].add_argument("--warm-steps", type=int, default=280)
    verbs.choices["train"].add_argument("--arm-steps", type=int, default=100)
    verbs.choices["train"].add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    verbs.choices["train"].add_argument("--seeds", nargs="+", type=int, default=[1, 2])
    verbs.choices["train"].add_argument("--threads", type=int, default=1)
    for name in ("judge", "draw"):
        verbs.choices[name].add_argument("--cases", type=int, default=12)
    verbs.choices["draw"].add_argument("-o", dest="target", type=Path, required=True)
    options = parser.parse_args()
    if options.verb == "train":
        steps = options.warm_steps, options.arm_steps
        train(options.out, options.data, steps, options.threads, options.seeds, options.arms)
    elif options.verb == "judge":
        print(table(judge(options.out, options.data, options.cases)))
    else:
        draw(judge(options.out, options.data, options.cases), options.target)


if __name__ == "__main__":
    main()
