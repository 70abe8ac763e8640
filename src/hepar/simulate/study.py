"""One virtual study, from the drawn patient to the files and their truth."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepar.errors import WrongCall
from hepar.record import Geometry, derived_uid

from . import dicom
from .anatomy import draw_patient
from .breathing import Breathing
from .contrast import lesion_hu, tissue_hu
from .enhanced import write_enhanced
from .lesions import PlacedLesion, place_lesions
from .scanner import render
from .settings import PhaseSettings, SimulationSettings
from .shapes import rotation
from .still import StillPatient, region_of

REPORTED_TISSUES = ("liver", "aorta", "portal_vein", "hepatic_veins", "vena_cava", "spleen", "kidney_cortex", "muscle")


@dataclass(frozen=True)
class SimulatedStudy:
    """What was written. study_dir holds only the images (give it to `hepar analyze`); truth_file is the truth."""

    study_dir: Path
    truth_file: Path
    study_uid: str
    series_uids: tuple[str, ...]
    label_files: tuple[Path, ...]


def simulate(
    out_dir: Path,
    settings: SimulationSettings,
    seed: int,
    progress: Callable[[str, float], None] | None = None,
) -> SimulatedStudy:
    """Draw a patient, scan every phase and write it below out_dir. The same settings and seed give the same bytes.

    out_dir/dicom/ or out_dir/nifti/: the images. out_dir/truth.json: what is true of them.
    out_dir/truth/N_labels.nii.gz: labels of phase N on its own grid, 1 liver (with the vessels inside it), 10 + k
    lesion k (k from 1).
    progress gets a step's name and its share done. Raises WrongCall when out_dir exists and is not empty, or when a
    lesion finds no place.
    """
    if out_dir.exists() and any(out_dir.iterdir()):
        raise WrongCall("the folder for the simulated study is not empty; name a new or an empty one")
    tell = progress or _silent
    tell("anatomy", 0.0)
    # Each part draws from its own generator, so that changing one setting leaves the rest of the patient alone.
    patient = draw_patient(np.random.default_rng([seed, 0]), settings.liver_ml, settings.cirrhosis_mm)
    lesions = place_lesions(patient, settings.lesions, np.random.default_rng([seed, 1]))
    geometry = scan_geometry(settings)
    breathings = [
        Breathing.draw(np.random.default_rng([seed, 2, n]), phase.shift_lps_mm, phase.bend_mm)
        for n, phase in enumerate(settings.phases)
    ]
    margin = max(b.reach_mm for b in breathings) + settings.scanner.thickness_mm + 4
    step = 2.0 if min(settings.spacing_mm) < 1.5 else 3.0
    cover = region_of([geometry], patient, margin, step)
    still = StillPatient(patient, cover, np.random.default_rng([seed, 3]))
    study_uid = derived_uid("hepar.simulate", "study", str(seed), repr(settings))
    images = out_dir / ("nifti" if settings.output == "nifti" else "dicom")
    (out_dir / "truth").mkdir(parents=True, exist_ok=True)
    plans, label_files, phases = [], [], []
    for n, (phase, breathing) in enumerate(zip(settings.phases, breathings, strict=True)):
        name = f"phase {n + 1} of {len(settings.phases)}"
        pixels, labels = render(
            still, lesions, geometry, settings.scanner, phase.seconds, phase.label, breathing,
            np.random.default_rng([seed, 4, n]), settings.strength, partial(tell, name),
        )  # fmt: skip
        plans.append(plan_series(n, phase, settings, study_uid))
        write_phase(images, n, pixels, geometry, phase, settings, plans[n], np.random.default_rng([seed, 5, n]))
        label_files.append(out_dir / "truth" / f"{n + 1}_labels.nii.gz")
        write_nifti(label_files[n], labels, geometry)
        phases.append(_phase_truth(n, phase, settings, plans[n], breathing, lesions, labels, geometry))
    truth = {
        "schema": "hepar-simulation-truth/1.0", "seed": seed, "study_uid": study_uid,
        "liver_volume_ml": round(patient.liver_ml, 2),
        "lesions": [_lesion_truth(i, one) for i, one in enumerate(lesions, 1)],
        "phases": phases, "settings": asdict(settings),
    }  # fmt: skip
    truth_file = out_dir / "truth.json"
    truth_file.write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    tell("done", 1.0)
    series = tuple(dict.fromkeys(plan.series_uid for plan in plans))
    return SimulatedStudy(images, truth_file, study_uid, series, tuple(label_files))


def _silent(step: str, share: float) -> None:
    """Progress that nobody wants."""


def scan_geometry(settings: SimulationSettings) -> Geometry:
    """The grid of the scan before flipping: slices from the feet up."""
    dz, dy, dx = settings.spacing_mm
    turn = np.eye(3)
    step = np.array([0.0, 0.0, dz])
    if settings.tilt_deg:
        turn = rotation((settings.tilt_deg, 0, 0))
    elif settings.oblique_deg:
        turn = rotation((settings.oblique_deg, 0, 0)) @ rotation((0, 0, settings.oblique_deg))
        step = turn @ step
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = step, turn[:, 1] * dy, turn[:, 0] * dx
    half = (np.asarray(settings.shape) - 1) / 2
    affine[:3, 3] = np.asarray(settings.centre_lps_mm) - affine[:3, :3] @ half
    return Geometry(settings.shape, affine)


def write_nifti(file: Path, values: NDArray[np.int16] | NDArray[np.uint8], geometry: Geometry, effort: int = 3) -> None:
    """Write an array (slice, row, column) as NIfTI, always the same bytes. Axes column, row, slice; RAS. effort: of the
    compression, 0 (none, for a name that ends in .nii) to 9."""
    import nibabel as nib

    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ geometry.affine[:, [2, 1, 0, 3]]
    image = nib.Nifti1Image(values.transpose(2, 1, 0), affine)
    image.header.set_xyzt_units("mm", "sec")
    file.write_bytes(gzip.compress(image.to_bytes(), compresslevel=effort, mtime=0) if effort else image.to_bytes())


def plan_series(n: int, phase: PhaseSettings, settings: SimulationSettings, study_uid: str) -> dicom.SeriesPlan:
    """Numbers and UIDs of the n-th phase's series."""
    single = settings.one_series
    return dicom.SeriesPlan(
        study_uid=study_uid,
        frame_uid=derived_uid(study_uid, "frame of reference"),
        series_uid=derived_uid(study_uid, "series", "all" if single else str(n)),
        series_number=2 if single else n + 2,
        acquisition_number=n + 1,
        first_instance=1 + (n * settings.shape[0] if single else 0),
        description=f"Liver {len(settings.phases)} phases" if single else phase.description,
    )


