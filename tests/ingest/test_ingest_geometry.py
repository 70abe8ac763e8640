"""However the slices of a volume were stored, the same voxels lie at the same place."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from ingest_phantom import ORIGIN, SPACING, axes, body, make_enhanced, make_series, save, turned

from hepar.errors import Refused
from hepar.record import Geometry


def assert_is_body(study, volume=None, affine=None):
    """One phase that holds the phantom at its place."""
    volume = body() if volume is None else volume
    (phase,) = study.phases
    np.testing.assert_array_equal(phase.volume.array, volume)
    assert phase.volume.geometry.is_close(Geometry(volume.shape, axes() if affine is None else affine))
    # Going back to the source gives one plane per frame.
    assert phase.layout.to_source(phase.volume.array).shape[0] == len(phase.frames)


def test_plain_series_is_read_as_it_is(tmp_path, read):
    """Ten axial slices come out as written, in HU, at the written place, with every slice's identifier."""
    study = read(save(tmp_path / "s", make_series()))
    assert_is_body(study)
    (phase,) = study.phases
    assert phase.volume.geometry.spacing_mm == pytest.approx(SPACING)
    assert phase.volume.geometry.origin_lps_mm == pytest.approx(ORIGIN)
    assert [f.sop_instance_uid for f in phase.frames] == [f"1.2.3.5.{k + 1}" for k in range(10)]
    assert (study.uid, study.date, study.modality, study.dicom) == ("1.2.3.4", "2026-01-10", "CT", True)
    assert phase.acquired_s == 37000.0
    assert phase.quality == ()
    assert study.skipped == study.warnings == ()
    assert study.identity == {"name": "Secret^Person", "id": "P1", "birth_date": "19500102", "sex": "F"}


@pytest.mark.parametrize("flips", list(product((False, True), repeat=3)))
def test_flipped_storage_gives_the_same_volume(tmp_path, read, flips):
    """Head first, feet first, prone or mirrored: identical array and grid, and frames keep their own slice."""
    volume = body()
    stored, affine = turned(volume, axes(), flips=flips)
    study = read(save(tmp_path / "s", make_series(stored, affine=affine)))
    assert_is_body(study)
    phase = study.phases[0]
    back = phase.layout.to_source(phase.volume.array)
    by_uid = {f"1.2.3.5.{k + 1}": plane for k, plane in enumerate(stored)}
    for plane, frame in zip(back, phase.frames, strict=True):
        np.testing.assert_array_equal(plane, by_uid[frame.sop_instance_uid])


@pytest.mark.parametrize("permutation", [p for p in permutations(range(3)) if p != (0, 1, 2)])
def test_coronal_and_sagittal_slices_are_turned_by_swapping_axes(tmp_path, read, permutation):
    """Slices cut in any plane give the same array when no axial series exists."""
    volume = body(17, 18, 19)
    stored, affine = turned(volume, axes(), permutation, (True, False, False))
    study = read(save(tmp_path / "s", make_series(stored, affine=affine)))
    assert_is_body(study, volume)


def test_order_and_names_of_files_do_not_matter(tmp_path, read):
    """Shuffled copies, with instance numbers that contradict, give the same record."""
    plain = read(save(tmp_path / "a", make_series()))
    mixed = make_series()
    for ds, n in zip(mixed, [5, 3, 8, 1, 9, 2, 7, 4, 10, 6], strict=True):
        ds.InstanceNumber = n
    nested = tmp_path / "b" / "deep" / "er"
    save(nested, mixed[:4], shuffle=3)
    save(tmp_path / "b", mixed[4:], shuffle=5)
    shuffled = read(tmp_path / "b")
    assert_is_body(shuffled)
    assert shuffled.input_sha256 == plain.input_sha256
    assert [f.sop_instance_uid for f in shuffled.phases[0].frames] == [
        f.sop_instance_uid for f in plain.phases[0].frames
    ]


def test_the_hash_follows_the_content(tmp_path, read):
    """One changed voxel changes the input hash; a changed name of the patient does not."""
    first = read(save(tmp_path / "a", make_series()))
    other = body()
    other[4, 10, 10] += 1
    assert read(save(tmp_path / "b", make_series(other))).input_sha256 != first.input_sha256
    assert read(save(tmp_path / "c", make_series(PatientName="Other"))).input_sha256 == first.input_sha256


@pytest.mark.parametrize("angle_deg", [10.0, -22.5])
def test_gantry_tilt_is_kept_as_a_shear(tmp_path, read, angle_deg):
    """Tilted planes on a straight table: no voxel changes, the affine is sheared, the tilt is measured and told."""
    volume = body()
    angle = np.radians(angle_deg)
    affine = axes()
    affine[:3, 1] = np.array([0.0, np.cos(angle), np.sin(angle)]) * SPACING[1]
    study = read(save(tmp_path / "s", make_series(volume, affine=affine, GantryDetectorTilt=0.0)))
    assert_is_body(study, volume, affine)
    phase = study.phases[0]
    assert phase.tilt_deg == pytest.approx(abs(angle_deg), abs=0.01)
    assert [n.code for n in phase.quality] == ["gantry_tilt"]
    assert phase.volume.geometry.slice_distance_mm == pytest.approx(SPACING[0] * np.cos(angle), rel=1e-5)
    assert phase.volume.geometry.voxel_volume_ml == pytest.approx(np.prod(SPACING) * np.cos(angle) / 1000, rel=1e-5)


