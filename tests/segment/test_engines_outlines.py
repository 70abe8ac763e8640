"""From a tool's labels to organ map and anatomy; the tool copies an answer that the test made."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import nibabel
import numpy as np
import pytest
from engine_files import copying, engine_file, external, save_labels
from numpy.typing import NDArray
from segment_phantom import LESION_HU, phantom

from hepar.errors import Refused, WrongCall
from hepar.record import Geometry, Organ, Volume
from hepar.segment.builtin import Builtin

BALLS = (((-60.0, -10.0, 0.0), 20.0, LESION_HU), ((-95.0, 15.0, 20.0), 10.0, LESION_HU))


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Licences are accepted in a folder of the test's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture(scope="session")
def volume(grid: Geometry) -> Volume:
    """The phantom with two lesions."""
    return phantom(grid, BALLS)


def distance(
    grid: Geometry, centre: tuple[float, float, float], half: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Below 1 inside an ellipsoid."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
    found: NDArray[np.float64] = (((grid.to_lps_mm(index) - centre) / half) ** 2).sum(axis=-1)
    return found


def truth(grid: Geometry, *, lesions: bool = True) -> NDArray[np.uint8]:
    """Their numbers: 5 liver, 9 lesion, 2 kidney."""
    return drawn(grid, lesions).copy()


@cache
def drawn(grid: Geometry, lesions: bool) -> NDArray[np.uint8]:
    """What `truth` gives, made once."""
    out = np.zeros(grid.shape, np.uint8)
    out[distance(grid, (-60, -10, 0), (70, 70, 75)) < 1] = 5
    out[distance(grid, (80, 60, -20), (30, 30, 50)) < 1] = 2
    for centre, radius, _ in BALLS if lesions else ():
        out[distance(grid, centre, (radius,) * 3) < 1] = 9
    return out


def test_outlines_stand_as_the_tool_gave_them(
    tmp_path: Path, grid: Geometry, volume: Volume, outliner: Builtin
) -> None:
    """Liver and lesions voxel by voxel; lesions by falling volume, no confidence; a notice names tool and licence."""
    labels = truth(grid)
    answer = save_labels(tmp_path / "answer.nii.gz", labels, grid, flip=(0, 2))
    engine = external(copying(tmp_path, answer, "liver = 5\nlesion = 9\nkidney = 2"), outliner)
    anatomy = engine.anatomy(volume, engine.organs(volume))
    assert (anatomy.liver == np.isin(labels, (5, 9))).all()
    assert (anatomy.lesions > 0).sum() == (labels == 9).sum()
    sizes = np.bincount(anatomy.lesions.ravel())[1:]
    assert len(sizes) == 2
    assert sizes[0] > sizes[1]
    assert anatomy.lesions[tuple(np.rint(grid.to_index(BALLS[0][0])).astype(int))] == 1
    assert anatomy.confidence == (None, None)
    assert [n.code for n in anatomy.notices] == ["foreign_engine"]
    assert "other 1.0 (licence: made up)" in anatomy.notices[0].text
    assert len(engine.log) == 1


def test_organ_map_is_the_tools_and_filled_where_it_has_none(
    tmp_path: Path, grid: Geometry, volume: Volume, outliner: Builtin
) -> None:
    """At 3 mm: the tool's liver within 1 % of its volume; lungs, which it does not outline, are the network's."""
    labels = truth(grid)
    save_labels(tmp_path / "answer.nii.gz", labels, grid)
    path = copying(tmp_path, tmp_path / "answer.nii.gz", "liver = 5\nlesion = 9\nspleen = 2", 'phases = "all"')
    organs = external(path, outliner).organs(volume)
    ml = (labels == 5).sum() + (labels == 9).sum()
    assert organs.liver.sum() * organs.geometry.voxel_volume_ml == pytest.approx(ml * grid.voxel_volume_ml, rel=0.01)
    assert organs.liver_score is not None
    assert organs.lesion_score[organs.labels == Organ.LESION].min() > 0
    # The phantom's kidney is what the tool calls spleen; the network's kidney does not cover it.
    assert (organs.labels == Organ.SPLEEN).sum() * organs.geometry.voxel_volume_ml == pytest.approx(
        (labels == 2).sum() * grid.voxel_volume_ml, rel=0.02
    )
    network = outliner.organs(volume)
    lung = network.labels == Organ.LUNG
    assert lung.any()
    assert (organs.labels[lung] == Organ.LUNG).all()


def test_without_lesions_the_built_in_model_finds_them_in_the_tools_liver(
    tmp_path: Path, grid: Geometry, volume: Volume, outliner: Builtin
) -> None:
    """Two lesions with confidence, a notice; in a liver cut in half only the one that lies in it."""
    labels = truth(grid, lesions=False)
    save_labels(tmp_path / "answer.nii.gz", labels, grid)
    engine = external(copying(tmp_path, tmp_path / "answer.nii.gz", "liver = 5\nkidney = 2"), outliner)
    anatomy = engine.anatomy(volume, engine.organs(volume))
    assert anatomy.lesions.max() == 2
    assert all(c is not None and c > 0.5 for c in anatomy.confidence)
    assert (anatomy.liver == (labels == 5)).all()
    assert [n.code for n in anatomy.notices] == ["foreign_engine", "lesions_by_builtin"]
    labels[:, :, : int(grid.to_index((-80, 0, 0))[2])] = 0
    save_labels(tmp_path / "answer.nii.gz", labels, grid)
    engine = external(copying(tmp_path, tmp_path / "answer.nii.gz", "liver = 5\nkidney = 2"), outliner)
    anatomy = engine.anatomy(volume, engine.organs(volume))
    assert anatomy.lesions.max() == 1
    assert anatomy.lesions[tuple(np.rint(grid.to_index(BALLS[0][0])).astype(int))] == 1


def test_lesions_only_stand_in_the_built_in_liver(
    tmp_path: Path, grid: Geometry, volume: Volume, outliner: Builtin
) -> None:
    """As SALSA gives them: the lesions are the tool's, the liver the built-in model's, and the notices say it."""
    labels = np.where(truth(grid) == 9, 1, 0).astype(np.uint8)
    save_labels(tmp_path / "answer.nii.gz", labels, grid)
    engine = external(copying(tmp_path, tmp_path / "answer.nii.gz", "lesion = [1, 2]"), outliner)
    organs = engine.organs(volume)
    assert not engine.log
    anatomy = engine.anatomy(volume, organs)
    assert (anatomy.lesions > 0).sum() == labels.sum()
    assert anatomy.confidence == (None, None)
    own = outliner.anatomy(volume, outliner.organs(volume))
    assert (anatomy.liver == (own.liver | (labels > 0))).all()
    assert [n.code for n in anatomy.notices] == ["foreign_engine", "liver_by_builtin"]


def test_specks_and_lesions_elsewhere_are_left_out_and_counted(
    tmp_path: Path, grid: Geometry, volume: Volume, outliner: Builtin
) -> None:
    """A speck of one voxel in the liver (0.01 ml) and a ball in the kidney are no lesions; the liver lacks them."""
    labels = truth(grid)
    labels[40, 100, 40] = 9
    away = distance(grid, (80, 60, -20), (8, 8, 8)) < 1
    labels[away] = 9
    save_labels(tmp_path / "answer.nii.gz", labels, grid)
    engine = external(copying(tmp_path, tmp_path / "answer.nii.gz", "liver = 5\nlesion = 9\nkidney = 2"), outliner)
    anatomy = engine.anatomy(volume, engine.organs(volume))
    assert anatomy.lesions.max() == 2
    assert not anatomy.liver[away].any()
    texts = {n.code: n.text for n in anatomy.notices}
    assert "below 0.02 ml, no lesions here: 1" in texts["engine_specks"]
    assert "do not touch the liver, left out: 1" in texts["engine_lesions_away"]


def test_vessels_are_the_tools(tmp_path: Path, grid: Geometry, volume: Volume, outliner: Builtin) -> None:
    """They count as liver and stay out of parenchyma."""
    labels = truth(grid)
    vessel = (distance(grid, (-60, -40, 0), (6, 6, 40)) < 1) & (labels == 5)
    labels[vessel] = 7
    save_labels(tmp_path / "answer.nii.gz", labels, grid)
    engine = external(
        copying(tmp_path, tmp_path / "answer.nii.gz", "liver = 5\nlesion = 9\nkidney = 2\nvessel = 7"), outliner
    )
    anatomy = engine.anatomy(volume, engine.organs(volume))
    assert (anatomy.vessels == vessel).all()
    assert anatomy.liver[vessel].all()


def test_tilted_scan_goes_out_straight_and_comes_back(tmp_path: Path, outliner: Builtin) -> None:
    """The tool (nibabel, a threshold) sees an upright grid; the liver's volume stays within 1 %."""
    straight = Geometry.regular((60, 150, 120), (2.5, 1.6, 1.6), (-149.0, -119.0, -74.0))
    affine = straight.affine.copy()
    affine[1, 0] = 2.5 * np.tan(np.radians(15))
    affine[1, 3] -= affine[1, 0] * 30
    tilted = Geometry(straight.shape, affine)
    volume = phantom(tilted, noise_hu=0)
    tool = tmp_path / "tool.py"
    tool.write_text(
        "import sys, nibabel, numpy as np\n"
        "i = nibabel.load(sys.argv[1]); a = i.affine[:3, :3]; assert np.allclose((a.T @ a)[0, 2], 0)\n"
        "h = np.asarray(i.dataobj); assert abs((a.T @ a)[1, 2]) < 1e-3\n"
        "o = ((h > 90) & (h < 130)).astype('uint8')\n"
        "nibabel.save(nibabel.Nifti1Image(o, i.affine), sys.argv[2])\n"
    )
    import sys

    words = json.dumps([sys.executable, str(tool), "{input}", "{output}"])
    path = engine_file(tmp_path, f'kind = "command"\ncommand = {words}\nversion = "1"\n[labels]\nliver = 1')
    liver = external(path, outliner)._native(volume, lambda done: None) > 0
    inside = (volume.array > 90) & (volume.array < 130)
    assert 2 * (liver & inside).sum() / (liver.sum() + inside.sum()) > 0.98


