"""Label maps and score maps from files."""

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from hepar.errors import Refused
from hepar.ingest.label_map import LESION, LIVER, OTHER, read_label_map, read_score_map
from hepar.record import Geometry

SHAPE, SPACING, ORIGIN = (8, 20, 24), (3.0, 0.9, 0.8), (-12.0, 7.0, 30.0)


def grid():
    return Geometry.regular(SHAPE, SPACING, ORIGIN)


def slices():
    """The CT images under a segmentation, from the feet up."""
    made = []
    for n in range(SHAPE[0]):
        ds = pydicom.Dataset()
        ds.file_meta = pydicom.dataset.FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"2.25.{100 + n}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "2.25.1", "2.25.2", "2.25.3"
        ds.Modality, ds.PatientID, ds.PatientName, ds.PatientBirthDate, ds.PatientSex = "CT", "", "", "", ""
        ds.StudyDate = ds.StudyTime = ds.AccessionNumber = ds.StudyID = ""
        ds.Rows, ds.Columns = SHAPE[1:]
        ds.PixelSpacing, ds.SliceThickness = [SPACING[1], SPACING[2]], SPACING[0]
        ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        ds.ImagePositionPatient = [ORIGIN[0], ORIGIN[1], ORIGIN[2] + n * SPACING[0]]
        ds.InstanceNumber, ds.BitsAllocated, ds.SamplesPerPixel = n + 1, 16, 1
        made.append(ds)
    return made


def labels():
    """Liver in slices 2 to 6, with a lesion; a spleen beside it."""
    made = np.zeros(SHAPE, np.uint8)
    made[2:7, 3:15, 4:16] = LIVER
    made[3:5, 5:9, 6:10] = LESION
    made[2:6, 16:19, 2:6] = OTHER + 3
    return made


def save_segmentation(path, kind="BINARY", omit=True):
    values = labels()
    masks = [(values == LIVER) | (values == LESION), values == LESION, values == OTHER + 3]
    organ, abnormal = codes.SCT.AnatomicalStructure, codes.SCT.MorphologicallyAbnormalStructure
    described = [
        highdicom.seg.SegmentDescription(
            segment_number=n, segment_label=f"segment {n}", segmented_property_category=category,
            segmented_property_type=what, algorithm_type="MANUAL",
        )
        for n, (category, what) in enumerate(
            ((organ, codes.SCT.Liver), (abnormal, codes.SCT.Neoplasm), (organ, codes.SCT.Spleen)), start=1
        )
    ]  # fmt: skip
    made = highdicom.seg.Segmentation(
        slices(), np.stack(masks, axis=-1).astype(np.uint8), kind, described, series_instance_uid="2.25.9",
        series_number=1, sop_instance_uid="2.25.10", instance_number=1, manufacturer="test",
        manufacturer_model_name="test", software_versions="1", device_serial_number="1", omit_empty_frames=omit,
    )  # fmt: skip
    made.save_as(path)


def save_nifti(path, values, affine=None):
    lps = grid().affine[:, [2, 1, 0, 3]] if affine is None else affine
    nibabel.save(nibabel.Nifti1Image(values.transpose(2, 1, 0), np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps), path)


def test_segments_become_liver_lesion_and_others_by_their_codes(tmp_path):
    save_segmentation(tmp_path / "seg.dcm", omit=False)
    found = read_label_map(tmp_path / "seg.dcm")
    assert found.geometry.is_close(grid())
    assert found.values.dtype == np.uint8
    np.testing.assert_array_equal(found.values, labels())


def test_slices_that_a_segmentation_left_out_are_put_back(tmp_path):
    save_segmentation(tmp_path / "seg.dcm", omit=True)
    found = read_label_map(tmp_path / "seg.dcm")
    assert found.geometry.shape == (5, *SHAPE[1:])
    np.testing.assert_array_equal(found.on(grid()).values, labels())
    assert found.on(Geometry.regular(SHAPE, SPACING, (0.0, 7.0, 30.0))) is None
    assert found.on(Geometry.regular(SHAPE, (3.0, 0.9, 0.9), ORIGIN)) is None


def test_nifti_nrrd_mha_and_segmentation_are_the_same_map(tmp_path):
    save_nifti(tmp_path / "map.nii.gz", labels())
    image = SimpleITK.GetImageFromArray(labels())
    image.SetSpacing(SPACING[::-1])
    image.SetOrigin(ORIGIN)
    for name in ("map.nrrd", "map.mha"):
        SimpleITK.WriteImage(image, str(tmp_path / name))
    for name in ("map.nii.gz", "map.nrrd", "map.mha"):
        found = read_label_map(tmp_path / name)
        assert found.geometry.is_close(grid())
        np.testing.assert_array_equal(found.values, labels())


def test_a_map_on_another_grid_is_not_moved(tmp_path):
    save_nifti(tmp_path / "map.nii.gz", labels()[2:7])
    found = read_label_map(tmp_path / "map.nii.gz")
    assert found.on(grid()) is None
    assert found.on(found.geometry) is found


def test_what_is_dicom_but_no_label_map_is_refused(tmp_path):
    save_segmentation(tmp_path / "seg.dcm", "FRACTIONAL")
    with pytest.raises(Refused, match="a fractional DICOM SEG"):
        read_label_map(tmp_path / "seg.dcm")
    pydicom.dcmwrite(tmp_path / "ct.dcm", slices()[0], enforce_file_format=True)
    with pytest.raises(Refused, match="is DICOM, but no segmentation"):
        read_label_map(tmp_path / "ct.dcm")
    save_segmentation(tmp_path / "cut.dcm")
    (tmp_path / "cut.dcm").write_bytes((tmp_path / "cut.dcm").read_bytes()[:3000])
    with pytest.raises(Refused, match="cannot be read as a DICOM SEG"):
        read_label_map(tmp_path / "cut.dcm")
    with pytest.raises(Refused, match="needed: scores as NIfTI, NRRD or MHA"):
        read_score_map(tmp_path / "seg.dcm")


def test_scores_are_read_as_they_are_and_not_without_numbers(tmp_path):
    scores = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    save_nifti(tmp_path / "p.nii.gz", scores)
    np.testing.assert_array_equal(read_score_map(tmp_path / "p.nii.gz").values, scores)
    scores[0, 0, 0] = np.nan
    save_nifti(tmp_path / "p.nii.gz", scores)
    with pytest.raises(Refused, match="a score in every voxel"):
        read_score_map(tmp_path / "p.nii.gz")
    with pytest.raises(Refused, match="is no file"):
        read_label_map(tmp_path / "none.nii.gz")
