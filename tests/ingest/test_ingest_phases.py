"""Several phases inside one series, copies, and two reconstructions of one scan."""

from __future__ import annotations

import numpy as np
import pytest
from ingest_phantom import ORIGIN, SPACING, axes, body, make_enhanced, make_series, save

from hepar.errors import Refused
from hepar.ingest.choose import kernel_class


def two_in_one(**per_phase):
    """Two phases under one series UID; keyword values are lists with one value per phase."""
    groups = []
    for n in range(2):
        options = {name: values[n] for name, values in per_phase.items() if values[n] is not None}
        groups.append(make_series(body(seed=n), first_uid=1 + 100 * n, **{"acquisition_s": None, **options}))
    return groups


def assert_two_phases(study):
    """Both phases whole, in order."""
    assert len(study.phases) == 2
    for n, phase in enumerate(study.phases):
        np.testing.assert_array_equal(phase.volume.array, body(seed=n))
        assert phase.series_uid == "1.2.3.5"
        assert "series_split" in [q.code for q in phase.quality]


@pytest.mark.parametrize(
    "values",
    [
        {"AcquisitionNumber": [1, 2]},
        {"TemporalPositionIdentifier": [1, 2]},
        {"acquisition_s": [37000.0, 37040.0]},
        {"TriggerTime": [0.0, 40000.0]},
        {"ContentTime": ["101500", "101540"]},
        {"ConvolutionKernel": ["STANDARD", "LUNG"]},
    ],
)
def test_phases_in_one_series_are_told_apart_by_tags(tmp_path, read, values):
    """Equal places, other pixels: one tag that differs is enough."""
    groups = two_in_one(**values)
    for group in groups:
        for ds in group:
            ds.InstanceNumber = 7
    assert_two_phases(read(save(tmp_path / "s", *groups, shuffle=2)))


def test_phases_in_one_series_by_running_numbers(tmp_path, read):
    """Nothing but InstanceNumber: it begins anew where the places do."""
    assert_two_phases(read(save(tmp_path / "s", *two_in_one(), shuffle=2)))


def test_phases_that_alternate_at_each_place(tmp_path, read):
    """The scanner took both time points at a place before it moved on."""
    groups = two_in_one()
    for n, group in enumerate(groups):
        for k, ds in enumerate(group):
            ds.InstanceNumber = 2 * k + n + 1
    assert_two_phases(read(save(tmp_path / "s", *groups, shuffle=2)))


def test_phases_with_a_time_per_slice(tmp_path, read):
    """Every slice has its own acquisition time, running on through both phases."""
    groups = two_in_one()
    for n, group in enumerate(groups):
        for k, ds in enumerate(group):
            ds.AcquisitionTime = f"1017{30 * n + k:02d}.5"
            del ds.InstanceNumber
    assert_two_phases(read(save(tmp_path / "s", *groups, shuffle=2)))


def test_one_holed_phase_in_a_series_of_two(tmp_path, read):
    """The whole phase is read, the other refused; no slice of one fills the hole of the other."""
    one, two = two_in_one(AcquisitionNumber=[1, 2])
    study = read(save(tmp_path / "s", one, two[:4] + two[5:]))
    np.testing.assert_array_equal(study.phases[0].volume.array, body())
    assert [(s.images, s.reason.code) for s in study.skipped] == [(9, "slice_missing")]


@pytest.mark.parametrize("tag", [{"AcquisitionNumber": 9}, {"AcquisitionTime": "100900"}])
def test_a_stray_slice_of_another_acquisition(tmp_path, read, tag):
    """One picture of the bolus watch lies inside the series, at the place of a slice: it goes, the volume stays.

    As in dcm2niix issue 590.
    """
    stray = make_series(body(seed=3), first_uid=400)[4]
    for name, value in tag.items():
        setattr(stray, name, value)
    study = read(save(tmp_path / "s", make_series(AcquisitionNumber=2), [stray]))
    np.testing.assert_array_equal(study.phases[0].volume.array, body())
    assert [(s.images, s.reason.code) for s in study.skipped] == [(1, "single_slice")]


def test_oral_contrast_is_no_contrast_phase(tmp_path, read):
    """An agent that was swallowed says nothing about the phase; one that was injected rules out native."""
    swallowed = read(save(tmp_path / "a", make_series(ContrastBolusAgent="Gastrografin", ContrastBolusRoute="ORAL")))
    injected = read(save(tmp_path / "b", make_series(ContrastBolusAgent="Iomeron", ContrastBolusRoute="IV")))
    assert swallowed.phases[0].guess.probabilities[0] == 0.25
    assert injected.phases[0].guess.probabilities[0] < 0.05


