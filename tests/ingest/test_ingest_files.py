"""NIfTI, NRRD and MHA."""

from __future__ import annotations

import zipfile

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from ingest_phantom import ORIGIN, SPACING, axes, body, make_series, save

from hepar.errors import Refused, WrongCall
from hepar.record import Geometry

RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def big():
    return body(18, 24, 20)


def ras_affine(affine=None):
    """Affine of (column, row, slice) to RAS for the phantom's grid."""
    return RAS @ (axes() if affine is None else affine)[:, [2, 1, 0, 3]]


def nifti(path, array=None, affine=None, **header):
    """Write (slice, row, column) data whose affine maps (column, row, slice) to RAS."""
    array = big() if array is None else array
    image = nib.Nifti1Image(np.asarray(array).T, ras_affine() if affine is None else affine)
    image.set_sform(image.affine, header.pop("sform", 1))
    if header.get("qform", 1):
        image.set_qform(image.affine, header.pop("qform", 1))
    else:
        image.set_qform(None, header.pop("qform"))
    nib.save(image, path)
    return path


def assert_is_body(study, volume=None):
    volume = big() if volume is None else volume
    (phase,) = study.phases
    np.testing.assert_array_equal(phase.volume.array, volume)
    assert phase.volume.geometry.is_close(Geometry(volume.shape, axes()))
    assert (study.dicom, phase.frames, study.date) == (False, (), "")


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_nifti_is_turned_from_ras_to_lps(tmp_path, read, name):
    """Written by nibabel in RAS: same voxels at the same LPS place."""
    study = read(nifti(tmp_path / name), modality="CT")
    assert_is_body(study)
    assert study.uid.startswith("2.25.")
    assert study.phases[0].series_uid.startswith("2.25.")


def test_nifti_under_any_name(tmp_path, read):
    """Told by its first bytes."""
    nifti(tmp_path / "scan.nii.gz").rename(tmp_path / "image_0")
    assert_is_body(read(tmp_path / "image_0", modality="CT"))


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LAI", "SAR", "PIL"])
def test_nifti_in_any_orientation(tmp_path, read, codes):
    """nibabel stores the same image along other axes: the same volume, and the same hash."""
    image = nib.load(nifti(tmp_path / "scan.nii"))
    turned = image.as_reoriented(
        nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(codes))
    )
    nib.save(turned, tmp_path / "turned.nii.gz")
    study = read(tmp_path / "turned.nii.gz", modality="CT")
    assert_is_body(study)
    assert study.input_sha256 == read(tmp_path / "scan.nii", modality="CT").input_sha256
    source = np.asarray(turned.dataobj).T
    np.testing.assert_array_equal(study.phases[0].layout.to_source(study.phases[0].volume.array), source)


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
@pytest.mark.parametrize("rename", [False, True])
def test_nrrd_and_mha(tmp_path, read, ending, rename):
    """Written by SimpleITK; the name does not matter."""
    image = SimpleITK.GetImageFromArray(big())
    image.SetSpacing(SPACING[::-1])
    image.SetOrigin(ORIGIN)
    path = tmp_path / f"scan{ending}"
    SimpleITK.WriteImage(image, str(path))
    if rename:
        path = path.rename(tmp_path / "scan")
    assert_is_body(read(path, modality="CT"))


def test_flipped_mha(tmp_path, read):
    """A direction matrix that turns two axes."""
    image = SimpleITK.GetImageFromArray(big())
    image.SetSpacing(SPACING[::-1])
    image.SetOrigin(ORIGIN)
    SimpleITK.WriteImage(SimpleITK.Flip(image, [True, True, False]), str(tmp_path / "scan.mha"))
    assert_is_body(read(tmp_path / "scan.mha", modality="CT"))


def test_in_a_zip(tmp_path, read):
    """NIfTI and MHA members are unpacked into the workspace."""
    nifti(tmp_path / "scan.nii.gz")
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        archive.write(tmp_path / "scan.nii.gz", "a/scan")
    assert_is_body(read(tmp_path / "s.zip", modality="CT"))


