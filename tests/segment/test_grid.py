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


def test_impossible_extent_is_refused() -> None:
    """A spacing of 50 mm in every direction is no body."""
    with pytest.raises(Refused, match="spacing is probably wrong"):
        model_geometry(Geometry.regular((200, 512, 512), (50.0, 50.0, 50.0)))