def test_positions_are_believed_over_the_tilt_tag(tmp_path, read):
    """Straight positions under a tilt tag: no shear, and a notice."""
    study = read(save(tmp_path / "s", make_series(GantryDetectorTilt=15.0)))
    assert_is_body(study)
    assert study.phases[0].tilt_deg == 0.0
    assert [n.code for n in study.phases[0].quality] == ["tilt_tag_contradicts"]


def test_oblique_slices_without_tilt_are_no_tilt(tmp_path, read):
    """A stack turned as a whole by 12 degrees is oblique: its line of corners follows the normal."""
    angle = np.radians(12.0)
    turn = np.eye(4)
    turn[:3, :3] = [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    affine = turn @ axes()
    study = read(save(tmp_path / "s", make_series(affine=affine)))
    assert_is_body(study, affine=affine)
    assert study.phases[0].tilt_deg == 0.0
    assert study.phases[0].quality == ()


def test_split_over_several_series(tmp_path, read):
    """One acquisition whose slices came in three series (interleaved and in blocks) is put together, and told."""
    for name, parts in {
        "blocks": [slice(0, 4), slice(4, 7), slice(7, 10)],
        "interleaved": [slice(0, None, 3), slice(1, None, 3), slice(2, None, 3)],
    }.items():
        volume = body()
        groups = []
        for n, part in enumerate(parts):
            ds = make_series(volume)[part]
            for one in ds:
                one.SeriesInstanceUID = f"1.2.3.5{n}"
            groups.append(ds)
        study = read(save(tmp_path / name, *groups, shuffle=1))
        assert_is_body(study)
        assert study.phases[0].series_uid == "1.2.3.50"
        assert [n.code for n in study.phases[0].quality] == ["series_merged"]


def test_one_series_per_slice(tmp_path, read):
    """An anonymiser gave every slice its own series: still one volume."""
    slices = make_series(acquisition_s=None)
    for n, ds in enumerate(slices):
        ds.SeriesInstanceUID = f"1.2.3.7.{n}"
    assert_is_body(read(save(tmp_path / "s", slices)))


def test_two_phases_that_interleave_are_not_merged(tmp_path, read):
    """Arterial and portal venous series half a slice apart, forty seconds between them: two phases."""
    shifted = axes(origin=(ORIGIN[0], ORIGIN[1], ORIGIN[2] + SPACING[0] / 2))
    study = read(
        save(
            tmp_path / "s",
            make_series(series="1.2.3.51", acquisition_s=37000),
            make_series(body(seed=1), series="1.2.3.52", acquisition_s=37040, affine=shifted),
        )
    )
    assert [p.series_uid for p in study.phases] == ["1.2.3.51", "1.2.3.52"]


@pytest.mark.parametrize("shuffle", [None, 4])
def test_enhanced_multi_frame(tmp_path, read, shuffle):
    """An Enhanced CT object, frames in any order, each with its own intercept: the same volume, frames numbered."""
    stored, affine = turned(body(), axes(), flips=(True, True, False))
    study = read(save(tmp_path / "s", make_enhanced([stored], affine=affine, shuffle=shuffle)))
    assert_is_body(study)
    phase = study.phases[0]
    assert {f.sop_instance_uid for f in phase.frames} == {"1.2.3.6.1"}
    assert sorted(f.frame_number for f in phase.frames) == list(range(1, 11))
    if shuffle is None:
        assert [f.frame_number for f in phase.frames] == list(range(10, 0, -1))


@pytest.mark.parametrize("by", ["temporal", "time"])
def test_enhanced_with_several_phases(tmp_path, read, by):
    """Two time points in one object become two phases, told apart by index or by acquisition time."""
    one, two = body(), body(seed=5)
    study = read(save(tmp_path / "s", make_enhanced([one, two], shuffle=2, by=by)))
    np.testing.assert_array_equal(study.phases[0].volume.array, one)
    np.testing.assert_array_equal(study.phases[1].volume.array, two)
    assert study.phases[1].acquired_s - study.phases[0].acquired_s == 40.0


def test_enhanced_mr_is_read(tmp_path, read):
    """Enhanced MR comes out in the scanner's units."""
    study = read(save(tmp_path / "s", make_enhanced([np.abs(body())], modality="MR")))
    assert study.modality == "MR"
    np.testing.assert_array_equal(study.phases[0].volume.array, np.abs(body()))


def test_missing_slice_refuses_the_series(tmp_path, read):
    """Without slice 5 of 10 the reason names the gap, what was expected and what to do."""
    slices = make_series()
    with pytest.raises(Refused, match=r"5\.0 mm between slices 4 and 5, expected 2\.5 mm; a slice is missing; ask"):
        read(save(tmp_path / "s", slices[:4] + slices[5:]))


def test_missing_slice_leaves_the_other_phase(tmp_path, read):
    """Two phases in two series, one with a hole: the other is analysed, the hole is told."""
    whole = make_series(series="1.2.3.51")
    holed = make_series(body(seed=1), series="1.2.3.52", acquisition_s=37040)
    study = read(save(tmp_path / "s", whole, holed[:4] + holed[5:]))
    assert [p.series_uid for p in study.phases] == ["1.2.3.51"]
    assert [(s.series_uid, s.images, s.reason.code) for s in study.skipped] == [("1.2.3.52", 9, "slice_missing")]


def test_missing_slice_at_the_end_cannot_be_seen(tmp_path, read):
    """The first slice away is a shorter volume; nothing is invented for it."""
    assert_is_body(
        read(save(tmp_path / "s", make_series()[1:])), body()[1:], axes(origin=(*ORIGIN[:2], ORIGIN[2] + SPACING[0]))
    )


def test_uneven_gaps_are_refused_and_jitter_is_told(tmp_path, read):
    """0.9 mm off in 2.5 mm is refused; 0.05 mm off is tolerated with a notice."""
    slices = make_series()
    slices[4].ImagePositionPatient = [*ORIGIN[:2], ORIGIN[2] + 4 * SPACING[0] + 0.9]
    with pytest.raises(Refused, match="ask for a reconstruction with even steps"):
        read(save(tmp_path / "a", slices))
    slices = make_series()
    slices[4].ImagePositionPatient = [*ORIGIN[:2], ORIGIN[2] + 4 * SPACING[0] + 0.05]
    study = read(save(tmp_path / "b", slices))
    assert_is_body(study)
    assert [n.code for n in study.phases[0].quality] == ["slices_uneven"]


def test_slices_that_leave_their_line_are_refused(tmp_path, read):
    """A table that slipped 3 mm sideways half way up is no volume."""
    slices = make_series()
    for ds in slices[5:]:
        ds.ImagePositionPatient = [ds.ImagePositionPatient[0] + 3.0, *list(ds.ImagePositionPatient)[1:]]
    with pytest.raises(Refused, match=r"slice corners leave their line by 1\.\d mm"):
        read(save(tmp_path / "s", slices))


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_slices_are_no_volume(tmp_path, read, count):
    """One slice (or two) is refused."""
    with pytest.raises(Refused, match="at least 3 are needed to measure a volume"):
        read(save(tmp_path / "s", make_series()[:count]))


@pytest.mark.parametrize(
    ("spacing", "text"),
    [([0.0, 0.0], "pixels of 0 x 0 mm"), ([25.0, 25.0], "pixels of 25 x 25 mm"), (None, "how large a pixel is")],
)
def test_implausible_pixel_spacing_is_refused(tmp_path, read, spacing, text):
    """Pixels of zero, of 25 mm or of unknown size cannot be measured."""
    slices = make_series()
    for ds in slices:
        ds.PixelSpacing = spacing
    with pytest.raises(Refused, match=text):
        read(save(tmp_path / "s", slices))


def test_implausible_slice_distance_is_refused(tmp_path, read):
    """30 mm between slices."""
    with pytest.raises(Refused, match=r"30\.00 mm between slices"):
        read(save(tmp_path / "s", make_series(affine=axes((30.0, 0.8, 0.75)))))


def test_thick_slices_are_told(tmp_path, read):
    """8 mm slices are read with a notice; so are 2 mm slices standing 8 mm apart."""
    study = read(save(tmp_path / "s", make_series(affine=axes((8.0, 0.8, 0.75)))))
    assert [n.code for n in study.phases[0].quality] == ["thick_slices"]
    study = read(save(tmp_path / "t", make_series(affine=axes((8.0, 0.8, 0.75)), SliceThickness=2.0)))
    assert [n.code for n in study.phases[0].quality] == ["thick_slices", "slices_apart"]


def test_contradicting_orientation_is_split_off(tmp_path, read):
    """Two slices of an axial series that face sideways are left out; three axial ones of 90 degrees make no volume."""
    slices = make_series()
    strays = make_series(first_uid=50)[:2]
    for ds in strays:
        ds.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    study = read(save(tmp_path / "s", slices, strays))
    assert_is_body(study)
    assert [(s.images, s.reason.code) for s in study.skipped] == [(2, "orientation_contradicts")]


@pytest.mark.parametrize("cosines", [[1, 0, 0, 1, 0, 0], [0] * 6, [1, 0, 0, 0, 5, 0], None])
def test_broken_orientation_is_refused(tmp_path, read, cosines):
    """Parallel, zero, far too long or missing direction cosines."""
    slices = make_series()
    for ds in slices:
        ds.ImageOrientationPatient = cosines
    with pytest.raises(Refused, match="which way its slices face"):
        read(save(tmp_path / "s", slices))


def test_missing_positions_are_refused(tmp_path, read):
    """Slices that do not say where they lie are not guessed from their numbers."""
    slices = make_series()
    for ds in slices:
        del ds.ImagePositionPatient
    with pytest.raises(Refused, match="where its slices lie"):
        read(save(tmp_path / "s", slices))
