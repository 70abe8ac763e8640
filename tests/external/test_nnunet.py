"""nnU-Net as an engine, with a model that nnU-Net itself planned and trained (tests/external/nnunet_model.py).

HEPAR_NNUNET_PYTHON names the Python of an environment with nnunetv2. HEPAR_NNUNET_MODEL may name a trained folder;
without it one is trained first, which takes about six minutes of one processor core.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from hepar.simulate import Lesion, SimulationSettings, simulate

pytestmark = pytest.mark.external
MAKER = Path(__file__).parent / "nnunet_model.py"


@pytest.fixture(scope="session")
def model(nnunet_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained folder."""
    if os.environ.get("HEPAR_NNUNET_MODEL"):
        return Path(os.environ["HEPAR_NNUNET_MODEL"])
    work = tmp_path_factory.mktemp("nnunet")
    for python, step in ((sys.executable, "cases"), (str(nnunet_python), "train")):
        subprocess.run([python, str(MAKER), step, str(work)], check=True, timeout=3600)
    return work / "model"


def test_nnunet_outlines_an_unseen_simulated_liver(nnunet_python: Path, model: Path, tmp_path: Path) -> None:
    """`hepar analyze --engine FILE`: liver Dice above 0.8 on a patient that training did not see.

    Tool, version and licence stand in findings, report and run.json; neither the model's place nor the Python's does.
    """
    lesions = (Lesion.ball("metastasis", 44.0), Lesion.ball("cyst", 28.0))
    study = simulate(tmp_path / "patient", SimulationSettings.small(output="nifti", lesions=lesions), 900)
    (image,) = study.study_dir.glob("*.nii.gz")
    file = tmp_path / "site.toml"
    file.write_text(
        f'kind = "nnunet"\npython = "{nnunet_python}"\nmodel = "{model}"\narguments = ["--disable_tta"]\n'
        'timeout_s = 1800\nmax_memory = "12G"\n[labels]\nliver = 1\nlesion = 2\n[licence]\nname = "own model"\n'
    )
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "hepar", "analyze", str(image), "-o", str(out), "--modality", "CT",
         "--engine", str(file), "--accept-licence", "--quiet", "--threads", "2"],
        capture_output=True, text=True, timeout=3600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    truth = np.asarray(nibabel.load(study.label_files[0]).dataobj) > 0
    liver = np.asarray(nibabel.load(out / "masks" / "liver.nii.gz").dataobj) > 0
    dice = 2 * (truth & liver).sum() / (truth.sum() + liver.sum())
    findings = json.loads((out / "findings.json").read_text())
    run = json.loads((out / "run.json").read_text())
    (call,) = run["calls"]
    print(f"liver Dice {dice:.3f}, {findings['burden']['lesion_count']} lesions, {call}")
    assert dice > 0.8
    assert findings["provenance"]["engine"].startswith("site nnU-Net 2.")
    assert len(findings["provenance"]["weights_sha256"]) == 64
    assert "licence: own model" in findings["warnings"][0]["text"]
    assert "site nnU-Net 2." in (out / "report.html").read_text()
    assert "own model" in (out / "report.html").read_text()
    assert all(lesion["confidence"] is None for lesion in findings["lesions"])
    for text in (p.read_text(errors="replace") for p in (out / "findings.json", out / "run.json", out / "report.html")):
        assert str(model) not in text
        assert str(nnunet_python.parent) not in text


def test_python_without_nnunet_is_said(model: Path, tmp_path: Path) -> None:
    """This test's own Python holds none."""
    file = tmp_path / "site.toml"
    file.write_text(
        f'kind = "nnunet"\npython = "{sys.executable}"\nmodel = "{model}"\n[labels]\nliver = 1\nlesion = 2\n'
        '[licence]\nname = "own model"\n'
    )
    (tmp_path / "scan.nii.gz").write_bytes(b"")
    done = subprocess.run(
        [sys.executable, "-m", "hepar", "analyze", str(tmp_path / "scan.nii.gz"), "-o", str(tmp_path / "out"),
         "--engine", str(file), "--accept-licence", "--quiet"],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 2
    assert "has no package nnunetv2" in done.stderr
