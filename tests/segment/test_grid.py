"""Between a scan's own grid and the network's."""

import numpy as np
import pytest

from hepar.errors import Refused
from hepar.record import PADDING_HU, Geometry, Volume
from hepar.segment.grid import model_geometry, onto_model, onto_native


def _affine(columns: list[tuple[float, float, float]], origin: tuple[float, float, float]) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = np.array(columns).T
    affine[:3, 3] = origin
    return affine


_TURN = np.radians(20)
GRIDS = {
    "axial": Geometry((40, 90, 100), _affine([(0, 0, 2.5), (0, 0.8, 0), (0.8, 0, 0)], (-40, -30, 10))),
    "flipped": Geometry((40, 90, 100), _affine([(0, 0, -2.5), (0, -0.8, 0), (-0.8, 0, 0)], (40, 42, 110))),
    "swapped": Geometry((90, 40, 100), _affine([(0, 0.8, 0), (0, 0, 2.5), (0.8, 0, 0)], (-40, -30, 10))),
    "tilted": Geometry((40, 90, 100), _affine([(0, 0.9, 2.4), (0, 0.8, 0), (0.8, 0, 0)], (-40, -30, 10))),
    "oblique": Geometry(
        (40, 90, 100),
        _affine(
            [
                (0, -2.5 * np.sin(_TURN), 2.5 * np.cos(_TURN)),
                (0, 0.8 * np.cos(_TURN), 0.8 * np.sin(_TURN)),
                (0.8, 0, 0),
            ],
            (-40, -30, 10),
        ),
    ),
}


def _ramp(geometry: Geometry) -> Volume:
    index = np.stack(np.indices(geometry.shape), axis=-1)
    x, y, z = np.moveaxis(geometry.to_lps_mm(index), -1, 0)
    return Volume(np.rint(2 * x - 3 * y + 1.5 * z).astype(np.int16), geometry, "CT")


@pytest.mark.parametrize("name", GRIDS)
def test_ramp_in_the_patient_is_the_same_ramp_on_the_models_grid(name: str) -> None:
    """HU that rise linearly with the place keep their value at every inner point, whatever the scan's axes are."""
    volume = _ramp(GRIDS[name])
    target = model_geometry(volume.geometry)
    hu = onto_model(volume, target)
    points = target.to_lps_mm(np.stack(np.indices(target.shape), axis=-1))
    index = volume.geometry.to_index(points)
    inner = ((index > 6) & (index < np.array(volume.geometry.shape) - 7)).all(axis=-1)
    expected = points @ [2.0, -3.0, 1.5]
    assert inner.sum() > 500
    assert np.abs(hu - expected)[inner].max() < 0.5
    outside = ((index < -0.6) | (index > np.array(volume.geometry.shape) - 0.4)).any(axis=-1)
    assert (hu[outside] == PADDING_HU).all()
    assert outside.any() == (name in ("tilted", "oblique"))


def test_flipped_and_swapped_copies_give_the_same_picture() -> None:
    """The same voxels in other array orders land on the same grid with the same HU to a thousandth."""
    rng = np.random.default_rng(1)
    plain = Volume(rng.integers(-200, 300, (41, 93, 101)).astype(np.int16),
                   Geometry.regular((41, 93, 101), (1.7, 0.7, 0.7), (-31.0, -29.0, 11.0)), "CT")  # fmt: skip
    expected = onto_model(plain, model_geometry(plain.geometry))
    affine = plain.geometry.affine.copy()
    affine[:3, 3] = plain.geometry.to_lps_mm((40, 92, 100))
    affine[:3, :3] *= -1
    flipped = Volume(plain.array[::-1, ::-1, ::-1].copy(), Geometry((41, 93, 101), affine), "CT")
    swapped = Volume(np.ascontiguousarray(plain.array.transpose(2, 0, 1)),
                     Geometry((101, 41, 93), plain.geometry.affine[:, [2, 0, 1, 3]]), "CT")  # fmt: skip
    for copy in (flipped, swapped):
        target = model_geometry(copy.geometry)
        assert target.is_close(model_geometry(plain.geometry))
        assert np.abs(onto_model(copy, target) - expected).max() < 1e-3


