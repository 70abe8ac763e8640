"""The two networks alone: OpenVINO as hepar runs it, and the same weights in eager torch, in one run.

    python benchmarks/network_speed.py [--threads 2] [--rounds 2] [--repeats 3]

Needs torch and onnx (group `learn`). Each engine runs in a process of its own, in turn, so many rounds, and in each one
a warm-up and so many repeats of one pass over the same volume of noise: median and range by the clock, median of the
processor's seconds (which tell the same where other work runs beside), the process' peak memory. torch gets the weights
of the ONNX file and must answer the same. Then the two stages as `hepar analyze` runs them, windows, padding and scores
included: organs of a whole abdomen (450 x 276 x 381 mm at 3 mm), the region of a liver of 2 litres (190 x 205 x 247 mm
at 1.2 mm).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hepar.record import Geometry
from hepar.segment.network import Network, OnnxNetwork, shipped
from hepar.segment.region import RegionNetwork
from hepar.segment.settings import SegmentSettings

ONE_PASS = {"liver3mm": (2, 13, (112, 96, 128)), "region": (4, 5, (96, 128, 128))}
"""Channels, classes, shape: as large as one window."""
ABDOMEN, REGION = (150, 92, 127), (158, 171, 206)
ENGINES = ("hepar f32", "hepar bf16", "torch float32", "torch float32 channels-last")


def torch_network(path: Path, inputs: int, classes: int) -> Any:
    """hepar's U-Net in torch with the weights of an ONNX file that `hepar learn export` wrote."""
    import onnx
    import torch
    from onnx import numpy_helper

    from hepar.learn.network import UNet

    graph = onnx.load(str(path)).graph
    held = {one.name: numpy_helper.to_array(one).astype(np.float32) for one in graph.initializer}
    made = {name: node for node in graph.node for name in node.output}

    def value(name: str) -> np.ndarray | None:
        node = made.get(name)
        if name in held or node is None:
            return held.get(name)
        if node.op_type == "Constant":
            return numpy_helper.to_array(node.attribute[0].t)
        return value(node.input[0]) if node.op_type in ("Cast", "Unsqueeze", "Reshape") else None

    state = {}
    for node in graph.node:
        kind = {"Conv": "weight", "Mul": "weight", "Add": "bias"}.get(node.op_type)
        weights = [found for name in node.input[1:] if (found := value(name)) is not None]
        module = ""
        for part in node.name.split("/")[1:-1]:
            module = part if part.startswith(f"{module}.") or not module else f"{module}.{part}"
        if kind is None or not weights:
            continue
        state[f"{module}.{kind}"] = torch.from_numpy(
            weights[0].copy() if node.op_type == "Conv" else weights[0].ravel().copy()
        )
        if node.op_type == "Conv" and len(weights) > 1:
            state[f"{module}.bias"] = torch.from_numpy(weights[1].copy())
    net = UNet(classes=classes, inputs=inputs)
    missing, unexpected = net.load_state_dict(state, strict=False)
    if unexpected or any(not name.startswith("half_head") for name in missing):
        raise SystemExit(f"weights do not fit: missing {missing}, unexpected {unexpected}")
    return net.eval()


def one_pass(engine: str, name: str, threads: int) -> Callable[[], np.ndarray]:
    """A function that runs the network once over the noise."""
    channels, classes, shape = ONE_PASS[name]
    image = np.random.default_rng(0).normal(0, 0.5, (1, channels, *shape)).astype(np.float32)
    if engine.startswith("hepar"):
        network = OnnxNetwork(shipped(name), engine.split()[1], threads, 10**9)
        return lambda: network.logits(image, classes)
    import torch

    torch.set_num_threads(threads)
    layout = torch.channels_last_3d if "last" in engine else torch.contiguous_format
    net = torch_network(shipped(name), channels, classes).to(memory_format=layout)
    given = torch.from_numpy(image).to(memory_format=layout)

    def run() -> np.ndarray:
        with torch.inference_mode():
            out: np.ndarray = net(given)[0].contiguous().numpy()
        return out

    return run


