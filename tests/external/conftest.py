"""Tests that need a program in an environment of its own; each is skipped until its environment is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def named(variable: str, what: str) -> Path:
    """The path in an environment variable; the test is skipped, saying which to set, where it is empty."""
    value = os.environ.get(variable, "")
    if not value:
        pytest.skip(f"needs {what}: set {variable} to its Python")
    return Path(value)


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Licences are accepted in a folder of the test's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture(scope="session")
def nnunet_python() -> Path:
    """The Python of an environment with nnU-Net (pip install nnunetv2)."""
    return named("HEPAR_NNUNET_PYTHON", "an environment with nnunetv2")


@pytest.fixture(scope="session")
def monai_python() -> Path:
    """The Python of an environment with MONAI (pip install monai pytorch-ignite nibabel fire)."""
    return named("HEPAR_MONAI_PYTHON", "an environment with monai, pytorch-ignite, nibabel and fire")
