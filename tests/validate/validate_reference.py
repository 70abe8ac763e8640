"""The reference numbers of other software, and their inputs."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference"


def expected(block):
    """One block of validation_expected.json; skips where the references are not beside the repository."""
    path = REFERENCE / "validation_expected.json"
    if not path.is_file():
        pytest.skip("needs the reference numbers in ../shared/reference, which are not here")
    return json.loads(path.read_text())[block]


def table(name):
    """Columns of an input table; numbers as float64, anything else as text."""
    with (REFERENCE / "validation" / name).open() as file:
        rows = list(csv.DictReader(file))
    return {key: column([row[key] for row in rows]) for key in rows[0]}


def column(values):
    try:
        return np.array([float(v) if v else np.nan for v in values])
    except ValueError:
        return np.array(values)


def close(got, want, rel=1e-6):
    """Every number within `rel`, or within 1e-12 of zero."""
    np.testing.assert_allclose(np.ravel(np.array(got, float)), np.ravel(np.array(want, float)), rtol=rel, atol=1e-12)


def ends(estimate):
    return [estimate.low, estimate.high]


def full(estimate):
    return [estimate.estimate, estimate.low, estimate.high]


def error(estimate):
    """Standard error behind a normal interval."""
    return (estimate.high - estimate.low) / 2 / 1.959963984540054


def pick(block, *keys):
    return [block[key] for key in keys]