def answered(
    tmp_path: Path, labels: NDArray[np.uint8], grid: Geometry, volume: Volume, outliner: Builtin, more: str = ""
) -> None:
    """Outline with a tool that gives these labels."""
    save_labels(tmp_path / "answer.nii.gz", labels, grid)
    engine = external(copying(tmp_path, tmp_path / "answer.nii.gz", "liver = 5\nlesion = 9", more), outliner)
    engine.anatomy(volume, outliner.organs(volume))


def test_label_that_the_file_does_not_name_is_refused(
    tmp_path: Path, grid: Geometry, volume: Volume, outliner: Builtin
) -> None:
    """Unless the file says that others are background, or names it to be ignored."""
    with pytest.raises(WrongCall, match="gave the label 2, which its engine file does not name"):
        answered(tmp_path, truth(grid), grid, volume, outliner)
    answered(tmp_path, truth(grid), grid, volume, outliner, "ignore = 2")
    answered(tmp_path, truth(grid), grid, volume, outliner, 'others = "background"')


def test_answer_without_a_liver_is_refused(tmp_path: Path, grid: Geometry, volume: Volume, outliner: Builtin) -> None:
    """Nothing, too little, and a liver of fat are all the study's matter: exit code 3."""
    nothing = np.zeros(grid.shape, np.uint8)
    little = np.where(distance(grid, (-60, -10, 0), (20, 20, 20)) < 1, 5, 0).astype(np.uint8)
    fat = np.where((volume.array < -60) & (volume.array > -140), 5, 0).astype(np.uint8)
    for labels in (nothing, little, fat):
        with pytest.raises(Refused, match="no liver found"):
            answered(tmp_path, labels, grid, volume, outliner)


