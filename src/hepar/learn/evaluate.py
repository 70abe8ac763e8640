"""Judge an exported network: unseen simulated cases, and labelled CT studies when asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.errors import WrongCall
from hepar.learn.classes import AIR_HU, CLASS_NAMES, IGNORE, LESION_CLASS, LIVER_CLASSES, SPACING_MM, STRIDE
from hepar.learn.recipe import Recipe, read_recipe
from hepar.segment.network import core
from hepar.validate import dice

Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""HU (slice, row, column) at 3 mm -> class probabilities (class, slice, row, column)."""

EVALUATION_SEED = 990_000
"""Simulated evaluation cases use this seed and their own anatomies' variants; training never draws them."""

EVALUATION_SHAPE = (80, 96, 128)
_VOXEL_ML = SPACING_MM**3 / 1000


@dataclass(frozen=True)
class Score:
    """One case. Volumes in ml; dice None where the reference is empty. Lesions count from `smallest_ml` on."""

    case: str
    liver_dice: float | None
    liver_ml: float
    liver_reference_ml: float
    lesion_dice: float | None
    lesions: int
    found: int
    found_large: int
    large: int
    false_lesions: int


def network_in(path: Path, *, channels: int, classes: int) -> Any:
    """OpenVINO's model of an ONNX file, not yet compiled.

    Raises WrongCall for a file that is no ONNX, or whose input and output have other numbers of channels and classes.
    """
    from openvino.frontend import FrontEndManager

    # `Core.read_model` tries every reader that it has, and TensorFlow's complains on standard error.
    reader = FrontEndManager().load_by_framework("onnx")
    try:
        model = reader.convert(reader.load(str(path)))
    except Exception:
        raise WrongCall(f"{path.name} cannot be read as ONNX; give a network that `hepar learn export` wrote") from None
    found = [[one.partial_shape for one in side] for side in (model.inputs, model.outputs)]
    for side, what, needed in zip(found, ("input", "output"), (channels, classes), strict=True):
        if len(side) != 1 or side[0].rank != 5 or side[0][1] != needed:
            shown = ", ".join(str(shape) for shape in side) or "none"
            raise WrongCall(
                f"{path.name} has the {what} {shown}; needed [1,{needed},slices,rows,columns]; give a network of this"
                " recipe's stage"
            )
    return model


def compiled(path: Path, *, channels: int, classes: int, spacing_mm: float, threads: int) -> Any:
    """The same compiled in float32.

    Raises what `network_in` raises, and WrongCall where the network's own description beside it (NAME.json, as
    `hepar learn export` writes) tells of another grid: on a grid of other voxels every figure would be wrong.
    """
    model = network_in(path, channels=channels, classes=classes)
    beside = path.with_suffix(".json")
    if beside.is_file():
        try:
            made_for = json.loads(beside.read_text("utf-8")).get("spacing_mm", spacing_mm)
        except (ValueError, AttributeError):
            raise WrongCall(f"{beside.name} is no description of a network; export the network again") from None
        if made_for != spacing_mm:
            raise WrongCall(
                f"{path.name} looks at voxels of {made_for} mm, the patches have {spacing_mm} mm; judge it with the"
                " version of hepar that made it"
            )
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    return core().compile_model(model, "CPU", config)


def open_network(path: Path, *, threads: int = 2) -> Network:
    """An exported network of stage organs. Raises WrongCall for any other file."""
    model = compiled(path, channels=2, classes=len(CLASS_NAMES), spacing_mm=SPACING_MM, threads=threads)

    def run(hu: NDArray[np.float32]) -> NDArray[np.float32]:
        padded = [(-n) % STRIDE for n in hu.shape]
        full = np.pad(hu, [(0, p) for p in padded], constant_values=AIR_HU)
        image = np.stack([(np.clip(full, -150, 250) - 50) / 200, (np.clip(full, -1024, 800) + 112) / 912])[None]
        logits = model(image.astype(np.float32))[0][0, :, : hu.shape[0], : hu.shape[1], : hu.shape[2]]
        logits = np.exp(logits - logits.max(0))
        out: NDArray[np.float32] = logits / logits.sum(0)
        return out

    return run


