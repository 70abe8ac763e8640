"""The whole command with another engine, on a small virtual study whose truth the tool answers with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from hepar.simulate import Lesion, SimulationSettings, simulate

LABELS = 'liver = 1\nlesion = [11, 12]\n[licence]\nname = "for this test"\ntext = "Be kind."\n'


def hepar(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """The command line as a batch runs it: nobody at a terminal, settings in a folder of the test's own."""
    return subprocess.run(
        [sys.executable, "-m", "hepar", *map(str, words)], capture_output=True, text=True, timeout=600,
        stdin=subprocess.DEVNULL, env={**os.environ, "XDG_CONFIG_HOME": str(folder / "config")},
    )  # fmt: skip


def test_analysis_with_another_engine(tmp_path: Path) -> None:
    """Refused without the licence, done with it, done again without being asked; every document names the engine."""
    settings = SimulationSettings.small(lesions=(Lesion.ball("cyst", 36.0), Lesion.ball("cyst", 24.0)))
    study = simulate(tmp_path / "patient", settings, 4)
    answer = study.label_files[0]
    file = tmp_path / "smith.toml"
    tool = f'command = ["cp", "{answer}", "{{output}}"]'
    file.write_text(f'name = "other"\nkind = "command"\nversion = "1.2.3"\n{tool}\n[labels]\n{LABELS}')
    out = tmp_path / "out"
    words = ("analyze", study.study_dir, "-o", out, "--engine", file, "--quiet", "--threads", 1)
    asked = hepar(tmp_path, *words)
    assert asked.returncode == 2
    assert "licence for this test, which was not accepted yet" in asked.stderr
    assert "--accept-licence" in asked.stderr
    assert not out.exists()
    done = hepar(tmp_path, *words, "--accept-licence")
    assert done.returncode == 0, done.stderr
    assert "Be kind." in done.stderr
    findings = json.loads((out / "findings.json").read_text())
    labels = np.asarray(nibabel.load(answer).dataobj)
    voxel_ml = abs(float(np.linalg.det(nibabel.load(answer).affine[:3, :3]))) / 1000
    assert findings["liver"]["volume_ml"] == pytest.approx((labels > 0).sum() * voxel_ml, abs=0.001)
    assert [one["volume_ml"] for one in findings["lesions"]] == pytest.approx(
        [(labels == n).sum() * voxel_ml for n in (11, 12)], abs=0.001
    )
    assert [one["confidence"] for one in findings["lesions"]] == [None, None]
    assert findings["lesions"][0]["confidence_missing"] == "the engine gives no confidence"
    assert findings["provenance"]["engine"] == "other 1.2.3"
    assert findings["provenance"]["weights_sha256"] == ""
    assert findings["warnings"][0]["code"] == "foreign_engine"
    assert "licence: for this test" in findings["warnings"][0]["text"]
    html = (out / "report.html").read_text()
    assert "other 1.2.3 (licence: for this test)" in html
    assert "confidence cannot tell" in html
    run = json.loads((out / "run.json").read_text())
    assert [call["run"] for call in run["calls"]] == ["1 of 1"]
    assert run["settings"]["engine"]["outlines"] == ["lesion", "liver"]
    segmentation = pydicom.dcmread(out / "segmentation.dcm")
    assert segmentation.ManufacturerModelName == "other 1.2.3"
    # liver, two lesions, and the vessels of the built-in network, which this engine does not outline
    codes = [s.SegmentedPropertyTypeCodeSequence[0].CodeValue for s in segmentation.SegmentSequence]
    assert codes[3:] == ["59820001"]
    assert (out / "measurements.dcm").is_file()
    for name in ("findings.json", "run.json", "report.html"):
        text = (out / name).read_text()
        assert "smith" not in text
        assert str(tmp_path) not in text


def test_failing_tool_delivers_nothing(tmp_path: Path) -> None:
    """Exit code 2, one sentence with the tool's code and last line, no folder."""
    study = simulate(tmp_path / "patient", SimulationSettings.small(), 4)
    file = tmp_path / "other.toml"
    program = "import sys; print('loading'); sys.exit('no weights here')"
    words = json.dumps([sys.executable, "-S", "-c", program])
    file.write_text(f'kind = "command"\nversion = "1"\ncommand = {words}\n[labels]\n{LABELS}')
    out = tmp_path / "out"
    done = hepar(tmp_path, "analyze", study.study_dir, "-o", out, "--engine", file, "--quiet", "--accept-licence")
    assert done.returncode == 2
    assert "engine other failed with exit code 1: no weights here" in done.stderr.splitlines()[-1]
    assert not out.exists()