def test_another_liver_than_the_networks_is_said(
    tmp_path: Path, grid: Geometry, volume: Volume, outliner: Builtin
) -> None:
    """Half a liver overlaps little with the built-in network's."""
    labels = truth(grid)
    labels[:, : int(grid.to_index((0, -10, 0))[1])] = 0
    save_labels(tmp_path / "answer.nii.gz", labels, grid)
    engine = external(copying(tmp_path, tmp_path / "answer.nii.gz", "liver = 5\nlesion = 9\nkidney = 2"), outliner)
    notices = {n.code: n.text for n in engine.anatomy(volume, outliner.organs(volume)).notices}
    assert "differ (Dice 0." in notices["engine_disagrees"]


def test_tool_that_writes_nothing_or_too_much_is_refused(
    tmp_path: Path, grid: Geometry, volume: Volume, outliner: Builtin
) -> None:
    """It ended well all the same."""
    text = 'kind = "command"\nversion = "1"\ncommand = {}\n{}\n[labels]\nliver = 5'
    for words, output, says in (
        (["true"], "", "wrote no label map"),
        (["true"], 'output = "{output_folder}"', "wrote nothing; needed is one label map"),
        (["touch", "{output_folder}/a.nii", "{output_folder}/b.nii.gz"], 'output = "{output_folder}"', "wrote 2 NIfTI"),
        (["true"], 'output = "/etc/labels.nii.gz"', "output must lie in"),
    ):
        path = engine_file(tmp_path, text.format(json.dumps(words), output))
        with pytest.raises(WrongCall, match=says):
            external(path, outliner)._native(volume, lambda done: None)