def tidy(
    probability: NDArray[np.float32], *, smallest_ml: float = 0.15
) -> tuple[NDArray[np.bool_], NDArray[np.int32], int]:
    """Largest liver component with holes filled, and the lesion components in it (mean probability at least 0.6)."""
    from scipy import ndimage

    liver_p = probability[list(LIVER_CLASSES)].sum(0)
    parts, count = ndimage.label(liver_p > 0.5)
    if count == 0:
        return np.zeros(liver_p.shape, bool), np.zeros(liver_p.shape, np.int32), 0
    liver = parts == 1 + int(np.argmax(ndimage.sum_labels(np.ones_like(parts), parts, np.arange(1, count + 1))))
    liver = ndimage.binary_fill_holes(liver)
    lesion_p = probability[LESION_CLASS] / np.maximum(liver_p, 1e-6)
    parts, count = ndimage.label((lesion_p > 0.5) & liver)
    kept = np.zeros(parts.shape, np.int32)
    number = 0
    for k in range(1, count + 1):
        part = parts == k
        if part.sum() * _VOXEL_ML >= smallest_ml and lesion_p[part].mean() >= 0.6:
            number += 1
            kept[part] = number
    return liver, kept, number


def score(
    case: str,
    probability: NDArray[np.float32],
    liver: NDArray[np.bool_],
    lesions: NDArray[np.bool_],
    *,
    smallest_ml: float = 0.3,
) -> Score:
    """Compare class probabilities with a reference liver (lesions included) and its lesion voxels."""
    from scipy import ndimage

    guess, parts, count = tidy(probability)
    truth, truths = ndimage.label(lesions)
    found = found_large = large = total = 0
    for k in range(1, truths + 1):
        volume = float((truth == k).sum()) * _VOXEL_ML
        if volume < smallest_ml:
            continue
        hit = bool((parts[truth == k] > 0).mean() >= 0.1)
        total, found = total + 1, found + hit
        if volume >= 4.0:
            large, found_large = large + 1, found_large + hit
    wide = ndimage.binary_dilation(lesions)
    false = sum(not wide[parts == k].any() for k in range(1, count + 1))
    return Score(
        case,
        dice_of(guess, liver),
        round(float(guess.sum()) * _VOXEL_ML, 1),
        round(float(liver.sum()) * _VOXEL_ML, 1),
        dice_of(parts > 0, lesions),
        total,
        found,
        found_large,
        large,
        int(false),
    )


def dice_of(guess: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float | None:
    """Dice to four places; None where the truth is empty."""
    return round(dice(guess, truth), 4) if truth.any() else None


def simulated_cases(recipe: Recipe, count: int = 12) -> list[tuple[str, NDArray[np.float32], NDArray[np.uint8]]]:
    """Fixed unseen cases: new domes, new vessel trees and new draws of the recipe's anatomies."""
    import torch

    from hepar.learn.colour import PHASES
    from hepar.learn.sample import make_sample
    from hepar.learn.source import load_atlases

    torch.set_num_threads(1)
    simulated = [s for s in recipe.sources if s.kind in ("totalseg", "virtual")]
    pools = [load_atlases(replace(s, variants=3), EVALUATION_SEED) for s in simulated]
    cases: list[tuple[str, NDArray[np.float32], NDArray[np.uint8]]] = []
    number = 0
    while len(cases) < count:
        number += 1
        pool = pools[number % len(pools)]
        rng = np.random.default_rng([EVALUATION_SEED, number])
        sample = make_sample(pool[number // len(pools) % len(pool)], EVALUATION_SHAPE, rng, plain=True)
        if (sample.target == 1).sum() * _VOXEL_ML > 500:
            cases.append((f"{sample.atlas}-{number}-{PHASES[sample.phase]}", sample.hu, sample.target))
    return cases


def read_case(image: Path, labels: Path) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """A CT (DICOM zip or NIfTI) and its labels (NIfTI, hepar's numbers, 255 unknown) on one grid, both at 3 mm."""
    from hepar.learn.scan import onto, read_lps

    hu, first = read_lps(image, order=1)
    drawn, first_label = read_lps(labels, order=0)
    return np.maximum(hu, AIR_HU), onto(drawn, first_label, hu.shape, first)


def evaluate(
    network: Path, recipe: Path, *, cases: int = 12, real: list[tuple[Path, Path]] | None = None
) -> list[dict[str, Any]]:
    """Scores of the simulated cases and of each real (image, labels) pair, as plain rows."""
    run = open_network(network)
    rows = []
    for name, hu, target in simulated_cases(read_recipe(recipe), cases) if cases else []:
        liver = np.isin(target, LIVER_CLASSES)
        rows.append(asdict(score(name, run(hu), liver, target == LESION_CLASS)))
    for number, (image, labels) in enumerate(real or []):
        hu, reference = read_case(image, labels)
        probability = run(hu)
        probability[:, reference == IGNORE] = 0
        liver = np.isin(reference, LIVER_CLASSES)
        rows.append(asdict(score(f"real{number + 1}", probability, liver, reference == LESION_CLASS)))
    return rows