def test_hole_and_nothing_to_tell_phases_apart_is_refused(tmp_path, read):
    """Nineteen slices at ten places with equal tags: mixing them would invent a volume."""
    one, two = two_in_one()
    slices = one + two[:4] + two[5:]
    for ds in slices:
        ds.InstanceNumber = 1
    with pytest.raises(Refused, match="another slice has already"):
        read(save(tmp_path / "s", slices))


def test_two_acquisitions_with_other_steps_in_one_series(tmp_path, read):
    """Chest in 5 mm and abdomen in 2.5 mm under one series UID, apart in space: two volumes."""
    below = make_series(AcquisitionNumber=1)
    above = make_series(
        first_uid=100, affine=axes((5.0, 0.8, 0.75), (*ORIGIN[:2], ORIGIN[2] + 70)), AcquisitionNumber=2,
        acquisition_s=37012.0,
    )  # fmt: skip
    study = read(save(tmp_path / "s", below, above))
    assert sorted(p.volume.geometry.spacing_mm[0] for p in study.phases) == [2.5, 5.0]


def test_a_missing_slice_between_two_acquisition_numbers_is_still_missing(tmp_path, read):
    """Five slices, a hole of one, five slices: not two volumes, though the acquisition number changes there."""
    slices = make_series(body(11))
    for n, ds in enumerate(slices):
        ds.AcquisitionNumber = 1 if n < 5 else 2
    with pytest.raises(Refused, match="a slice is missing"):
        read(save(tmp_path / "s", slices[:5] + slices[6:]))


def test_dynamic_series_are_left_out(tmp_path, read):
    """Thirteen time points are a perfusion scan."""
    volumes = [body(4, 16, 16, seed=n) for n in range(13)]
    with pytest.raises(Refused, match="a perfusion series"):
        read(save(tmp_path / "s", make_enhanced(volumes, pause_s=2.0)))


def test_copies_of_files_are_dropped(tmp_path, read):
    """Every file twice, one of them a third time with another comment: the same volume, and the notice counts."""
    again = make_series()
    again[3].ImageComments = "sent again"
    study = read(save(tmp_path / "s", make_series(), make_series(), again[3:4]))
    np.testing.assert_array_equal(study.phases[0].volume.array, body())
    assert [(w.code, w.text[:9]) for w in study.warnings] == [("duplicate_images", "11 images")]


def test_series_sent_again_under_new_identifiers(tmp_path, read):
    """The same slices with new SOP UIDs, in the same or another series, are one phase."""
    plain = read(save(tmp_path / "a", make_series()))
    same = make_series(first_uid=200)
    for ds in same:
        ds.InstanceNumber = 1
    assert len(read(save(tmp_path / "b", make_series(), same)).phases) == 1
    other = read(
        save(tmp_path / "c", make_series(acquisition_s=None), make_series(series="1.2.3.77", acquisition_s=None))
    )
    assert [s.reason.code for s in other.skipped] == ["duplicate_series"]
    assert other.phases[0].series_uid == plain.phases[0].series_uid


def test_some_slices_sent_again_under_new_identifiers(tmp_path, read):
    """Three of ten slices twice with other SOP UIDs and equal pixels: dropped, the volume stays."""
    study = read(save(tmp_path / "s", make_series(), make_series(first_uid=300)[2:5]))
    np.testing.assert_array_equal(study.phases[0].volume.array, body())


def test_one_identifier_with_two_contents(tmp_path, read):
    """The same SOP UIDs with other pixels at the same places, told apart by acquisition number: two phases, warned."""
    one, two = make_series(AcquisitionNumber=1), make_series(body(seed=1), AcquisitionNumber=2, acquisition_s=37040.0)
    study = read(save(tmp_path / "s", one, two))
    assert_two_phases(study)
    assert [w.code for w in study.warnings] == ["sop_uid_repeated"]


