"""SEG and SR of a known outline: right by other programs' reading, on the source slices, the same bytes each time."""

import hashlib
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest

from hepar import harmonise, ingest, measure
from hepar.errors import Fault
from hepar.record import Anatomy, Findings, Provenance, Vein
from hepar.report import findings_document, segmentation, write_measurements, write_segmentation
from hepar.simulate import Lesion, SimulationSettings, simulate

LESIONS = (Lesion.ball("hcc", 40.0), Lesion.ball("hcc", 26.0))
PROVENANCE = Provenance("0.1.0", "a" * 64, "b" * 64, "c" * 64, "builtin test", "f32", "a processor")
VARIANTS = {
    "plain": {},
    "flipped": {"flip": ("slice", "column")},
    "oblique": {"oblique_deg": 12.0},
    "tilted": {"tilt_deg": 15.0},
    "enhanced": {"output": "enhanced"},
}


class Example:
    """A small virtual study with its true outlines, and the documents written from them."""

    def __init__(self, folder, **changes):
        made = simulate(folder / "study", SimulationSettings.small(lesions=LESIONS, **changes), 5)
        self.source = made.study_dir
        self.study = ingest.read_study(
            made.study_dir, settings=ingest.IngestSettings(), workspace=folder, modality=None
        )
        self.phase = self.study.phases[0]
        geometry = self.phase.volume.geometry
        self.lesions = self._balls(geometry, made.truth_file)
        liver = np.zeros(geometry.shape, bool)
        liver[5:-5, 30:90, 20:80] = True
        liver |= self.lesions > 0
        anatomy = Anatomy(geometry, liver, self.lesions, np.zeros(geometry.shape, np.uint8), (0.9, 0.8))
        self.anatomy = anatomy
        whole = tuple(slice(0, n) for n in geometry.shape)
        self.aligned = [harmonise.identity(self.phase.id, self.phase.volume, whole)]
        self.findings: Findings = measure.measure(
            anatomy, self.aligned, reference_phase=self.phase.id, study_uid=self.study.uid,
            settings=measure.MeasureSettings(),
        )  # fmt: skip
        self.document = findings_document(
            self.study, self.study.phases, self.aligned, self.findings, PROVENANCE, with_identity=False, warnings=()
        )
        self.seg, self.sr = folder / "seg.dcm", folder / "sr.dcm"
        self.write(self.seg, self.sr)

    def write(self, seg, sr):
        uid = self.study.uid
        write_segmentation(seg, self.anatomy, self.findings, self.phase, PROVENANCE, study_uid=uid)
        write_measurements(sr, self.document, self.findings, self.phase, PROVENANCE, segmentation=seg, study_uid=uid)

    @staticmethod
    def _balls(geometry, truth_file):
        truth = json.loads(Path(truth_file).read_text())["phases"][0]["lesions"]
        points = geometry.to_lps_mm(np.stack(np.indices(geometry.shape), axis=-1))
        labels = np.zeros(geometry.shape, np.uint16)
        for number, (lesion, true) in enumerate(zip(LESIONS, truth, strict=True), start=1):
            distance = np.linalg.norm(points - true["centre_lps_mm"], axis=-1)
            labels[distance <= lesion.semi_axes_mm[0]] = number
        return labels


@pytest.fixture(scope="module", params=VARIANTS)
def example(request, tmp_path_factory):
    return Example(tmp_path_factory.mktemp(request.param), **VARIANTS[request.param])


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return Example(tmp_path_factory.mktemp("plain"))


def frames_of(seg):
    """Each frame as (segment, referenced instance, frame number, position, pixels)."""
    read = highdicom.seg.segread(seg)
    for pixels, group in zip(read.pixel_array, read.PerFrameFunctionalGroupsSequence, strict=True):
        image = group.DerivationImageSequence[0].SourceImageSequence[0]
        yield (
            int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber),
            image.ReferencedSOPInstanceUID,
            image.get("ReferencedFrameNumber"),
            np.array(group.PlanePositionSequence[0].ImagePositionPatient, float),
            pixels,
        )


