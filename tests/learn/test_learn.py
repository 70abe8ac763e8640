"""The generator, the loss, the loop and the export of the built-in network."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from small_recipe import PATCH, SMALL, VIRTUAL  # noqa: E402

from hepar.errors import WrongCall  # noqa: E402
from hepar.learn.atlas import Atlas  # noqa: E402
from hepar.learn.classes import CLASS_OF_TISSUE, IGNORE, LESION_CLASS, NOT_LIVER, Tissue  # noqa: E402
from hepar.learn.recipe import Recipe, read_recipe  # noqa: E402
from hepar.learn.scan import read_lps  # noqa: E402

RECIPE = "steps = 6\n" + SMALL + PATCH + VIRTUAL


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    path = tmp_path_factory.mktemp("recipe") / "small.toml"
    path.write_text(RECIPE)
    return read_recipe(path)


@pytest.fixture(scope="module")
def toy() -> Atlas:
    """A body of fat with a liver ball of 30 voxels across beside a spleen ball."""
    z, y, x = np.indices((40, 48, 64))
    tissue = np.full(z.shape, Tissue.FAT, np.uint8)
    tissue[(z - 20) ** 2 + (y - 24) ** 2 + (x - 22) ** 2 < 225] = Tissue.LIVER
    tissue[(z - 20) ** 2 + (y - 24) ** 2 + (x - 50) ** 2 < 64] = Tissue.SPLEEN
    zero = np.zeros(tissue.shape, np.float32)
    return Atlas("toy", tissue, zero, np.zeros(len(Tissue), np.float32), zero, zero, False)


def test_a_sample_depends_on_its_seed_alone(toy: Atlas) -> None:
    """The same seed gives the same bytes, another seed another image."""
    from hepar.learn.sample import make_sample

    one, two, other = (make_sample(toy, (32, 32, 48), np.random.default_rng(s)) for s in (5, 5, 6))
    assert np.array_equal(one.hu, two.hu)
    assert np.array_equal(one.target, two.target)
    assert not np.array_equal(one.hu, other.hu)


def test_labels_and_image_agree(toy: Atlas) -> None:
    """Over many draws the spleen's voxels are denser than fat, air is air, and every class is one that exists."""
    from hepar.learn.sample import make_sample

    for seed in range(12):
        sample = make_sample(toy, (32, 32, 48), np.random.default_rng(seed))
        assert set(np.unique(sample.target)) <= set(range(13))
        assert sample.hu.dtype == np.float32
        assert (sample.target[sample.hu <= -1024] == 0).all()
        spleen, rest = sample.target == 3, (sample.target == 0) & (sample.hu > -300)
        if spleen.sum() > 50 and rest.sum() > 50:
            assert np.median(sample.hu[spleen]) > np.median(sample.hu[rest]) + 60


def test_lesions_lie_in_the_liver_and_change_its_density() -> None:
    """A painted lesion fills liver voxels only (no outward growth drawn), with the contrast that it reports."""
    from hepar.learn.lesions import paint_lesions

    z, y, x = np.indices((40, 40, 40))
    liver = (z - 20) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 < 300
    tissue = np.where(liver, Tissue.LIVER, Tissue.LUNG).astype(np.uint8)
    volumes = []
    for seed in range(20):
        hu = np.full(liver.shape, 100.0, np.float32)
        filled, made = paint_lesions(
            hu, tissue, liver, [12.0], liver_hu=100.0, phase=3, keep_texture=False, rng=np.random.default_rng(seed)
        )
        assert len(made) == 1
        assert not (filled & ~liver).any()
        assert (hu[~liver] == 100).all()
        volumes.append(filled.sum() * 0.027)
        if made[0].kind == "cyst":
            assert hu[filled].mean() < 60
    ball_ml = 4 / 3 * np.pi * 1.2**3
    assert 0.35 * ball_ml < np.mean(volumes) < 1.1 * ball_ml  # cut by the surface, never larger


