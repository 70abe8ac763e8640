"""Scans to other programs, and their label maps back: same place, whatever the order of axes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from engine_files import save_labels
from numpy.typing import NDArray

from hepar.errors import WrongCall
from hepar.record import Geometry, Volume
from hepar.segment.external.nifti import nearest, read_labels, upright, write_scan

GRID = Geometry.regular((5, 6, 7), (2.5, 0.8, 0.7), (-30.0, -20.0, 100.0))


def labels() -> NDArray[np.uint8]:
    """One corner is marked, so that any turn shows."""
    out = np.zeros(GRID.shape, np.uint8)
    out[0, :2, :3] = 1
    out[4, 5, 6] = 2
    return out


def plain(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Their labels are ours."""
    return array.astype(np.uint8)


def read(path: Path, target: Geometry = GRID, *, any_grid: bool = False) -> NDArray[np.uint8]:
    return read_labels(path, target, engine="other", any_grid=any_grid, convert=plain)


def test_scan_is_written_where_it_lies(tmp_path: Path) -> None:
    """nibabel finds each voxel at its place in RAS, in sform and qform, with int16 HU and no words about anybody."""
    hu = np.arange(np.prod(GRID.shape)).reshape(GRID.shape).astype(np.int16) - 100
    write_scan(Volume(hu, GRID, "CT"), tmp_path / "scan.nii.gz")
    image = nibabel.load(tmp_path / "scan.nii.gz")
    assert image.get_data_dtype() == np.int16
    for place in ((0, 0, 0), (4, 5, 6), (1, 2, 3)):
        ras = GRID.to_lps_mm(place) * (-1, -1, 1)
        for affine in (image.get_sform(), image.get_qform()):
            index = np.rint(np.linalg.inv(affine) @ [*ras, 1])[:3].astype(int)
            assert image.dataobj[tuple(index)] == hu[place]
    assert bytes(image.header["descrip"]).strip(b"\0") == b""
    assert bytes(image.header["db_name"]).strip(b"\0") == b""


@pytest.mark.parametrize("flip", [(), (0,), (1,), (2,), (0, 1), (0, 1, 2)])
def test_turned_answer_comes_back_exactly(tmp_path: Path, flip: tuple[int, ...]) -> None:
    """A tool may store the same map the other way round."""
    path = save_labels(tmp_path / "labels.nii.gz", labels(), GRID, flip)
    assert (read(path) == labels()).all()


def test_answer_with_swapped_axes_comes_back_exactly(tmp_path: Path) -> None:
    """Axes of the file in another order, as after a conversion to another orientation."""
    path = save_labels(tmp_path / "labels.nii.gz", labels(), GRID)
    image = nibabel.load(path)
    turned = image.as_reoriented(np.array([[2, -1], [0, 1], [1, 1]]))
    nibabel.save(turned, tmp_path / "turned.nii.gz")
    assert nibabel.load(tmp_path / "turned.nii.gz").shape == (6, 5, 7)
    assert (read(tmp_path / "turned.nii.gz") == labels()).all()


def test_answer_on_another_grid_is_refused_or_brought_over(tmp_path: Path) -> None:
    """A lost affine is refused always; another grid over the same room only where the file does not allow it."""
    fine = Geometry.regular((10, 12, 14), (1.25, 0.4, 0.35), (-30.0875, -20.1, 99.6875))
    double = labels().repeat(2, 0).repeat(2, 1).repeat(2, 2)
    path = save_labels(tmp_path / "fine.nii.gz", double, fine)
    with pytest.raises(
        WrongCall, match=r"another grid: 10 x 12 x 14 voxels of 1.25 .* the scan has 5 x 6 x 7.*grid = "
    ):
        read(path)
    assert (read(path, any_grid=True) == labels()).all()
    nibabel.save(nibabel.Nifti1Image(labels().transpose(2, 1, 0), np.eye(4)), tmp_path / "lost.nii.gz")
    for any_grid in (False, True):
        with pytest.raises(WrongCall, match="answered on another grid"):
            read(tmp_path / "lost.nii.gz", any_grid=any_grid)


def test_answers_that_are_no_labels_are_refused(tmp_path: Path) -> None:
    """Scores, several channels, and a file that is no image; whole numbers stored as floats are fine."""
    affine = nibabel.load(save_labels(tmp_path / "a.nii.gz", labels(), GRID)).affine
    array = labels().transpose(2, 1, 0)
    nibabel.save(nibabel.Nifti1Image(array.astype(np.float32), affine), tmp_path / "float.nii.gz")
    assert (read(tmp_path / "float.nii.gz") == labels()).all()
    nibabel.save(nibabel.Nifti1Image(array[..., None], affine), tmp_path / "channel.nii.gz")
    assert (read(tmp_path / "channel.nii.gz") == labels()).all()
    nibabel.save(nibabel.Nifti1Image(array * np.float32(0.3), affine), tmp_path / "scores.nii.gz")
    with pytest.raises(WrongCall, match="numbers that are no labels"):
        read(tmp_path / "scores.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.stack([array, array], -1), affine), tmp_path / "two.nii.gz")
    with pytest.raises(WrongCall, match="a map of 4 axes"):
        read(tmp_path / "two.nii.gz")
    (tmp_path / "text.nii.gz").write_text("labels")
    with pytest.raises(WrongCall, match="cannot be read as NIfTI"):
        read(tmp_path / "text.nii.gz")


def test_tilted_scan_is_straightened_and_labels_come_back() -> None:
    """A gantry tilt of 20 degrees: the copy's slices lie straight, each point keeps its HU, a label its place."""
    straight = Geometry.regular((30, 80, 70), (2.5, 1.0, 1.0), (-30.0, -40.0, -30.0))
    affine = straight.affine.copy()
    affine[1, 0] = 2.5 * np.tan(np.radians(20))
    tilted = Geometry(straight.shape, affine)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in tilted.shape], indexing="ij"), -1)
    x, y, z = np.moveaxis(tilted.to_lps_mm(index), -1, 0)
    hu = np.rint(3 * x + 2 * y - z).astype(np.int16)
    copy = upright(Volume(hu, tilted, "CT"))
    axes = copy.geometry.affine[:3, :3]
    assert np.allclose(axes.T @ axes, np.diag(np.diag(axes.T @ axes)))
    index = np.stack(np.meshgrid(*[np.arange(n) for n in copy.geometry.shape], indexing="ij"), -1)
    x, y, z = np.moveaxis(copy.geometry.to_lps_mm(index), -1, 0)
    seen = copy.array > -900
    assert seen.sum() > 0.98 * hu.size
    assert np.abs(copy.array - (3 * x + 2 * y - z))[seen].max() <= 1.01
    assert upright(Volume(hu, straight, "CT")).geometry is straight

    def ball(grid: Geometry) -> NDArray[np.uint8]:
        index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
        away = grid.to_lps_mm(index) - tilted.to_lps_mm([15, 40, 35])
        return (np.linalg.norm(away, axis=-1) < 15).astype(np.uint8)

    back = nearest(ball(copy.geometry), copy.geometry, tilted)
    both = 2 * (back & ball(tilted)).sum() / (back.sum() + ball(tilted).sum())
    assert both > 0.97
