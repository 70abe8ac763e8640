"""Any ONNX: grid, axes, intensities, windows and classes as its engine file states them.

The two tiny networks and their script lie in onnx/; hepar's own weights, read as somebody else's, are the real case.
"""

from __future__ import annotations

import json
import shutil
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from engine_files import engine_file, yes
from numpy.typing import NDArray

from hepar.errors import WrongCall
from hepar.record import Geometry, Organ, Volume
from hepar.segment import SegmentSettings
from hepar.segment.builtin import Builtin
from hepar.segment.external import External, load
from hepar.segment.external.onnx import OnnxNetwork, network_grid, stated_input, tiles, to_native
from hepar.segment.grid import onto_model

HERE = Path(__file__).parent / "onnx"
SHIFT = 'spacing_mm = [2, 2, 2]\naxes = "SPL"\nchannels = [{clip = [0, 200], to = [0, 2]}]\nmultiple = 1'


def network(folder: Path, onnx: str, labels: str, *, model: str = "shift3d") -> OnnxNetwork:
    """A network with a stated input."""
    shutil.copyfile(HERE / f"{model}.onnx", folder / "net.onnx")
    file = load(engine_file(folder, f'kind = "onnx"\nmodel = "net.onnx"\n[labels]\n{labels}\n[onnx]\n{onnx}'))
    return OnnxNetwork(file, file.runs[0], "f32", 1)


def cube(hu: int = 100) -> Volume:
    """A cube of 40 mm around LPS 0 in air, 2 mm voxels."""
    geometry = Geometry.regular((41, 41, 41), (2.0, 2.0, 2.0), (-40.0, -40.0, -40.0))
    array = np.full(geometry.shape, -200, np.int16)
    array[10:31, 10:31, 10:31] = hu
    return Volume(array, geometry, "CT")


def centre_mm(mask: NDArray[np.bool_], geometry: Geometry) -> NDArray[np.float64]:
    """Middle of the true voxels, LPS mm."""
    found: NDArray[np.float64] = geometry.to_lps_mm(np.argwhere(mask)).mean(axis=0)
    return found


@pytest.mark.parametrize(
    ("axes", "moved"),
    [("SPL", (0, 0, 2)), ("IPL", (0, 0, -2)), ("LPS", (2, 0, 0)), ("RAS", (-2, 0, 0)), ("ARS", (0, -2, 0)),
     ("PSL", (0, 2, 0))],
)  # fmt: skip
def test_axes_run_as_stated(tmp_path: Path, axes: str, moved: tuple[float, float, float]) -> None:
    """The network moves everything by one voxel along its first axis: 2 mm in the stated direction, nothing else."""
    net = network(tmp_path, SHIFT.replace("SPL", axes), "liver = 1")
    volume = cube()
    labels = to_native(net.scores(volume, lambda done: None), volume.geometry)
    inside = labels == Organ.LIVER
    assert inside.sum() == 21**3
    assert np.allclose(centre_mm(inside, volume.geometry), moved)


def test_intensities_are_scaled_as_stated(tmp_path: Path) -> None:
    """Class 1 begins at 50 HU and class 2 at 150 HU of [0, 200] mapped to [0, 2]; mean and sd say the same."""
    for channel in ("{clip = [0, 200], to = [0, 2]}", "{clip = [0, 200], mean = 0, sd = 100}"):
        net = network(tmp_path, SHIFT.replace("{clip = [0, 200], to = [0, 2]}", channel), "liver = 1\nlesion = 2")
        for hu, organ in ((48, Organ.BACKGROUND), (52, Organ.LIVER), (148, Organ.LIVER), (152, Organ.LESION)):
            volume = cube(hu)
            assert to_native(net.scores(volume, lambda done: None), volume.geometry)[20, 20, 20] == organ


def test_windows_change_nothing(tmp_path: Path) -> None:
    """The same voxels in one piece and in fixed windows of 16 x 24 x 20 with overlap."""
    volume = cube()
    rng = np.random.default_rng(0)
    noisy = Volume((volume.array + rng.integers(-60, 60, volume.array.shape)).astype(np.int16), volume.geometry, "CT")
    whole = network(tmp_path, SHIFT, "liver = 1\nlesion = 2").scores(noisy, lambda done: None)
    parts = network(tmp_path, SHIFT + "\nwindow = [16, 24, 20]", "liver = 1\nlesion = 2").scores(
        noisy, lambda done: None
    )
    assert (whole.winner == parts.winner).all()
    assert whole.liver is not None
    assert parts.liver is not None
    assert np.abs(whole.liver.astype(int) - parts.liver).max() <= 1


@pytest.mark.parametrize(
    ("shape", "size", "overlap"), [((50, 7, 33), (16, 8, 20), 0.5), ((10, 10, 10), (3, 4, 10), 0.0)]
)
def test_windows_cover_everything_once(shape: tuple[int, ...], size: tuple[int, ...], overlap: float) -> None:
    """Each voxel counts in exactly one window, which lies in the volume."""
    seen = np.zeros(shape, np.int64)
    for window, keep, within in tiles(shape, size, overlap):
        part = np.zeros(shape, np.int64)
        part[window][within] = 1
        seen += part
        assert (np.argwhere(part)[0] == [k.start for k in keep]).all()
    assert (seen == 1).all()


def test_network_of_planes_and_of_labels(tmp_path: Path) -> None:
    """[1, 1, H, W] in, a map of labels out: plane by plane, nearest voxel, an uneven spacing."""
    channels = "channels = [{clip = [0, 100], to = [0, 1]}]"
    onnx = f'spacing_mm = [5, 1, 1]\naxes = "SPL"\n{channels}\nmultiple = 1\noutput = "labels"'
    net = network(tmp_path, onnx, "liver = 1", model="plane2d")
    volume = cube(300)  # 50 HU, where the network begins, is midway between -200 and 300
    labels = to_native(net.scores(volume, lambda done: None), volume.geometry)
    assert (labels == Organ.LIVER).sum() == pytest.approx(21**3, rel=0.1)
    assert np.abs(centre_mm(labels > 0, volume.geometry)).max() < 1.0


