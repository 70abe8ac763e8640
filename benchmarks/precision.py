"""What f32, bf16 and int8 change in the outlines, and what each costs: the networks' arithmetic, all else as it is.

    python benchmarks/precision.py CASES SCAN [SCAN ...] [--cases 3] [--threads 2]

CASES: a folder of `benchmarks/virtual60.py make` (the tuning set). The last cases are outlined (portal venous phase),
the first two calibrate int8. SCAN: real scans as for `hepar analyze`. Told are the Dice of liver and lesions with those
of f32 (and with the truth, where there is one), finds that came, went or stayed, and the networks' processor seconds.
int8 is plain post-training quantisation, since OpenVINO's own tool (NNCF) is not among hepar's packages: every
convolution but the first and the last, weights per channel, activations per tensor between the 0.01 and 99.99
percentiles of the calibration.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from hepar.ingest import IngestSettings, read_study
from hepar.record import Anatomy, Volume
from hepar.segment import SegmentSettings
from hepar.segment.builtin import Builtin
from hepar.segment.network import OnnxNetwork
from hepar.segment.norms import keep_layout
from hepar.validate import dice, match_lesions

Ranges = dict[str, tuple[float, float]]


class Timed:
    """An engine's networks, their processor seconds counted; int8 where ranges are given."""

    def __init__(self, precision: str, threads: int, ranges: tuple[Ranges, Ranges] | None = None) -> None:
        arithmetic = "f32" if precision == "int8" else precision
        self.engine = Builtin(SegmentSettings(precision=arithmetic, threads=threads))
        self.seconds = 0.0
        for number, network in enumerate((self.engine.network, self.engine.region)):
            if ranges:
                self._quantise(network, ranges[number])
            self._count(network)

    def _count(self, network: OnnxNetwork) -> None:
        compiled, logits = network._model, network.logits

        def timed(image: Any, classes: int) -> Any:
            compiled(image.shape)
            began = time.process_time()
            answer = logits(image, classes)
            self.seconds += time.process_time() - began
            return answer

        network.logits = timed  # type: ignore[method-assign]

    def _quantise(self, network: OnnxNetwork, ranges: Ranges) -> None:
        def model(shape: tuple[int, ...]) -> Any:
            if shape not in network._compiled:
                import openvino as ov

                made = ov.Core().read_model(str(network.path))
                made.reshape(list(shape))
                keep_layout(made)
                quantise(made, ranges)
                config = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": network.threads}
                network._compiled.clear()
                network._compiled[shape] = ov.Core().compile_model(made, "CPU", config)
            return network._compiled[shape]

        network._model = model  # type: ignore[method-assign]


def convolutions(model: Any) -> list[Any]:
    """Every convolution but the first and the last, in order."""
    return [node for node in model.get_ordered_ops() if node.get_type_name() == "Convolution"][1:-1]


def quantise(model: Any, ranges: Ranges) -> None:
    """Put fake quantisation before the convolutions; OpenVINO makes int8 arithmetic of it."""
    from openvino import opset13 as op

    def limits(low: Any, high: Any, levels: int, value: Any) -> Any:
        low, high = (op.constant(np.asarray(one, np.float32)) for one in (low, high))
        return op.fake_quantize(value, low, high, low, high, levels)

    for node in convolutions(model):
        low, high = ranges[node.get_friendly_name()]
        end = node.input_value(1).get_node()
        while end.get_type_name() != "Constant":
            end = end.input_value(0).get_node()
        weights = np.asarray(end.get_data()).astype(np.float32)
        most = np.abs(weights).max(axis=(1, 2, 3, 4), keepdims=True)
        node.input(1).replace_source_output(limits(-most, most, 255, op.constant(weights)).output(0))
        node.input(0).replace_source_output(limits(low, high, 256, node.input_value(0)).output(0))
    model.validate_nodes_and_infer_types()


