"""What is read out of a folder with all sorts of things, and whose."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from ingest_phantom import CT_CLASS, STUDY, body, dataset, make_series, put_pixels, save
from pydicom.uid import ImplicitVRLittleEndian

from hepar.errors import Refused, WrongCall


def codes(study):
    return sorted((s.modality, s.images, s.reason.code) for s in study.skipped)


def test_empty_folder(tmp_path, read):
    """No file at all."""
    with pytest.raises(Refused, match="no files in there; give the folder or zip"):
        read(tmp_path)


def test_missing_path(tmp_path, read):
    """A path that does not exist is a wrong call."""
    with pytest.raises(WrongCall, match="does not exist"):
        read(tmp_path / "nothing")


def test_no_image_at_all(tmp_path, read):
    """Text and pictures are no scan."""
    (tmp_path / "readme.txt").write_text("nothing to see")
    (tmp_path / "picture.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(500))
    with pytest.raises(Refused, match="no image among 2 files"):
        read(tmp_path)


def test_truncated_and_random_files_among_good_ones(tmp_path, read):
    """They are counted by reason; the good series is read."""
    folder = save(tmp_path / "s", make_series())
    whole = (folder / "f3").read_bytes()
    (folder / "cut in pixels").write_bytes(whole[:-200])
    (folder / "cut in header").write_bytes(whole[:420])
    (folder / "cut at once").write_bytes(whole[:140])
    rng = np.random.default_rng(0)
    for n in range(5):
        (folder / f"noise{n}").write_bytes(rng.bytes(5000))
        (folder / f"dicom noise{n}").write_bytes(bytes(128) + b"DICM" + rng.bytes(5000))
    (folder / "empty").write_bytes(b"")
    study = read(folder)
    np.testing.assert_array_equal(study.phases[0].volume.array, body())
    assert sum(s.images for s in study.skipped) + sum(w.code == "duplicate_images" for w in study.warnings) >= 13
    assert {s.reason.code for s in study.skipped} <= {"not_an_image_file", "damaged_file", "unsupported_modality"}


def test_one_slice_cut_short_is_a_missing_slice(tmp_path, read):
    """A slice whose pixels end early is not filled with anything."""
    folder = save(tmp_path / "s", make_series())
    (folder / "f4").write_bytes((folder / "f4").read_bytes()[:-100])
    with pytest.raises(Refused, match="a slice is missing"):
        read(folder)


def test_broken_compressed_pixels_are_found_on_decoding(tmp_path, read):
    """A damaged copy of a compressed slice, under its own identifier, does not stand in the way of the good ones."""
    volume = body(8, 64, 64)
    slices = make_series(volume)
    bad = make_series(volume, first_uid=50)[4]
    bad.compress("1.2.840.10008.1.2.4.90", generate_instance_uid=False)
    pixels = bytearray(bad.PixelData)
    pixels[40:] = bytes(len(pixels) - 40)
    bad.PixelData = bytes(pixels)
    study = read(save(tmp_path / "s", slices, [bad]))
    np.testing.assert_array_equal(study.phases[0].volume.array, volume)
    assert codes(study) == [("CT", 1, "damaged_file")]


def test_files_without_preamble(tmp_path, read):
    """Bare data sets (no preamble, no meta header), implicit little endian."""
    folder = tmp_path / "s"
    folder.mkdir()
    for n, ds in enumerate(make_series()):
        del ds.file_meta
        ds.preamble = None
        ds.save_as(folder / str(n), implicit_vr=True, little_endian=True)
    np.testing.assert_array_equal(read(folder).phases[0].volume.array, body())


def test_files_with_meta_but_without_preamble(tmp_path, read):
    """The first tag is of group 2."""
    folder = save(tmp_path / "s", make_series())
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[132:])
    np.testing.assert_array_equal(read(folder).phases[0].volume.array, body())


def test_dicomdir_is_harmless(tmp_path, read):
    """A DICOMDIR, whole or broken, neither helps nor hinders."""
    from pydicom.fileset import FileSet

    files = FileSet()
    for ds in make_series(PatientID="P1", StudyID="1", SeriesNumber=1):
        files.add(ds)
    files.write(tmp_path / "s")
    study = read(tmp_path / "s")
    np.testing.assert_array_equal(study.phases[0].volume.array, body())
    (tmp_path / "s" / "DICOMDIR").write_bytes((tmp_path / "s" / "DICOMDIR").read_bytes()[:700])
    np.testing.assert_array_equal(read(tmp_path / "s").phases[0].volume.array, body())


def a_report():
    ds = dataset("1.2.840.10008.5.1.4.1.1.88.67", "1.2.3.90")
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.Modality, ds.PatientID = STUDY, "1.2.3.91", "SR", "P1"
    return ds


def with_type(series, *words, **tags):
    return make_series(body(4), series=series, ImageType=list(words), **tags)


def test_everything_that_is_no_scan_is_skipped_with_its_reason(tmp_path, read):
    """Localizer, dose sheet, screen shot, MIP, subtraction, map, colour, ultrasound, report."""
    capture = make_series(body(4), series="1.2.3.71")
    for ds in capture:
        ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    colour = make_series(body(4), series="1.2.3.72", SamplesPerPixel=3, PhotometricInterpretation="RGB")
    for ds in colour:
        ds.PlanarConfiguration = 0
        put_pixels(ds, np.zeros((24, 20, 3), np.int16))
    ultrasound = make_series(body(4), series="1.2.3.73", Modality="US")
    odd = make_series(body(4), series="1.2.3.80", Modality="John Doe^")
    study = read(
        save(
            tmp_path / "s",
            make_series(),
            with_type("1.2.3.61", "ORIGINAL", "PRIMARY", "LOCALIZER"),
            with_type("1.2.3.62", "DERIVED", "SECONDARY", "MIP"),
            with_type("1.2.3.63", "DERIVED", "SECONDARY", "SUBTRACTION"),
            with_type("1.2.3.64", "DERIVED", "SECONDARY", "AXIAL", "CBF"),
            with_type("1.2.3.65", "DERIVED", "SECONDARY", "SCREEN SAVE"),
            make_series(body(4), series="1.2.3.66", SeriesDescription="Topogram 0.6 T20"),
            make_series(body(4), series="1.2.3.67", SeriesDescription="PreMonitoring"),
            capture,
            colour,
            ultrasound,
            odd,
            [a_report()],
        )
    )
    assert [p.series_uid for p in study.phases] == ["1.2.3.5"]
    found = {s.series_uid: (s.modality, s.images, s.reason.code) for s in study.skipped}
    assert found == {
        "1.2.3.61": ("CT", 4, "localizer"),
        "1.2.3.62": ("CT", 4, "projection"),
        "1.2.3.63": ("CT", 4, "subtraction"),
        "1.2.3.64": ("CT", 4, "derived_map"),
        "1.2.3.65": ("CT", 4, "secondary_capture"),
        "1.2.3.66": ("CT", 4, "localizer"),
        "1.2.3.67": ("CT", 4, "bolus_monitoring"),
        "1.2.3.71": ("CT", 4, "secondary_capture"),
        "1.2.3.72": ("CT", 4, "colour_image"),
        "1.2.3.73": ("US", 4, "unsupported_modality"),
        "1.2.3.80": ("unknown", 4, "unsupported_modality"),
        "1.2.3.91": ("SR", 1, "not_an_image"),
    }


def test_localizer_inside_the_axial_series(tmp_path, read):
    """Some scanners put it there: it is left out, the volume stays."""
    scout = make_series(first_uid=70)[:1]
    scout[0].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout[0].ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    study = read(save(tmp_path / "s", make_series(), scout))
    assert codes(study) == [("CT", 1, "localizer")]


def test_only_other_modalities_are_refused(tmp_path, read):
    """Ultrasound alone: what was found, and what hepar reads."""
    with pytest.raises(Refused, match="neither CT nor MR"):
        read(save(tmp_path / "s", make_series(Modality="US")))


def test_ct_is_read_when_mr_lies_beside_it(tmp_path, read):
    """CT by default, MR on request."""
    mr = make_series(np.abs(body()), series="1.2.3.70", modality="MR", intercept=0.0)
    folder = save(tmp_path / "s", make_series(), mr)
    study = read(folder)
    assert study.modality == "CT"
    assert codes(study) == [("MR", 10, "other_modality")]
    study = read(folder, modality="MR")
    assert study.modality == "MR"
    assert codes(study) == [("CT", 10, "other_modality")]


def test_unknown_modality_is_a_wrong_call(tmp_path, read):
    """Only CT and MR."""
    with pytest.raises(WrongCall, match="--modality CT or --modality MR"):
        read(save(tmp_path / "s", make_series()), modality="PT")


def test_two_patients_are_refused(tmp_path, read):
    """With the list of studies, and without a name."""
    other = make_series(series="1.2.3.70", PatientID="P2", PatientName="Another^One", StudyInstanceUID="1.2.3.44")
    with pytest.raises(Refused) as refusal:
        read(save(tmp_path / "s", make_series(), other))
    text = str(refusal.value)
    assert "images of 2 patients" in text
    assert "--study" in text
    assert "1.2.3.4 (2026-01-10, 10 images); 1.2.3.44 (2026-01-10, 10 images)" in text
    assert "Person" not in text
    assert "P1" not in text


def test_two_patients_under_one_study_are_refused_even_when_chosen(tmp_path, read):
    """One study identifier for two people is an archive's mistake."""
    folder = save(tmp_path / "s", make_series(), make_series(series="1.2.3.70", PatientID="P2"))
    for study_uid in (None, STUDY):
        with pytest.raises(Refused, match="2 patients"):
            read(folder, study_uid=study_uid)