def write_phase(images: Path, n: int, pixels: NDArray[np.int16], geometry: Geometry, phase: PhaseSettings,
           settings: SimulationSettings, plan: dicom.SeriesPlan, rng: np.random.Generator,
           effort: int = 3) -> None:  # fmt: skip
    """Write the n-th phase below images in the form that the settings ask for. effort: see `write_nifti`."""
    affine = geometry.affine.copy()
    for axis, name in enumerate(("slice", "row", "column")):
        if name in settings.flip:
            pixels = np.flip(pixels, axis)
            affine[:3, 3] += affine[:3, axis] * (geometry.shape[axis] - 1)
            affine[:3, axis] *= -1
    stored = Geometry(geometry.shape, affine)
    folder = (
        images if settings.shuffle_names or settings.output != "dicom" else images / f"series{plan.series_number:02d}"
    )
    folder.mkdir(parents=True, exist_ok=True)
    if settings.output == "nifti":
        name = f"{n + 1}_{phase.label}.nii" + (".gz" if effort else "")
        write_nifti(folder / name, np.ascontiguousarray(pixels), stored, effort)
    elif settings.output == "enhanced":
        write_enhanced(folder / f"phase{n + 1}.dcm", pixels, stored, phase, settings, plan)
    else:
        names = [f"IM{plan.first_instance + k:05d}.dcm" for k in range(len(pixels))]
        if settings.shuffle_names:
            names = [f"{n}{rng.integers(2**52):013x}" for _ in names]
        dicom.write_series(folder, names, pixels, stored, phase, settings, plan)


def _lesion_truth(number: int, lesion: PlacedLesion) -> dict[str, object]:
    spec = lesion.spec
    return {
        "id": number, "label": 10 + number, "kind": spec.kind, "exact_ellipsoid": spec.irregularity == 0,
        "centre_lps_mm": _rounded(lesion.centre_lps_mm), "semi_axes_mm": list(spec.semi_axes_mm),
        "volume_ml": round(lesion.volume_ml, 4),
        "axial_long_axis_mm": round(lesion.axial_long_axis_mm, 2),
        "max_3d_diameter_mm": round(lesion.max_3d_diameter_mm, 2),
        "rim_mm": spec.rim_mm, "core_share_of_radius": spec.core,
    }  # fmt: skip


def _phase_truth(n: int, phase: PhaseSettings, settings: SimulationSettings, plan: dicom.SeriesPlan,
                 breathing: Breathing, lesions: tuple[PlacedLesion, ...], labels: NDArray[np.uint8],
                 geometry: Geometry) -> dict[str, object]:  # fmt: skip
    counts = np.bincount(labels.ravel(), minlength=256)
    covered = labels > 0
    mass = [covered.sum(axis=tuple(a for a in range(3) if a != axis)) for axis in range(3)]
    centroid = [float(np.arange(len(m)) @ m) / max(1, int(m.sum())) for m in mass]
    t, strength = phase.seconds, settings.strength
    inside = []
    for k, one in enumerate(lesions, start=1):
        centre = breathing.moved(one.centre_lps_mm)
        body = dict(one.spec.hu).get(phase.label, lesion_hu(one.spec.kind, "body", t, strength))
        inside.append({
            "id": k, "centre_lps_mm": _rounded(centre), "voxels": int(counts[10 + k]), "body_hu": round(body, 1),
            "rim_hu": round(lesion_hu(one.spec.kind, "rim", t, strength), 1) if one.spec.rim_mm else None,
            "core_hu": round(lesion_hu(one.spec.kind, "core", t, strength), 1) if one.spec.core else None,
        })  # fmt: skip
    return {
        "number": n + 1, "label": phase.clinical_label, "arterial_timing": phase.arterial_timing, "delay_s": t,
        "series_uid": plan.series_uid if settings.output != "nifti" else None,
        "acquisition_number": plan.acquisition_number, "description": plan.description,
        "shift_lps_mm": list(phase.shift_lps_mm), "bend_mm": phase.bend_mm,
        "labels_file": f"truth/{n + 1}_labels.nii.gz",
        "liver_centroid_lps_mm": [round(float(v), 3) for v in geometry.to_lps_mm(centroid)],
        "liver_label_ml": round(float(counts[1] + counts[11:].sum()) * geometry.voxel_volume_ml, 3),
        "hu": {name: round(tissue_hu(name, t, strength), 1) for name in REPORTED_TISSUES}, "lesions": inside,
    }  # fmt: skip


def _rounded(point: tuple[float, float, float]) -> list[float]:
    return [round(v, 3) for v in point]