def source_planes(example):
    """(instance, frame number) to (position, row direction, column direction, row step, column step)."""
    planes = {}
    for path in (p for p in example.source.rglob("*") if p.is_file()):
        file = pydicom.dcmread(path, stop_before_pixels=True)
        if "PerFrameFunctionalGroupsSequence" in file:
            shared = file.SharedFunctionalGroupsSequence[0]
            for number, group in enumerate(file.PerFrameFunctionalGroupsSequence, start=1):
                holder = {s: group.get(s) or shared.get(s) for s in
                          ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")}  # fmt: skip
                planes[file.SOPInstanceUID, number] = (
                    holder["PlanePositionSequence"][0].ImagePositionPatient,
                    holder["PlaneOrientationSequence"][0].ImageOrientationPatient,
                    holder["PixelMeasuresSequence"][0].PixelSpacing,
                )
        else:
            planes[file.SOPInstanceUID, None] = (
                file.ImagePositionPatient, file.ImageOrientationPatient, file.PixelSpacing
            )  # fmt: skip
    return planes


def test_every_frame_lies_on_its_source_slice_and_shows_the_true_ball(example):
    """The pixels of segment 1 + id, taken into the patient through the SOURCE slice, are the voxels of lesion id."""
    planes = source_planes(example)
    geometry = example.phase.volume.geometry
    counts = dict.fromkeys((1, 2, 3), 0)
    frames = 0
    for segment, instance, number, position, pixels in frames_of(example.seg):
        at, orientation, spacing = planes[instance, number]
        assert np.allclose(position, np.array(at, float), atol=1e-3)
        frames += 1
        rows, columns = np.nonzero(pixels)
        if not len(rows):
            continue
        along_row, along_column = np.array(orientation[:3], float), np.array(orientation[3:], float)
        points = (
            np.array(at, float)
            + np.outer(columns, along_row) * float(spacing[1])
            + np.outer(rows, along_column) * float(spacing[0])
        )
        index = np.rint(geometry.to_index(points)).astype(int)
        assert np.abs(geometry.to_index(points) - index).max() < 0.05
        held = example.lesions[tuple(index.T)] == segment - 1 if segment > 1 else example.anatomy.liver[tuple(index.T)]
        assert held.all()
        counts[segment] += len(rows)
    assert frames == 3 * geometry.shape[0]
    assert counts == {1: example.anatomy.liver.sum(), 2: (example.lesions == 1).sum(), 3: (example.lesions == 2).sum()}


def test_dciodvfy_finds_no_error(example):
    """dicom3tools' validator of the standard's modules."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("needs dciodvfy (Debian package dicom3tools)")
    for path in (example.seg, example.sr):
        said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True)
        errors = [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]
        assert errors == []


def test_dsrdump_reads_the_report(plain):
    """dcmtk's reader of structured reports prints the numbers of the findings."""
    if shutil.which("dsrdump") is None:
        pytest.skip("needs dsrdump (Debian package dcmtk)")
    said = subprocess.run(["dsrdump", str(plain.sr)], capture_output=True, text=True)
    assert said.returncode == 0
    for lesion in plain.document["lesions"]:
        assert f'"{lesion["volume_ml"]}"' in said.stdout
        assert f'"{lesion["long_axis_mm"]}"' in said.stdout


def test_dcmqi_reads_segments_and_measurements(plain, tmp_path):
    """dcmqi (the reader behind 3D Slicer) gives back each segment's voxels and each number."""
    tools = Path(sys.executable).parent
    if not (tools / "segimage2itkimage").exists():
        pytest.skip("needs dcmqi")
    subprocess.run(
        [tools / "segimage2itkimage", "--inputDICOM", plain.seg, "--outputDirectory", tmp_path],
        check=True, capture_output=True,
    )  # fmt: skip
    import SimpleITK

    for segment, mask in ((1, plain.anatomy.liver), (2, plain.lesions == 1), (3, plain.lesions == 2)):
        image = SimpleITK.ReadImage(str(tmp_path / f"{segment}.nrrd"))
        assert int(np.count_nonzero(SimpleITK.GetArrayFromImage(image))) == int(mask.sum())
    subprocess.run(
        [tools / "tid1500reader", "--inputDICOM", plain.sr, "--outputMetadata", tmp_path / "sr.json"],
        check=True, capture_output=True,
    )  # fmt: skip
    read = json.loads((tmp_path / "sr.json").read_text())
    groups = {g["TrackingIdentifier"]: g for g in read["Measurements"]}
    for lesion in plain.document["lesions"]:
        values = [float(item["value"]) for item in groups[f"Lesion {lesion['id']}"]["measurementItems"]]
        assert values[:3] == [lesion["volume_ml"], lesion["long_axis_mm"], lesion["short_axis_mm"]]


def test_seg_and_sr_share_the_tracking_uids(plain):
    seg = pydicom.dcmread(plain.seg)
    in_seg = {s.TrackingID: s.TrackingUID for s in seg.SegmentSequence}
    groups = highdicom.sr.srread(plain.sr).content.get_volumetric_roi_measurement_groups()
    assert in_seg == {g.tracking_identifier: g.tracking_uid for g in groups}
    assert len(in_seg) == 3


def test_the_codes_are_the_standards(plain):
    """PS3.16 CID 7150 and 7159, and the liver; see the table of codes."""
    liver, first, second = pydicom.dcmread(plain.seg).SegmentSequence
    assert code(liver.SegmentedPropertyCategoryCodeSequence) == ("91723000", "SCT")
    assert code(liver.SegmentedPropertyTypeCodeSequence) == ("10200004", "SCT")
    for lesion in (first, second):
        assert code(lesion.SegmentedPropertyCategoryCodeSequence) == ("49755003", "SCT")
        assert code(lesion.SegmentedPropertyTypeCodeSequence) == ("52988006", "SCT")
        assert lesion.SegmentAlgorithmType == "AUTOMATIC"


def test_written_twice_the_same_bytes(plain, tmp_path):
    plain.write(tmp_path / "seg.dcm", tmp_path / "sr.dcm")
    for old, new in ((plain.seg, tmp_path / "seg.dcm"), (plain.sr, tmp_path / "sr.dcm")):
        assert hashlib.sha256(old.read_bytes()).digest() == hashlib.sha256(new.read_bytes()).digest()


def test_dates_are_the_sources(plain):
    source = pydicom.dcmread(next(p for p in plain.source.rglob("*") if p.is_file()), stop_before_pixels=True)
    for path in (plain.seg, plain.sr):
        written = pydicom.dcmread(path)
        assert written.ContentDate == (source.get("ContentDate") or source.StudyDate)
        assert written.PatientID == source.PatientID
        assert written.StudyInstanceUID == source.StudyInstanceUID


def test_no_lesion_gives_a_liver_alone(plain, tmp_path):
    empty = np.zeros_like(plain.lesions)
    anatomy = Anatomy(plain.anatomy.geometry, plain.anatomy.liver, empty, plain.anatomy.veins, ())
    findings = measure.measure(
        anatomy, plain.aligned, reference_phase=plain.phase.id, study_uid=plain.study.uid,
        settings=measure.MeasureSettings(),
    )  # fmt: skip
    document = findings_document(
        plain.study, plain.study.phases, plain.aligned, findings, PROVENANCE, with_identity=False, warnings=()
    )
    seg, sr = tmp_path / "seg.dcm", tmp_path / "sr.dcm"
    write_segmentation(seg, anatomy, findings, plain.phase, PROVENANCE, study_uid=plain.study.uid)
    write_measurements(sr, document, findings, plain.phase, PROVENANCE, segmentation=seg, study_uid=plain.study.uid)
    assert len(pydicom.dcmread(seg).SegmentSequence) == 1
    assert len(highdicom.sr.srread(sr).content.get_volumetric_roi_measurement_groups()) == 1


def test_each_tree_of_veins_is_a_segment_behind_the_lesions(plain, tmp_path):
    """Portal branches and hepatic veins with their SNOMED codes; the tree without a voxel has no segment."""
    veins = plain.anatomy.veins.copy()
    free = plain.anatomy.liver & (plain.lesions == 0)
    veins[10:12][free[10:12]] = Vein.HEPATIC
    veins[12][free[12]] = Vein.PORTAL
    anatomy = replace(plain.anatomy, veins=veins)
    seg = tmp_path / "seg.dcm"
    write_segmentation(seg, anatomy, plain.findings, plain.phase, PROVENANCE, study_uid=plain.study.uid)
    told = [(s.SegmentNumber, s.SegmentLabel, code(s.SegmentedPropertyTypeCodeSequence),
             code(s.SegmentedPropertyCategoryCodeSequence)) for s in pydicom.dcmread(seg).SegmentSequence]  # fmt: skip
    structure = ("91723000", "SCT")
    assert told[3:] == [
        (4, "Portal vein branches", ("32764006", "SCT"), structure),
        (5, "Hepatic veins", ("8993003", "SCT"), structure),
    ]
    assert len({s.TrackingUID for s in pydicom.dcmread(seg).SegmentSequence}) == 5
    voxels = dict.fromkeys(range(1, 6), 0)
    for segment, *_, pixels in frames_of(seg):
        voxels[segment] += int(pixels.sum())
    assert voxels[4] == (veins == Vein.PORTAL).sum() > 0
    assert voxels[5] == (veins == Vein.HEPATIC).sum() > 0
    assert voxels[1] == plain.anatomy.liver.sum()


def test_a_segmentation_that_differs_is_a_fault(plain, tmp_path):
    """One pixel changed in the file is found when it is read back."""
    file = pydicom.dcmread(plain.seg)
    pixels = bytearray(file.PixelData)
    pixels[len(pixels) // 2] ^= 1
    file.PixelData = bytes(pixels)
    file.save_as(tmp_path / "changed.dcm")
    stack = segmentation.segment_stack(plain.anatomy, plain.findings, plain.phase)
    slices = segmentation.source_slices(plain.phase, plain.study.uid)
    segmentation._check(plain.seg, stack, slices)
    with pytest.raises(Fault, match="differs"):
        segmentation._check(tmp_path / "changed.dcm", stack, slices)


def test_an_archive_takes_and_returns_both(plain, tmp_path):
    """A real Orthanc: stored over the network (C-STORE), fetched back over HTTP, the same pixels and numbers."""
    orthanc = shutil.which("Orthanc")
    if orthanc is None or shutil.which("storescu") is None:
        pytest.skip("needs Orthanc and storescu (Debian packages orthanc and dcmtk)")
    http, dicom = free_port(), free_port()
    configuration = tmp_path / "orthanc.json"
    configuration.write_text(json.dumps({
        "Name": "test", "StorageDirectory": str(tmp_path / "db"), "IndexDirectory": str(tmp_path / "db"),
        "HttpPort": http, "DicomPort": dicom, "DicomAet": "ORTHANC", "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False, "Plugins": [], "DicomAlwaysAllowStore": True,
    }))  # fmt: skip
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([orthanc, str(configuration)], stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{http}/system")
        sent = subprocess.run(
            ["storescu", "-R", "-aec", "ORTHANC", "127.0.0.1", str(dicom), str(plain.seg), str(plain.sr)],
            capture_output=True, text=True,
        )  # fmt: skip
        assert sent.returncode == 0, sent.stderr
        stored = json.loads(get(f"http://127.0.0.1:{http}/instances"))
        assert len(stored) == 2
        for path in (plain.seg, plain.sr):
            meant = pydicom.dcmread(path)
            back = [pydicom.dcmread(fetch(http, key, tmp_path)) for key in stored]
            same = next(d for d in back if d.SOPInstanceUID == meant.SOPInstanceUID)
            assert same.get("PixelData") == meant.get("PixelData")
            assert same.get("ContentSequence") == meant.get("ContentSequence")
    finally:
        server.terminate()
        server.wait(20)


def code(sequence):
    return sequence[0].CodeValue, sequence[0].CodingSchemeDesignator


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


def fetch(port, key, folder):
    path = folder / f"{key}.dcm"
    path.write_bytes(get(f"http://127.0.0.1:{port}/instances/{key}/file"))
    return path


def wait_for(url, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            get(url)
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.3)
        else:
            return
    pytest.fail(f"no answer from {url}")


@pytest.mark.parametrize(
    ("keyword", "value", "written"),
    [("PatientBirthDate", "notadate", ""), ("StudyDate", "2009-05-27", ""), ("StudyDate", "20260231", ""),
     ("StudyTime", "25:61", ""), ("PatientSex", "weiblich", ""), ("PatientSex", "F", "F"),
     ("SpecificCharacterSet", "FOO", "ISO_IR 192"), ("PatientName", "Müller^Jörg", "Müller^Jörg")],
)  # fmt: skip
def test_odd_values_of_the_source_never_stop_the_documents(tmp_path, keyword, value, written):
    """What the standard does not know is left empty; a name keeps its letters whatever character set held it."""
    made = simulate(tmp_path / "study", SimulationSettings.small(lesions=LESIONS[:1]), 5)
    with pydicom.config.disable_value_validation():
        for path in (p for p in made.study_dir.rglob("*") if p.is_file()):
            file = pydicom.dcmread(path)
            file.SpecificCharacterSet = "ISO_IR 100"
            setattr(file, keyword, value)
            file.save_as(path)
    study = ingest.read_study(made.study_dir, settings=ingest.IngestSettings(), workspace=tmp_path)
    phase = study.phases[0]
    nothing = np.zeros(phase.volume.geometry.shape, bool)
    liver = nothing.copy()
    liver[10:20, 40:80, 40:80] = True
    anatomy = Anatomy(phase.volume.geometry, liver, nothing.astype(np.uint16), nothing.astype(np.uint8), ())
    whole = tuple(slice(0, n) for n in liver.shape)
    findings = measure.measure(
        anatomy, [harmonise.identity(phase.id, phase.volume, whole)], reference_phase=phase.id, study_uid=study.uid,
        settings=measure.MeasureSettings(),
    )  # fmt: skip
    write_segmentation(tmp_path / "seg.dcm", anatomy, findings, phase, PROVENANCE, study_uid=study.uid)
    read = pydicom.dcmread(tmp_path / "seg.dcm")
    assert str(read[keyword].value) == written
    assert read.SpecificCharacterSet == "ISO_IR 192"
