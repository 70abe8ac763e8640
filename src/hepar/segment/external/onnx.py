"""Any ONNX network, run by OpenVINO on the grid and with the intensities that its engine file states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.errors import WrongCall
from hepar.record import PADDING_HU, Geometry, Organ, Volume
from hepar.segment.external.mapping import LIVER, EngineFile, Run
from hepar.segment.external.nifti import nearest
from hepar.segment.grid import onto_model, onto_native
from hepar.segment.network import body_box, core
from hepar.segment.place import slabs

_DIRECTIONS = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}
"""Axis of LPS space, and the sense in which an array axis of this letter runs along it."""
_KEYS = {"spacing_mm", "axes", "channels", "outside_hu", "multiple", "window", "overlap", "output"}
_WINDOW = (160, 160, 160)
_MOST_VOXELS = 240_000_000
OUTPUTS = ("logits", "probabilities", "sigmoid", "labels")


@dataclass(frozen=True)
class Channel:
    """One input channel: HU cut to clip, then mapped linearly. value = HU * scale + shift."""

    clip: tuple[float, float]
    scale: float
    shift: float


@dataclass(frozen=True)
class OnnxInput:
    """What a network wants and gives.

    spacing_mm: along the array's own axes. axes: the direction in which each runs, e.g. "SPL" (hepar's) or "RAS".
    window: voxels of one pass (None: up to 160 each). multiple: sizes are padded up to multiples of it.
    overlap: share of a window that two neighbours have in common; the seam lies in its middle.
    outside_hu: what stands where the scan does not reach. output: one of OUTPUTS; labels are class numbers.
    """

    spacing_mm: tuple[float, float, float]
    axes: str
    channels: tuple[Channel, ...]
    outside_hu: float
    multiple: int
    window: tuple[int, int, int] | None
    overlap: float
    output: str


@dataclass(frozen=True, eq=False)
class Scores:
    """On the network's grid: winner, uint8 class of ours; liver, lesion: 255 x P, or None for a network of labels."""

    winner: NDArray[np.uint8]
    liver: NDArray[np.uint8] | None
    lesion: NDArray[np.uint8] | None
    geometry: Geometry


def stated_input(engine: EngineFile) -> OnnxInput:
    """The [onnx] table, checked. Raises WrongCall, naming the key, for what is missing or impossible."""
    given = engine.given.get("onnx")
    if not isinstance(given, Mapping):
        raise WrongCall(f"engine {engine.name}: an [onnx] table is needed; its keys are {', '.join(sorted(_KEYS))}")
    if unknown := sorted(set(given) - _KEYS):
        keys = ", ".join(sorted(_KEYS))
        raise WrongCall(f"engine {engine.name}, [onnx]: unknown {', '.join(unknown)}; its keys are {keys}")

    def need(good: bool, text: str) -> None:
        if not good:
            raise WrongCall(f"engine {engine.name}, [onnx]: {text}")

    spacing: Any = given.get("spacing_mm")
    need(_numbers(spacing, 3) and min(spacing) > 0, "spacing_mm must be three millimetres, along the array's axes")
    axes = str(given.get("axes", ""))
    need(
        len(axes) == 3 and sorted(_DIRECTIONS.get(a, (9, 0))[0] for a in axes) == [0, 1, 2],
        'axes must say where the three array axes run, e.g. "SPL" or "RAS", one letter each of L/R, P/A, S/I',
    )
    channels: Any = given.get("channels")
    need(
        isinstance(channels, list) and bool(channels),
        "channels must list the input channels, e.g. [{clip = [-150, 250], to = [-1, 1]}]",
    )
    window = given.get("window")
    need(window is None or (_numbers(window, 3) and min(window) >= 1), "window must be three numbers of voxels")
    multiple, overlap = given.get("multiple", 16), given.get("overlap", 0.25)
    need(isinstance(multiple, int) and multiple >= 1, "multiple must be a whole number from 1")
    need(isinstance(overlap, int | float) and 0 <= overlap < 0.9, "overlap must lie between 0 and 0.9")
    output = str(given.get("output", "logits"))
    need(output in OUTPUTS, f"output is {output!r}; needed: one of {', '.join(OUTPUTS)}")
    outside = given.get("outside_hu", PADDING_HU)
    need(isinstance(outside, int | float), "outside_hu must be a number")
    made = []
    for one in channels:
        need(isinstance(one, Mapping), "a channel is a table: {clip = [low, high], to = [low, high]}")
        clip = one.get("clip", [-1024, 3071])
        need(_numbers(clip, 2), "a channel's clip is [low, high] in HU")
        need(clip[0] < clip[1], "a channel's clip runs from low to high")
        if "to" in one:
            good = _numbers(one["to"], 2) and not {"mean", "sd"} & set(one)
            need(good, "a channel has to = [low, high], or mean and sd")
            scale = (one["to"][1] - one["to"][0]) / (clip[1] - clip[0])
            made.append(Channel((clip[0], clip[1]), scale, one["to"][0] - clip[0] * scale))
        else:
            mean, sd = one.get("mean", 0.0), one.get("sd", 1.0)
            need(_numbers([mean, sd], 2) and sd > 0, "a channel's mean and sd are numbers, sd above 0")
            made.append(Channel((clip[0], clip[1]), 1 / sd, -mean / sd))
    return OnnxInput(
        (float(spacing[0]), float(spacing[1]), float(spacing[2])), axes, tuple(made), float(outside), multiple,
        None if window is None else (int(window[0]), int(window[1]), int(window[2])), float(overlap), output,
    )  # fmt: skip