def test_huge_lesion_is_limited_by_a_small_liver() -> None:
    """A liver of fewer than 200 voxels gets no lesion; an empty liver none either."""
    from hepar.learn.lesions import paint_lesions

    hu = np.zeros((10, 10, 10), np.float32)
    tissue = np.zeros(hu.shape, np.uint8)
    filled, made = paint_lesions(
        hu, tissue, tissue > 0, [40.0], liver_hu=60, phase=0, keep_texture=True, rng=np.random.default_rng(0)
    )
    assert not filled.any()
    assert made == []


def test_hyperdense_and_mixed_lesions_are_a_quarter_and_more_in_every_phase() -> None:
    """Of lesions drawn in each phase at least a quarter is denser than the liver or mixed."""
    from hepar.learn.lesions import paint_lesions

    z, y, x = np.indices((24, 24, 24))
    liver = (z - 12) ** 2 + (y - 12) ** 2 + (x - 12) ** 2 < 100
    tissue = np.where(liver, Tissue.LIVER, Tissue.FAT).astype(np.uint8)
    for phase in range(5):
        rng = np.random.default_rng(phase)
        hu = np.full(liver.shape, 80.0, np.float32)
        _, made = paint_lesions(hu, tissue, liver, [4.0] * 120, liver_hu=80, phase=phase, keep_texture=False, rng=rng)
        share = sum(lesion.kind in ("hyper", "mixed") for lesion in made) / len(made)
        assert share >= 0.25


def test_vessels_stay_in_the_liver_and_thin_out() -> None:
    """A tree fills between 0.3 and 15 percent of the liver, nothing outside, and an empty liver gives none."""
    from hepar.learn.vessels import vessel_fraction

    z, y, x = np.indices((40, 40, 40))
    liver = (z - 20) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 < 324
    tree = vessel_fraction(
        liver, np.array([[20.0, 30.0, 20.0]]), leaves=60, leaf_radius_mm=0.9, rng=np.random.default_rng(0)
    )
    assert tree[~liver].max() == 0
    assert 0.003 < tree.sum() / liver.sum() < 0.15
    none = vessel_fraction(liver & False, np.zeros((1, 3)), leaves=5, leaf_radius_mm=1, rng=np.random.default_rng(0))
    assert not none.any()


def test_nifti_comes_in_with_lps_axes(tmp_path: Path) -> None:
    """A bright voxel at LPS (9, -6, 30) mm of an RAS file lands at that place of the (slice, row, column) array."""
    nibabel = pytest.importorskip("nibabel")
    data = np.zeros((8, 9, 10), np.float32)
    affine = np.diag([3.0, 3, 3, 1])
    affine[:3, 3] = -15, -3, 12
    data[2, 3, 6] = 1  # RAS (-9, 6, 30), that is LPS (9, -6, 30)
    nibabel.save(nibabel.Nifti1Image(data, affine), tmp_path / "a.nii.gz")
    array, first = read_lps(tmp_path / "a.nii.gz", order=0)
    slice_, row, column = np.argwhere(array == 1)[0]
    assert array.shape == (10, 9, 8)
    assert (first[0] + 3 * column, first[1] + 3 * row, first[2] + 3 * slice_) == (9, -6, 30)


def test_one_class_per_tissue() -> None:
    """Unknown tissue is ignored, surely-not-liver has its own value, fat is background."""
    assert CLASS_OF_TISSUE[Tissue.UNKNOWN] == IGNORE
    assert CLASS_OF_TISSUE[Tissue.NOT_LIVER] == NOT_LIVER
    assert CLASS_OF_TISSUE[Tissue.FAT] == 0
    assert CLASS_OF_TISSUE[Tissue.REAL_LESION] == LESION_CLASS


def test_loss_rewards_the_truth_and_ignores_the_unknown() -> None:
    """The true logits cost less than flat ones; logits at unknown voxels do not matter; liver where none is costs."""
    from hepar.learn.loss import total_loss

    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, 13, (1, 8, 8, 8), generator=generator, dtype=torch.uint8)
    target[0, 0] = IGNORE
    target[0, 1] = NOT_LIVER
    named = torch.where(target < 13, target, 0).long()
    right = 8.0 * torch.nn.functional.one_hot(named, 13).permute(0, 4, 1, 2, 3).float()
    half = right[:, :, ::2, ::2, ::2]
    assert total_loss(right, half, target) < 0.5 * total_loss(0 * right, 0 * half, target)
    noisy = right.clone()
    noisy[:, :, 0] = torch.randn(13, 8, 8, generator=generator) * 9
    assert torch.allclose(total_loss(right, half, target), total_loss(noisy, half, target))
    liver = right.clone()
    liver[:, 1, 1] += 20
    assert total_loss(liver, half, target) > total_loss(right, half, target) + 0.1


