"""A MONAI bundle as an engine (tests/external/monai_bundle.py makes it with MONAI itself).

HEPAR_MONAI_PYTHON names the Python of an environment with monai, pytorch-ignite, nibabel and fire.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hepar.record import Geometry, Organ, Volume
from hepar.segment import SegmentSettings
from hepar.segment.external import External, load

pytestmark = pytest.mark.external


def test_bundle_outlines_a_phantom(monai_python: Path, tmp_path: Path) -> None:
    """MONAI loads, resamples, runs windows, inverts and saves: the liver's Dice is above 0.95, the lesion is one."""
    bundle = tmp_path / "bundle"
    maker = Path(__file__).parent / "monai_bundle.py"
    subprocess.run([str(monai_python), str(maker), str(bundle)], check=True, timeout=600)
    file = tmp_path / "bundle.toml"
    file.write_text(
        f'kind = "monai"\npython = "{monai_python}"\nmodel = "{bundle}"\ntimeout_s = 900\n'
        '[labels]\nliver = 1\nlesion = 2\n[licence]\nname = "own model"\n'
    )
    geometry = Geometry.regular((50, 90, 100), (4.0, 3.0, 2.5), (-120.0, -130.0, -98.0))
    index = np.stack(np.meshgrid(*[np.arange(n) for n in geometry.shape], indexing="ij"), -1)
    place = geometry.to_lps_mm(index)
    liver = (((place - (-40, -10, 0)) / (60, 60, 65)) ** 2).sum(-1) < 1
    lesion = (((place - (-40, -10, 0)) / 20) ** 2).sum(-1) < 1
    hu = np.full(geometry.shape, -100, np.int16)
    hu[liver] = 110
    hu[lesion] = 170
    engine = External(load(file), SegmentSettings(threads=2), lambda licence: True)
    labels = engine._native(Volume(hu, geometry, "CT"), lambda done: None)
    found = np.isin(labels, (Organ.LIVER, Organ.LESION))
    dice = 2 * (found & liver).sum() / (found.sum() + liver.sum())
    inside = 2 * ((labels == Organ.LESION) & lesion).sum() / ((labels == Organ.LESION).sum() + lesion.sum())
    print(f"liver Dice {dice:.3f}, lesion Dice {inside:.3f}, {engine.version}, {engine.log}")
    assert dice > 0.9
    assert inside > 0.8
    assert engine.version.startswith("MONAI 1.")
    assert engine.version.endswith("bundle 0.1.0")
    assert len(engine.weights_sha256) == 64
    assert str(tmp_path) not in json.dumps(engine.log)


def test_python_without_monai_is_said(tmp_path: Path) -> None:
    """This test's own Python holds none."""
    from hepar.errors import WrongCall

    (tmp_path / "bundle" / "configs").mkdir(parents=True)
    (tmp_path / "bundle" / "configs" / "inference.json").write_text("{}")
    file = tmp_path / "bundle.toml"
    file.write_text(
        f'kind = "monai"\npython = "{sys.executable}"\nmodel = "bundle"\n[labels]\nliver = 1\n[licence]\nname = "own"\n'
    )
    with pytest.raises(WrongCall, match="has no package monai"):
        External(load(file), SegmentSettings(), lambda licence: True)
