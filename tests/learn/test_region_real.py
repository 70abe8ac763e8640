"""A region network judged on a labelled CT, in the crop of `hepar analyze`: what simulated patches are judged by."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from numpy.typing import NDArray

from hepar.errors import WrongCall
from hepar.ingest.label_map import VoxelMap
from hepar.learn.classes import EITHER_VEIN, IGNORE, LIVER_CLASSES
from hepar.record import Geometry
from hepar.segment.network import shipped

LEARN = Path(str(shipped("region"))).parents[2] / "learn"


def _nifti(path: Path, values: NDArray[np.generic]) -> Path:
    """LPS array (slice, row, column) of 3 mm as NIfTI, whose own axes run to the right, front and head."""
    import nibabel

    turned = values[:, ::-1, ::-1].transpose(2, 1, 0)
    nibabel.save(nibabel.Nifti1Image(turned, np.diag([3.0, 3.0, 3.0, 1.0])), path)
    return path


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, NDArray[np.uint8]]:
    """A virtual patient that no training drew, in portal venous contrast: scan, labels, and these as an array."""
    from hepar.learn.sample import make_sample
    from hepar.learn.virtual import virtual_atlas

    atlas = virtual_atlas(seed=777_001)
    draws = (make_sample(atlas, (80, 96, 128), np.random.default_rng(seed), plain=True) for seed in range(777, 877))
    sample = next(s for s in draws if s.phase == 3 and (s.target == 2).sum() > 300)
    folder = tmp_path_factory.mktemp("patient")
    image = _nifti(folder / "scan.nii.gz", np.rint(sample.hu).astype(np.int16))
    return image, _nifti(folder / "labels.nii.gz", sample.target), sample.target


def test_evaluate_judges_a_real_scan(patient: tuple[Path, Path, NDArray[np.uint8]]) -> None:
    """One row from the command: a good liver, and as many lesions as the labels hold from 0.03 ml on."""
    from scipy import ndimage
    from typer.testing import CliRunner

    from hepar.cli.app import app

    image, labels, target = patient
    asked = ["learn", "evaluate", str(LEARN / "region.toml"), "--network", str(shipped("region")), "--cases", "0"]
    done = CliRunner().invoke(app, [*asked, "--real", f"{image},{labels}"])
    assert done.exit_code == 0, done.exception
    (row,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert (row["case"], row["phases"]) == ("real1", 1)
    assert row["liver_dice"] > 0.85
    parts, count = ndimage.label(target == 2)
    ml = 0.027 * np.bincount(parts.ravel(), minlength=count + 1)[1:]
    across = (6000 * ml / np.pi) ** (1 / 3)
    assert sum(row["lesions"][1:]) == (across >= 10).sum()
    assert sum(row["found"]) > 0
    assert all(f <= n for f, n in zip(row["found"], row["lesions"], strict=True))
    assert 0 < row["lesion_dice"] <= 1
    assert isinstance(row["false"], int)


def test_without_lesion_labels_the_liver_alone_is_judged(
    patient: tuple[Path, Path, NDArray[np.uint8]], tmp_path: Path
) -> None:
    """Nobody knows whether there are lesions: nothing counts as false, and the row says why."""
    from hepar.learn.region_real import judge_real

    image, _, target = patient
    labels = _nifti(tmp_path / "labels.nii.gz", np.isin(target, LIVER_CLASSES).astype(np.uint8))
    row = judge_real("real1", shipped("region"), image, labels)
    assert row["liver_dice"] > 0.85
    assert [row[k] for k in ("vein_dice", "lesion_dice", "lesions", "found", "false")] == [None] * 5
    assert "hold no lesion (2)" in row["lesions_missing"]


def test_labels_become_classes_of_the_region_network() -> None:
    """Hepar's numbers on a finer grid that runs on beyond them; numbers of another system are refused by name."""
    from hepar.learn.region_real import target_of

    values = np.zeros((4, 4, 4), np.uint16)
    values[1], values[2, 0], values[2, 1], values[2, 2], values[2, 3] = 1, 2, 12, 255, 5
    own = Geometry.regular((4, 4, 4), (3.0, 3.0, 3.0), (0.0, 0.0, 0.0))
    target = target_of(VoxelMap(values, own, 0.0, True), Geometry.regular((5, 4, 4), (3.0, 3.0, 3.0), (0.0, 0.0, 0.0)))
    assert [int(n) for n in target[:, 0, 0]] == [0, 1, 2, 0, IGNORE]
    assert [int(n) for n in target[2, :, 0]] == [2, EITHER_VEIN, IGNORE, 0]
    with pytest.raises(WrongCall, match="hold the numbers 0, 5; needed: 1 liver"):
        target_of(VoxelMap(np.where(values == 5, values, 0), own, 0.0, True), own)


def test_a_file_that_is_no_network_is_refused_before_anything_is_made(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Noise, an empty file and the other stage's network: a sentence, no anatomy, no line of a library on stderr."""
    from hepar.learn.compare import score_networks
    from hepar.learn.evaluate import open_network
    from hepar.learn.recipe import read_recipe

    noise, empty = tmp_path / "noise.onnx", tmp_path / "empty.onnx"
    noise.write_bytes(np.random.default_rng(0).bytes(5000))
    empty.write_bytes(b"")
    recipe = read_recipe(LEARN / "region.toml")
    for file, said in ((noise, "cannot be read as ONNX"), (empty, "has the input none"),
                       (shipped("liver3mm"), "needed \\[1,4,slices")):  # fmt: skip
        with pytest.raises(WrongCall, match=said):
            score_networks(recipe, [shipped("region"), file], 2, tmp_path / "keep")
    with pytest.raises(WrongCall, match="cannot be read as ONNX"):
        open_network(noise)
    with pytest.raises(WrongCall, match="needed \\[1,2,slices"):
        open_network(shipped("region"))
    assert not (tmp_path / "keep").exists()
    assert capfd.readouterr().err == ""


def test_a_network_of_another_grid_is_refused(tmp_path: Path) -> None:
    """The shipped network, once described as made for 1.5 mm, once with a description that cannot be read."""
    import shutil

    from hepar.learn.region_evaluate import open_region

    network = shutil.copy(shipped("region"), tmp_path / "older.onnx")
    open_region(network)
    beside = tmp_path / "older.json"
    beside.write_text('{"spacing_mm": 1.5}')
    with pytest.raises(WrongCall, match=r"older.onnx looks at voxels of 1.5 mm, the patches have 1.2 mm"):
        open_region(network)
    beside.write_text("[]")
    with pytest.raises(WrongCall, match=r"older.json is no description of a network"):
        open_region(network)
