"""Key images: the right place, the right way round, in true proportions."""

from __future__ import annotations

from typing import Any

import numpy as np
import report_examples as ex

from hepar.page import Figure
from hepar.record import NOT_COVERED_HU, AlignedPhase, Anatomy, Estimate, Geometry, Residual, Transform, Vein
from hepar.report.images import LESION, LIVER, OTHER, PIXELS, VEINS, key_images

BOX = (slice(2, 10), slice(4, 60), slice(6, 90))


def scene(*, hu_at: dict[tuple[int, int, int], int] | None = None) -> tuple[dict[str, Any], Anatomy, AlignedPhase]:
    """Voxels of 4 x 2 x 1 mm; lesion 1 is rows 20-29 and columns 40-59 of slice 5: 20 mm high and 20 mm wide."""
    geometry = Geometry.regular((12, 64, 96), (4.0, 2.0, 1.0), (-50.0, -60.0, 7.0))
    liver = np.zeros(geometry.shape, bool)
    liver[3:9, 10:50, 10:80] = True
    lesions = np.zeros(geometry.shape, np.uint16)
    lesions[5, 20:30, 40:60] = 1
    lesions[5, 40:42, 20:22] = 2
    hu = np.full(geometry.shape, 50, np.int16)
    for index, value in (hu_at or {}).items():
        hu[index] = value
    residual = Residual(Estimate(1.0), Estimate(0.0), Estimate(1.0), 0.0)
    phase = AlignedPhase("p1", BOX, hu[BOX], Transform.identity(), residual)
    ends = geometry.to_lps_mm([[5, 24.5, 39.5], [5, 24.5, 59.5]]).tolist()
    entry = {
        "axial_slice": 5, "centre_lps_mm": geometry.to_lps_mm([5, 24.5, 49.5]).tolist(),
        "long_axis_ends_lps_mm": ends, "short_axis_ends_lps_mm": None,
    }  # fmt: skip
    small = {**entry, "centre_lps_mm": geometry.to_lps_mm([5, 40.5, 20.5]).tolist(), "long_axis_ends_lps_mm": None}
    document = {"reference_phase": "p1", "lesions": [{"id": 1, **entry}, {"id": 2, **small}]}
    veins = np.zeros(geometry.shape, np.uint8)
    return document, Anatomy(geometry, liver, lesions, veins, (0.9, 0.5)), phase


def picture(**options: Any) -> Figure:
    document, anatomy, phase = scene(**options)
    return key_images(document, anatomy, [phase], {"p1": "p1 Native"}).lesions[1][0]


def test_the_outline_has_the_size_of_the_lesion_in_millimetres() -> None:
    """20 x 20 mm on uneven pixels, in the middle of a square of 110 mm."""
    made = picture()
    assert (made.width, made.height) == (110.0, 110.0)
    (outline,) = [one for one in made.strokes if one.colour == LESION]
    assert outline.closed
    assert np.allclose(outline.points.min(0), [45.0, 45.0])
    assert np.allclose(outline.points.max(0), [65.0, 65.0])


def test_the_long_axis_lies_from_edge_to_edge_of_the_outline() -> None:
    """Its ends in LPS millimetres come back to where the outline is."""
    axis = next(one for one in picture().strokes if one.points.shape == (2, 2) and one.width_px == 1.0)
    assert np.allclose(axis.points, [[45.0, 55.0], [65.0, 55.0]])


def test_the_other_lesion_and_the_liver_are_outlined_in_their_own_colours() -> None:
    """The second lesion lies to the patient's right: on the left of the picture, and below (behind)."""
    made = picture()
    (other,) = [one for one in made.strokes if one.colour == OTHER]
    assert other.points[:, 0].max() < 45.0
    assert other.points[:, 1].min() > 65.0
    assert [one for one in made.strokes if one.colour == LIVER]


