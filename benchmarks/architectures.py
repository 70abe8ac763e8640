"""Five networks, one trainer, one stream of samples, one budget of processor time each.

    python benchmarks/architectures.py train DIR [--anatomies FOLDER] [--seeds 1 2] [--networks residual plain ...]
                                                 [--cpu-minutes 20] [--patches 24] [--shape 48 64 64] [--variants 16]
    python benchmarks/architectures.py cost DIR
    python benchmarks/architectures.py table DIR

train: every network from random weights at 1.2 mm, the shipped loop (`hepar.learn.train`), one thread, as many
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
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from side_by_side.samples import Samples, patches
from side_by_side.table import FIGURES, figure, table

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


def sized(recipe: Any, name: str, seed: int, steps: int) -> Any:
    """The recipe of one run."""
    widths, blocks = SIZES[name]
    return replace(
        recipe, architecture=name, widths=widths, blocks=blocks, seed=seed, start=None, learning_rate=LEARNING_RATE,
        minutes=0.0, steps=steps,
    )  # fmt: skip


def pace(samples: Samples) -> dict[str, float]:
    """Processor seconds of one step of each network, mean over 24 samples after 2 to warm up, by turns."""
    from hepar.learn.trainer import Trainer

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
    from side_by_side.judge import judged

    from hepar.learn.export import export
    from hepar.learn.trainer import Trainer

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
        "patches": judged(onnx, cases),
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
            figures = {k: round(figure(k, made["patches"]) or 0, 3) for k in FIGURES}
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