def calibrated(network: OnnxNetwork, images: list[Any]) -> Ranges:
    """The range of each convolution's input over the images."""
    import openvino as ov
    from openvino import opset13 as op

    found: dict[str, list[tuple[float, float]]] = {}
    for image in images:
        model = ov.Core().read_model(str(network.path))
        model.reshape(list(image.shape))
        nodes = convolutions(model)
        names = [node.get_friendly_name() for node in nodes]
        model.add_results([op.result(node.input_value(0)) for node in nodes])
        compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        answers = compiled(image)
        for number, name in enumerate(names, start=1):
            low, high = np.percentile(answers[number].ravel()[::7], (0.01, 99.99))
            found.setdefault(name, []).append((min(float(low), 0.0), float(high)))
        del answers, compiled
    return {name: (min(a for a, _ in both), max(b for _, b in both)) for name, both in found.items()}


def calibration(volumes: list[Volume], threads: int) -> tuple[Ranges, Ranges]:
    """Ranges of both networks, from what they are shown of these scans (the middle 64 voxels along each axis)."""
    seen: tuple[list[Any], list[Any]] = ([], [])
    engine = Builtin(SegmentSettings(threads=threads))
    for images, network in zip(seen, (engine.network, engine.region), strict=True):
        plain = network.logits

        def watched(image: Any, classes: int, images: list[Any] = images, plain: Any = plain) -> Any:
            starts = [max(0, (n - 64) // 2) for n in image.shape[2:]]
            cut = tuple(slice(s, s + 64) for s in starts)
            images.append(np.ascontiguousarray(image[(slice(None), slice(None), *cut)]))
            return plain(image, classes)

        network.logits = watched  # type: ignore[method-assign]
    for volume in volumes:
        engine.anatomy(volume, engine.organs(volume), labels=["portal_venous"])
    engine.network.release()
    engine.region.release()
    return calibrated(engine.network, seen[0]), calibrated(engine.region, seen[1])


def compared(name: str, precision: str, got: Anatomy, base: Anatomy, truth: Any, seconds: float) -> str:
    """One line."""
    match = match_lesions(got.lesions, base.lesions, criterion="overlap", instances=True)
    line = f"{name:<16} {precision:<5} {seconds:7.2f}  {dice(got.liver, base.liver):.4f}"
    line += f"  {dice(got.lesions > 0, base.lesions > 0):.3f}"
    line += f"  {len(match.pairs)} stay, {len(match.missed)} go, {len(match.false)} come"
    if truth is not None:
        line += f"   {dice(got.liver, truth > 0):.4f}  {dice(got.lesions > 0, truth > 10):.3f}"
    return line


def main() -> None:
    """Outline every scan in each precision, print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("scans", type=Path, nargs="*")
    parser.add_argument("--cases", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:

        def read(path: Path) -> Volume:
            study = read_study(path, settings=IngestSettings(), modality="CT", workspace=Path(work))
            return study.phases[0].volume

        def virtual(case: Path) -> tuple[Volume, Any]:
            truth = json.loads((case / "truth.json").read_text(encoding="utf-8"))
            number = next(p["number"] for p in truth["phases"] if p["label"] == "portal_venous")
            labels = np.asarray(nibabel.load(case / truth["labels_file"]).dataobj).transpose(2, 1, 0)
            return read(next((case / "nifti").glob(f"{number}_*"))), labels

        folders = sorted(p.parent for p in options.folder.glob("case-*/truth.json"))
        ranges = calibration([virtual(case)[0] for case in folders[1:3]], options.threads)
        runs = {"f32": None, "bf16": None, "int8": ranges}
        print("scan             arith  networks s   liver and lesion Dice with f32, finds (with the truth)")
        chosen = [*folders[-options.cases :], *options.scans] if options.cases else options.scans
        for path in chosen:
            volume, truth = virtual(path) if path.is_dir() else (read(path), None)
            base = None
            for precision, given in runs.items():
                engine = Timed(precision, options.threads, given)
                labels = ["native" if "native" in path.name else "portal_venous"]
                got = engine.engine.anatomy(volume, engine.engine.organs(volume), labels=labels)
                base = base or got
                print(compared(path.name.split(".")[0], precision, got, base, truth, engine.seconds), flush=True)


if __name__ == "__main__":
    main()