def test_steps_lower_the_loss_and_a_resumed_run_continues_where_it_stopped(recipe: Recipe, toy: Atlas) -> None:
    """Six steps on one sample lower its loss; a saved state loads bit for bit, clock included, and goes on alike."""
    import io

    from hepar.learn.sample import make_sample
    from hepar.learn.trainer import Trainer

    torch.set_num_threads(1)
    sample = make_sample(toy, (32, 32, 48), np.random.default_rng(2), plain=True)
    hu, target = torch.from_numpy(sample.hu)[None], torch.from_numpy(sample.target)[None]
    first = Trainer(recipe)
    losses = [first.update(hu, target)[0] for _ in range(3)]
    file = io.BytesIO()
    torch.save(first.state(), file)
    file.seek(0)
    second = Trainer(recipe)
    second.load(torch.load(file, weights_only=True))
    before, after = first.state(), second.state()
    for part in ("net", "mean"):
        for name, value in before[part].items():
            assert torch.equal(value, after[part][name]), name
    for key, moments in before["optimiser"]["state"].items():
        for name, value in moments.items():
            assert torch.equal(value, after["optimiser"]["state"][key][name]), name
    assert (second.step, second.learning_rate()) == (3, first.learning_rate())
    for _ in range(3):
        losses.append(first.update(hu, target)[0])
        assert second.update(hu, target)[0] == pytest.approx(losses[-1], rel=1e-5)
    assert losses[-1] < losses[0]


def test_a_resumed_stream_draws_the_same_samples(recipe: Recipe, toy: Atlas) -> None:
    """Sample number 7 is the same whether or not samples 0 to 6 were drawn before it."""
    from hepar.learn.source import draw

    for number in range(7):
        draw(recipe, [[toy]], number)
    again = draw(recipe, [[toy]], 7)
    assert np.array_equal(draw(recipe, [[toy]], 7).hu, again.hu)


def test_export_answers_like_the_network(recipe: Recipe, tmp_path: Path) -> None:
    """OpenVINO in float32 and torch differ by less than 1e-3 in the logits, on two input sizes."""
    ov = pytest.importorskip("openvino")
    pytest.importorskip("onnx")
    from hepar.learn.export import averaged_network, export
    from hepar.learn.trainer import Trainer

    trainer = Trainer(recipe)
    torch.save(trainer.state(), tmp_path / "state.pt")
    path = export(tmp_path / "state.pt", tmp_path, recipe)
    model = ov.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    net = averaged_network(trainer.state())
    for shape in ((16, 32, 48), (32, 48, 32)):
        image = torch.randn(1, 2, *shape, generator=torch.Generator().manual_seed(1)).clamp(-1, 1)
        with torch.no_grad():
            expected = net(image).numpy()
        assert np.abs(model(image.numpy())[0] - expected).max() < 1e-3


def test_evaluation_counts_found_and_false_lesions() -> None:
    """One true lesion found, one invented one far off, one missed; the liver's Dice as worked out by hand."""
    from hepar.learn.evaluate import score

    liver = np.zeros((20, 20, 20), bool)
    liver[2:18, 2:18, 2:18] = True
    lesions = np.zeros_like(liver)
    lesions[4:7, 4:7, 4:7] = True
    lesions[12:15, 12:15, 12:15] = True
    p = np.zeros((13, 20, 20, 20), np.float32)
    p[0] = 1
    p[:, 2:18, 2:18, 2:14] = 0
    p[1, 2:18, 2:18, 2:14] = 1
    for low in (4, 9):
        box = (slice(low, low + 3),) * 3 if low == 4 else (slice(10, 13), slice(4, 7), slice(8, 11))
        p[(slice(None), *box)] = 0
        p[(2, *box)] = 1
    row = score("a", p, liver, lesions)
    assert row.liver_dice == pytest.approx(2 * 12 / (12 + 16), abs=1e-4)
    assert (row.lesions, row.found, row.false_lesions) == (2, 1, 1)
    nothing = score(
        "b", np.eye(13, dtype=np.float32)[0][:, None, None, None] * np.ones((1, 20, 20, 20), np.float32), liver, lesions
    )
    assert (nothing.liver_ml, nothing.found, nothing.false_lesions) == (0, 0, 0)


