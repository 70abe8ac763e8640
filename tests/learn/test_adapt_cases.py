"""A site's cases are read in every form that is taken; what does not fit is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hepar.errors import Refused
from hepar.learn.adapt_cases import find_cases, read_truth
from hepar.record import Geometry


def _write(path: Path, array: NDArray[Any], spacing: float = 3.0) -> None:
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([spacing, spacing, spacing, 1])), str(path))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five cases with labels in the four forms that are taken."""
    image = np.zeros((24, 26, 28), np.int16)
    labels = np.zeros((24, 26, 28), np.uint8)
    labels[1:7, 1:7, 1:7] = 1
    labels[2, 2, 2] = labels[5, 5, 5] = 2
    for number in range(5):
        _write(tmp_path / f"case{number}" / "portal_venous.nii.gz", image)
    _write(tmp_path / "case0" / "labels.nii.gz", labels)
    _write(tmp_path / "case1" / "masks" / "liver.nii.gz", (labels == 1).astype(np.uint8))
    _write(tmp_path / "case1" / "masks" / "lesions.nii.gz", (labels == 2).astype(np.uint8))
    _write(tmp_path / "case2" / "labels.nii", np.where(labels == 2, 11, labels).astype(np.uint8))
    veins = labels.copy()
    veins[3, 3, 3], veins[2, 2, 2], veins[5, 5, 5] = 3, 11, 12
    veins[4, 4, 4] = 2
    _write(tmp_path / "case3" / "truth" / "labels.nii.gz", veins)
    (tmp_path / "case3" / "truth.json").write_text("{}")
    _write(tmp_path / "case4" / "labels.nii.gz", labels)
    _write(tmp_path / "case4" / "2_arterial.nii.gz", image)
    return tmp_path


def _grid_of(folder: Path, number: int) -> Geometry:
    from hepar.ingest.label_map import read_label_map

    return read_label_map(folder / f"case{number}" / "portal_venous.nii.gz").geometry


def test_labels_in_every_form_say_the_same(folder: Path) -> None:
    """216 voxels of liver with its lesions in each; two lesions (one where both have one number)."""
    cases = find_cases(folder)
    assert [len(c.images) for c in cases] == [1, 1, 1, 1, 2]
    truths = [read_truth(c, _grid_of(folder, n)) for n, c in enumerate(cases)]
    assert [int(t.liver.sum()) for t in truths] == [216] * 5
    assert [int(t.lesions.max()) for t in truths] == [2, 2, 1, 2, 2]
    assert [int((t.lesions > 0).sum()) for t in truths] == [2] * 5


def test_files_that_do_not_fit_are_refused(folder: Path) -> None:
    """A number that means nothing, another grid, no labels, no image, too few cases: each in one sentence."""
    odd = np.full((24, 26, 28), 7, np.uint8)
    _write(folder / "case0" / "labels.nii.gz", odd)
    with pytest.raises(Refused, match=r"case 1 .* hold the number 7; needed 0, 1 for liver, and 2 or 11"):
        read_truth(find_cases(folder)[0], _grid_of(folder, 0))
    _write(folder / "case0" / "labels.nii.gz", odd, spacing=2.5)
    with pytest.raises(Refused, match=r"labels has .* 2\.50 .* needed the same grid"):
        read_truth(find_cases(folder)[0], _grid_of(folder, 0))
    (folder / "case0" / "labels.nii.gz").unlink()
    with pytest.raises(Refused, match="no corrected labels"):
        find_cases(folder)
    (folder / "case1" / "portal_venous.nii.gz").unlink()
    _write(folder / "case0" / "labels.nii.gz", odd)
    with pytest.raises(Refused, match="no portal venous image"):
        find_cases(folder)
    import shutil

    shutil.rmtree(folder / "case1")
    with pytest.raises(Refused, match="holds 4 cases, needed 5 to 20"):
        find_cases(folder)


def test_patients_come_from_a_table(folder: Path) -> None:
    """Two cases of one patient go together; a case without a patient is refused; no name of a folder is said."""
    rows = ["case,patient", *(f"case{n},{'a' if n < 2 else n}" for n in range(5))]
    (folder / "patients.csv").write_text("\n".join(rows))
    assert [c.patient for c in find_cases(folder)] == ["a", "a", "2", "3", "4"]
    (folder / "patients.csv").write_text("\n".join(rows[:-1]))
    with pytest.raises(Refused, match="no patient for 1 of 5") as reason:
        find_cases(folder)
    assert "case4" not in str(reason.value)
