"""Labels for an unlabelled scan, by a network that never saw it: only voxels it is sure of, however it is shown them.

Self-training as in Lee 2013 (Pseudo-Label): what the network is sure of teaches the next network, the rest takes no
part in the loss. The filter on several views follows UPS (Rizve et al., ICLR 2021) in spirit: confidence alone keeps
what a network is wrongly sure of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Refused, WrongCall
from hepar.learn.atlas import Atlas, Labels, Volume, atlas_of_classes
from hepar.learn.classes import AIR_HU, IGNORE, LESION_CLASS, LIVER_CLASSES, NOT_LIVER
from hepar.learn.evaluate import Network, open_network
from hepar.learn.recipe import PseudoSettings
from hepar.learn.scan import read_lps
from hepar.validate import dice

_SHIFT = 5
_DENSER_HU = 12.0
_SMOOTH_VOXELS = 0.7


@dataclass(frozen=True)
class PseudoLabels:
    """classes: (slice, row, column), hepar's classes, NOT_LIVER or IGNORE; never a lesion.

    agreement: Dice of the liver in each view with that in the scan as it is (1.0 where both are empty).
    """

    classes: Labels
    agreement: dict[str, float]


def _shifted(network: Network, hu: Volume) -> Volume:
    """Five voxels further along each axis, so that the network's coarse grids fall otherwise."""
    cut = (slice(None), *(slice(_SHIFT, None),) * 3)
    return network(np.pad(hu, ((_SHIFT, 0),) * 3, constant_values=AIR_HU))[cut]


def _denser(network: Network, hu: Volume) -> Volume:
    """12 HU denser wherever there is body."""
    lifted: Volume = np.where(hu > -900, hu + np.float32(_DENSER_HU), hu)
    return network(lifted)


def _smoothed(network: Network, hu: Volume) -> Volume:
    """Blurred by 0.7 voxel."""
    from scipy import ndimage

    return network(ndimage.gaussian_filter(hu, _SMOOTH_VOXELS))


def _flip(axis: int) -> Callable[[Network, Volume], Volume]:
    def view(network: Network, hu: Volume) -> Volume:
        out: Volume = np.flip(network(np.ascontiguousarray(np.flip(hu, axis))), axis + 1)
        return out

    return view


VIEWS: Final[dict[str, Callable[[Network, Volume], Volume]]] = {
    "shifted": _shifted,
    "denser": _denser,
    "smoothed": _smoothed,
    "head_to_feet": _flip(0),
    "front_to_back": _flip(1),
    "mirrored": _flip(2),
}
"""Ways to show a scan again. The flips suit a network that was taught on flipped scans, and no other: one that knows
left from right looks for the liver on the wrong side."""


def pseudo_labels(network: Network, hu: Volume, *, confidence: float, views: tuple[str, ...]) -> PseudoLabels:
    """Classes of the voxels that the network names alike, and at least so surely, in the scan and in every view.

    hu: (slice, row, column) at 3 mm, LPS. For parenchyma the liver's summed probability counts: a young network splits
    it among parenchyma, lesion and vessel, and would be sure of none. Voxels whose liver probability stays at or below
    1 - confidence are NOT_LIVER where their class is unsure; the rest, all lesions (a network that learned invented
    ones only must not teach itself lesions) and liver apart from its largest piece are IGNORE.
    """
    unknown = [v for v in views if v not in VIEWS]
    if unknown:
        raise WrongCall(f"views {', '.join(unknown)}; needed from {', '.join(VIEWS)}; correct the recipe")
    plain = network(hu)
    kind = plain.argmax(0).astype(np.uint8)
    whole = _liver(plain)
    sure, not_liver = _sureness(plain) >= confidence, whole <= 1 - confidence
    agreement = {}
    for name in views:
        seen = VIEWS[name](network, hu)
        sure &= (seen.argmax(0) == kind) & (_sureness(seen) >= confidence)
        other = _liver(seen)
        not_liver &= other <= 1 - confidence
        agreement[name] = round(dice(whole > 0.5, other > 0.5), 4)
    liver = np.isin(kind, LIVER_CLASSES)
    classes = np.full(hu.shape, IGNORE, np.uint8)
    classes[not_liver] = NOT_LIVER
    named = sure & (kind != LESION_CLASS) & (~liver | _largest(whole > 0.5))
    classes[named] = kind[named]
    return PseudoLabels(classes, agreement)


def pseudo_atlas(image: Path, settings: PseudoSettings, *, seed: int) -> Atlas:
    """A real contrast CT labelled by `settings.network`; refused when the network contradicts itself on it."""
    hu, _ = read_lps(image, order=1)
    hu = np.maximum(hu, AIR_HU)
    network = open_network(settings.network, threads=1)
    made = pseudo_labels(network, hu, confidence=settings.confidence, views=settings.views)
    for view, agreement in made.agreement.items():
        if agreement < settings.agreement:
            raise Refused(
                f"pseudo labels: the network's liver agrees with itself by Dice {agreement:.2f} when the scan is"
                f" {view}, needed {settings.agreement:.2f}; train the network longer, leave the view out, or the scan"
            )
    if not (made.classes == 1).any():
        raise Refused(
            f"pseudo labels: no liver voxel reaches {settings.confidence:.2f} in every view, needed some; such a scan"
            " would teach that there is no liver; train the network longer, or leave the scan out"
        )
    return atlas_of_classes("pseudo", hu, made.classes, seed=seed)


def _sureness(probability: Volume) -> Volume:
    """The largest class's probability; where that is liver parenchyma, the whole liver's."""
    out: Volume = np.where(probability.argmax(0) == 1, _liver(probability), probability.max(0))
    return out


def _liver(probability: Volume) -> Volume:
    out: Volume = probability[list(LIVER_CLASSES)].sum(0)
    return out


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy import ndimage

    parts, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    out: NDArray[np.bool_] = parts == int(sizes.argmax())
    return out
