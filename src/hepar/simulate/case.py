"""A drawn case as files: four phases, the label map of the portal venous phase, and everything that is true of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.errors import WrongCall
from hepar.record import Geometry, derived_uid

from .breathing import Breathing
from .contrast import tissue_hu
from .distribution import Distribution
from .draw import Case, draw_case, moved, phase_key
from .extras import clot_of, metal_of
from .labelled import Labelled
from .perfusion import perfused_hu
from .planes import NoiseShape
from .scanner import Looks, scan
from .settings import SimulationSettings
from .shapes import Grid
from .still import GRAIN, Sampled, StillPatient, region_of
from .study import plan_series, scan_geometry, write_nifti, write_phase
from .tumour import Envelope, TumourInlay

TRUTH_PHASE = "portal_venous"
SCHEMA = "hepar-virtual-case/1.0"
COVER_MM = 2.4


def simulate_case(
    out_dir: Path,
    distribution: Distribution,
    number: int,
    *,
    output: str = "nifti",
    compress: bool = True,
    only: Collection[str] | None = None,
    anatomy: Labelled | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> dict[str, Any]:
    """Draw case `number` (from 0), scan its four phases and write it below out_dir; returns what truth.json holds.

    out_dir/nifti/N_LABEL.nii.gz (or out_dir/dicom/): the images. out_dir/truth/labels.nii.gz: the portal venous phase
    on its grid: 1 liver, 2 portal tree and 3 hepatic veins inside it, 10 + k lesion k (k from 1). out_dir/truth.json.
    compress: False writes .nii, larger and quicker. only: labels of the phases to scan; None: all.
    anatomy: a labelled CT to build the patient on (`load_labelled`); its hash stands in the truth, nothing of it is
    written as it is. The same file, number and anatomy give the same bytes. Raises WrongCall when out_dir is not empty.
    """
    if out_dir.exists() and any(out_dir.iterdir()):
        raise WrongCall("the folder for the simulated case is not empty; name a new or an empty one")
    case = draw_case(distribution, number, anatomy)
    settings = _with_output(case.settings, output)
    geometry = scan_geometry(settings)
    breathings = breathings_of(case, distribution)
    cover = cover_of(case, geometry, breathings)
    grain = distribution.tables["patient"].get("grain", GRAIN)
    still = StillPatient(case.patient, cover, distribution.rng(number, 8), case.warp, grain)
    built_on = () if anatomy is None else (anatomy.sha256,)
    study_uid = derived_uid("hepar.simulate", "case", distribution.sha256, str(number), output, *built_on)
    images = out_dir / ("nifti" if output == "nifti" else "dicom")
    (out_dir / "truth").mkdir(parents=True, exist_ok=True)
    phases, labels = [], np.zeros(0, np.uint8)
    for n, (phase, breathing) in enumerate(zip(settings.phases, breathings, strict=True)):
        if only is not None and phase.clinical_label not in only:
            continue
        pixels, here = _phase(case, still, geometry, n, breathing, distribution, progress)
        write_phase(images, n, pixels, geometry, phase, settings, plan_series(n, phase, settings, study_uid),
                    distribution.rng(number, 10, n), effort=1 if compress else 0)  # fmt: skip
        if phase.label == TRUTH_PHASE:
            labels = here
            write_nifti(out_dir / "truth" / "labels.nii.gz", here, geometry)
        phases.append(_phase_truth(case, n, breathing))
    truth = _truth(case, distribution, study_uid, geometry, labels, phases)
    if anatomy is not None:
        truth["anatomy_sha256"] = anatomy.sha256
    (out_dir / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    return truth


def breathings_of(case: Case, distribution: Distribution) -> list[Breathing]:
    """How the organs lie in each phase of a case."""
    return [Breathing.draw(distribution.rng(case.number, 7, n), p.shift_lps_mm, p.bend_mm)
            for n, p in enumerate(case.settings.phases)]  # fmt: skip


def cover_of(case: Case, geometry: Geometry, breathings: Sequence[Breathing]) -> Grid:
    """The even grid on which a case is sampled, at rest and in every phase."""
    margin = max(b.reach_mm for b in breathings) + case.settings.scanner.thickness_mm + 4
    return region_of([geometry], case.patient, margin, COVER_MM)


def _with_output(settings: SimulationSettings, output: str) -> SimulationSettings:
    from dataclasses import replace

    if output not in ("nifti", "dicom"):
        raise WrongCall(f"format {output!r} is not known; needed: nifti or dicom")
    return replace(settings, output="nifti" if output == "nifti" else "dicom")


def _phase(case: Case, still: StillPatient, geometry: Geometry, n: int, breathing: Breathing,
           distribution: Distribution, progress: Callable[[str, float], None] | None,
           ) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:  # fmt: skip
    phase, settings = case.settings.phases[n], case.settings
    parts: list[Sampled] = list(still.breathe(breathing))
    liver = next(part for part in parts if part.structure.name == "liver")
    envelope = Envelope(liver, still.cavity(still.cover), still.cover)
    inlays, key, extras, build = [], phase_key(phase), case.extras, case.patient.build
    for tumour in case.tumours:
        here = moved(tumour, case.warp, breathing)
        inlays.append(TumourInlay(here, here.centre_lps_mm, key, envelope))
    looks = Looks({"liver": case.liver_added_hu}, {"liver": case.grain_hu},
                  perfused_hu if extras.perfusion else tissue_hu)  # fmt: skip
    metal = metal_of(extras, build, case.warp, breathing, settings.scanner.thickness_mm,
                     distribution.rng(case.number, 12), distribution.rng(case.number, 15, n))  # fmt: skip

    def tick(share: float) -> None:
        if progress is not None:
            progress(f"phase {n + 1} of {len(settings.phases)}", share)

    return scan(
        still, parts, inlays, geometry, settings.scanner, phase.seconds, breathing, distribution.rng(case.number, 9, n),
        strength=settings.strength, looks=looks, vessels=phase.label == TRUTH_PHASE, tick=tick,
        noise_shape=NoiseShape(case.noise_along, *extras.noise_shape), artefact=metal,
        unlabelled=clot_of(extras, build, key, case.warp, breathing, parts), motion_mm=extras.motion_mm,
    )  # fmt: skip


def _phase_truth(case: Case, n: int, breathing: Breathing) -> dict[str, Any]:
    phase = case.settings.phases[n]
    return {
        "number": n + 1, "label": phase.clinical_label, "arterial_timing": phase.arterial_timing,
        "delay_s": phase.seconds, "shift_lps_mm": [round(v, 2) for v in phase.shift_lps_mm],
        "bend_mm": round(phase.bend_mm, 2), "liver_hu": round(case.liver_hu[phase_key(phase)], 1),
        "lesion_centre_lps_mm": [[round(v, 2) for v in moved(t, case.warp, breathing).centre_lps_mm]
                                 for t in case.tumours],
    }  # fmt: skip


def _truth(case: Case, distribution: Distribution, study_uid: str, geometry: Geometry, labels: NDArray[np.uint8],
           phases: list[dict[str, Any]]) -> dict[str, Any]:  # fmt: skip
    counts = np.bincount(labels.ravel(), minlength=256)
    voxel_ml = geometry.voxel_volume_ml
    lesions = []
    for k, one in enumerate(case.tumours, start=1):
        volume_ml = float(counts[10 + k]) * voxel_ml
        contrast = {p: round(one.inner.body[p] - case.liver_hu[p], 1) for p in one.inner.body}
        lesions.append({
            "id": k, "label": 10 + k, "kind": one.kind, "seat": one.seat, "traits": list(one.traits),
            "voxels": int(counts[10 + k]), "volume_ml": round(volume_ml, 4),
            "diameter_mm": round((6000 * volume_ml / np.pi) ** (1 / 3), 2),
            "drawn_diameter_mm": round(one.diameter_mm, 2),
            "edge_mm": round(one.edge_mm, 2), "body_minus_liver_hu": contrast,
        })  # fmt: skip
    scanner = case.settings.scanner
    return {
        "schema": SCHEMA, "study_uid": study_uid, "case": case.number,
        "distribution": {"name": distribution.name, "version": distribution.version, "sha256": distribution.sha256,
                         "seed": distribution.seed},
        "type": case.type, "cirrhosis": case.cirrhosis, "steatosis": case.steatosis,
        "ascites_mm": round(case.habitus.ascites_mm, 1), "spleen_scale": round(case.habitus.spleen_scale, 2),
        "liver_added_hu": round(case.liver_added_hu, 1), "strength": round(case.settings.strength, 3),
        "liver_ml": round(float(counts[1:].sum()) * voxel_ml, 2),
        "spacing_mm": [round(v, 4) for v in case.settings.spacing_mm], "shape": list(case.settings.shape),
        "thickness_mm": scanner.thickness_mm, "noise_hu": round(scanner.noise_hu, 2),
        "noise_along": round(case.noise_along, 2), "blur_mm": round(scanner.blur_mm, 2), "sharp": scanner.sharp,
        **_extras_truth(case),
        "labels_file": "truth/labels.nii.gz", "truth_phase": TRUTH_PHASE, "lesions": lesions, "phases": phases,
    }  # fmt: skip


def _extras_truth(case: Case) -> dict[str, Any]:
    """Only what there is, so that a case without extras says nothing of them."""
    e = case.extras
    out: dict[str, Any] = {}
    if e.resected:
        out["resected"] = e.resected
    if e.clips is not None:
        out["clips"] = len(e.clips)
    if e.thrombus is not None:
        out["portal_thrombus_mm"] = round(2 * e.thrombus[1], 1)
    if e.cut_view:
        out["cut_view"] = round(e.cut_view, 3)
    if e.cut_end:
        out["cut_above" if e.cut_end > 0 else "cut_below"] = round(abs(e.cut_end), 3)
    if e.coils is not None:
        out["coils"] = len(e.coils)
    if e.vein_thrombus is not None:
        out["vein_thrombus_mm"] = round(2 * e.vein_thrombus[1], 1)
    if e.biliary:
        out["dilated_ducts"] = e.biliary
    if e.devices:
        out["devices"] = [{"kind": one.kind, "diameter_mm": round(one.diameter_mm, 2)} for one in e.devices]
    if e.arms is not None:
        out["arms_down"] = [{-1: "right", 1: "left"}[side] for side in e.arms.sides]
    if e.noise_stretch != 1.0:
        out |= {"noise_stretch": round(e.noise_stretch, 2), "noise_cut_per_mm": e.noise_cut and round(e.noise_cut, 3)}
    if e.shade_hu:
        out["shade_hu"] = round(e.shade_hu, 2)
    if e.motion_mm:
        out["motion_mm"] = round(e.motion_mm, 2)
    return out
