"""What a virtual patient has where something was taken for a lesion: vessel, fissure, gallbladder, healthy liver."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.errors import WrongCall
from hepar.record import Geometry
from hepar.simulate.distribution import load_distribution
from hepar.simulate.replay import can_replay, tissues_at
from hepar.simulate.tissues import TISSUES

LESION, OTHER = "part of a true lesion", "other organ, wall or air"
GROUPS: dict[str, tuple[str, ...]] = {
    "healthy liver": ("liver",),
    LESION: ("lesion", "lesion_capsule", "lesion_necrosis"),
    "portal vein": ("portal_tree", "portal_vein", "mesenteric_vein"),
    "hepatic vein or vena cava": ("hepatic_veins", "vena_cava"),
    "gallbladder or bile duct": ("bile", "gallbladder_wall", "bile_duct", "duct_gas", "stent_plastic", "stent_metal",
                                 "stent_blood"),
    "fissure or other fat": ("liver_fissure_fat", "fat"),
    "ascites": ("ascites",),
    "stomach or bowel": tuple(name for name, one in TISSUES.items() if one.network_class == 9),
    "spleen": ("spleen",),
    "kidney": tuple(name for name, one in TISSUES.items() if one.network_class == 4),
}  # fmt: skip
"""Tissues by what a reader calls them; whatever is not here is OTHER."""
MUCH = 0.25
"""Share of a find from which a tissue counts as one that it holds much of: a cleft or a vessel is thinner than what is
outlined around it, so it seldom holds most."""
LEAST_AGREEMENT = 0.99
"""Share of the voxels whose replayed tissue must fit the written label; 0.9996 and more were seen, the rest are
crossings of the two venous trees."""

_WRITTEN = {"liver": 1, "portal_tree": 2, "hepatic_veins": 2, "lesion": 3}
_IN_LIVER = ("bile_duct", "duct_gas", "stent_plastic", "stent_metal", "stent_blood")


def tissues_under(
    truth: Mapping[str, Any],
    labels: NDArray[np.integer[Any]],
    geometry: Geometry,
    finds: NDArray[np.integer[Any]],
    wanted: Sequence[int],
) -> dict[int, dict[str, float]] | None:
    """Share of each group of tissues in each wanted find, the largest first, groups that it does not touch left out.

    truth, labels: of a case that `simulate_case` wrote. finds: labels on the same grid (slice, row, column), whose
    world is geometry's. None where the case cannot be drawn again: another version of its distribution, a distribution
    that is not built in, a real anatomy, or a replay that does not fit the labels. A find without voxels has no shares.
    """
    where = [np.argwhere(finds == number) for number in wanted]
    index = np.concatenate(where) if where else np.zeros((0, 3), int)
    if not len(index):
        return {number: {} for number in wanted}
    try:
        distribution = load_distribution(str(truth["distribution"]["name"]))
    except WrongCall:
        return None
    if not can_replay(truth, distribution):
        return None
    ids = tissues_at(distribution, int(truth["case"]), geometry.to_lps_mm(index), phase=str(truth["truth_phase"]))
    if agreement(ids, labels[tuple(index.T)]) < LEAST_AGREEMENT:
        return None
    group = _group_of()[ids]
    names = [*GROUPS, OTHER]
    out, start = {}, 0
    for number, voxels in zip(wanted, where, strict=True):
        counts = np.bincount(group[start : start + len(voxels)], minlength=len(names))
        start += len(voxels)
        order = np.argsort(-counts, kind="stable")
        out[number] = {names[k]: round(float(counts[k]) / len(voxels), 4) for k in order if counts[k]}
    return out


def agreement(ids: NDArray[np.uint8], labels: NDArray[np.integer[Any]]) -> float:
    """Share of the places whose tissue fits the label written there: outside, liver, vein, lesion. 1 for no places."""
    expected = np.zeros(256, int)
    for name, value in _WRITTEN.items():
        expected[TISSUES[name].id] = value
    written = np.select([labels > 10, labels > 1, labels > 0], [3, 2, 1], 0)
    fits = expected[ids] == written
    # Ducts and stents run inside the liver and outside it: the label map does not know them.
    fits |= np.isin(ids, [TISSUES[name].id for name in _IN_LIVER]) & (written < 3)
    return float(fits.mean()) if len(fits) else 1.0


def named(shares: Mapping[str, float]) -> str:
    """One name for a false find: part of a lesion where it touches one (another find has that lesion), else the group
    that holds most of it."""
    if not shares:
        return OTHER
    return LESION if LESION in shares else max(shares, key=lambda name: shares[name])


def tally(finds: Iterable[Mapping[str, float] | None]) -> dict[str, Any]:
    """How many false finds are what, most first: `named` of each, and for each group how many hold `MUCH` of it.
    finds: their shares, None where they are not known."""
    every = list(finds)
    known = [one for one in every if one is not None]
    most = Counter(named(one) for one in known)
    much = Counter(name for one in known for name, share in one.items() if share >= MUCH)
    return {
        "finds": len(every), "not_known": len(every) - len(known),
        "by_tissue": {name: {"most": most[name], "much": much[name]}
                      for name in sorted(most | much, key=lambda name: (-most[name], -much[name], name))},
    }  # fmt: skip


def _group_of() -> NDArray[np.intp]:
    table = np.full(256, len(GROUPS), np.intp)
    for number, tissues in enumerate(GROUPS.values()):
        for name in tissues:
            table[TISSUES[name].id] = number
    return table
