"""What any outlining engine promises, and how one is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from hepar.errors import WrongCall
from hepar.record import AlignedPhase, Anatomy, OrganMap, PhaseLabel, Volume
from hepar.segment.settings import SegmentSettings

Progress: TypeAlias = Callable[[float], None]
"""Called now and then with the share of the work that is done, 0 to 1."""

ENGINES = ("builtin",)


def silent(done: float) -> None:
    """Shows nothing."""


class Engine(Protocol):
    """Something that outlines organs, the liver and its lesions.

    name, version: of the engine. weights_sha256: over its weights file. precision: arithmetic it runs in.
    """

    name: str
    version: str
    weights_sha256: str
    precision: str

    def organs(self, volume: Volume, progress: Progress = silent) -> OrganMap:
        """Coarse organs of one phase, LPS-aligned; stray parts of the liver are taken out.

        Raises Refused where there is no plausible liver ("no liver found") and for a modality that the engine was not
        made for.
        """
        ...

    def anatomy(
        self,
        reference: Volume,
        organs: OrganMap,
        others: Sequence[AlignedPhase] = (),
        progress: Progress = silent,
        *,
        labels: Sequence[PhaseLabel] = (),
    ) -> Anatomy:
        """Liver, lesions and inner vessels on the native grid of the reference phase.

        organs: of the reference. others: the other phases on the reference's grid; those not accepted are not used.
        labels: the contrast phase of the reference and then of each of the others; none given: all unknown.
        Raises Refused ("no liver found") for a map of another origin that holds no plausible liver.
        """
        ...


def engine(name: str, settings: SegmentSettings | None = None) -> Engine:
    """The engine of this name. Raises WrongCall with the list of names for one that does not exist."""
    if name != "builtin":
        raise WrongCall(f"engine {name!r} does not exist; the engines are: {', '.join(ENGINES)}")
    from hepar.segment.builtin import Builtin

    return Builtin(settings or SegmentSettings())
