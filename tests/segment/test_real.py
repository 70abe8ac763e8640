"""The built-in model on real scans (beside the repository; skipped where they are missing)."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from hepar.ingest import IngestSettings, read_study
from hepar.record import Anatomy, Volume
from hepar.segment import SegmentSettings, engine


def _outline(source: Path, workspace: Path) -> tuple[Volume, Anatomy]:
    study = read_study(source, settings=IngestSettings(), workspace=workspace)
    (phase,) = study.phases
    built_in = engine("builtin", SegmentSettings(threads=2))
    return phase.volume, built_in.anatomy(phase.volume, built_in.organs(phase.volume))


def _labels(path: Path) -> NDArray[np.int16]:
    """A label file on (slice, row, column) with slices up, rows back, columns left, as ingest puts the volume."""
    image = nibabel.as_closest_canonical(nibabel.load(str(path)))
    return np.asarray(image.dataobj, dtype=np.int16).transpose(2, 1, 0)[:, ::-1, ::-1]


def test_expert_outlines_of_a_real_portal_venous_scan(shared_data: Path, tmp_path: Path) -> None:
    """3D-IRCADb case 17: liver Dice at least 0.90, both tumours found, at most 3 false lesions."""
    volume, anatomy = _outline(shared_data / "ct" / "ircadb-17.zip", tmp_path)
    labels = _labels(shared_data / "ct" / "ircadb-17_liver1_tumour2.nii.gz")
    liver = labels > 0
    assert labels.shape == volume.array.shape
    dice = 2 * (liver & anatomy.liver).sum() / (liver.sum() + anatomy.liver.sum())
    assert dice >= 0.90
    from scipy import ndimage

    tumours, count = ndimage.label(labels == 2)
    large = [n for n in range(1, count + 1) if (tumours == n).sum() * volume.geometry.voxel_volume_ml > 1]
    assert len(large) == 2
    found = [
        np.bincount(anatomy.lesions[tumours == n], minlength=2)[1:].sum() > 0.2 * (tumours == n).sum() for n in large
    ]
    assert all(found)
    false = [n for n in range(1, anatomy.lesions.max() + 1) if not (labels == 2)[anatomy.lesions == n].any()]
    assert len(false) <= 3


@pytest.mark.parametrize(("name", "low_ml", "high_ml"), [("crlm-1004", 1100, 1700), ("crlm-1006", 1400, 2000)])
def test_unlabelled_scans_give_plausible_whole_livers(
    shared_data: Path, tmp_path: Path, name: str, low_ml: float, high_ml: float
) -> None:
    """Volumes seen by eye to be right; a leak into the heart would exceed them. No edge cuts these livers."""
    volume, anatomy = _outline(shared_data / "ct" / f"{name}.zip", tmp_path)
    assert low_ml < anatomy.liver.sum() * volume.geometry.voxel_volume_ml < high_ml
    assert anatomy.notices == ()


def test_training_anatomy_still_fits(shared_data: Path, tmp_path: Path) -> None:
    """The native scan used in training: volume within 10 % of its automatic label, cut at the top."""
    study = read_study(
        shared_data / "ct" / "totalseg-native.nii.gz", modality="CT", settings=IngestSettings(), workspace=tmp_path
    )
    (phase,) = study.phases
    built_in = engine("builtin", SegmentSettings(threads=2))
    anatomy = built_in.anatomy(phase.volume, built_in.organs(phase.volume))
    reference = (_labels(shared_data / "ct" / "totalseg-native_organs.nii.gz") == 5).sum() * 27 / 1000
    assert anatomy.liver.sum() * phase.volume.geometry.voxel_volume_ml == pytest.approx(reference, rel=0.10)
    assert [notice.code for notice in anatomy.notices] == ["liver_cut"]
