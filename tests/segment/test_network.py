"""Running the network: windows, padding, determinism."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hepar.errors import Fault, WrongCall
from hepar.record import Organ
from hepar.segment import SegmentSettings
from hepar.segment.network import OVERLAP, Network, windows


@pytest.mark.parametrize("shape", [(30, 40, 50), (64, 120, 120), (520, 118, 105), (200, 210, 230), (1, 1, 1)])
def test_windows_cover_everything_once(shape: tuple[int, int, int]) -> None:
    """Every voxel belongs to exactly one window, and lies 24 voxels from that window's seams at least."""
    seen = np.zeros(shape, np.uint8)
    for window, keep in windows(shape, 1_600_000):
        seen[keep] += 1
        for w, k, n in zip(window, keep, shape, strict=True):
            assert w.stop <= n
            assert k.start - w.start >= (OVERLAP // 2 if w.start else 0)
            assert w.stop - k.stop >= (OVERLAP // 2 if w.stop < n else 0)
    assert (seen == 1).all()


def test_small_body_goes_in_one_pass_and_long_body_in_bounded_windows() -> None:
    """An abdomen is one window; a 1.5 m scan is several, none above the limit."""
    assert len(windows((64, 112, 96), 1_600_000)) == 1
    several = windows((520, 118, 105), 1_600_000)
    assert len(several) > 1
    assert max(np.prod([s.stop - s.start for s in w]) for w, _ in several) <= 1_600_000


def _body(rng: np.random.Generator) -> np.ndarray:
    hu = np.full((70, 130, 60), -1000, np.float32)
    hu[:, 5:-5, 5:-5] = 155
    hu[10:60, 20:110, 15:45] = rng.normal(100, 25, (50, 90, 30))
    return hu


def test_windows_and_one_pass_agree(weights: Path) -> None:
    """The stand-in sees three voxels far, so windows change nothing at all."""
    hu = _body(np.random.default_rng(3))
    whole = Network(weights, "f32", 1, 10**9).probabilities(hu)
    parts = Network(weights, "f32", 1, 112 * 96 * 48).probabilities(hu)
    for one, other in zip(whole, parts, strict=True):
        assert (one == other).all()
    assert {Organ.LIVER, Organ.LESION} <= set(np.unique(whole[0]))


def test_same_input_gives_the_same_bytes_whatever_the_threads(weights: Path) -> None:
    """Two runs and two thread counts agree bit by bit."""
    hu = _body(np.random.default_rng(4))
    first = Network(weights, "f32", 1, 10**9).probabilities(hu)
    for threads in (1, 2):
        again = Network(weights, "f32", threads, 10**9).probabilities(hu)
        assert all((a == b).all() for a, b in zip(first, again, strict=True))


def test_air_is_background(weights: Path) -> None:
    """A volume without a body is not even shown to the network."""
    labels, lesion, liver = Network(weights, "f32", 1, 10**9).probabilities(np.full((20, 30, 40), -1000, np.float32))
    assert not labels.any()
    assert not lesion.any()
    assert not liver.any()


def test_missing_weights_are_our_fault(tmp_path: Path) -> None:
    """The message names the file and what to do."""
    with pytest.raises(Fault, match=r"gone\.onnx are missing"):
        Network(tmp_path / "gone.onnx", "f32", 1, 10**6)


def test_unknown_precision_is_a_wrong_call() -> None:
    """The message lists what exists."""
    with pytest.raises(WrongCall, match="f32, bf16"):
        SegmentSettings(precision="int8")


_TWO_NETWORKS = """
import gc, os, signal, sys
import numpy as np
from hepar.segment.network import OnnxNetwork, shipped
first, second = (OnnxNetwork(shipped("region"), "f32", 1, 1_600_000) for _ in range(2))
image = np.zeros((1, 4, 16, 32, 32), np.float32)
for network in (first, second):
    network.logits(image, 5)
for network in (first, second):
    network.release()
    gc.collect()
seen = []
signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
os.kill(os.getpid(), signal.SIGTERM)
sys.exit(0 if seen == [signal.SIGTERM] else 1)
"""


def test_a_signal_is_heard_after_two_networks_went_in_the_order_they_came() -> None:
    """The handler runs; with an OpenVINO core for each network the process died of a segmentation fault."""
    assert subprocess.run([sys.executable, "-c", _TWO_NETWORKS], timeout=120).returncode == 0
