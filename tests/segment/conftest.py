"""The stand-in network for the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from segment_phantom import write_region_standin, write_standin

from hepar.record import Geometry
from hepar.segment import SegmentSettings
from hepar.segment.builtin import Builtin


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in network's file."""
    return write_standin(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="session")
def region_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in region network's file."""
    return write_region_standin(tmp_path_factory.mktemp("region"))


@pytest.fixture(scope="session")
def outliner(weights: Path, region_weights: Path) -> Builtin:
    """The built-in engine with the stand-in networks."""
    return Builtin(SegmentSettings(threads=1), weights=weights, region_weights=region_weights)


@pytest.fixture(scope="session")
def grid() -> Geometry:
    """A usual abdominal grid, coarser in plane so that tests stay fast."""
    return Geometry.regular((80, 180, 180), (2.5, 2.0, 2.0), (-179.0, -179.0, -99.0))
