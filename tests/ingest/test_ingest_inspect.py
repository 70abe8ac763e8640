"""Inspection tells what reading would do."""

from __future__ import annotations

import numpy as np
import pytest
from ingest_phantom import axes, body, make_enhanced, make_series, save

from hepar.errors import Refused, WrongCall
from hepar.record import Geometry


def test_inspection_agrees_with_reading(tmp_path, look, read):
    """Same phases, grids, labels and reasons; no pixel is needed."""
    tilted = axes()
    tilted[:3, 0] += [0, 0.5, 0]
    folder = save(
        tmp_path / "s",
        make_series(series="1.2.3.51", SeriesDescription="arterial late", affine=tilted),
        make_enhanced([body(), body(seed=4)], series="1.2.3.52"),
        make_series(body(3), series="1.2.3.53", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
        make_series(series="1.2.3.54", acquisition_s=39000.0)[:4] + make_series(series="1.2.3.54")[5:],
    )
    study = read(folder)
    seen = look(folder)
    assert seen.refusal == ""
    assert seen.patients == 1
    assert [(s.uid, s.date, s.modalities, s.series) for s in seen.studies] == [("1.2.3.4", "2026-01-10", ("CT",), 4)]
    used = [row for row in seen.series if row.analysed]
    assert [(r.series_uid, r.images, r.guess, r.acquired_s, r.tilt_deg, r.notices) for r in used] == [
        (p.series_uid, len(p.frames), p.guess, p.acquired_s, p.tilt_deg, p.quality) for p in study.phases
    ]
    assert all(r.geometry.is_close(p.volume.geometry) for r, p in zip(used, study.phases, strict=True))
    assert [(r.series_uid, r.images, r.refusal) for r in seen.series if not r.analysed] == [
        (s.series_uid, s.images, s.reason) for s in study.skipped
    ]
    assert [r.description for r in seen.series if r.series_uid == "1.2.3.51"] == ["arterial late"]


def test_several_studies_are_listed_not_raised(tmp_path, look):
    """Inspection shows all of them, with what `analyze` would say."""
    other = make_series(series="1.2.3.70", PatientID="P2", StudyInstanceUID="1.2.3.44", StudyDate="20250303")
    folder = save(tmp_path / "s", make_series(), other)
    seen = look(folder)
    assert seen.patients == 2
    assert [s.uid for s in seen.studies] == ["1.2.3.4", "1.2.3.44"]
    assert "--study" in seen.refusal
    assert [r.study_uid for r in seen.series if r.analysed] == ["1.2.3.4", "1.2.3.44"]
    chosen = look(folder, study_uid="1.2.3.44")
    assert chosen.refusal == ""
    assert {r.study_uid for r in chosen.series} == {"1.2.3.44"}


def test_pixels_only_when_asked(tmp_path, look):
    """A series whose compressed pixels are broken looks fine by its headers and is refused with voxels=True."""
    slices = make_series(body(5, 64, 64))
    for ds in slices:
        ds.compress("1.2.840.10008.1.2.4.90", generate_instance_uid=False)
        ds.PixelData = ds.PixelData[:40] + bytes(len(ds.PixelData) - 40)
    folder = save(tmp_path / "s", slices)
    assert look(folder).refusal == ""
    assert "cannot be decoded" in look(folder, voxels=True).refusal


def test_nothing_to_inspect(tmp_path, look):
    """An empty folder is refused, a missing one a wrong call."""
    with pytest.raises(Refused, match="no files in there"):
        look(tmp_path)
    with pytest.raises(WrongCall):
        look(tmp_path / "nothing")


def test_nifti_headers(tmp_path, look):
    """Grid, count and words of the name; masks of 8 bits and missing modality are told."""
    import nibabel as nib

    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ axes()[:, [2, 1, 0, 3]]
    for name, array in {"x_art.nii.gz": body(18), "liver.nii": (body(18) > 0).astype(np.uint8)}.items():
        image = nib.Nifti1Image(array.T, affine)
        image.set_sform(affine, 1)
        nib.save(image, tmp_path / name)
    seen = look(tmp_path, modality="CT")
    assert seen.refusal == ""
    used = [r for r in seen.series if r.analysed]
    assert [(r.guess.label, r.images, r.description) for r in used] == [("arterial", 1, "x_art.nii.gz")]
    assert used[0].geometry.is_close(Geometry((18, 24, 20), axes()))
    assert [r.refusal.code for r in seen.series if not r.analysed] == ["label_mask"]
    assert "--modality" in look(tmp_path).refusal