def test_two_studies_need_a_choice(tmp_path, read):
    """Refused with both, read when one is named; a study that is not there is a wrong call."""
    other = make_series(body(seed=1), series="1.2.3.70", StudyInstanceUID="1.2.3.44", StudyDate="20250303")
    folder = save(tmp_path / "s", make_series(), other)
    with pytest.raises(Refused, match="2 studies; choose one with --study"):
        read(folder)
    study = read(folder, study_uid="1.2.3.44")
    assert (study.uid, study.date) == ("1.2.3.44", "2025-03-03")
    np.testing.assert_array_equal(study.phases[0].volume.array, body(seed=1))
    assert codes(study) == [("CT", 10, "other_study")]
    with pytest.raises(WrongCall, match=r"there is no study 9\.9"):
        read(folder, study_uid="9.9")


def test_missing_and_broken_patient_module(tmp_path, read):
    """No patient tags, or a name in a character set that does not fit its bytes: read all the same."""
    slices = make_series()
    for ds in slices:
        for name in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex"):
            delattr(ds, name)
    assert read(save(tmp_path / "a", slices)).identity == {"name": "", "id": "", "birth_date": "", "sex": ""}
    slices = make_series()
    for ds in slices:
        ds.add_new(0x00100010, "PN", b"M\xfcller^\xe4\xb8\xad\xff")
        ds.add_new(0x00080005, "CS", "ISO_IR 999")
        ds.add_new(0x0008103E, "LO", b"art\xe9rielle \xff\xfe")
    assert len(read(save(tmp_path / "b", slices)).phases) == 1