def network_grid(geometry: Geometry, wanted: OnnxInput) -> Geometry:
    """The grid of the stated spacing and axes over all voxel centres of a scan."""
    last = np.array(geometry.shape) - 1
    corners = geometry.to_lps_mm(np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * last)
    low, high = np.round(corners.min(axis=0), 4), np.round(corners.max(axis=0), 4)
    affine, shape = np.eye(4), []
    for axis, (letter, step) in enumerate(zip(wanted.axes, wanted.spacing_mm, strict=True)):
        world, sense = _DIRECTIONS[letter]
        affine[:3, axis] = 0
        affine[world, axis] = sense * step
        affine[world, 3] = low[world] if sense > 0 else high[world]
        shape.append(int(np.floor((high[world] - low[world]) / step + 1e-6)) + 1)
    if np.prod(shape) > _MOST_VOXELS:
        raise WrongCall(f"the network's grid would hold {np.prod(shape) / 1e6:.0f} million voxels; check spacing_mm")
    return Geometry((shape[0], shape[1], shape[2]), affine)


def onto_network(volume: Volume, grid: Geometry, wanted: OnnxInput) -> NDArray[np.float32]:
    """HU on the network's grid, blurred against aliasing; outside_hu where the scan does not reach."""
    if len(set(grid.spacing_mm)) == 1:
        hu = onto_model(volume, grid)
    else:
        from scipy import ndimage

        move = np.linalg.inv(np.round(volume.geometry.affine, 6)) @ grid.affine
        # How far one step of the network's grid goes along each native axis, in native voxels.
        reach = np.abs(move[:3, :3]).max(axis=1)
        blurred = ndimage.gaussian_filter(volume.array.astype(np.float32), 0.4 * np.maximum(0, reach - 1))
        hu = ndimage.affine_transform(
            blurred, move[:3, :3], move[:3, 3], output_shape=grid.shape, order=1, mode="nearest", prefilter=False
        )  # fmt: skip
        for axis, count in enumerate(volume.array.shape):
            i, j, k = np.ogrid[: grid.shape[0], : grid.shape[1], : grid.shape[2]]
            along = move[axis, 0] * i + move[axis, 1] * j + move[axis, 2] * k + move[axis, 3]
            hu[(along < -0.5 - 1e-6) | (along > count - 0.5 + 1e-6)] = PADDING_HU
    if wanted.outside_hu != PADDING_HU:
        hu = np.where(hu <= PADDING_HU, np.float32(wanted.outside_hu), hu)
    return hu


