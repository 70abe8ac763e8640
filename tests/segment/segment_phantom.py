"""A phantom, and a network that tells its tissues apart by their blurred HU alone, so that answers are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hepar.record import Geometry, Volume

LIVER_HU, LESION_HU, KIDNEY_HU, LUNG_HU = 110, 60, 230, -850
BODY_HU = 155
"""Denser than the liver, so that its blurred edge does not pass through the HU of a lesion."""
_TENT = {1: (LIVER_HU, 25), 2: (LESION_HU, 25), 4: (KIDNEY_HU, 40)}
_SCALE = 8.0


def write_standin(folder: Path) -> Path:
    """OpenVINO IR with the interface of the real network: image [1,2,D,H,W] -> logits [1,13,D,H,W].

    Class k with (middle, half width) in _TENT has the logit 8 * (1 - |HU - middle| / half width), lung answers to
    HU below -700, background is 0, all others are -20.
    """
    import openvino as ov
    from openvino import opset13 as op

    image = op.parameter([1, 2, -1, -1, -1], np.float32, name="image")
    blur = op.constant(np.full((1, 1, 3, 3, 3), 1 / 27, np.float32))
    pick = [op.slice(image, [c], [c + 1], [1], [1]) for c in (0, 1)]
    near = op.convolution(pick[0], blur, [1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1])
    hu = op.add(op.multiply(near, op.constant(np.float32(200))), op.constant(np.float32(50)))
    air = op.add(op.multiply(pick[1], op.constant(np.float32(912))), op.constant(np.float32(-112)))
    zero = op.multiply(hu, op.constant(np.float32(0)))
    planes = []
    for number in range(13):
        if number in _TENT:
            middle, half = _TENT[number]
            gap = op.abs(op.subtract(hu, op.constant(np.float32(middle))))
            one = op.subtract(op.constant(np.float32(1)), op.divide(gap, op.constant(np.float32(half))))
            planes.append(op.multiply(one, op.constant(np.float32(_SCALE))))
        elif number == 11:
            tissue = op.divide(op.subtract(op.constant(np.float32(-700)), air), op.constant(np.float32(20)))
            planes.append(op.minimum(tissue, op.constant(np.float32(4))))
        else:
            planes.append(op.subtract(zero, op.constant(np.float32(0 if number == 0 else 20))))
    logits = op.concat(planes, 1)
    logits.output(0).tensor.set_names({"logits"})
    path = folder / "standin.xml"
    ov.save_model(ov.Model([logits], [image], "standin"), str(path), compress_to_fp16=False)
    return path


def write_region_standin(folder: Path) -> Path:
    """The same for the region network: image [1,4,D,H,W] -> logits [1,5,D,H,W].

    The lesion's logit is the highest of all phases, the liver's the lowest: a phase that is not there (all zero) looks
    like liver and so changes neither. Veins are -20, background is 0.
    """
    import openvino as ov
    from openvino import opset13 as op

    image = op.parameter([1, 4, -1, -1, -1], np.float32, name="image")
    blur = op.constant(np.full((1, 1, 3, 3, 3), 1 / 27, np.float32))

    def tent(phase: ov.Output, middle: float) -> ov.Node:
        gap = op.abs(op.subtract(phase, op.constant(np.float32(middle))))
        one = op.subtract(op.constant(np.float32(1)), op.divide(gap, op.constant(np.float32(0.25))))
        return op.multiply(one, op.constant(np.float32(_SCALE)))

    phases = [
        op.convolution(op.slice(image, [c], [c + 1], [1], [1]), blur, [1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1])
        for c in range(4)
    ]
    liver, lesion = tent(phases[0], 0.0), tent(phases[0], (LESION_HU - LIVER_HU) / 100)
    for phase in phases[1:]:
        liver = op.minimum(liver, tent(phase, 0.0))
        lesion = op.maximum(lesion, tent(phase, (LESION_HU - LIVER_HU) / 100))
    zero = op.multiply(liver, op.constant(np.float32(0)))
    vein = op.subtract(zero, op.constant(np.float32(20)))
    logits = op.concat([zero, liver, lesion, vein, vein], 1)
    logits.output(0).tensor.set_names({"logits"})
    path = folder / "region.xml"
    ov.save_model(ov.Model([logits], [image], "region"), str(path), compress_to_fp16=False)
    return path


Ball = tuple[tuple[float, float, float], float, float]


def phantom(geometry: Geometry, balls: Sequence[Ball] = (), *, noise_hu: float = 8.0, seed: int = 0) -> Volume:
    """A body around LPS 0 with an ellipsoid liver of 70 x 70 x 75 mm half axes at (-60, -10, 0), a kidney, and balls.

    balls: (centre LPS mm, radius mm, HU).
    """
    rng = np.random.default_rng(seed)
    array = np.empty(geometry.shape, np.int16)
    rows, columns = np.mgrid[: geometry.shape[1], : geometry.shape[2]]
    for number in range(geometry.shape[0]):
        index = np.stack([np.full(rows.shape, number), rows, columns], axis=-1)
        x, y, z = np.moveaxis(geometry.to_lps_mm(index), -1, 0)
        hu = np.full(rows.shape, -1000.0)
        hu[(x / 170) ** 2 + (y / 125) ** 2 < 1] = -100
        hu[(x / 160) ** 2 + (y / 115) ** 2 < 1] = BODY_HU
        hu[x**2 + (y - 85) ** 2 < 15**2] = 400
        hu[((x - 80) / 30) ** 2 + ((y - 60) / 30) ** 2 + ((z + 20) / 50) ** 2 < 1] = KIDNEY_HU
        hu[((x + 60) / 70) ** 2 + ((y + 10) / 70) ** 2 + (z / 75) ** 2 < 1] = LIVER_HU
        for (cx, cy, cz), radius, value in balls:
            hu[(x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2 < radius**2] = value
        array[number] = np.rint(hu + rng.normal(0, noise_hu, rows.shape))
    return Volume(array, geometry, "CT")


LIVER_ML = 4 / 3 * np.pi * 70 * 70 * 75 / 1000
