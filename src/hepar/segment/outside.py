"""What the region network takes for tumour beside the liver: other organs, and free fluid.

It was trained on few bodies, and looks for tumour that the first network's liver leaves out. Two things that it then
takes for one are known by other means: an organ that the first network names, and ascites, which is fluid in every
phase, lies in a layer between the liver and what is no liver, and is not round unless it hardly touches the liver. A
cyst or a dead part of a tumour is round and lies against the liver, or has liver and tumour all around.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepar.record import Organ, OrganMap
from hepar.segment.grid import onto_native
from hepar.segment.region import RELATIVE_HU, SPACING_MM, Region

_ORGANS: Final = (Organ.SPLEEN, Organ.KIDNEY, Organ.AORTA, Organ.HEART, Organ.LUNG)
"""Those that the first network tells surely. It takes parts of large tumours for bowel or gallbladder."""
_FLUID_HU: Final = (-20.0, 28.0)
"""Ascites has 0 to 30 HU (textbook); enhancing tumour has more in one phase at least."""
_SMOOTH_MM = 1.8
_SHELL_MM = 4.5
_FLUID_ML = 8.0
_ROUND = 0.65
"""Radius of the largest ball inside over that of the ball of the same volume; layers of ascites have 0.2 to 0.6."""
_OUTER_SHARE = 0.3
_ALONE_SHARE = 0.9
"""Of the shell around fluid that is no liver: where nearly all of it is, even a round pool is ascites, not a cyst."""


def beside_liver(
    region: Region, organs: OrganMap, image: NDArray[np.float32], levels_hu: Mapping[int, float]
) -> NDArray[np.bool_]:
    """Where the region network's tumour is none, on its grid.

    image: (4, slice, row, column) its input; levels_hu: the liver's median in each phase at hand, by channel.
    """
    tumour = region.lesion > 127
    out = np.zeros(tumour.shape, bool)
    if not tumour.any():
        return out
    named = np.isin(organs.labels, _ORGANS).astype(np.float32)
    out |= tumour & (onto_native(named, organs.geometry, region.geometry) > 0.75)
    return out | _free_fluid(tumour & ~out, region.liver > 127, image, levels_hu)


def _free_fluid(
    tumour: NDArray[np.bool_], whole: NDArray[np.bool_], image: NDArray[np.float32], levels_hu: Mapping[int, float]
) -> NDArray[np.bool_]:
    from scipy import ndimage

    fluid = tumour.copy()
    smooth = _SMOOTH_MM / SPACING_MM
    # Weighed by what counts as tumour, so that fat or muscle beside it does not blur into it.
    weight = np.maximum(ndimage.gaussian_filter(tumour.astype(np.float32), smooth), np.float32(1e-3))
    for channel, level in levels_hu.items():
        hu = ndimage.gaussian_filter(np.where(tumour, image[channel], 0), smooth) / weight
        hu = RELATIVE_HU * hu + level
        fluid &= (hu > _FLUID_HU[0]) & (hu < _FLUID_HU[1])
    parts, _ = ndimage.label(fluid)
    out = np.zeros(tumour.shape, bool)
    reach = round(_SHELL_MM / SPACING_MM)
    for number, box in enumerate(ndimage.find_objects(parts), 1):
        grown = tuple(slice(max(0, s.start - reach), s.stop + reach) for s in box)
        here = parts[grown] == number
        volume_ml = here.sum() * SPACING_MM**3 / 1000
        if volume_ml < _FLUID_ML:
            continue
        depth_mm = float(ndimage.distance_transform_edt(np.pad(here, 1)).max()) * SPACING_MM
        shell = ndimage.binary_dilation(here, iterations=reach) & ~ndimage.binary_dilation(here)
        outer = float((~whole[grown])[shell].mean()) if shell.any() else 0.0
        flat = depth_mm < _ROUND * (volume_ml * 1000 * 0.75 / np.pi) ** (1 / 3)
        if (flat and outer > _OUTER_SHARE) or outer > _ALONE_SHARE:
            # Its skin, half fluid and half what is beside it, goes too; the liver's own surface stays.
            out[grown] |= ndimage.binary_dilation(here) & tumour[grown]
    return out