def test_japanese_name_reaches_the_identity(tmp_path, read):
    """ISO 2022 with code extensions, as in PS3.5 annex H."""
    slices = make_series(SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Tarou=山田^太郎")
    assert read(save(tmp_path / "s", slices)).identity["name"].startswith("Yamada^Tarou=山田^太郎")


def test_missing_frame_of_reference_and_manufacturer(tmp_path, read):
    """As in some public collections."""
    slices = make_series()
    for ds in slices:
        del ds.FrameOfReferenceUID
    assert read(save(tmp_path / "s", slices)).phases[0].frame_of_reference_uid == ""


def test_missing_modality_is_known_by_class(tmp_path, read):
    """CT Image Storage is CT."""
    slices = make_series()
    for ds in slices:
        del ds.Modality
    assert read(save(tmp_path / "s", slices)).modality == "CT"


def test_missing_identifiers_are_recovered_or_derived(tmp_path, read):
    """No SOP UID in the data set: from the meta header; no study and series UID: derived alike in every run, warned."""
    slices = make_series()
    for ds in slices:
        del ds.SOPInstanceUID, ds.SOPClassUID
        ds.StudyInstanceUID, ds.SeriesInstanceUID = "", ""
    folder = tmp_path / "a"
    folder.mkdir()
    for n, ds in enumerate(slices):
        ds.save_as(folder / str(n), enforce_file_format=False)
    study = read(folder)
    assert [f.sop_instance_uid for f in study.phases[0].frames] == [f"1.2.3.5.{k + 1}" for k in range(10)]
    assert study.phases[0].frames[0].sop_class_uid == CT_CLASS
    assert study.uid.startswith("2.25.")
    assert study.phases[0].series_uid.startswith("2.25.")
    assert sorted(w.code for w in study.warnings) == ["series_uid_missing", "study_uid_missing"]
    again = read(shutil.copytree(folder, tmp_path / "b"))
    assert (again.uid, again.phases[0].series_uid) == (study.uid, study.phases[0].series_uid)


def test_identifiers_with_letters_never_reach_the_record(tmp_path, read):
    """A UID that holds a name is replaced by a derived one."""
    slices = make_series(SeriesInstanceUID="Secret^Person")
    for ds in slices:
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"Person {ds.InstanceNumber}"
    study = read(save(tmp_path / "s", slices))
    assert study.phases[0].series_uid.startswith("2.25.")
    assert all(f.sop_instance_uid.startswith("2.25.") for f in study.phases[0].frames)
    assert len({f.sop_instance_uid for f in study.phases[0].frames}) == 10


def test_no_identity_in_the_record(tmp_path, read):
    """Names of people, places, files and folders stand in `identity` and nowhere else."""
    folder = tmp_path / "Secret^Person Liver Folder"
    noise = make_series(body(3), series="1.2.3.9.9", ImageType=["DERIVED", "SECONDARY", "MIP"], SeriesDescription="Doe")
    study = read(save(folder, make_series(SeriesDescription="art Doe", ProtocolName="Doe"), noise))
    told = repr((study.uid, study.date, study.input_sha256, study.skipped, study.warnings,
                 [(p.id, p.guess, p.series_uid, p.quality) for p in study.phases]))  # fmt: skip
    for word in ("Secret", "Person", "Hidden", "Doe", "Folder", str(tmp_path), "1950"):
        assert word not in told


@pytest.mark.parametrize("where", ["inside", "file", "beside"])
def test_the_user_names_a_phase(tmp_path, read, where):
    """--phase arterial=PATH for a folder or file inside the study, or a folder beside it."""
    one, two = make_series(series="1.2.3.51"), make_series(body(seed=1), series="1.2.3.52", acquisition_s=37040.0)
    if where == "beside":
        save(tmp_path / "s", one)
        path = save(tmp_path / "other", two)
    else:
        save(tmp_path / "s" / "a", one)
        path = save(tmp_path / "s" / "b", two)
    study = read(tmp_path / "s", phase_paths={"arterial": path})
    assert [p.guess.label for p in study.phases] == ["unknown", "arterial"]
    guess = study.phases[1].guess
    assert (guess.source, guess.probability, guess.probabilities) == ("user", 1.0, (0.0, 1.0, 0.0, 0.0))


def test_the_user_names_a_phase_that_is_not_there(tmp_path, read):
    """A path without a series, or a path that does not exist, is a wrong call."""
    folder = save(tmp_path / "s", make_series())
    (folder / "notes").mkdir()
    with pytest.raises(WrongCall, match="no series that can be analysed lies there"):
        read(folder, phase_paths={"arterial": folder / "notes"})
    with pytest.raises(WrongCall, match="--phase"):
        read(folder, phase_paths={"arterial": tmp_path / "nowhere"})


def test_progress_rises_to_one(tmp_path, read):
    """From 0 to 1, never back."""
    seen = []
    read(save(tmp_path / "s", make_series()), progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) > 15


def test_implicit_little_endian_named_so(tmp_path, read):
    """The default transfer syntax."""
    slices = make_series()
    for ds in slices:
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    folder = tmp_path / "s"
    folder.mkdir()
    for n, ds in enumerate(slices):
        ds.save_as(folder / str(n), implicit_vr=True, little_endian=True)
    np.testing.assert_array_equal(read(folder).phases[0].volume.array, body())
