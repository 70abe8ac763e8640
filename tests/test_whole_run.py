"""The main job, from files to documents, on a small virtual study, run as a user runs it."""

import hashlib
import json
import re
import shutil
import subprocess
import zipfile

import nibabel
import numpy as np
import pydicom
import pytest

from examination import LESIONS, analysed, hepar, study

FILES = {
    "findings.json", "report.html", "report.pdf", "segmentation.dcm", "measurements.dcm", "run.json",
    "masks/liver.nii.gz", "masks/lesions.nii.gz", "masks/veins.nii.gz",
}  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return study(tmp_path_factory.mktemp("base") / "Mustermann_Erika_1950")


@pytest.fixture(scope="module")
def truth(images):
    return json.loads((images.parent / "truth.json").read_text())


@pytest.fixture(scope="module")
def run(images, tmp_path_factory):
    return analysed(images, tmp_path_factory.mktemp("result") / "out")


def test_every_document_is_there_and_nothing_else(run):
    found = {str(p.relative_to(run.folder)) for p in run.folder.rglob("*") if p.is_file()}
    assert found == FILES


def test_the_summary_names_what_was_found_and_where_the_report_is(run):
    assert "Liver" in run.out
    assert "report.html" in run.out
    assert "not a certified" in run.out


def test_phases_are_named_in_order_of_acquisition(run):
    phases = run.document()["phases"]
    assert [(p["id"], p["label"]) for p in phases] == [("p1", "native"), ("p2", "arterial"), ("p3", "portal_venous")]
    assert phases[1]["arterial_timing"] == "late"
    assert run.document()["reference_phase"] == "p3"


def test_the_liver_has_its_true_volume(run, truth):
    """Within 10 %: the network's error on a 5 x 3 x 3 mm scan."""
    assert run.document()["liver"]["volume_ml"] == pytest.approx(truth["liver_volume_ml"], rel=0.10)


def test_both_lesions_are_found_where_they_are(run, truth):
    """Each true lesion has a found one within 6 mm of its centre; no more than one further find."""
    lesions = run.document()["lesions"]
    phase = truth["phases"][2]
    labels = nibabel.load(run.folder / "masks" / "lesions.nii.gz")
    for number in range(1, len(LESIONS) + 1):
        true = np.array(next(x for x in phase["lesions"] if x["id"] == number)["centre_lps_mm"])
        assert min(np.linalg.norm(true - lesion["centre_lps_mm"]) for lesion in lesions) < 6
    assert len(lesions) <= len(LESIONS) + 1
    assert np.asanyarray(labels.dataobj).max() == len(lesions)


def test_lesions_are_numbered_by_falling_volume(run):
    volumes = [lesion["volume_ml"] for lesion in run.document()["lesions"]]
    assert volumes == sorted(volumes, reverse=True)
    assert [lesion["id"] for lesion in run.document()["lesions"]] == list(range(1, len(volumes) + 1))


def test_arterial_enhancement_of_a_carcinoma_is_measured(run, truth):
    """The larger carcinoma is brighter than the liver in the arterial phase and darker in the portal venous one."""
    enhancement = {e["phase_id"]: e for e in run.document()["lesions"][0]["enhancement"]}
    assert enhancement["p2"]["difference_hu"] > 10
    assert enhancement["p3"]["difference_hu"] < 0


def test_mask_and_json_agree(run):
    document = run.document()
    assert int(np.count_nonzero(run.mask("liver"))) == document["liver"]["voxels"]
    for lesion in document["lesions"]:
        assert int(np.count_nonzero(run.mask("lesions") == lesion["id"])) == lesion["voxels"]


def test_the_same_study_gives_the_same_bytes(run, images, tmp_path):
    again = analysed(images, tmp_path / "again", "--quiet")
    for name in sorted(FILES - {"run.json"}):
        assert sha(run.folder / name) == sha(again.folder / name), name


def test_nobody_is_named(run, images):
    """Neither patient nor folders in any text that hepar writes; SEG and SR carry the patient, as they must."""
    secrets = ("SIMULATED", "SIM-0001", "Mustermann", images.parent.parent.name, "hepar-")
    for name in FILES - {"segmentation.dcm", "measurements.dcm"}:
        content = (run.folder / name).read_bytes()
        for secret in secrets:
            assert secret.encode() not in content, (name, secret)
    if shutil.which("pdftotext"):
        text = subprocess.run(["pdftotext", run.folder / "report.pdf", "-"], capture_output=True, text=True).stdout
        assert "certified" in text
        assert not [secret for secret in secrets if secret in text]
    assert pydicom.dcmread(run.folder / "segmentation.dcm").PatientID == "SIM-0001"


def test_identity_only_when_asked(images, tmp_path):
    named = analysed(images, tmp_path / "named", "--with-identity", "--quiet")
    assert "SIM-0001" in (named.folder / "report.html").read_text()


def test_only_run_json_holds_the_clock(run):
    record = json.loads((run.folder / "run.json").read_text())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*", record["finished"])
    assert {"read", "organs", "align", "outline", "measure", "dicom", "report"} <= {s["step"] for s in record["steps"]}
    assert record["finished"][:10] not in (run.folder / "findings.json").read_text()


def test_a_zip_gives_the_same_findings(run, images, tmp_path):
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(images.rglob("*")):
            if path.is_file():
                file.write(path, path.relative_to(images))
    zipped = analysed(archive, tmp_path / "out", "--quiet", "--json")
    assert json.loads(zipped.out) == zipped.document()
    assert sha(zipped.folder / "findings.json") == sha(run.folder / "findings.json")
    assert sha(zipped.folder / "segmentation.dcm") == sha(run.folder / "segmentation.dcm")


def test_the_users_label_and_reference_win(images, tmp_path):
    first = sorted(p for p in images.iterdir())[0]
    forced = analysed(images, tmp_path / "forced", "--phase", f"delayed={first}", "--reference", "arterial", "--quiet")
    document = forced.document()
    assert (document["phases"][0]["label"], document["phases"][0]["label_source"]) == ("delayed", "user")
    assert document["reference_phase"] == "p2"


def test_an_earlier_result_is_kept(run, images):
    refused = hepar("analyze", images, "-o", run.folder)
    assert refused.code == 2
    assert "--overwrite" in refused.err


def test_inspect_says_what_is_there_and_analyses_nothing(images):
    shown = hepar("inspect", images, "--json")
    assert shown.code == 0
    series = json.loads(shown.out)["series"]
    assert sorted(s["label"] for s in series if s["analysed"]) == ["arterial", "native", "portal_venous"]


def sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