def stage(name: str, precision: str, threads: int) -> Callable[[], object]:
    """A function that runs one stage as `hepar analyze` does."""
    window = SegmentSettings().window_voxels
    rng = np.random.default_rng(0)
    if name == "organs":
        organs = Network(None, precision, threads, window)
        hu = rng.normal(50, 40, ABDOMEN).astype(np.float32)
        return lambda: organs.probabilities(hu)
    region = RegionNetwork(None, precision, threads, window)
    image = np.zeros((4, *REGION), np.float32)
    image[2] = rng.normal(0, 0.5, REGION)
    return lambda: region.look(image, Geometry.regular(REGION, (1.2, 1.2, 1.2)), 1)


def child(work: list[str], threads: int, repeats: int, keep: Path) -> None:
    """One engine in this process: a warm-up that is timed too, then the repeats; prints them as JSON."""
    run = stage(work[1], work[2], threads) if work[0] == "stage" else one_pass(work[0], work[1], threads)
    seconds, processor = [], []
    for _ in range(repeats + 1):
        began, spent = time.perf_counter(), time.process_time()
        answer = run()
        seconds.append(time.perf_counter() - began)
        processor.append(time.process_time() - spent)
    if isinstance(answer, np.ndarray):
        np.save(keep, answer)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"first": seconds[0], "seconds": seconds[1:], "processor": processor[1:], "peak": peak}))


def ask(work: list[str], options: argparse.Namespace, keep: Path, repeats: int) -> dict[str, Any]:
    """Run `child` in a process of its own."""
    command = [sys.executable, __file__, "--threads", str(options.threads), "--repeats", str(repeats)]
    done = subprocess.run(
        [*command, "--keep", str(keep), "--child", *work], capture_output=True, text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(options.threads)},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def row(name: str, told: list[dict[str, Any]]) -> tuple[float, float]:
    """Print what the repeats took; the medians by the clock and of the processor."""
    seconds = [one for answer in told for one in answer["seconds"]]
    middle = statistics.median(seconds)
    processor = statistics.median(one for answer in told for one in answer["processor"])
    spread = f"({min(seconds):.2f} to {max(seconds):.2f}, first {told[0]['first']:.2f})"
    peak = max(one["peak"] for one in told)
    print(f"  {name:<28} {middle:6.2f} s {spread:<34} processor {processor:6.2f} s, {peak:.2f} GiB", flush=True)
    return middle, processor


def main() -> None:
    """Run everything, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--keep", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.threads, options.repeats, options.keep)
        return
    engines = options.engines.split(",")
    print(f"{options.threads} threads of {os.cpu_count()}, load {os.getloadavg()[0]:.1f} at the start")
    with tempfile.TemporaryDirectory() as folder:
        for name, (_, _, shape) in ONE_PASS.items():
            print(f"{name} alone, {' x '.join(map(str, shape))}")
            told: dict[str, list[dict[str, Any]]] = {engine: [] for engine in engines}
            for _ in range(options.rounds):
                for engine in engines:
                    told[engine].append(ask([engine, name], options, Path(folder) / f"{engine}.npy", options.repeats))
            middle = {engine: row(engine, answers) for engine, answers in told.items()}
            answers = {engine: np.load(Path(folder) / f"{engine}.npy") for engine in engines}
            for engine in engines:
                if engine.startswith("hepar") and "torch float32" in engines:
                    off = np.abs(answers[engine] - answers["torch float32"])
                    same = (answers[engine].argmax(0) == answers["torch float32"].argmax(0)).mean()
                    clock, processor = (t / own for t, own in zip(middle["torch float32"], middle[engine], strict=True))
                    print(
                        f"  {engine} against torch float32: {clock:.2f} times as fast, processor {processor:.2f} times;"
                        f" logits off by {off.mean():.1g} on average, {off.max():.1g} at most; same label {same:.5f}"
                    )
        for name in ("organs", "region"):
            print(f"stage {name}, {' x '.join(map(str, ABDOMEN if name == 'organs' else REGION))}")
            for precision in ("f32", "bf16"):
                row(
                    f"hepar {precision}",
                    [ask(["stage", name, precision], options, Path(folder) / "x", options.repeats)],
                )


if __name__ == "__main__":
    main()