def test_a_bright_voxel_shows_where_it_lies() -> None:
    """Front is up, patient right is on the left; the window is -50 to 200 HU."""
    made = picture(hu_at={(5, 22, 44): 4000})
    row, column = np.unravel_index(int(made.pixels.argmax()), made.pixels.shape)
    step = 110.0 / PIXELS
    assert made.pixels.shape == (PIXELS, PIXELS)
    assert abs((row + 0.5) * step - (45.0 + 2.5 * 2.0)) < 1.5
    assert abs((column + 0.5) * step - (45.0 + 4.5 * 1.0)) < 1.5
    assert made.pixels[PIXELS // 2, PIXELS // 2] == round((50 + 50) / 250 * 255)


def test_what_was_not_measured_is_black_and_said() -> None:
    """Outside the box, and in a phase that ends before the slice."""
    made = picture()
    assert made.pixels[0, 0] == 0
    assert made.caption == "slice 6"
    document, anatomy, phase = scene()
    phase.hu[...] = NOT_COVERED_HU
    empty = key_images(document, anatomy, [phase], {"p1": "p1"}).lesions[1][0]
    assert not empty.pixels.any()
    assert "not covered" in empty.caption


def test_a_refused_phase_has_no_picture() -> None:
    """Its outlines would lie in the wrong place."""
    document, anatomy, phase = scene()
    refused = AlignedPhase("p2", phase.box, phase.hu, phase.transform, phase.residual, False, "no fit")
    made = key_images(document, anatomy, [phase, refused], {"p1": "p1", "p2": "p2"})
    assert [one.title for one in made.lesions[1]] == ["p1"]


def test_the_overview_runs_through_the_whole_liver_with_the_head_up() -> None:
    """All six slices, one coronal and one sagittal cut; a lesion carries its number."""
    bright = {(8, row, column): 4000 for row in range(25, 35) for column in range(40, 50)}
    document, anatomy, phase = scene(hu_at=bright)
    made = key_images(document, anatomy, [phase], {"p1": "p1"}).overview
    assert [one.title for one in made] == [*(f"Axial, slice {n}" for n in range(4, 10)), "Coronal", "Sagittal"]
    assert {label.text for label in made[2].labels} >= {"1", "2", "R", "L"}
    coronal = made[6]
    assert np.isclose(coronal.width / coronal.height, 84.0 / 32.0)
    outline = next(one for one in coronal.strokes if one.colour == LIVER)
    assert np.allclose([outline.points.min(0)[1], outline.points.max(0)[1]], [4.0, 28.0])
    for cut in made[6:]:
        rows, _ = np.nonzero(cut.pixels > 200)
        height = cut.pixels.shape[0]
        assert 4.0 / 32.0 < rows.mean() / height < 8.0 / 32.0


def test_the_overview_outlines_each_tree_of_veins_in_its_colour() -> None:
    """4 x 10 mm of portal vein in slice 6 only; beside a lesion no veins; what is not there has no word."""
    from hepar.report.content import _overview

    document, anatomy, phase = scene()
    anatomy.veins[5, 30:32, 20:30] = Vein.PORTAL
    made = key_images(document, anatomy, [phase], {"p1": "p1"})
    (outline,) = [one for one in made.overview[2].strokes if one.colour == VEINS[Vein.PORTAL]]
    assert np.allclose(np.ptp(outline.points, axis=0), [10.0, 4.0])
    assert not [s for figure in made.lesions[1] for s in figure.strokes if s.colour in VEINS.values()]
    legend = str(_overview(made).blocks[0])
    assert "branches of the portal vein" in legend
    assert "hepatic" not in legend


def test_without_liver_and_lesions_there_is_no_picture() -> None:
    """Empty is legal."""
    geometry = ex.GEOMETRY
    nothing = np.zeros(geometry.shape, bool)
    outline = Anatomy(geometry, nothing, nothing.astype(np.uint16), nothing.astype(np.uint8))
    made = key_images({"reference_phase": "p1", "lesions": []}, outline, ex.aligned(ex.anatomy(0))[:1], {"p1": "p1"})
    assert made.lesions == {}
    assert made.overview == ()
    assert made.left_out == 0