def test_modality_has_to_be_given(tmp_path, read):
    """NIfTI has none."""
    with pytest.raises(WrongCall, match="give --modality CT or --modality MR"):
        read(nifti(tmp_path / "scan.nii"))


def test_a_study_uid_fits_no_nifti(tmp_path, read):
    """--study chooses among DICOM studies."""
    with pytest.raises(WrongCall, match="leave it out"):
        read(nifti(tmp_path / "scan.nii"), modality="CT", study_uid="1.2.3")


def test_the_uid_follows_content_only(tmp_path, read):
    """Another name, same UIDs; another voxel, others."""
    one = read(nifti(tmp_path / "a.nii"), modality="CT")
    two = read(nifti(tmp_path / "b.nii.gz"), modality="CT")
    other = big()
    other[9, 9, 9] += 1
    three = read(nifti(tmp_path / "c.nii", other), modality="CT")
    assert (one.uid, one.input_sha256, one.phases[0].series_uid) == (
        two.uid,
        two.input_sha256,
        two.phases[0].series_uid,
    )
    assert one.uid != three.uid


def test_sheared_nifti_stays_sheared(tmp_path, read):
    """A tilted series that someone converted without resampling."""
    affine = axes()
    affine[:3, 0] += [0, 0.5, 0]
    study = read(nifti(tmp_path / "scan.nii", affine=ras_affine(affine), qform=0), modality="CT")
    np.testing.assert_array_equal(study.phases[0].volume.array, big())
    assert study.phases[0].volume.geometry.is_close(Geometry(big().shape, affine))
    assert study.phases[0].tilt_deg == pytest.approx(np.degrees(np.arctan(0.2)), abs=0.01)
    assert [n.code for n in study.phases[0].quality] == ["gantry_tilt"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda h: h.update(sform_code=0, qform_code=0), "neither sform nor qform"),
        (lambda h: h.update(srow_x=[0, 0, 0, 0], qform_code=0), "no volume"),
        (lambda h: h.update(srow_x=[np.nan, 0, 0, 0]), "no numbers"),
        (lambda h: h.update(srow_x=h["srow_y"]), "no volume"),
        (lambda h: h.update(srow_x=[750.0, 0, 0, 0]), "voxels of .*750"),
        (lambda h: h.update(datatype=128), "colours"),
        (lambda h: h.update(dim=[5, 20, 24, 3, 1, 6, 1, 1]), "5 dimensions"),
        (lambda h: h.update(dim=[3, 20, 24, 1, 1, 1, 1, 1]), "is no volume"),
        (lambda h: h.update(dim=[3, 20, 24, 30000, 1, 1, 1, 1]), "cannot be read to its end"),
        (lambda h: h.update(dim=[3, 30000, 30000, 30000, 1, 1, 1, 1]), "million voxels"),
        (lambda h: h.update(dim=[3, -20, 24, 18, 1, 1, 1, 1]), "no file can be analysed"),
    ],
)
def test_broken_headers_are_refused(tmp_path, read, change, text):
    """Zeros, no numbers, parallel axes, no code, colours, too many dimensions, sizes that are not there."""
    path = nifti(tmp_path / "scan.nii")
    raw = bytearray(path.read_bytes())
    header = np.frombuffer(bytes(raw[:348]), dtype=nib.nifti1.header_dtype).copy()[0]

    class Fields(dict):
        def update(self, **values):
            for name, value in values.items():
                header[name] = value

    change(Fields({name: header[name].copy() for name in header.dtype.names}))
    raw[:348] = header.tobytes()
    path.write_bytes(raw)
    with pytest.raises(Refused, match=text):
        read(path, modality="CT")


