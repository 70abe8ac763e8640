"""What lies where in a drawn case: its tissues at given places of a phase, without scanning it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.errors import WrongCall

from .breathing import Breathing
from .case import TRUTH_PHASE, breathings_of, cover_of
from .distribution import Distribution
from .draw import Case, draw_case, moved, phase_key
from .labelled import Labelled
from .planes import Places
from .shapes import Grid
from .still import StillPatient
from .study import scan_geometry
from .tissues import TISSUES
from .tumour import Envelope, TumourInlay


def tissues_at(distribution: Distribution, number: int, points_lps_mm: NDArray[np.float64], *,
               phase: str = TRUTH_PHASE, anatomy: Labelled | None = None) -> NDArray[np.uint8]:  # fmt: skip
    """Tissue of case `number` at each place of a phase, as ids of `hepar.simulate.tissues` (n,).

    points_lps_mm: (n, 3), where the phase shows them: breathing and bend are in. A lesion of any make is "lesion";
    metal clips and tumour thrombus are not painted, a thrombus is the vein that it fills. Beyond the body and beyond
    what the case was sampled for: "air_outside". No points: no ids. phase: native, arterial, portal_venous or delayed.
    anatomy: as for `simulate_case`. Raises WrongCall for another phase or points of another shape.
    """
    points = np.asarray(points_lps_mm, float)
    if points.ndim != 2 or points.shape[1] != 3:
        raise WrongCall(f"the places have the shape {points.shape}; needed: (n, 3), x, y and z in mm")
    case = draw_case(distribution, number, anatomy)
    names = [phase_key(one) for one in case.settings.phases]
    if phase not in names:
        raise WrongCall(f"phase {phase!r} is none of this case; choose {', '.join(names)}")
    breathings = breathings_of(case, distribution)
    breathing = breathings[names.index(phase)]
    tissue = np.full(len(points), TISSUES["air_outside"].id, np.uint8)
    cover = _around(points, cover_of(case, scan_geometry(case.settings), breathings), breathing.reach_mm)
    if cover is not None:
        _paint(case, cover, breathing, phase, points, tissue)
    return tissue


def can_replay(truth: Mapping[str, Any], distribution: Distribution) -> bool:
    """Whether a case's truth.json came from this distribution as it is now, and from no real anatomy."""
    return truth["distribution"]["sha256"] == distribution.sha256 and "anatomy_sha256" not in truth


def _paint(case: Case, cover: Grid, breathing: Breathing, phase: str, points: NDArray[np.float64],
           tissue: NDArray[np.uint8]) -> None:  # fmt: skip
    # The grain changes no tissue: it is left out, and with it the generator that draws it.
    still = StillPatient(case.patient, cover, np.random.default_rng(0), case.warp, grain=())
    places, column = Places(points, cover), tissue[:, None]
    parts = list(still.breathe(breathing))
    for part in parts:
        most = max(offset for offset, _ in part.structure.layers)
        hit = places.sample(part.distance, part.grid, below=most)
        if hit is None:
            continue
        window, distance = hit
        for offset, name in part.structure.layers:
            column[window][distance < np.float32(offset)] = TISSUES[name].id
    liver = next((part for part in parts if part.structure.name == "liver"), None)
    if liver is None:
        return
    envelope = Envelope(liver, still.cavity(still.cover), still.cover)
    for tumour in case.tumours:
        here = moved(tumour, case.warp, breathing)
        inlay = TumourInlay(here, here.centre_lps_mm, phase, envelope)
        box = inlay.window(places)
        if box is not None:
            column[box][inlay.inside(places, box)] = TISSUES["lesion"].id


def _around(points: NDArray[np.float64], cover: Grid, reach_mm: float) -> Grid | None:
    """The part of the cover, on its own grid points, that the places need; None where they miss it."""
    if not len(points):
        return None
    margin = reach_mm + 3 * cover.spacing_mm[0]
    low, high = points.min(0) - margin, points.max(0) + margin
    found = cover.window(((low[0], low[1], low[2]), (high[0], high[1], high[2])))
    return None if found is None else found[1]
