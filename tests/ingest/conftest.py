"""Shorthands for reading in tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hepar.ingest import IngestSettings, Inspection, inspect, read_study
from hepar.record import Study


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Study]:
    """read_study with default settings and a workspace that vanishes."""

    def run(path: Path, **options: object) -> Study:
        options.setdefault("settings", IngestSettings())
        return read_study(path, workspace=tmp_path / "workspace", **options)

    return run


@pytest.fixture
def look(tmp_path: Path) -> Callable[..., Inspection]:
    """inspect with default settings."""

    def run(path: Path, **options: object) -> Inspection:
        options.setdefault("settings", IngestSettings())
        return inspect(path, workspace=tmp_path / "workspace", **options)

    return run