def test_soft_kernel_and_one_to_three_millimetres_win(tmp_path, read):
    """Of a lung kernel, a 5 mm and a 0.5 mm reconstruction beside 2.5 mm soft, the last is analysed."""

    def recon(n, step, kernel, description=""):
        slices = round(25 / step)
        return make_series(
            body(slices, seed=n), series=f"1.2.3.5{n}", affine=axes((step, 0.8, 0.75)), ConvolutionKernel=kernel,
            SeriesDescription=description,
        )  # fmt: skip

    study = read(
        save(tmp_path / "s", recon(1, 2.5, "LUNG"), recon(2, 5.0, "STANDARD"), recon(3, 2.5, "STANDARD"),
             recon(4, 0.5, "STANDARD"))
    )  # fmt: skip
    assert [p.series_uid for p in study.phases] == ["1.2.3.53"]
    assert [(s.series_uid, s.reason.code) for s in study.skipped] == [
        ("1.2.3.51", "duplicate_reconstruction"),
        ("1.2.3.52", "duplicate_reconstruction"),
        ("1.2.3.54", "duplicate_reconstruction"),
    ]


def test_phases_at_other_times_are_no_duplicates(tmp_path, read):
    """Same kernel and step, forty seconds apart."""
    study = read(
        save(tmp_path / "s", make_series(series="1.2.3.51"),
             make_series(body(seed=1), series="1.2.3.52", acquisition_s=37040.0))
    )  # fmt: skip
    assert [(p.id, p.series_uid) for p in study.phases] == [("p1", "1.2.3.51"), ("p2", "1.2.3.52")]


def test_phases_that_copy_one_time_but_name_two_phases_stay(tmp_path, read):
    """An anonymiser made all times equal; the descriptions still name two phases."""
    study = read(
        save(tmp_path / "s", make_series(series="1.2.3.51", SeriesDescription="arterial"),
             make_series(body(seed=1), series="1.2.3.52", SeriesDescription="portal venous"))
    )  # fmt: skip
    assert [p.guess.label for p in study.phases] == ["arterial", "portal_venous"]


def test_phases_whose_times_were_made_equal_stay(tmp_path, read):
    """Four alike volumes with one time and no words: nothing says that they are one scan, nor is a thicker fifth."""
    groups = [make_series(body(seed=n), series=f"1.2.3.5{n}", AcquisitionNumber=1) for n in range(4)]
    groups.append(make_series(body(5, seed=9), series="1.2.3.59", affine=axes((5.0, 0.8, 0.75)), AcquisitionNumber=1))
    assert len(read(save(tmp_path / "s", *groups)).phases) == 5


def test_phases_are_numbered_by_time_past_midnight(tmp_path, read):
    """Arterial at 23:59:40, portal venous at 00:00:20 of the next day."""
    study = read(
        save(tmp_path / "s",
             make_series(body(seed=1), series="1.2.3.51", acquisition_s=20.0, AcquisitionDate="20260111"),
             make_series(series="1.2.3.52", acquisition_s=86380.0))
    )  # fmt: skip
    assert [(p.series_uid, p.acquired_s) for p in study.phases] == [("1.2.3.52", 86380.0), ("1.2.3.51", 86420.0)]


@pytest.mark.parametrize(
    ("kernel", "rank"),
    [("B30f", 0), ("B70f", 3), ("Br40d\\3", 0), ("Bl57d", 3), ("I31f", 0), ("B46f", 2), ("STANDARD", 0), ("LUNG", 3),
     ("BONEPLUS", 3), ("DETAIL", 2), ("SOFT", 0), ("FC08", 0), ("FC18", 0), ("FC30", 3), ("FC52", 3), ("B", 0),
     ("L", 3), ("C", 2), ("YB", 3), ("", 1), ("XYZ", 1)],
)  # fmt: skip
def test_kernel_classes(kernel, rank):
    """Soft, unknown, medium, sharp by the vendors' names."""
    assert kernel_class(kernel) == rank


def test_reformats_are_left_out_beside_their_source(tmp_path, read):
    """A coronal cut and an axial MPR of the same scan are skipped; alone, the axial MPR is read with a notice."""
    coronal = make_series(body(20), series="1.2.3.60")
    for k, ds in enumerate(coronal):
        ds.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        ds.ImagePositionPatient = [ORIGIN[0], ORIGIN[1] + k * 0.8, ORIGIN[2] + 24]
    mpr = make_series(body(seed=2), series="1.2.3.61", ImageType=["DERIVED", "SECONDARY", "MPR"])
    study = read(save(tmp_path / "a", make_series(), coronal, mpr))
    assert [p.series_uid for p in study.phases] == ["1.2.3.5"]
    assert [(s.series_uid, s.reason.code) for s in study.skipped] == [
        ("1.2.3.60", "reformat"),
        ("1.2.3.61", "reformat"),
    ]
    alone = read(save(tmp_path / "b", mpr))
    assert [n.code for n in alone.phases[0].quality] == ["derived_series"]
    assert SPACING[0] == alone.phases[0].volume.geometry.spacing_mm[0]