def test_forms_that_disagree_are_told(tmp_path, read):
    """sform wins, with a notice."""
    image = nib.Nifti1Image(big().T, ras_affine())
    image.set_sform(ras_affine(), 1)
    image.set_qform(ras_affine(axes(origin=(0, 0, 0))), 1)
    nib.save(image, tmp_path / "scan.nii")
    study = read(tmp_path / "scan.nii", modality="CT")
    assert_is_body(study)
    assert [n.code for n in study.phases[0].quality] == ["forms_disagree"]


def test_truncated_file(tmp_path, read):
    """Cut short: refused in words, gz or not."""
    for name in ("a.nii", "b.nii.gz"):
        path = nifti(tmp_path / name)
        path.write_bytes(path.read_bytes()[:-2000])
        with pytest.raises(Refused, match="copy it again"):
            read(path, modality="CT")


def test_floats_are_rounded_and_holes_are_air(tmp_path, read):
    """Fractions are rounded with a notice, not-a-number becomes padding."""
    array = big().astype(np.float32) + 0.3
    array[0, 0, 0] = np.nan
    study = read(nifti(tmp_path / "scan.nii", array), modality="CT")
    expected = big()
    expected[0, 0, 0] = -1024
    np.testing.assert_array_equal(study.phases[0].volume.array, expected)
    assert [n.code for n in study.phases[0].quality] == ["rounded"]


def test_whole_floats_and_scaled_integers(tmp_path, read):
    """Floats that are whole numbers, and integers with slope and intercept, give the HU without a notice."""
    study = read(nifti(tmp_path / "a.nii", big().astype(np.float64)), modality="CT")
    assert_is_body(study)
    assert study.phases[0].quality == ()
    image = nib.Nifti1Image((big().astype(np.int32) + 1024).astype(np.uint16).T, ras_affine())
    image.header.set_slope_inter(1, -1024)
    nib.save(image, tmp_path / "b.nii")
    raw = bytearray((tmp_path / "b.nii").read_bytes())
    header = np.frombuffer(bytes(raw[:348]), dtype=nib.nifti1.header_dtype).copy()[0]
    header["scl_slope"], header["scl_inter"] = 1.0, -1024.0
    raw[:348] = header.tobytes()
    raw[352:] = (big().astype(np.int32) + 1024).astype("<u2").tobytes()
    (tmp_path / "b.nii").write_bytes(raw)
    assert_is_body(read(tmp_path / "b.nii", modality="CT"))


