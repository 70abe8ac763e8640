"""The networks of `hepar.learn.architectures`: same contract, same export, each true to its idea."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from small_recipe import NETWORK, PATCH, VIRTUAL  # noqa: E402

import hepar  # noqa: E402
from hepar.errors import WrongCall  # noqa: E402
from hepar.learn.recipe import ARCHITECTURES, Recipe, read_recipe  # noqa: E402

SOURCE = Path(hepar.__file__).parent

RECIPE = (
    'stage = "region"\narchitecture = "NAME"\nseed = 5\nsteps = 4\nwidths = [8, 8, 16, 16, 16]\n'
    + NETWORK + PATCH + VIRTUAL
)  # fmt: skip


def _recipe(folder: Path, name: str, old: str = "", new: str = "") -> Recipe:
    path = folder / f"{name}.toml"
    path.write_text(RECIPE.replace("NAME", name).replace(old, new) if old else RECIPE.replace("NAME", name))
    return read_recipe(path)


def _patch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise in two phases and a block of liver with a lesion."""
    image = torch.randn(1, 4, 32, 32, 32, generator=torch.Generator().manual_seed(seed))
    image[:, [0, 3]] = 0
    target = torch.zeros(1, 32, 32, 32, dtype=torch.uint8)
    target[:, 4:28, 4:28, 4:28] = 1
    target[:, 10:16, 10:16, 10:16] = 2
    return image, target


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_network_trains_exports_and_runs_in_the_shipped_path(name: str, tmp_path: Path) -> None:
    """Two steps move the weights; the exported file answers as torch does, one phase or four, any size of region."""
    pytest.importorskip("openvino")
    pytest.importorskip("onnx")
    from hepar.learn.export import averaged_network, export
    from hepar.learn.trainer import Trainer
    from hepar.record import Geometry
    from hepar.segment.region import RegionNetwork

    trainer = Trainer(_recipe(tmp_path, name))
    before = trainer.net.head.weight.detach().clone()
    for _ in range(2):
        loss, logits = trainer.update(*_patch())
        assert np.isfinite(loss)
        assert logits.shape == (1, 5, 32, 32, 32)
    assert not torch.equal(before, trainer.net.head.weight)
    state = trainer.state()
    for value in state["mean"].values():
        if value.ndim == 5:  # as the file stores them, so that what is left is the difference of two programs
            value.copy_(value.half().float())
    torch.save(state, tmp_path / "state.pt")
    path = export(tmp_path / "state.pt", tmp_path, trainer.recipe)
    net = averaged_network(torch.load(tmp_path / "state.pt", weights_only=True))
    shipped = RegionNetwork(path, "f32", 1, 10**7)
    for missing in ([], [0, 1, 3], [2]):
        image = torch.randn(1, 4, 48, 32, 64, generator=torch.Generator().manual_seed(1)).clamp(-2.5, 2.5)
        image[:, missing] = 0
        with torch.no_grad():
            expected = net(image).numpy()[0]
        assert np.abs(expected).max() > 0.1
        assert np.abs(shipped.logits(image.numpy(), 5) - expected).max() < 1e-3
    region = shipped.look(np.zeros((4, 20, 40, 30), np.float32), Geometry.regular((20, 40, 30), (1.5, 1.5, 1.5)), 1)
    assert region.lesion.shape == region.liver.shape == (20, 40, 30)


