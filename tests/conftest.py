"""Fixtures that several steps share."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real scans beside the repository; the test is skipped where it is missing."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the real scans in ../shared/data, which are not here")
    return SHARED_DATA