def test_pictures_and_masks_are_no_ct(tmp_path, read):
    """0 to 255 is no HU; a mask beside the scan is skipped, a mask alone refused."""
    picture = ((big().astype(int) + 1024) // 5).clip(0, 255).astype(np.uint8)
    with pytest.raises(Refused, match="none negative"):
        read(nifti(tmp_path / "a.nii", picture), modality="CT")
    mask = (big() > 0).astype(np.uint8)
    with pytest.raises(Refused, match="a label mask, not a scan"):
        read(nifti(tmp_path / "b.nii", mask), modality="CT")
    folder = tmp_path / "s"
    folder.mkdir()
    nifti(folder / "scan.nii")
    nifti(folder / "liver.nii.gz", mask)
    study = read(folder, modality="CT")
    assert_is_body(study)
    assert [(s.images, s.reason.code) for s in study.skipped] == [(1, "label_mask")]


def test_a_mask_beside_mr_is_skipped(tmp_path, read):
    """MR has no negative numbers either; few levels on the grid of another image make a mask."""
    nifti(tmp_path / "t1.nii", np.abs(big()))
    nifti(tmp_path / "organs.nii", (big() > 0).astype(np.uint8) * 5)
    study = read(tmp_path, modality="MR")
    assert_is_body(study, np.abs(big()))
    assert [s.reason.code for s in study.skipped] == ["label_mask"]


def test_several_files_are_phases_named_by_words(tmp_path, read):
    """art, portal, native in the names: labels of modest probability, in the phases' order; no name in the text."""
    for n, name in enumerate(["Doe_PORTAL.nii", "Doe_art.nii.gz", "Doe_native.nii.gz", "Doe_x.nii"]):
        nifti(tmp_path / name, body(18, 24, 20, seed=n))
    study = read(tmp_path, modality="CT")
    assert [p.guess.label for p in study.phases] == ["native", "arterial", "portal_venous", "unknown"]
    assert [p.id for p in study.phases] == ["p1", "p2", "p3", "p4"]
    for phase in study.phases[:3]:
        assert phase.guess.source == "tags"
        assert 0.6 <= phase.guess.probability <= 0.8
    assert "Doe" not in repr((study.skipped, study.warnings, [(p.guess, p.quality) for p in study.phases]))


def test_four_dimensions_are_phases(tmp_path, read):
    """One phase per volume; thirteen are a perfusion series."""
    volumes = np.stack([body(18, 24, 20, seed=n) for n in range(3)])
    study = read(nifti(tmp_path / "four.nii.gz", volumes), modality="CT")
    for n, phase in enumerate(study.phases):
        np.testing.assert_array_equal(phase.volume.array, volumes[n])
    assert [p.guess.label for p in study.phases] == ["unknown"] * 3
    with pytest.raises(Refused, match="13 time points"):
        read(nifti(tmp_path / "many.nii", np.stack([body(3, 16, 16)] * 13)), modality="CT")


def test_the_same_file_twice_is_one_phase(tmp_path, read):
    """Equal voxels."""
    nifti(tmp_path / "a.nii")
    nifti(tmp_path / "b.nii.gz")
    study = read(tmp_path, modality="CT")
    assert len(study.phases) == 1
    assert [s.reason.code for s in study.skipped] == ["duplicate_series"]


def test_two_file_formats_are_refused_in_words(tmp_path, read):
    """.hdr with .img, .nhdr and .mhd with a raw file elsewhere."""
    nib.save(nib.Nifti1Pair(big().T, ras_affine()), tmp_path / "pair.hdr")
    with pytest.raises(Refused, match=r"convert it to one \.nii file"):
        read(tmp_path / "pair.hdr", modality="CT")
    (tmp_path / "x.mhd").write_text(
        "NDims = 3\nDimSize = 20 24 18\nElementType = MET_SHORT\nElementDataFile = /etc/x\n"
    )
    with pytest.raises(Refused, match="the voxels are in another file"):
        read(tmp_path / "x.mhd", modality="CT")


def test_nrrd_without_a_place_is_refused(tmp_path, read):
    """No space, no left and right."""
    head = "NRRD0004\ntype: short\ndimension: 3\nsizes: 20 24 18\nendian: little\nencoding: raw\nspacings: 1 1 1\n\n"
    (tmp_path / "x.nrrd").write_bytes(head.encode() + big().tobytes())
    with pytest.raises(Refused, match="save it with its space directions"):
        read(tmp_path / "x.nrrd", modality="CT")


def test_dicom_comes_before_files_beside_it(tmp_path, read):
    """A mask exported next to the DICOM images is skipped."""
    save(tmp_path / "s", make_series())
    nifti(tmp_path / "s" / "mask.nii.gz")
    study = read(tmp_path / "s")
    assert study.dicom
    assert [s.reason.code for s in study.skipped] == ["beside_dicom"]


def test_the_user_names_a_file(tmp_path, read):
    """--phase for one of several NIfTI files, and for one that lies beside the first."""
    for n, name in enumerate(["a.nii", "b.nii"]):
        nifti(tmp_path / name, body(18, 24, 20, seed=n))
    study = read(tmp_path, modality="CT", phase_paths={"delayed": tmp_path / "b.nii"})
    assert [(p.guess.label, p.guess.source) for p in study.phases] == [("delayed", "user"), ("unknown", "none")]
    study = read(tmp_path / "a.nii", modality="CT", phase_paths={"delayed": tmp_path / "b.nii"})
    assert len(study.phases) == 2