def test_the_shipped_weights_fit_the_residual_network() -> None:
    """Every convolution of region.onnx has its place by name, and the network then answers as the file does."""
    pytest.importorskip("openvino")
    onnx = pytest.importorskip("onnx")
    from hepar.learn.exported import start_from
    from hepar.learn.trainer import new_network
    from hepar.segment.network import shipped
    from hepar.segment.region import RegionNetwork

    recipe = read_recipe(SOURCE / "learn" / "region.toml")
    net = new_network(recipe.stage, recipe.widths, recipe.blocks, recipe.architecture).eval()
    start_from(net, shipped("region"))
    image = torch.randn(1, 4, 32, 48, 32, generator=torch.Generator().manual_seed(2)).clamp(-2.5, 2.5)
    norms: list[torch.nn.GroupNorm] = []
    for module in net.modules():
        if isinstance(module, torch.nn.GroupNorm):
            module.register_forward_hook(lambda m, i, o: norms.append(m))
    with torch.no_grad():
        net(image)
    # The export writes a group's scale and shift as constants without a name, in the order in which they are used.
    graph = onnx.load(str(shipped("region"))).graph
    stored = {i.name: torch.from_numpy(onnx.numpy_helper.to_array(i).copy()) for i in graph.initializer}
    after = {name: node for node in graph.node for name in node.input}
    scales = [n for n in graph.node if n.op_type == "Mul" and n.input[1] in stored and stored[n.input[1]].ndim == 4]
    assert len(scales) == len(norms)
    with torch.no_grad():
        for norm, scale in zip(list(norms), scales, strict=True):
            norm.weight.copy_(stored[scale.input[1]].flatten())
            norm.bias.copy_(stored[after[scale.output[0]].input[1]].flatten())
        expected = net(image).numpy()[0]
    assert np.abs(RegionNetwork(None, "f32", 1, 10**7).logits(image.numpy(), 5) - expected).max() < 1e-3


def test_a_missing_phase_is_passed_over() -> None:
    """Whatever stands in the place of a phase that is not there, the answer is the one without that place."""
    from hepar.learn.architectures.phases import PhaseMemory

    torch.manual_seed(3)
    memory = PhaseMemory(8, 4)
    x = torch.randn(2, 4, 8, 3, 4, 5)
    there = torch.tensor([[0, 1, 1, 0]]).repeat(2, 1)
    with torch.no_grad():
        whole = memory(x, [0, 1, 2, 3], there)
        short = memory(x[:, [1, 2]], [1, 2], torch.ones(2, 2))
        other = memory(x[:, [2, 1]], [2, 1], torch.ones(2, 2))
        none = memory(x, [0, 1, 2, 3], torch.zeros(2, 4))
    assert torch.allclose(whole, short, atol=1e-6)
    assert not torch.allclose(whole, other, atol=1e-3)
    assert not none.any()


def test_patients_of_one_batch_may_miss_different_phases() -> None:
    """A batch of two answers as each of them alone."""
    from hepar.learn.architectures import build

    torch.manual_seed(4)
    net = build("phases", (8, 8, 8, 8, 8), (1, 1, 1, 1), classes=5, inputs=4).eval()
    image = torch.randn(2, 4, 16, 32, 16)
    image[0, [0, 1]] = 0
    image[1, [3]] = 0
    with torch.no_grad():
        both, one, two = net(image), net(image[:1]), net(image[1:])
    assert torch.allclose(both, torch.cat([one, two]), atol=1e-4)


def test_attention_sees_the_far_corner_and_convolution_does_not() -> None:
    """One voxel changed: the far corner of the grid notices through attention only."""
    from hepar.learn.architectures.transformer import Attention

    torch.manual_seed(5)
    layer = Attention(32)
    x = torch.randn(1, 32, 6, 6, 6)
    y = x.clone()
    y[0, :, 0, 0, 0] += 3
    with torch.no_grad():
        assert (layer(x) - layer(y))[0, :, 5, 5, 5].abs().max() > 1e-5
        assert not (layer.place(x) - layer.place(y))[0, :, 5, 5, 5].any()


def test_the_flat_part_of_the_hybrid_never_mixes_slices() -> None:
    """Its convolutions are one slice deep; those of the part in the volume are not."""
    from hepar.learn.architectures import build

    net = build("hybrid", (8, 8, 8, 8, 8), (1, 1, 1, 1), classes=5, inputs=4)
    flat = [m for m in net.plane.modules() if isinstance(m, torch.nn.Conv3d)]
    assert len(flat) > 10
    assert {m.kernel_size[0] for m in flat} == {1}
    assert {m.kernel_size[0] for m in net.encode.modules() if isinstance(m, torch.nn.Conv3d)} == {3}