class OnnxNetwork:
    """A network in an ONNX file. precision: "f32" or "bf16"; threads: 0 for automatic."""

    def __init__(self, engine: EngineFile, run: Run, precision: str, threads: int) -> None:
        self.engine, self.run, self.wanted = engine, run, stated_input(engine)
        self.precision, self.threads = precision, threads
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._model, self._rank = self._read()

    def scores(self, volume: Volume, progress: Callable[[float], None]) -> Scores:
        """The network's answer about one scan, window by window; only the box around the body is looked at."""
        grid = network_grid(volume.geometry, self.wanted)
        hu = onto_network(volume, grid, self.wanted)
        winner = np.zeros(grid.shape, np.uint8)
        soft = self.wanted.output != "labels"
        liver = np.zeros(grid.shape, np.uint8) if soft else None
        lesion = np.zeros(grid.shape, np.uint8) if soft else None
        body = body_box(hu)
        if body is None:
            return Scores(winner, liver, lesion, grid)
        inside = hu[body]
        pieces = tiles(inside.shape, self._size(inside.shape), self.wanted.overlap)
        for number, (window, keep, within) in enumerate(pieces):
            answer = self._one(inside[window])
            labels, p_liver, p_lesion = self._meaning(answer)
            winner[body][keep] = labels[within]
            if liver is not None and lesion is not None and p_liver is not None and p_lesion is not None:
                liver[body][keep] = np.rint(255 * p_liver[within])
                lesion[body][keep] = np.rint(255 * p_lesion[within])
            progress((number + 1) / len(pieces))
        return Scores(winner, liver, lesion, grid)

    def _meaning(
        self, answer: NDArray[np.float32]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None, NDArray[np.float32] | None]:
        """Our labels, P(liver with all that is in it), P(lesion) of one window's answer."""
        name, output = self.engine.name, self.wanted.output
        if output == "labels":
            return self.run.convert(np.rint(answer[0]).astype(np.int64), name), None, None
        classes = len(answer)
        beyond = sorted(number for number in self.run.labels if number >= classes)
        if beyond:
            raise WrongCall(f"engine {name}: label {beyond[0]} is not in the network, which has {classes} channels")
        if output == "sigmoid":
            chance = 1 / (1 + np.exp(-answer))
            labels = np.zeros(answer.shape[1:], np.uint8)
            # Overlapping classes: the later one in the engine file stands on top.
            for number, organ in self.run.labels.items():
                labels[chance[number] > 0.5] = organ
            both = np.zeros((2, *labels.shape), np.float32)
            for number, organ in self.run.labels.items():
                if organ in LIVER:
                    np.maximum(both[0], chance[number], out=both[0])
                if organ is Organ.LESION:
                    np.maximum(both[1], chance[number], out=both[1])
            return labels, both[0], both[1]
        if output == "logits":
            answer = np.exp(answer - answer.max(axis=0))
        answer = answer / np.maximum(answer.sum(axis=0), 1e-9)
        # Channel 0 is the background here and cannot be unknown; convert refuses what the file does not name.
        labels = self.run.convert(answer.argmax(axis=0), name)
        of = {organ: [n for n, o in self.run.labels.items() if o is organ] for organ in LIVER}
        p_liver = answer[[n for numbers in of.values() for n in numbers]].sum(axis=0)
        return labels, p_liver, answer[of[Organ.LESION]].sum(axis=0)

    def _one(self, hu: NDArray[np.float32]) -> NDArray[np.float32]:
        """The answer (channel, ...) of one window, which is padded with outside_hu to the window's full size."""
        size = self._size(hu.shape)
        full = np.full(size, self.wanted.outside_hu, np.float32)
        full[: hu.shape[0], : hu.shape[1], : hu.shape[2]] = hu
        image = np.empty((1, len(self.wanted.channels), *size), np.float32)
        for number, channel in enumerate(self.wanted.channels):
            image[0, number] = np.clip(full, *channel.clip) * channel.scale + channel.shift
        flat = self._rank == 4
        answer = np.asarray(self._run(image[:, :, 0] if flat else image), dtype=np.float32)
        if flat:
            answer = answer.reshape(*answer.shape[:-2], 1, *answer.shape[-2:])
        answer = answer.reshape(-1, *answer.shape[-3:])
        if answer.shape[1:] != tuple(size) or not np.isfinite(answer).all():
            raise WrongCall(
                f"engine {self.engine.name}: the network answered with {answer.shape} for a window of {tuple(size)}, or"
                " with numbers that are not finite; check axes, window and multiple in the engine file"
            )
        return answer[:, : hu.shape[0], : hu.shape[1], : hu.shape[2]]

    def _size(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """Voxels of a window: the stated one, or what there is, up to 160, in multiples."""
        if self.wanted.window is not None:
            return self.wanted.window
        m = self.wanted.multiple
        most = [max(m, n // m * m) for n in _WINDOW]
        sizes = [min(-(-n // m) * m, limit) for n, limit in zip(shape, most, strict=True)]
        if self._rank == 4:
            sizes[0] = 1
        return sizes[0], sizes[1], sizes[2]

    def _read(self) -> tuple[Any, int]:
        try:
            model = core().read_model(str(self.engine.model))
            rank = int(model.input(0).get_partial_shape().rank.get_length())
        except Exception as error:
            raise WrongCall(
                f"engine {self.engine.name}: the ONNX file cannot be read ({type(error).__name__}); give a network of"
                " one input"
            ) from None
        if len(model.inputs) != 1 or rank not in (4, 5):
            raise WrongCall(
                f"engine {self.engine.name}: the network has {len(model.inputs)} inputs and the first of {rank} axes;"
                " needed is one input of [1, channel, two or three axes]"
            )
        return model, rank

    def _run(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compiled for one shape; the last one is kept."""
        try:
            if image.shape not in self._compiled:
                self._model.reshape(list(image.shape))
                self._compiled.clear()
                config: dict[str, Any] = {"INFERENCE_PRECISION_HINT": self.precision, "PERFORMANCE_HINT": "LATENCY"}
                if self.threads:
                    config["INFERENCE_NUM_THREADS"] = self.threads
                self._compiled[image.shape] = core().compile_model(self._model, "CPU", config)
            result: NDArray[np.float32] = self._compiled[image.shape](image)[0]
        except Exception as error:
            raise WrongCall(
                f"engine {self.engine.name}: the network does not take an input of {image.shape}"
                f" ({type(error).__name__}); check channels, window and multiple in the engine file"
            ) from None
        return result


def to_native(scores: Scores, geometry: Geometry) -> NDArray[np.uint8]:
    """Values of `Organ` on the scan's grid: scores of liver and lesion interpolated, other organs by nearest voxel."""
    out = nearest(scores.winner, scores.geometry, geometry)
    if scores.liver is None or scores.lesion is None:
        return out
    rows, columns = slice(0, geometry.shape[1]), slice(0, geometry.shape[2])
    for _, part, _ in slabs(geometry.shape, 0):
        place = geometry.crop((part, rows, columns))
        liver = onto_native(scores.liver, scores.geometry, place) >= 127.5
        lesion = onto_native(scores.lesion, scores.geometry, place) >= 127.5
        here = out[part]
        was = np.isin(here, LIVER)
        here[was & ~liver] = Organ.BACKGROUND
        here[liver & ~was] = Organ.LIVER
        here[(here == Organ.LESION) & ~lesion] = Organ.LIVER
        here[lesion] = Organ.LESION
        out[part] = here
    return out


def tiles(
    shape: tuple[int, ...], size: tuple[int, ...], overlap: float
) -> list[tuple[tuple[slice, ...], tuple[slice, ...], tuple[slice, ...]]]:
    """Windows of a size that cover a shape: the window, the part of it that counts, and where that lies in the window.

    The parts that count do not overlap and together are everything.
    """
    axes = []
    for count, width in zip(shape, size, strict=True):
        if count <= width:
            axes.append([(slice(0, count), slice(0, count))])
            continue
        shared = min(width - 1, round(overlap * width))
        pieces = -(-(count - shared) // (width - shared))
        starts = [round(i * (count - width) / (pieces - 1)) for i in range(pieces)]
        seams = [0, *[(starts[i] + width + starts[i + 1]) // 2 for i in range(pieces - 1)], count]
        axes.append([(slice(s, s + width), slice(a, b)) for s, a, b in zip(starts, seams, seams[1:], strict=False)])
    out = []
    for combination in product(*axes):
        window, keep = tuple(w for w, _ in combination), tuple(k for _, k in combination)
        within = tuple(slice(k.start - w.start, k.stop - w.start) for w, k in combination)
        out.append((window, keep, within))
    return out


def _numbers(value: Any, count: int) -> bool:
    return isinstance(value, list) and len(value) == count and all(isinstance(n, int | float) for n in value)
