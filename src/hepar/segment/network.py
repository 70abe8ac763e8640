"""The built-in network: its file, its run in OpenVINO, and large bodies in overlapping windows."""

from __future__ import annotations

import hashlib
from functools import cache, cached_property
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Fault
from hepar.record import PADDING_HU, Organ
from hepar.segment.norms import keep_layout

STRIDE = 16
OVERLAP = 48
"""Voxels (144 mm) that two neighbouring windows share; half of it is context on either side of the seam."""
WINDOWS_HU = ((-150.0, 250.0), (-1024.0, 800.0))
"""The two input channels; each is clipped and mapped to -1 to 1."""
CLASSES = len(Organ)
_BODY_HU = -300.0


@cache
def core() -> Any:
    """OpenVINO's core, one for the whole process, which whoever reads or compiles a network uses.

    The CPU plugin of each core gives the thread a stack for signals and at its end puts back the one from before. Where
    two cores do not end in reverse order that one is gone, and the next signal (Ctrl-C, the end of a child process)
    ends the process; tests/segment/test_network.py holds it against OpenVINO 2026.4.
    """
    import openvino

    return openvino.Core()


class OnnxNetwork:
    """A network in one file (ONNX, or OpenVINO's own format), compiled for the shape at hand.

    precision: "f32" or "bf16". threads: 0 for automatic. window_voxels: largest input of one pass.
    Raises Fault when the file is missing.
    """

    def __init__(self, path: Path, precision: str, threads: int, window_voxels: int) -> None:
        self.path = path
        if not self.path.is_file():
            raise Fault(f"weights {self.path.name} are missing from the installation; install hepar again")
        self.precision, self.threads, self.window_voxels = precision, threads, window_voxels
        self._compiled: dict[tuple[int, ...], Any] = {}

    @cached_property
    def sha256(self) -> str:
        """Of the weights file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    @cached_property
    def version(self) -> str:
        """Name and first 12 digits of the hash, so that retrained weights never pass for older ones."""
        return f"{self.path.stem}-{self.sha256[:12]}"

    def release(self) -> None:
        """Give back the memory of the compiled network; it is compiled again when needed."""
        self._compiled.clear()

    def logits(self, image: NDArray[np.float32], classes: int) -> NDArray[np.float32]:
        """image (1, channels, slice, row, column), sides multiples of STRIDE -> (classes, slice, row, column)."""
        logits = self._model(image.shape)(image)[0][0]
        if logits.shape != (classes, *image.shape[2:]) or not np.isfinite(logits).all():
            raise Fault(f"the network answered with {logits.shape} or numbers that are not finite; install hepar again")
        out: NDArray[np.float32] = logits
        return out

    def _model(self, shape: tuple[int, ...]) -> Any:
        """Compiled for one input shape; the last one is kept."""
        if shape not in self._compiled:
            model = core().read_model(str(self.path))
            model.reshape(list(shape))
            keep_layout(model)
            self._compiled.clear()
            config: dict[str, Any] = {
                # A CPU with bf16 units would otherwise run in bf16 and give other outlines than one without.
                "INFERENCE_PRECISION_HINT": self.precision,
                "NUM_STREAMS": 1,
                "PERFORMANCE_HINT": "LATENCY",
            }
            if self.threads:
                config["INFERENCE_NUM_THREADS"] = self.threads
            self._compiled[shape] = core().compile_model(model, "CPU", config)
        return self._compiled[shape]


class Network(OnnxNetwork):
    """The organ network: the whole scan at 3 mm."""

    def __init__(self, path: Path | None, precision: str, threads: int, window_voxels: int) -> None:
        super().__init__(path or shipped("liver3mm"), precision, threads, window_voxels)

    def probabilities(self, hu: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
        """Labels, 255 x P(lesion) and 255 x P(liver, lesions and inner vessels included) of a 3 mm volume in HU.

        Only the box around the body is looked at; a volume of air is all background.
        """
        labels = np.zeros(hu.shape, np.uint8)
        lesion, liver = np.zeros_like(labels), np.zeros_like(labels)
        body = body_box(hu)
        if body is None:
            return labels, lesion, liver
        inside = hu[body]
        for window, keep in windows(inside.shape, self.window_voxels):
            logits = self._run(inside[window])
            logits -= logits.max(axis=0)
            winner = logits.argmax(axis=0).astype(np.uint8)
            np.exp(logits, out=logits)
            total = logits.sum(axis=0)
            p_lesion = logits[Organ.LESION] / total
            p_liver = (logits[Organ.LIVER] + logits[Organ.LESION] + logits[Organ.HEPATIC_VESSEL]) / total
            part = tuple(slice(k.start - w.start, k.stop - w.start) for k, w in zip(keep, window, strict=True))
            labels[body][keep] = winner[part]
            lesion[body][keep] = np.rint(255 * p_lesion[part])
            liver[body][keep] = np.rint(255 * p_liver[part])
        return labels, lesion, liver

    def _run(self, hu: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (13, slice, row, column); the box is padded with air to multiples of STRIDE."""
        shape = [-(-n // STRIDE) * STRIDE for n in hu.shape]
        image = np.empty((1, len(WINDOWS_HU), *shape), np.float32)
        padded = np.full(shape, PADDING_HU, np.float32)
        padded[: hu.shape[0], : hu.shape[1], : hu.shape[2]] = hu
        for channel, (low, high) in enumerate(WINDOWS_HU):
            image[0, channel] = np.clip(padded, low, high) * (2 / (high - low)) - (high + low) / (high - low)
        logits = self.logits(image, CLASSES)
        return np.array(logits[:, : hu.shape[0], : hu.shape[1], : hu.shape[2]], dtype=np.float32)


def shipped(name: str) -> Path:
    """Where the weights of this name lie in the installation."""
    return Path(str(resources.files("hepar.segment") / "weights" / f"{name}.onnx"))


def windows(
    shape: tuple[int, ...], limit: int, overlap: int = OVERLAP
) -> list[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """Windows of at most `limit` voxels and the part of each that counts; together all.

    Of all ways to divide the three axes into equal windows (up to six an axis) the one with the least work is taken.
    Two neighbours share at least `overlap` voxels, and the seam lies in the middle. Where no division is small enough,
    the smallest window that still moves on.
    """
    best: tuple[bool, int, tuple[int, ...]] | None = None
    for pieces in product(range(1, 7), repeat=3):
        size = tuple(
            -(-(n if p == 1 else max(-(-(n + (p - 1) * overlap) // p), 2 * overlap)) // STRIDE) * STRIDE
            for n, p in zip(shape, pieces, strict=True)
        )
        voxels = int(np.prod(size))
        too_large = voxels > limit
        work = voxels if too_large else voxels * int(np.prod(pieces))
        if best is None or (too_large, work) < best[:2]:
            best = (too_large, work, size)
    assert best is not None
    window = best[2]
    axes = []
    for count, width in zip(shape, window, strict=True):
        if count <= width:
            axes.append([(slice(0, count), slice(0, count))])
            continue
        parts = -(-(count - overlap) // (width - overlap))
        starts = [round(i * (count - width) / (parts - 1)) for i in range(parts)]
        seams = [0, *[(starts[i] + width + starts[i + 1]) // 2 for i in range(parts - 1)], count]
        axes.append([(slice(s, s + width), slice(a, b)) for s, a, b in zip(starts, seams, seams[1:], strict=False)])
    return [(tuple(p[0] for p in place), tuple(p[1] for p in place)) for place in product(*axes)]


def body_box(hu: NDArray[np.float32]) -> tuple[slice, slice, slice] | None:
    """Box around everything denser than lung, with a margin of two voxels; None for air only."""
    dense = hu > _BODY_HU
    box = []
    for axis in range(3):
        seen = np.flatnonzero(dense.any(axis=tuple(a for a in range(3) if a != axis)))
        if not len(seen):
            return None
        box.append(slice(max(0, int(seen[0]) - 2), min(hu.shape[axis], int(seen[-1]) + 3)))
    return box[0], box[1], box[2]
