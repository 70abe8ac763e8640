"""The NIfTI masks, read back by other software."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import report_examples as ex

from hepar.record import Anatomy, Geometry
from hepar.report.masks import write_masks


def on(geometry: Geometry, lesions: int = 1) -> Anatomy:
    liver = np.zeros(geometry.shape, bool)
    liver[1:4, 2:6, 3:8] = True
    labels = np.zeros(geometry.shape, np.uint16)
    for number in range(lesions):
        labels.flat[np.flatnonzero(liver)[number]] = number + 1
    return Anatomy(geometry, liver, labels, np.zeros(geometry.shape, np.uint8), (0.5,) * lesions)


def test_simpleitk_finds_the_same_points(tmp_path: Path) -> None:
    """An oblique grid of uneven voxels: every corner lies where the record puts it, and the labels fit."""
    import SimpleITK

    turn, tip = 0.3, -0.2
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tip), -np.sin(tip)], [0, np.sin(tip), np.cos(tip)]])
    affine = np.eye(4)
    affine[:3, :3] = (about_x @ about_z @ np.diag([0.7, 0.8, 2.5]))[:, [2, 1, 0]]
    affine[:3, 3] = (-123.4, -88.8, 1250.5)
    geometry = Geometry((6, 9, 11), affine)
    outline = on(geometry, 3)
    outline.veins[2, 2:5, 4:7] = [[1, 1, 2], [0, 2, 2], [3, 3, 3]]
    arrays = (outline.liver, outline.lesions, outline.veins)
    for path, array in zip(write_masks(outline, tmp_path), arrays, strict=True):
        image = SimpleITK.ReadImage(str(path))
        assert image.GetPixelID() == SimpleITK.sitkUInt8
        assert np.array_equal(SimpleITK.GetArrayFromImage(image), array)
        for index in ((0, 0, 0), (5, 8, 10), (2, 0, 7)):
            point = image.TransformIndexToPhysicalPoint(index[::-1])
            assert np.allclose(point, geometry.to_lps_mm(index), atol=2e-3)


def test_a_tilted_grid_keeps_its_shear_and_claims_no_rotation(tmp_path: Path) -> None:
    """nibabel reads the sheared sform; a qform, which cannot shear, is not offered."""
    import nibabel

    affine = Geometry.regular((6, 9, 11), (3.0, 0.8, 0.7), (10.0, 20.0, 30.0)).affine.copy()
    affine[1, 0] = 1.1
    geometry = Geometry((6, 9, 11), affine)
    image = nibabel.load(write_masks(on(geometry), tmp_path)[0])
    assert int(image.header["qform_code"]) == 0
    assert int(image.header["sform_code"]) == 1
    point_ras = image.affine @ [10, 8, 5, 1]
    assert np.allclose(point_ras[:3] * [-1, -1, 1], geometry.to_lps_mm([5, 8, 10]), atol=1e-3)


def test_without_lesions_the_file_is_there_and_all_zero(tmp_path: Path) -> None:
    """An empty outline is a result."""
    import nibabel

    path = write_masks(on(Geometry.regular((5, 8, 9), (2, 1, 1)), 0), tmp_path)[1]
    assert path.name == "lesions.nii.gz"
    assert not np.asanyarray(nibabel.load(path).dataobj).any()


@pytest.mark.parametrize(("lesions", "kind"), [(255, np.uint8), (256, np.uint16)])
def test_every_lesion_id_fits(lesions: int, kind: type, tmp_path: Path) -> None:
    """The type grows with the number of lesions."""
    import nibabel

    geometry = Geometry.regular((10, 20, 20), (2, 1, 1))
    labels = np.arange(4000, dtype=np.uint16).reshape(geometry.shape)
    labels[labels > lesions] = 0
    outline = Anatomy(geometry, labels > 0, labels, np.zeros(geometry.shape, np.uint8), (0.5,) * lesions)
    image = nibabel.load(write_masks(outline, tmp_path)[1])
    assert image.get_data_dtype() == kind
    assert int(np.asanyarray(image.dataobj).max()) == lesions


def test_two_writes_give_the_same_bytes(tmp_path: Path) -> None:
    """gzip keeps no time and no name."""
    outline = ex.anatomy(2)
    first, second = write_masks(outline, tmp_path / "a"), write_masks(outline, tmp_path / "SECRET")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert b"SECRET" not in other.read_bytes()
        assert one.read_bytes()[4:8] == bytes(4)