def test_fine_stripes_are_averaged_not_aliased() -> None:
    """Stripes of one 0.7 mm voxel, 200 HU apart, come out flat within 5 HU."""
    array = np.zeros((30, 128, 128), np.int16)
    array[:, :, ::2] = 200
    volume = Volume(array, Geometry.regular((30, 128, 128), (3.0, 0.7, 0.7)), "CT")
    hu = onto_model(volume, model_geometry(volume.geometry))
    assert np.abs(hu[2:-2, 2:-2, 2:-2] - 100).max() < 5


def test_going_back_keeps_the_place() -> None:
    """A ball drawn on the model's grid has its centre and size at the same millimetres on a tilted native grid."""
    native = GRIDS["tilted"]
    target = model_geometry(native)
    centre = native.to_lps_mm((20, 45, 50))
    points = target.to_lps_mm(np.stack(np.indices(target.shape), axis=-1))
    field = (14.0 - np.linalg.norm(points - centre, axis=-1)).astype(np.float32)
    mask = onto_native(field, target, native) > 0
    found = native.to_lps_mm(np.argwhere(mask)).mean(axis=0)
    assert np.linalg.norm(found - centre) < 0.3
    assert mask.sum() * native.voxel_volume_ml == pytest.approx(4 / 3 * np.pi * 14**3 / 1000, rel=0.05)


def test_a_whole_body_has_a_fine_grid() -> None:
    """500 x 500 x 1800 mm: what is refused is the extent, not the number of voxels."""
    body = Geometry.regular((1200, 512, 512), (1.5, 0.977, 0.977))
    assert model_geometry(body, 1.2).shape == (1499, 417, 417)


def test_impossible_extent_is_refused() -> None:
    """A spacing of 50 mm in every direction is no body."""
    with pytest.raises(Refused, match="spacing is probably wrong"):
        model_geometry(Geometry.regular((200, 512, 512), (50.0, 50.0, 50.0)))


def test_waves_of_six_millimetres_survive_on_the_fine_grid() -> None:
    """A small lesion is half such a wave: seven eighths of its height are left, whatever the scan's pixels."""
    for pixel_mm in (0.5, 0.8, 1.1):
        count = int(90 / pixel_mm)
        columns = np.arange(count) * pixel_mm
        array = np.broadcast_to(np.rint(1000 * np.sin(2 * np.pi * columns / 6)).astype(np.int16), (8, count, count))
        volume = Volume(array, Geometry.regular(array.shape, (2.5, pixel_mm, pixel_mm)), "CT")
        hu = onto_model(volume, model_geometry(volume.geometry, 1.2))[3, 10:-10, 10:-10]
        expected = 1000 * np.sin(2 * np.pi * (np.arange(10, 10 + hu.shape[1]) * 1.2) / 6)
        kept = (hu * expected).sum() / (expected**2).sum() / len(hu)
        assert 0.87 < kept <= 1.0
        assert np.abs(hu / kept - expected).max() < 150


def test_a_part_of_the_grid_gets_what_the_whole_gets() -> None:
    """What lies outside a target is not read, and that changes nothing: in the middle, at the edge and beyond it."""
    rng = np.random.default_rng(3)
    volume = Volume(rng.integers(-200, 300, GRIDS["tilted"].shape).astype(np.int16), GRIDS["tilted"], "CT")
    whole = model_geometry(volume.geometry, 1.2)
    hu = onto_model(volume, whole)
    middle = tuple(n // 2 for n in whole.shape)
    for box in (
        tuple(slice(m - 5, m + 6) for m in middle),
        (slice(0, 7), slice(0, 9), slice(0, 5)),
        tuple(slice(n - 4, n) for n in whole.shape),
    ):
        assert np.array_equal(onto_model(volume, whole.crop(box)), hu[box])