def test_the_plain_network_counts_its_units() -> None:
    """One pair of units at full size, then as many pairs as told, and one pair per level on the way up."""
    from hepar.learn.architectures import build

    net = build("plain", (8, 8, 8, 8, 8), (1, 2, 1, 1), classes=5, inputs=4)
    assert sum(isinstance(m, torch.nn.InstanceNorm3d) for m in net.encode.modules()) == 2 * (1 + 1 + 2 + 1 + 1)
    assert sum(isinstance(m, torch.nn.InstanceNorm3d) for m in net.decode.modules()) == 2 * 4


def test_names_stand_in_two_places_alike() -> None:
    """The recipe knows the names without torch; the networks stand behind the same names in the same order."""
    from hepar.learn import architectures

    assert tuple(architectures.ARCHITECTURES) == ARCHITECTURES
    with pytest.raises(WrongCall, match="residual, hybrid"):
        architectures.build("odd", (8,) * 5, (1,) * 4, classes=5, inputs=4)


def test_recipes_with_an_architecture_that_cannot_be_are_refused(tmp_path: Path) -> None:
    """An unknown name; phases where there is one volume. Without a name it is the residual network."""
    assert _recipe(tmp_path, "plain", 'architecture = "plain"', "").architecture == "residual"
    with pytest.raises(WrongCall, match="needed one of residual, hybrid, transformer, phases, plain"):
        _recipe(tmp_path, "odd")
    with pytest.raises(WrongCall, match="one phase"):
        _recipe(tmp_path, "phases", 'stage = "region"', "")


@pytest.fixture
def _benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of benchmarks, which is no part of the package, can be imported from; the command itself loads."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import_module("architectures")


@pytest.mark.usefixtures("_benchmarks")
def test_the_edge_that_a_patch_cuts_is_no_edge() -> None:
    """Two half spaces two voxels apart: 2.4 mm, though all their other faces lie on the patch's border and agree."""
    from side_by_side.judge import edge_mm

    z = np.indices((20, 16, 16))[0]
    known = np.ones(z.shape, bool)
    assert edge_mm(z < 8, z < 10, known) == pytest.approx(2.4)
    assert edge_mm(z < 8, z < 99, known) is None
    known[:, :, 8:] = False
    apart = (z < 8) | ((z < 12) & ~known)
    assert edge_mm(apart & known, (z < 10) & known, known) == pytest.approx(2.4)


@pytest.mark.usefixtures("_benchmarks")
def test_intervals_by_hand() -> None:
    """Two seeds 0.8 and 0.9: 0.85 +- 12.706 x 0.05; a difference that is the same in every patch has no width."""
    from side_by_side.table import over_seeds, paired

    found = over_seeds([0.8, 0.9])
    assert found["low"] == pytest.approx(0.85 - 12.7062 * 0.05, abs=1e-4)
    assert over_seeds([0.8])["low"] is None
    row = {
        "liver_dice": 0.8,
        "edge_mm": 2.0,
        "lesion_auc": 0.7,
        "lesion_dice": None,
        "lesions": (2, 1, 0),
        "found": (1, 1, 0),
        "false": 1,
    }
    better = {**row, "liver_dice": 0.9, "found": (2, 1, 0)}
    found = paired([[better] * 5, [better] * 5], [[row] * 5, [row] * 5])
    assert found["liver Dice"]["estimate"] == pytest.approx(0.1)
    assert found["liver Dice"]["high"] == pytest.approx(0.1)
    assert found["recall under 10 mm"]["low"] == pytest.approx(0.5)
    assert found["recall over 20 mm"]["estimate"] is None


@pytest.mark.usefixtures("_benchmarks")
def test_lesion_auc_by_hand() -> None:
    """Lesion margins 1 and 3 against healthy 0 and 2: three of four pairs are in order."""
    from side_by_side.judge import lesion_auc

    logits = np.full((5, 1, 1, 5), -50.0, np.float32)
    logits[1] = 0
    logits[2, 0, 0] = [1, 3, 0, 2, 9]
    target = np.array([[[2, 2, 1, 1, 0]]], np.uint8)
    assert lesion_auc(logits, target) == pytest.approx(0.75)
    assert lesion_auc(logits, np.zeros_like(target)) is None
