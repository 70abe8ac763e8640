"""Five networks, one trainer, one stream of samples, one budget of processor time each.

    python benchmarks/architectures.py train DIR [--anatomies FOLDER] [--seeds 1 2] [--networks residual plain ...]
                                                 [--cpu-minutes 20] [--patches 24] [--shape 48 64 64] [--variants 16]
    python benchmarks/architectures.py cost DIR
    python benchmarks/architectures.py table DIR

train: every network from random weights at 1.5 mm, the shipped loop (`hepar.learn.train`), one thread, as many
optimisation steps as fit into --cpu-minutes of processor time. What a step costs is measured first, all networks by
turns on the same 24 samples (DIR/pace.json), so that a busy hour is not one network's bad luck; making samples costs
nothing. Sample number i of a seed is the same for every network. A run (network, seed) ends with DIR/NETWORK-SEED.json
and its ONNX file and is not done again; once DIR/pace.json is there, several processes may work on one DIR with
different seeds. The anatomies of the recipe are read from --anatomies, or made there (about an hour). Judged on the
fixed patches of `hepar learn evaluate`, half of them portal venous alone, with the shipped path's OpenVINO in single
precision.
Every sample is drawn once, so the loss before its step is one of unseen samples; the last 60 or so are told.
cost: one pass over a region of 96 x 160 x 160 voxels, OpenVINO f32, two threads, each network in a fresh process.
table: everything as Markdown and as DIR/summary.json. Over seeds a t interval; network minus residual on the same
patches with a bootstrap over patches.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RECIPE = Path(__file__).parents[1] / "src" / "hepar" / "learn" / "region.toml"
LEARNING_RATE = 2e-3
SIZES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "residual": ((24, 48, 64, 96, 128), (1, 2, 2, 1)),
    "hybrid": ((16, 32, 64, 96, 128), (1, 2, 2, 1)),
    "transformer": ((24, 48, 64, 96, 128), (1, 2, 2, 1)),
    "phases": ((24, 32, 64, 96, 128), (1, 1, 2, 1)),
    "plain": ((16, 32, 64, 112, 144), (1, 1, 1, 1)),
}
"""Widths and blocks; residual as shipped, the others near its parameters and processor time."""
REGION = (96, 160, 160)
STRATA = ("under 10 mm", "10 to 20 mm", "over 20 mm")


class Samples:
    """Sample `number` of a seed, made once and kept below folder."""

    def __init__(self, recipe: Any, seed: int, anatomies: Path, folder: Path) -> None:
        self.recipe, self.seed, self.anatomies, self.folder = recipe, seed, anatomies, folder
        self.pools: list[Any] = []
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, number: int) -> tuple[Any, Any]:
        """Image [1, 4, D, H, W] float16 and target [1, D, H, W] uint8 as tensors."""
        import torch

        from hepar.learn.region import stored_atlas
        from hepar.learn.source import draw_region

        path = self.folder / f"{number:05d}.npz"
        if not path.exists():
            if not self.pools:
                self.pools = [
                    [stored_atlas(s, self.recipe.seed + v, self.anatomies) for v in range(s.variants)]
                    for s in self.recipe.sources
                ]
            sample = draw_region(self.recipe, self.pools, self.seed * 1_000_000 + number)
            part = path.with_suffix(f".{os.getpid()}.npz")
            np.savez_compressed(part, image=sample.image, target=sample.target)
            part.replace(path)
        with np.load(path) as kept:
            return torch.from_numpy(kept["image"])[None], torch.from_numpy(kept["target"])[None]


def patches(recipe: Any, count: int, anatomies: Path, folder: Path) -> Iterator[Any]:
    """The fixed patches, made once and kept below folder."""
    from hepar.learn.region_evaluate import region_cases
    from hepar.learn.region_sample import RegionSample

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{i:03d}.npz" for i in range(count)]
    if not all(p.exists() for p in paths):
        for path, sample in zip(paths, region_cases(recipe, count, anatomies), strict=True):
            part = path.with_suffix(f".{os.getpid()}.npz")
            np.savez_compressed(
                part, image=sample.image, target=sample.target, phases=sample.phases, atlas=sample.atlas
            )
            part.replace(path)
    for path in paths:
        with np.load(path) as kept:
            phases = tuple(int(p) for p in kept["phases"])
            yield RegionSample(kept["image"], kept["target"], phases, str(kept["atlas"]))


def edge_mm(guess: NDArray[np.bool_], truth: NDArray[np.bool_], known: NDArray[np.bool_]) -> float | None:
    """Mean distance of the two surfaces in mm, both directions, by area, at 1.5 mm voxels.

    Surface where the patch ends or beside voxels whose class nobody knows is no edge of the liver and is left out.
    None where one of the two has no surface.
    """
    from hepar.learn.classes import REGION_SPACING_MM
    from hepar.validate.nearest import nearest_mm
    from hepar.validate.surfaces import surface

    spacing = (REGION_SPACING_MM,) * 3
    blind = np.pad(~known, 1, constant_values=True)
    for axis in range(3):
        first, second = [slice(None)] * 3, [slice(None)] * 3
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        blind = blind[tuple(first)] | blind[tuple(second)]
    places, areas = [], []
    for mask in (guess, truth):
        where, area = surface(np.ascontiguousarray(mask), spacing)
        seen = ~blind.ravel()[where]
        if not seen.any():
            return None
        places.append(where[seen])
        areas.append(area[seen])
    shape = (guess.shape[0] + 1, guess.shape[1] + 1, guess.shape[2] + 1)
    total = sum(float(nearest_mm(places[i], places[1 - i], shape, spacing) @ areas[i]) for i in range(2))
    return total / float(areas[0].sum() + areas[1].sum())


def lesion_auc(logits: NDArray[np.float32], target: NDArray[np.uint8]) -> float | None:
    """Chance that a voxel of a lesion looks more like one than a voxel of the rest of the liver; no limit is needed.

    logits [5, ...]. None without lesion or without healthy liver.
    """
    rest = np.logaddexp(logits[1], np.logaddexp(logits[3], logits[4]))
    margin = logits[2] - rest
    healthy = np.sort(margin[np.isin(target, (1, 3, 4))])
    lesion = margin[target == 2]
    if not lesion.size or not healthy.size:
        return None
    below = np.searchsorted(healthy, lesion, "left") + np.searchsorted(healthy, lesion, "right")
    return float(below.mean() / 2 / healthy.size)


def sized(recipe: Any, name: str, seed: int, steps: int) -> Any:
    """The recipe of one run."""
    widths, blocks = SIZES[name]
    return replace(
        recipe, architecture=name, widths=widths, blocks=blocks, seed=seed, start=None, learning_rate=LEARNING_RATE,
        minutes=0.0, steps=steps,
    )  # fmt: skip


def pace(samples: Samples) -> dict[str, float]:
    """Processor seconds of one step of each network, mean over 24 samples after 2 to warm up, by turns."""
    from hepar.learn.train import Trainer

    trainers = {name: Trainer(sized(samples.recipe, name, 0, 1000)) for name in SIZES}
    spent = dict.fromkeys(SIZES, 0.0)
    for number in range(-2, 24):
        hu, target = samples.get(max(number, 0))
        for name, trainer in trainers.items():
            began = time.process_time()
            trainer.update(hu, target)
            if number >= 0:
                spent[name] += time.process_time() - began
    return {name: seconds / 24 for name, seconds in spent.items()}


def train_one(name: str, seed: int, samples: Samples, cases: list[Any], folder: Path, steps: int) -> dict[str, Any]:
    """Train, export and judge one network; what came out, as JSON."""
    import torch

    from hepar.learn.classes import EITHER_VEIN
    from hepar.learn.export import export
    from hepar.learn.region_evaluate import judge
    from hepar.learn.train import Trainer
    from hepar.segment.region import RegionNetwork

    recipe = sized(samples.recipe, name, seed, steps)
    trainer = Trainer(recipe)
    losses = []
    while trainer.progress() < 1:
        hu, target = samples.get(trainer.step)
        began = time.process_time()
        loss, _ = trainer.update(hu, target)
        trainer.seconds += time.process_time() - began
        losses.append(loss)
    place = folder / f"{name}-{seed}"
    place.mkdir(exist_ok=True)
    torch.save(trainer.state(), place / "state.pt")
    onnx = export(place / "state.pt", place, recipe)
    (place / "state.pt").unlink()
    network = RegionNetwork(onnx, "f32", 1, 10**8)
    rows = []
    for number, sample in enumerate(cases):
        logits = network.logits(sample.image[None].astype(np.float32), 5)
        p = np.exp(logits - logits.max(0))
        p /= p.sum(0)
        score = judge(f"{sample.atlas}-{number}", p, sample)
        known = sample.target < EITHER_VEIN
        edge = edge_mm((p[0] < 0.5) & known, (sample.target > 0) & known, known)
        rows.append({**asdict(score), "edge_mm": edge, "lesion_auc": lesion_auc(logits, sample.target)})
    return {
        "network": name,
        "seed": seed,
        "widths": recipe.widths,
        "blocks": recipe.blocks,
        "parameters": sum(p.numel() for p in trainer.net.parameters()),
        "cpu_s": round(trainer.seconds, 1),
        "steps": trainer.step,
        "learning_rate": LEARNING_RATE,
        "shape": recipe.shapes[0],
        "anatomies": sum(s.variants for s in recipe.sources),
        "torch": torch.__version__,
        "loss_per_20_steps": [round(float(np.mean(losses[i : i + 20])), 3) for i in range(0, len(losses), 20)],
        "patches": rows,
    }


def small(shape: list[int], variants: int) -> Any:
    """The shipped recipe with patches of one shape and at most so many variants of each source."""
    from hepar.learn.recipe import read_recipe

    recipe = read_recipe(RECIPE)
    sources = tuple(replace(s, variants=min(s.variants, variants)) for s in recipe.sources)
    return replace(recipe, sources=sources, shapes=((shape[0], shape[1], shape[2]),), shape_shares=(1.0,))


def train(
    folder: Path, anatomies: Path, recipe: Any, names: list[str], seeds: list[int], cpu_minutes: float, count: int
) -> None:
    """Every run that is not there yet, seed by seed."""
    import torch

    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    paced = folder / "pace.json"
    if not paced.exists():
        paced.write_text(json.dumps(pace(Samples(recipe, seeds[0], anatomies, folder / f"samples-{seeds[0]}"))) + "\n")
    step_s = json.loads(paced.read_text())
    print(step_s, flush=True)
    cases = list(patches(recipe, count, anatomies, folder / "patches"))
    for seed in seeds:
        samples = Samples(recipe, seed, anatomies, folder / f"samples-{seed}")
        for name in names:
            target = folder / f"{name}-{seed}.json"
            if target.exists():
                continue
            began = time.monotonic()
            made = train_one(name, seed, samples, cases, folder, round(60 * cpu_minutes / step_s[name]))
            target.write_text(json.dumps(made) + "\n")
            figures = {k: round(f(made["patches"]) or 0, 3) for k, f in FIGURES.items() if k != "false"}
            print(name, seed, made["steps"], "steps", round(time.monotonic() - began), "s", figures, flush=True)


def pass_once(path: Path, threads: int) -> dict[str, float]:
    """Memory and time of passes over one region; meant for a fresh process."""
    from hepar.segment.region import RegionNetwork

    image = np.random.default_rng(0).normal(0, 0.5, (1, 4, *REGION)).astype(np.float32)
    import openvino

    openvino.Core()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    network = RegionNetwork(path, "f32", threads, 10**8)
    network.logits(image, 5)
    wall, cpu = [], []
    for _ in range(3):
        began, used = time.monotonic(), time.process_time()
        network.logits(image, 5)
        wall.append(time.monotonic() - began)
        cpu.append(time.process_time() - used)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"cpu_s": float(np.median(cpu)), "wall_s": float(np.median(wall)), "peak_mib": peak / 1024}


def cost(folder: Path, threads: int) -> None:
    """Each network in a process of its own."""
    out = {}
    for name in SIZES:
        path = next(iter(sorted(folder.glob(f"{name}-*/region.onnx"))), None)
        if path is None:
            continue
        call = [sys.executable, __file__, "pass", str(path), "--threads", str(threads)]
        made = json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)
        out[name] = {**made, "file_mb": path.stat().st_size / 1e6}
        print(name, out[name], flush=True)
    (folder / "cost.json").write_text(json.dumps({"threads": threads, "region": REGION, "networks": out}) + "\n")


Rows = list[dict[str, Any]]


def _mean(key: str) -> Callable[[Rows], float | None]:
    def figure(rows: Rows) -> float | None:
        values = [r[key] for r in rows if r[key] is not None]
        return float(np.mean(values)) if values else None

    return figure


def _recall(strata: tuple[int, ...]) -> Callable[[Rows], float | None]:
    def figure(rows: Rows) -> float | None:
        lesions = sum(r["lesions"][i] for r in rows for i in strata)
        return sum(r["found"][i] for r in rows for i in strata) / lesions if lesions else None

    return figure


FIGURES: dict[str, Callable[[Rows], float | None]] = {
    "liver Dice": _mean("liver_dice"),
    "liver edge, mm": _mean("edge_mm"),
    "lesion AUC": _mean("lesion_auc"),
    "lesion Dice": _mean("lesion_dice"),
    **{f"recall {name}": _recall((i,)) for i, name in enumerate(STRATA)},
    "recall of all": _recall((0, 1, 2)),
    "false per patch": _mean("false"),
}
"""What is told of a set of patches. Recall: a fifth of the lesion is covered."""


def over_seeds(values: list[float]) -> dict[str, Any]:
    """Mean with the t interval over seeds; no interval from one seed."""
    from scipy import stats

    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return {"estimate": mean, "low": None, "high": None, "level": None, "method": "one seed"}
    half = float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return {"estimate": mean, "low": mean - half, "high": mean + half, "level": 0.95, "method": f"t, {n} seeds"}


def paired(one: list[Rows], other: list[Rows]) -> dict[str, Any]:
    """Every figure of `one` minus `other`, mean over seeds, with the interval of drawing patches (2,000 draws).

    one, other: per seed the rows of the same patches in the same order.
    """
    count = len(one[0])
    rng = np.random.default_rng(0)
    draws = [np.arange(count), *(rng.integers(0, count, count) for _ in range(2000))]
    out: dict[str, Any] = {}
    for name, figure in FIGURES.items():
        values = []
        for draw in draws:
            both = [
                (figure([a[i] for i in draw]), figure([b[i] for i in draw])) for a, b in zip(one, other, strict=True)
            ]
            steps = [x - y for x, y in both if x is not None and y is not None]
            values.append(float(np.mean(steps)) if len(steps) == len(both) else np.nan)
        told = [v for v in values[1:] if np.isfinite(v)]
        low, high = map(float, np.quantile(told, (0.025, 0.975))) if told else (None, None)
        out[name] = {
            "estimate": values[0] if np.isfinite(values[0]) else None,
            "low": low,
            "high": high,
            "level": 0.95,
            "method": "bootstrap of patches, 2000 draws",
        }
    return out


def table(folder: Path) -> str:
    """The Markdown of everything that is there; also writes summary.json."""
    runs: dict[str, dict[int, Any]] = {}
    for path in sorted(folder.glob("*-*.json")):
        made = json.loads(path.read_text())
        runs.setdefault(made["network"], {})[made["seed"]] = made
    runs = {name: runs[name] for name in SIZES if name in runs}
    costs = json.loads((folder / "cost.json").read_text())["networks"] if (folder / "cost.json").exists() else {}
    paced = json.loads((folder / "pace.json").read_text())
    summary: dict[str, Any] = {}
    for name, seeds in runs.items():
        first = next(iter(seeds.values()))
        entry: dict[str, Any] = {
            "parameters": first["parameters"],
            "steps": {s: m["steps"] for s, m in seeds.items()},
            "training_cpu_s": {s: m["cpu_s"] for s, m in seeds.items()},
            "cpu_s_per_step": paced[name],
            "last_loss": {s: round(float(np.mean(m["loss_per_20_steps"][-4:-1])), 3) for s, m in seeds.items()},
            "cost": costs.get(name),
            "seeds": {},
            "over_seeds": {},
        }
        chosen = {
            "all": lambda r: True,
            "portal venous": lambda r: r["phases"] == 1,
            "four phases": lambda r: r["phases"] > 1,
        }
        for part, keep in chosen.items():
            for key, figure in FIGURES.items():
                values = {s: figure([r for r in m["patches"] if keep(r)]) for s, m in seeds.items()}
                entry["seeds"].setdefault(part, {})[key] = values
                told = [v for v in values.values() if v is not None]
                entry["over_seeds"].setdefault(part, {})[key] = over_seeds(told) if told else None
        if name != "residual" and "residual" in runs:
            both = sorted(set(seeds) & set(runs["residual"]))
            if both:
                entry["minus_residual"] = paired(
                    [seeds[s]["patches"] for s in both], [runs["residual"][s]["patches"] for s in both]
                )
        summary[name] = entry
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    return "\n\n".join(
        (_costs(summary), *(_part(summary, p) for p in ("all", "portal venous", "four phases")), _differences(summary))
    )


def _costs(summary: dict[str, Any]) -> str:
    lines = [
        "| network | parameters | CPU s a step | steps | loss at the end | CPU s a region | seconds, two threads "
        "| peak memory, MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, e in summary.items():
        c = e["cost"] or {}
        steps = ", ".join(str(v) for v in dict.fromkeys(e["steps"].values()))
        ends = "; ".join(f"{v:.2f}" for v in e["last_loss"].values())
        told = [f"{c[k]:.{d}f}" if k in c else "" for k, d in (("cpu_s", 2), ("wall_s", 2), ("peak_mib", 0))]
        size, pace_s = f"{e['parameters'] / 1e6:.2f} M", f"{e['cpu_s_per_step']:.2f}"
        lines.append(f"| {name} | {size} | {pace_s} | {steps} | {ends} | {' | '.join(told)} |")
    return "\n".join(lines)


def _part(summary: dict[str, Any], part: str) -> str:
    lines = [f"| network, {part} | " + " | ".join(FIGURES) + " |", "|---" * (len(FIGURES) + 1) + "|"]
    for name, e in summary.items():
        cells = []
        for key in FIGURES:
            mean, values = e["over_seeds"][part][key], [v for v in e["seeds"][part][key].values() if v is not None]
            interval = f", {mean['low']:.2f} to {mean['high']:.2f}" if mean and mean["low"] is not None else ""
            cells.append(f"{mean['estimate']:.3f} ({'; '.join(f'{v:.3f}' for v in values)}{interval})" if mean else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _differences(summary: dict[str, Any]) -> str:
    lines = ["| minus residual, same patches | " + " | ".join(FIGURES) + " |", "|---" * (len(FIGURES) + 1) + "|"]
    for name, e in summary.items():
        if "minus_residual" in e:
            cells = [
                "" if v["low"] is None else f"{v['estimate']:+.3f} ({v['low']:+.3f} to {v['high']:+.3f})"
                for v in e["minus_residual"].values()
            ]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Read the command line and run one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    one = parts.add_parser("train")
    one.add_argument("folder", type=Path)
    one.add_argument("--anatomies", type=Path, default=Path.home() / ".cache" / "hepar" / "anatomies")
    one.add_argument("--networks", nargs="+", choices=list(SIZES), default=list(SIZES))
    one.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    one.add_argument("--cpu-minutes", type=float, default=20.0)
    one.add_argument("--patches", type=int, default=24)
    one.add_argument("--shape", nargs=3, type=int, default=[48, 64, 64], help="slices, rows, columns of a sample")
    one.add_argument("--variants", type=int, default=16, help="anatomies of each source at most")
    for name in ("cost", "pass"):
        other = parts.add_parser(name)
        other.add_argument("folder", type=Path)
        other.add_argument("--threads", type=int, default=2)
    parts.add_parser("table").add_argument("folder", type=Path)
    given = parser.parse_args()
    if given.part == "train":
        recipe = small(given.shape, given.variants)
        train(given.folder, given.anatomies, recipe, given.networks, given.seeds, given.cpu_minutes, given.patches)
    elif given.part == "cost":
        cost(given.folder, given.threads)
    elif given.part == "pass":
        print(json.dumps(pass_once(given.folder, given.threads)))
    else:
        print(table(given.folder))


if __name__ == "__main__":
    main()
