"""The network that ships: whole, small, and right where the answer is known."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

import hepar.segment
from hepar.learn.classes import CLASS_NAMES, LIVER_CLASSES
from hepar.learn.evaluate import Network, open_network

WEIGHTS = Path(hepar.segment.__file__).parent / "weights"


@pytest.fixture(scope="module")
def network() -> Network:
    return open_network(WEIGHTS / "liver3mm.onnx")


def test_the_file_is_the_one_its_card_describes() -> None:
    """Hash, class list and size (at most 4 million parameters and 15 MB) are as stated."""
    about = json.loads((WEIGHTS / "liver3mm.json").read_text())
    data = (WEIGHTS / "liver3mm.onnx").read_bytes()
    assert about["sha256"] == hashlib.sha256(data).hexdigest()
    assert about["classes"] == list(CLASS_NAMES)
    assert about["parameters"] <= 4_000_000
    assert len(data) <= 15_000_000
    assert about["sha256"][:12] in (WEIGHTS / "CARD.md").read_text()


def test_it_finds_the_liver_of_a_patient_it_never_saw(network: Network) -> None:
    """A new virtual patient in an unseen draw: liver Dice at least 0.85."""
    from hepar.learn.sample import make_sample
    from hepar.learn.virtual import virtual_atlas

    atlas = virtual_atlas(seed=777_001)
    sample = make_sample(atlas, (80, 96, 128), np.random.default_rng(777), plain=True)
    guess = network(sample.hu)[list(LIVER_CLASSES)].sum(0) > 0.5
    truth = np.isin(sample.target, LIVER_CLASSES)
    assert 2 * (guess & truth).sum() / (guess.sum() + truth.sum()) > 0.85


@pytest.mark.parametrize("seed", [700_000, 700_001, 700_002, 700_003])
def test_it_finds_no_liver_in_heads_legs_and_test_objects(network: Network, seed: int) -> None:
    """Less than 20 ml of liver in an unseen anatomy that has none."""
    from hepar.learn.negative import negative_atlas
    from hepar.learn.sample import make_sample

    sample = make_sample(negative_atlas(seed=seed), (64, 80, 80), np.random.default_rng(seed), plain=True)
    assert (network(sample.hu)[list(LIVER_CLASSES)].sum(0) > 0.5).sum() * 0.027 < 20
