"""What a site's training starts from and draws: the exported network read back, and samples of its cases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest


def test_an_exported_network_comes_back_whole(tmp_path: Path) -> None:
    """Every weight, the group norms' too: torch and the file agree to half precision; other sizes are refused."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from hepar.errors import Fault
    from hepar.learn.adapt import RECIPE
    from hepar.learn.export import export
    from hepar.learn.exported import load_exported
    from hepar.learn.recipe import read_recipe
    from hepar.learn.region_evaluate import open_region
    from hepar.learn.trainer import Trainer, new_network

    recipe = replace(read_recipe(RECIPE), widths=(8, 8, 8, 8, 8), blocks=(1, 1, 1, 1))
    trainer = Trainer(recipe)
    with torch.no_grad():
        for value in trainer.net.parameters():
            value.add_(0.1 * torch.randn_like(value))
    trainer.mean = {k: v.clone() for k, v in trainer.net.state_dict().items()}
    torch.save(trainer.state(), tmp_path / "state.pt")
    path = export(tmp_path / "state.pt", tmp_path, recipe)
    net = new_network("region", recipe.widths, recipe.blocks)
    load_exported(net, path)
    net.eval()
    image = np.random.default_rng(0).normal(size=(4, 16, 32, 32)).astype(np.float16)
    with torch.no_grad():
        own = net(torch.from_numpy(image.astype(np.float32))[None])[0].softmax(0).numpy()
    assert np.abs(own - open_region(path)(image)).max() < 0.01
    with pytest.raises(Fault, match="architecture"):
        load_exported(new_network("region", recipe.widths, (1, 2, 1, 1)), path)


def test_site_samples_are_of_the_case_and_repeat() -> None:
    """The same seed gives the same patch; lesions, veins and the case's phases are in it; nothing beyond is known."""
    pytest.importorskip("torch")
    from hepar.learn.adapt_sample import SiteVolume, draw_painted, draw_site
    from hepar.learn.classes import Tissue
    from hepar.learn.region import RegionAtlas

    shape = (40, 48, 48)
    target = np.zeros(shape, np.uint8)
    target[8:32, 8:40, 8:40] = 1
    target[10:12] *= 3
    lesions = np.zeros(shape, np.uint16)
    lesions[18:24, 20:26, 20:26] = 1
    target[lesions > 0] = 2
    image = np.zeros((4, *shape), np.float16)
    image[2] = np.where(target > 0, 0.05, -0.8) - 0.4 * (target == 2)
    tissue = np.where(target > 0, Tissue.LIVER, Tissue.FAT).astype(np.uint8)
    tissue[target == 2] = Tissue.REAL_LESION
    mean = np.zeros(len(Tissue), np.float32)
    mean[Tissue.LIVER], mean[Tissue.FAT], mean[Tissue.REAL_LESION] = 60, -90, 30
    none = np.zeros(shape, np.uint8)
    volume = SiteVolume(
        image, target, lesions, RegionAtlas("site", tissue, none.astype(np.float16), mean, none, none, True)
    )
    seen = set()
    for seed in range(8):
        one, two = (draw_site(volume, (32, 32, 32), np.random.default_rng(seed)) for _ in range(2))
        assert np.array_equal(one.image, two.image)
        assert one.phases == (2,)
        assert not one.image[[0, 1, 3]].any()
        seen |= set(np.unique(one.target).tolist())
        sick = one.image[2][one.target == 2].astype(np.float32)
        if sick.size > 50:
            assert sick.mean() < one.image[2][one.target == 1].astype(np.float32).mean() - 0.15
    assert {1, 2, 3} <= seen
    painted = draw_painted(volume, (32, 32, 32), np.random.default_rng(0))
    assert painted.phases == (3,)
    assert painted.image[2].any()