def test_tool_that_reads_a_list_of_paths_gets_one(
    tmp_path: Path, volume: Volume, outliner: Builtin, grid: Geometry
) -> None:
    """The file that ships for SALSA, with a stand-in for its run.py of the same words and output."""
    import sys

    repository = tmp_path / "liver-SALSA"
    repository.mkdir()
    (repository / "run.py").write_text(
        "import argparse, csv, nibabel, numpy as np\n"
        "p = argparse.ArgumentParser(); [p.add_argument(w) for w in ('--input_csv', '--device', '--model_dir')]\n"
        "a = p.parse_args(); assert a.device == 'cpu' and a.model_dir.endswith('/src/model/model_weights/')\n"
        "(row,) = csv.DictReader(open(a.input_csv)); path = row['PATHS']; i = nibabel.load(path)\n"
        "h = np.asarray(i.dataobj); o = np.zeros(h.shape); o[(h > 40) & (h < 80)] = 1\n"
        "nibabel.save(nibabel.Nifti1Image(o, i.affine), path.replace('.nii.gz', '_SALSA.nii.gz'))\n"
    )
    path = tmp_path / "salsa-here.toml"
    path.write_text(f'extends = "salsa"\npython = "{sys.executable}"\nmodel = "liver-SALSA"\n')
    engine = external(path, outliner)
    anatomy = engine.anatomy(volume, engine.organs(volume))
    assert anatomy.lesions.max() == 2
    assert (anatomy.lesions > 0).sum() == pytest.approx((truth(grid) == 9).sum(), rel=0.1)


def test_totalsegmentators_real_answer_is_read_to_the_voxel(shared_data: Path, tmp_path: Path) -> None:
    """Its label map of a real scan (RAS, 3 mm): liver, and every organ at 3 mm, as counted straight from the file."""
    from importlib import resources

    from hepar.ingest import IngestSettings, read_study

    answer = shared_data / "ct" / "totalseg-native_organs.nii.gz"
    study = read_study(
        shared_data / "ct" / "totalseg-native.nii.gz", settings=IngestSettings(), modality="CT", workspace=tmp_path
    )
    shipped = Path(str(resources.files("hepar.segment.external") / "engines" / "totalsegmentator.toml")).read_text()
    labels = shipped.split("[run.labels]")[1].split("[[run]]")[0]
    path = copying(tmp_path, answer, labels, 'others = "background"')
    engine = external(path)
    volume = study.phases[0].volume
    organs = engine.organs(volume)
    anatomy = engine.anatomy(volume, organs)
    image = nibabel.load(answer)
    counted = np.bincount(np.asarray(image.dataobj, dtype=np.int64).ravel(), minlength=120)
    ml = abs(float(np.linalg.det(image.affine[:3, :3]))) / 1000
    assert anatomy.liver.sum() == counted[5]
    assert anatomy.liver.sum() * volume.geometry.voxel_volume_ml == pytest.approx(counted[5] * ml, rel=1e-6)
    assert [n.code for n in anatomy.notices] == ["foreign_engine", "lesions_by_builtin", "liver_cut"]
    at_3mm = np.bincount(organs.labels.ravel(), minlength=len(Organ)) * organs.geometry.voxel_volume_ml
    for organ, numbers in (
        (Organ.SPLEEN, (1,)), (Organ.KIDNEY, (2, 3)), (Organ.GALLBLADDER, (4,)), (Organ.AORTA, (52,)),
        (Organ.VENA_CAVA, (63,)), (Organ.PORTAL_VEIN, (64,)), (Organ.HEART, (51, 61)),
        (Organ.LUNG, (10, 11, 12, 13, 14)), (Organ.BOWEL, (6, 18, 19, 20)),
    ):  # fmt: skip
        assert at_3mm[organ] == pytest.approx(counted[list(numbers)].sum() * ml, rel=0.01), organ
    assert organs.liver.sum() * organs.geometry.voxel_volume_ml == pytest.approx(counted[5] * ml, rel=0.02)
