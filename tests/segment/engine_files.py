"""Engine files for tests: written into a folder of their own, with a licence that is accepted."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from hepar.record import Geometry
from hepar.segment import SegmentSettings
from hepar.segment.builtin import Builtin
from hepar.segment.external import External, Licence, load

LICENCE = '[licence]\nname = "made up"\n'


def yes(licence: Licence) -> bool:
    """Agrees."""
    return True


def engine_file(folder: Path, text: str, *, name: str = "other", licence: str = LICENCE) -> Path:
    """An engine file of this text; a licence is added at its end."""
    path = folder / f"{name}.toml"
    path.write_text(text + "\n" + licence)
    return path


def copying(folder: Path, answer: Path, labels: str, more: str = "") -> Path:
    """An engine whose tool copies a label map that was made before."""
    words = f'command = ["cp", "{answer}", "{{output}}"]\n'
    return engine_file(folder, f'kind = "command"\nversion = "1.0"\n{words}{more}\n[labels]\n{labels}')


def external(path: Path, builtin: Builtin | None = None) -> External:
    """The engine of a file."""
    return External(load(path), SegmentSettings(threads=1), yes, builtin)


def save_labels(path: Path, labels: NDArray[np.uint8], geometry: Geometry, flip: tuple[int, ...] = ()) -> Path:
    """(slice, row, column) labels as NIfTI; axes of the file (0: columns) in `flip` are stored the other way round."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ geometry.affine @ np.eye(4)[[2, 1, 0, 3]]
    array = labels.transpose(2, 1, 0)
    for axis in flip:
        affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
        affine[:3, axis] *= -1
        array = np.flip(array, axis)
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(array), affine), path)
    return path