def test_overlapping_channels(tmp_path: Path) -> None:
    """sigmoid: each channel for itself (0 is no background), the later one in the file on top."""
    net = network(tmp_path, SHIFT + '\noutput = "sigmoid"', "liver = 1\nlesion = 2")
    labels = to_native(net.scores(cube(160), lambda done: None), cube().geometry)
    assert labels[20, 20, 20] == Organ.LESION
    labels = to_native(net.scores(cube(80), lambda done: None), cube().geometry)
    assert labels[20, 20, 20] == Organ.LIVER


def test_air_is_background(tmp_path: Path) -> None:
    """No window is run on a volume of air."""
    air = Volume(np.full((9, 9, 9), -1000, np.int16), Geometry.regular((9, 9, 9), (2.0, 2.0, 2.0)), "CT")
    assert not network(tmp_path, SHIFT, "liver = 1").scores(air, lambda done: None).winner.any()


@pytest.mark.parametrize(
    ("onnx", "labels", "says"),
    [
        (SHIFT.replace("[2, 2, 2]", "[2, 2]"), "liver = 1", "spacing_mm must be three"),
        (SHIFT.replace("SPL", "SSL"), "liver = 1", "axes must say where"),
        (SHIFT.replace("[0, 200]", "[200, 0]"), "liver = 1", "runs from low to high"),
        (SHIFT + '\noutput = "guess"', "liver = 1", "output is 'guess'"),
        (SHIFT + "\noverlap = 1", "liver = 1", "overlap must lie"),
        (SHIFT + "\nsize = 3", "liver = 1", r"\[onnx\]: unknown size; its keys are axes, channels"),
        (SHIFT.replace("spacing_mm", "spacing"), "liver = 1", r"\[onnx\]: unknown spacing; its keys .*spacing_mm"),
        (SHIFT.replace("axes =", "# axes ="), "liver = 1", "axes must say where"),
        (SHIFT, "liver = 7", "label 7 is not in the network, which has 3 channels"),
        (SHIFT, "lesion = 2", "gave the label 1, which its engine file does not name"),
        (
            SHIFT.replace("channels = [", "channels = [{clip = [0, 1], to = [0, 1]}, "),
            "liver = 1",
            "does not take an input",
        ),
    ],
)
def test_statement_that_does_not_fit_is_refused(tmp_path: Path, onnx: str, labels: str, says: str) -> None:
    """One sentence each."""
    with pytest.raises(WrongCall, match=says):
        network(tmp_path, onnx, labels).scores(cube(), lambda done: None)


def test_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    """Missing, or something else."""
    path = engine_file(tmp_path, f'kind = "onnx"\nmodel = "none.onnx"\n[labels]\nliver = 1\n[onnx]\n{SHIFT}')
    with pytest.raises(WrongCall, match="does not exist"):
        External(load(path), SegmentSettings(), yes)
    (tmp_path / "none.onnx").write_text("no network")
    file = load(path)
    with pytest.raises(WrongCall, match="ONNX file cannot be read"):
        OnnxNetwork(file, file.runs[0], "f32", 1)


def test_own_weights_as_somebody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """liver3mm.onnx by an engine file made from its card: labels and scores of the built-in network, voxel by voxel."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = Path(str(resources.files("hepar.segment") / "weights"))
    card = json.loads((folder / "liver3mm.json").read_text())
    shutil.copyfile(folder / "liver3mm.onnx", tmp_path / "net.onnx")
    ours = {"liver_vessel": "vessel"}
    labels = "\n".join(f"{ours.get(name, name)} = {n}" for n, name in enumerate(card["classes"]) if n)
    channels = ", ".join(f"{{clip = {c['clip_hu']}, to = {c['to']}}}" for c in card["channels"])
    step = card["spacing_mm"]
    path = engine_file(
        tmp_path,
        f'kind = "onnx"\nmodel = "net.onnx"\n[labels]\n{labels}\n[onnx]\nspacing_mm = [{step}, {step}, {step}]\n'
        f'axes = "SPL"\nchannels = [{channels}]\nmultiple = {card["stride"]}\nwindow = [80, 112, 112]\noverlap = 0.5',
        name="foreign",
    )
    from hepar.ingest import IngestSettings, read_study
    from hepar.simulate import SimulationSettings, simulate

    study = simulate(tmp_path / "patient", SimulationSettings.small(output="nifti"), 12)
    (image,) = study.study_dir.glob("*.nii.gz")
    volume = read_study(image, settings=IngestSettings(), modality="CT", workspace=tmp_path).phases[0].volume
    engine = External(load(path), SegmentSettings(threads=1), yes)
    assert engine.weights_sha256
    assert engine.version.startswith("onnx-")
    net = engine.onnx[0]
    grid = network_grid(volume.geometry, stated_input(engine.file))
    scores = net.scores(volume, lambda done: None)
    own = Builtin(SegmentSettings(threads=1))
    expected, _, _ = own.network.probabilities(onto_model(volume, grid))
    same = (scores.winner == expected).mean()
    assert same > 0.995  # windows of another size see other borders; voxels far from seams agree exactly
    anatomy = engine.anatomy(volume, engine.organs(volume))
    builtin = own.anatomy(volume, own.organs(volume))
    both = 2 * (anatomy.liver & builtin.liver).sum() / (anatomy.liver.sum() + builtin.liver.sum())
    assert both > 0.95
