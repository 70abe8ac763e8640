"""Anatomies of the liver region at 1.2 mm, for the second network; kept on disk once made."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepar.errors import WrongCall
from hepar.learn.atlas import Atlas, Labels, Volume, hepar_atlas, totalseg_atlas, vein_trees
from hepar.learn.classes import SPACING_MM, Tissue
from hepar.learn.own_code import code_sha256
from hepar.learn.recipe import AtlasSource
from hepar.learn.virtual import virtual_atlas
from hepar.segment.region import SPACING_MM as REGION_SPACING_MM

_MARGIN_MM = 45.0
_VIRTUAL_SHAPE = (220, 260, 330)
_LIVER = (Tissue.LIVER, Tissue.REAL_LESION, Tissue.REAL_VESSEL)
_OURS = tuple(f"learn/{n}.py" for n in ("region", "atlas", "classes", "dome", "scan", "vessels", "virtual"))
_MADE_BY: Final = {"virtual": (*_OURS, "simulate"), "totalseg": (*_OURS, "ingest"), "labelled": (*_OURS, "ingest")}
"""Whose sources decide what an anatomy of each kind is: modules and folders of hepar."""


@dataclass(frozen=True)
class RegionAtlas:
    """One liver with its neighbours, arrays (slice, row, column) at 1.2 mm, LPS directions.

    tissue: Tissue codes. residual_hu: float16, CT minus the mean of its tissue; mean_hu: that mean per tissue code.
    portal, hepatic: uint8, 255 x share of the voxel filled by an invented vein (zero where real ones are visible).
    contrast: the CT carries real contrast medium.
    """

    name: str
    tissue: Labels
    residual_hu: NDArray[np.float16]
    mean_hu: Volume
    portal: Labels
    hepatic: Labels
    contrast: bool


def region_atlas(source: AtlasSource, seed: int) -> RegionAtlas:
    """One variant of a source at 1.2 mm, cropped to the liver and 45 mm around it."""
    if source.kind == "virtual":
        return _region(virtual_atlas(seed=seed, shape=_VIRTUAL_SHAPE, spacing_mm=REGION_SPACING_MM))
    if source.kind == "totalseg" and source.image is not None and source.labels is not None:
        return _region(_finer(totalseg_atlas(source.image, source.labels, seed=seed), seed))
    if source.kind == "labelled" and source.image is not None and source.labels is not None:
        return _region(hepar_atlas(source.image, source.labels, seed=seed, spacing_mm=REGION_SPACING_MM))
    raise WrongCall(f"atlas kind {source.kind!r} has no liver region; needed: totalseg, labelled or virtual with files")


def stored_atlas(source: AtlasSource, seed: int, folder: Path) -> RegionAtlas:
    """`region_atlas`, made once and then read from folder, as long as neither its files nor hepar's sources change."""
    stem = source.image.stem.split(".")[0] if source.image else source.kind
    path = folder / f"{source.kind}-{stem}-{seed}-{_key(source)}.npz"
    if not path.exists():
        made = region_atlas(source, seed)
        folder.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new.npz")
        np.savez_compressed(
            fresh, name=made.name, tissue=made.tissue, residual_hu=made.residual_hu, mean_hu=made.mean_hu,
            portal=made.portal, hepatic=made.hepatic, contrast=made.contrast,
        )  # fmt: skip
        fresh.replace(path)
    with np.load(path) as kept:
        return RegionAtlas(
            str(kept["name"]), kept["tissue"], kept["residual_hu"], kept["mean_hu"], kept["portal"], kept["hepatic"],
            bool(kept["contrast"]),
        )  # fmt: skip


def _key(source: AtlasSource) -> str:
    """Start of a hash of the bytes that the anatomy is made from, of the sources that make it and of its grid."""
    digest = hashlib.sha256(f"{code_sha256(*_MADE_BY.get(source.kind, _OURS))} {REGION_SPACING_MM} mm".encode())
    for path in (source.image, source.labels):
        if path is None:
            continue
        if not path.exists():
            raise WrongCall(f"the recipe's {path.name} is not there; the model card tells where it comes from")
        for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _region(atlas: Atlas) -> RegionAtlas:
    liver = np.isin(atlas.tissue, _LIVER)
    margin = int(_MARGIN_MM / REGION_SPACING_MM)
    box = []
    for axis in range(3):
        seen = np.flatnonzero(liver.any(axis=tuple(a for a in range(3) if a != axis)))
        box.append(slice(max(0, int(seen[0]) - margin), int(seen[-1]) + 1 + margin))
    part = tuple(box)
    return RegionAtlas(
        atlas.name,
        np.ascontiguousarray(atlas.tissue[part]),
        atlas.residual_hu[part].astype(np.float16),
        atlas.mean_hu,
        np.rint(255 * atlas.portal[part]).astype(np.uint8),
        np.rint(255 * atlas.hepatic[part]).astype(np.uint8),
        atlas.contrast,
    )


def _finer(atlas: Atlas, seed: int) -> Atlas:
    """An anatomy of 3 mm at 1.2 mm: the tissue with the largest smoothed share wins; veins are grown anew."""
    from scipy import ndimage

    factor = SPACING_MM / REGION_SPACING_MM
    shape = [round(n * factor) for n in atlas.tissue.shape]
    best = np.zeros(shape, np.float32)
    tissue = np.zeros(shape, np.uint8)
    for code in np.unique(atlas.tissue):
        share = ndimage.zoom((atlas.tissue == code).astype(np.float32), factor, order=1, grid_mode=True, mode="nearest")
        share = ndimage.gaussian_filter(share, 1.2 / REGION_SPACING_MM, truncate=2.5)
        ahead = share > best
        tissue[ahead], best[ahead] = code, share[ahead]
    residual = ndimage.zoom(atlas.residual_hu, factor, order=1, grid_mode=True, mode="nearest")
    rng = np.random.default_rng([seed, 61])
    residual += ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 0.5) * 18
    portal, hepatic = vein_trees(tissue, tissue == Tissue.LIVER, rng, spacing_mm=REGION_SPACING_MM)
    return Atlas(atlas.name, tissue, residual, atlas.mean_hu, portal, hepatic, atlas.contrast)