def test_negatives_hold_no_liver() -> None:
    """Heads, legs and test objects are background only, and no lesion is painted into them."""
    from hepar.learn.negative import negative_atlas
    from hepar.learn.sample import make_sample

    for seed in range(4):
        sample = make_sample(negative_atlas(seed=seed), (32, 48, 48), np.random.default_rng(seed), plain=True)
        assert not sample.target.any()
        assert sample.lesions == ()
        assert (sample.hu > -200).mean() > 0.05


def test_recipe_refuses_two_lengths(tmp_path: Path) -> None:
    """Minutes and steps together, or neither, are a wrong call."""
    path = tmp_path / "bad.toml"
    path.write_text(RECIPE.replace("steps = 6", "steps = 6\nminutes = 1.0"))
    with pytest.raises(WrongCall, match="exactly one"):
        read_recipe(path)


def test_real_anatomies_load(shared_data: Path) -> None:
    """The TotalSegmentator example gets a dome above its cut, and lesion-free liver of plausible size."""
    from hepar.learn.atlas import totalseg_atlas

    folder = shared_data / "ct"
    atlas = totalseg_atlas(folder / "totalseg-native.nii.gz", folder / "totalseg-native_organs.nii.gz", seed=1)
    cut = atlas.tissue.shape[0] - 40
    assert (atlas.tissue[cut:] == Tissue.LIVER).any()
    assert 1200 < (atlas.tissue == Tissue.LIVER).sum() * 0.027 < 2600
    assert (atlas.tissue[-1] == Tissue.LUNG).any()


def test_dicom_and_its_labels_meet_on_one_grid(shared_data: Path) -> None:
    """The hand-drawn liver of a real portal venous scan holds tissue of 60 to 200 HU nearly everywhere."""
    from hepar.learn.scan import onto

    drawn = Path(__file__).parents[2] / "src/hepar/learn/labels/crlm-1004_organs.nii.gz"
    if not drawn.exists():
        pytest.skip("no training labels in this checkout")
    hu, first = read_lps(shared_data / "ct" / "crlm-1004.zip", order=1)
    labels, first_label = read_lps(drawn, order=0)
    liver = onto(labels, first_label, hu.shape, first) == 1
    assert 1000 < liver.sum() * 0.027 < 1500
    assert ((hu[liver] > 60) & (hu[liver] < 200)).mean() > 0.97


def test_a_signal_to_the_whole_group_leaves_the_samples_coming(recipe: Recipe, tmp_path: Path) -> None:
    """SIGTERM and Ctrl-C to the process that makes samples, as to a whole group: they come until the run has saved."""
    from hepar.learn.source import batches

    with batches(recipe, 0, tmp_path) as stream:
        next(stream)
        (worker,) = multiprocessing.active_children()
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(worker.pid or 0, number)
        for _ in range(12):  # more than are made ahead
            hu, _ = next(stream)
            assert hu.shape == (1, 16, 32, 32)
    assert not multiprocessing.active_children()


def test_samples_reach_the_training_whole() -> None:
    """They need nothing of the process that made them any more, which may be gone when they are drawn."""
    from hepar.learn.source import Arrays, drawn

    def three() -> Iterator[Arrays]:
        for number in range(3):
            yield np.full((1, 2, 2), number, np.float32), np.full((1, 2, 2), number, np.uint8)
        time.sleep(1)  # the three are on their way
        os._exit(0)

    with drawn(three) as stream:
        (worker,) = multiprocessing.active_children()
        worker.join(60)
        for number in range(3):
            image, target = next(stream)
            assert image.shape == target.shape == (1, 1, 2, 2)
            assert (image == number).all()
            assert (target == number).all()
