"""Engine files: what they may say, what is refused, the licence, the tool's version, what reaches documents."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from engine_files import LICENCE, copying, engine_file, external, yes

from hepar.errors import WrongCall
from hepar.record import Organ
from hepar.segment import SegmentSettings, engine, engines
from hepar.segment.external import External, Licence, load
from hepar.segment.external.licence import require


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's settings lie in a folder of the test's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "hepar"


def test_unknown_engine_is_refused_with_the_list() -> None:
    """The message names the engines that there are, and that a file may be given."""
    with pytest.raises(WrongCall, match=r"builtin, salsa, totalsegmentator, or give an engine file"):
        engine("nnunet", SegmentSettings())
    with pytest.raises(WrongCall, match=r"no\.toml does not exist"):
        engine("no.toml", SegmentSettings())


def test_engine_of_the_users_own_folder_has_a_name(config: Path) -> None:
    """A file in the settings folder is an engine by its name, and hides the one that ships."""
    (config / "engines").mkdir(parents=True)
    copying(config / "engines", config / "labels.nii.gz", "liver = 1").rename(config / "engines" / "salsa.toml")
    copying(config / "engines", config / "labels.nii.gz", "liver = 1").rename(config / "engines" / "mine.toml")
    assert engines() == ("builtin", "salsa", "totalsegmentator", "mine")
    assert engine("mine", SegmentSettings(), consent=yes).name == "mine"
    assert load(config / "engines" / "salsa.toml").organs == {Organ.LIVER}


def test_totalsegmentators_classes_are_those_of_its_version_2() -> None:
    """Read off totalsegmentator.map_to_binary.class_map["total"] and ["liver_lesions"], version 2.18.0."""
    total = {
        1: "spleen", 2: "kidney_right", 3: "kidney_left", 4: "gallbladder", 5: "liver", 6: "stomach",
        10: "lung_upper_lobe_left", 11: "lung_lower_lobe_left", 12: "lung_upper_lobe_right",
        13: "lung_middle_lobe_right", 14: "lung_lower_lobe_right", 18: "small_bowel", 19: "duodenum", 20: "colon",
        51: "heart", 52: "aorta", 61: "atrial_appendage_left", 63: "inferior_vena_cava",
        64: "portal_vein_and_splenic_vein",
    }  # fmt: skip
    alike = {
        "stomach": "bowel", "small_bowel": "bowel", "duodenum": "bowel", "colon": "bowel",
        "inferior_vena_cava": "vena_cava", "portal_vein_and_splenic_vein": "portal_vein",
        "atrial_appendage_left": "heart",
    }  # fmt: skip
    from importlib import resources

    shipped = load(Path(str(resources.files("hepar.segment.external") / "engines" / "totalsegmentator.toml")))
    expected = {number: Organ[alike.get(name, name.split("_")[0]).upper()] for number, name in total.items()}
    assert [run.task for run in shipped.runs] == ["total", "liver_lesions"]
    assert dict(shipped.runs[0].labels) == expected
    assert dict(shipped.runs[1].labels) == {1: Organ.LESION}
    assert shipped.phases == "all"


def test_file_extends_one_that_ships(tmp_path: Path) -> None:
    """Only what is said again changes."""
    path = tmp_path / "ours.toml"
    path.write_text('extends = "totalsegmentator"\nname = "ours"\ndevice = "gpu"\ntimeout_s = 60\nmax_memory = "16G"\n')
    ours = load(path)
    assert (ours.name, ours.device, ours.timeout_s, ours.max_memory_bytes) == ("ours", "gpu", 60.0, 16 * 2**30)
    assert ours.licence.name == "Apache-2.0"
    assert len(ours.runs) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind = 'caffe'\n[labels]\nliver = 1", "kind is 'caffe'; needed: one of totalsegmentator, nnunet"),
        ("kind = 'command'\ncommand = 'run me'\n[labels]\nliver = 1", "must be a list of words"),
        ("kind = 'command'\ncommand = ['x']\n[labels]\nspleen = 1", "no label is liver or lesion"),
        ("kind = 'command'\ncommand = ['x']\n[labels]\nliver = 1\nleber = 2", "'leber' is no organ of hepar"),
        ("kind = 'command'\ncommand = ['x']\n[labels]\nliver = 1\nlesion = 1", "label 1 of lesion must be a number"),
        ("kind = 'command'\ncommand = ['x', '{inptu}']\n[labels]\nliver = 1", "{inptu} is no placeholder"),
        ("kind = 'command'\ncommand = ['x']\ncolour = 1\n[labels]\nliver = 1", "'colour' is not known here"),
        ("kind = 'command'\n[labels]\nliver = 1", "command = .* is needed for the kind command"),
        ("kind = 'command'\ncommand = ['x']", "labels] is empty"),
        ("kind = 'command'\ncommand = ['x']\nmax_memory = 'much'\n[labels]\nliver = 1", "max_memory is 'much'"),
        ("kind = 'command'\ncommand = ['x']\ntimeout_s = 0\n[labels]\nliver = 1", "timeout_s is 0"),
        ("kind = 'command'\ncommand = ['x']\nphases = 'all'\n[labels]\nlesion = 1", "without the liver only"),
        ("kind = 'command'\ncommand = ['x']\nname = 'builtin'\n[labels]\nliver = 1", "name 'builtin' must be"),
        ("kind = 'nnunet'\n[labels]\nliver = 1", "nnunet needs model = a place"),
        ("extends = 'nothing'", "extends 'nothing', which is not there"),
        ("kind = [", "cannot be read"),
    ],
)
def test_engine_file_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """The message names the file and the key."""
    with pytest.raises(WrongCall, match=says):
        load(engine_file(tmp_path, text))


def test_engine_without_a_licence_is_refused(tmp_path: Path) -> None:
    """Somebody must say what it stands under."""
    with pytest.raises(WrongCall, match=r"\[licence\] needs name"):
        load(engine_file(tmp_path, 'kind = "command"\ncommand = ["x"]\n[labels]\nliver = 1', licence=""))


def test_nothing_of_this_machine_is_described(tmp_path: Path) -> None:
    """Documents get labels, kind and licence; places change neither them nor the hash, labels do."""
    text = (
        'kind = "command"\ncommand = ["x"]\npython = "{}"\nlog = "{}"\n[labels]\nliver = {}\n[environment]\nKEY = "{}"'
    )
    here, there = (load(engine_file(tmp_path, text.format(place, place, 1, place))) for place in ("secret", "else"))
    other = load(engine_file(tmp_path, text.format("secret", "secret", 2, "secret")))
    assert "secret" not in json.dumps(here.described)
    assert str(tmp_path) not in json.dumps(here.described)
    assert here.described == there.described
    assert here.described["file_sha256"] != other.described["file_sha256"]


def test_licence_is_asked_for_once(tmp_path: Path) -> None:
    """Accepted: remembered by its text. Another text, or a damaged memory: asked again."""
    asked: list[str] = []

    def agree(licence: Licence) -> bool:
        asked.append(licence.text)
        return True

    one, two = Licence("other", "own", "first text"), Licence("other", "own", "second text")
    require(one, agree, tmp_path)
    require(one, agree, tmp_path)
    require(one, None, tmp_path)
    require(two, agree, tmp_path)
    assert asked == ["first text", "second text"]
    (tmp_path / "licences.json").write_text("{")
    with pytest.raises(WrongCall):
        require(one, None, tmp_path)


def test_nobody_is_asked_in_a_batch(tmp_path: Path) -> None:
    """A sentence says what to pass; so it does after a no, and the tool was not even looked for."""
    path = copying(tmp_path, tmp_path / "none", "liver = 1", 'python = "/nowhere"')
    for consent in (None, lambda licence: False):
        with pytest.raises(WrongCall, match=r"licence made up, which was not accepted yet.*--accept-licence"):
            External(load(path), SegmentSettings(), consent)


def test_licence_may_lie_in_a_file(tmp_path: Path) -> None:
    """Its text is what is agreed to."""
    (tmp_path / "LICENSE").write_text("Do no harm.")
    text = 'kind = "command"\ncommand = ["x"]\n[labels]\nliver = 1'
    found = load(engine_file(tmp_path, text, licence='[licence]\nname = "own"\nfile = "LICENSE"'))
    assert "Do no harm." in found.licence.text
    with pytest.raises(WrongCall, match="licence's file cannot be read"):
        load(engine_file(tmp_path, text, licence='[licence]\nname = "own"\nfile = "NONE"'))


def test_version_is_asked_of_the_tool(tmp_path: Path) -> None:
    """The last line that its command prints; a sentence when it cannot be run."""
    words = json.dumps([sys.executable, "-c", "print('hello'); print('3.1.4')"])
    path = engine_file(tmp_path, f'kind = "command"\ncommand = ["x"]\nversion = {words}\n[labels]\nliver = 1')
    assert external(path).version == "3.1.4"
    path = engine_file(tmp_path, 'kind = "command"\ncommand = ["x"]\nversion = ["no-such-tool"]\n[labels]\nliver = 1')
    with pytest.raises(WrongCall, match=r"no-such-tool cannot be run .*install the tool"):
        external(path)


def test_totalsegmentator_that_is_not_installed_is_said(tmp_path: Path) -> None:
    """Its name and what to do."""
    path = tmp_path / "ours.toml"
    path.write_text('extends = "totalsegmentator"\nexecutable = "no/TotalSegmentator"\n')
    with pytest.raises(WrongCall, match=r"engine totalsegmentator: .*TotalSegmentator cannot be run .No such file"):
        external(path)


def model_folder(folder: Path, about: dict[str, object] | None = None) -> Path:
    """The outside of a trained nnU-Net folder."""
    model = folder / "model"
    (model / "fold_0").mkdir(parents=True)
    (model / "fold_0" / "checkpoint_final.pth").write_bytes(b"weights")
    (model / "plans.json").write_text("{}")
    usual = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "liver": 1, "lesion": 2},
        "file_ending": ".nii.gz",
    }
    (model / "dataset.json").write_text(json.dumps({**usual, **(about or {})}))
    return model


NNUNET = f'kind = "nnunet"\nmodel = "model"\npython = "{sys.executable}"\n[labels]\n'


@pytest.mark.parametrize(
    ("about", "labels", "says"),
    [
        ({"channel_names": {"0": "CT", "1": "PET"}}, "liver = 1\nlesion = 2", "wants 2 channels"),
        ({"file_ending": ".nrrd"}, "liver = 1\nlesion = 2", "reads .nrrd files"),
        ({}, "liver = 1", "label 2 is not named in its engine file.*lesion"),
        ({}, "liver = 1\nlesion = [2, 3]", "label 3 is not in the model"),
        ({}, "liver = 1\nlesion = 2", "has no package nnunetv2; name the one of the environment"),
    ],
)
def test_nnunet_model_that_does_not_fit_is_refused(
    tmp_path: Path, about: dict[str, object], labels: str, says: str
) -> None:
    """Before a scan is read; last: the named Python (that of these tests) holds no nnU-Net."""
    model_folder(tmp_path, about)
    with pytest.raises(WrongCall, match=says):
        external(engine_file(tmp_path, NNUNET + labels))


def test_nnunet_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    """Neither an empty folder nor one without a finished fold."""
    (tmp_path / "model").mkdir()
    with pytest.raises(WrongCall, match="must be a trained nnU-Net folder"):
        external(engine_file(tmp_path, NNUNET + "liver = 1\nlesion = 2"))
    (tmp_path / "model").rmdir()
    (model_folder(tmp_path) / "fold_0" / "checkpoint_final.pth").unlink()
    with pytest.raises(WrongCall, match=r"no fold with checkpoint_final\.pth"):
        external(engine_file(tmp_path, NNUNET + "liver = 1\nlesion = 2"))


def test_weights_hash_follows_the_model(tmp_path: Path) -> None:
    """Two models alike have one hash wherever they lie; one byte more makes another; a command has none."""
    from hepar.segment.external.kinds import weights_sha256

    hashes = []
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        model = model_folder(tmp_path / name)
        if name == "c":
            (model / "fold_0" / "checkpoint_final.pth").write_bytes(b"weights!")
        hashes.append(weights_sha256(load(engine_file(tmp_path / name, NNUNET + "liver = 1\nlesion = 2")), {}))
    assert hashes[0] == hashes[1] != hashes[2]
    assert len(hashes[0]) == 64
    assert weights_sha256(load(copying(tmp_path, tmp_path, "liver = 1")), {}) == ""


def test_bundle_without_configuration_is_refused(tmp_path: Path) -> None:
    """MONAI: the message says which files were looked for."""
    (tmp_path / "model").mkdir()
    text = f'kind = "monai"\nmodel = "model"\npython = "{sys.executable}"\n[labels]\nliver = 1\n' + LICENCE
    with pytest.raises(WrongCall, match=r"has no configs/inference\.json or configs/inference\.yaml"):
        external(engine_file(tmp_path, text, licence=""))
