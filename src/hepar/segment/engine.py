"""What any outlining engine promises, and how one is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from hepar.errors import WrongCall
from hepar.record import AlignedPhase, Anatomy, OrganMap, PhaseLabel, Volume
from hepar.segment.settings import SegmentSettings

if TYPE_CHECKING:
    from hepar.segment.external import Consent

Progress: TypeAlias = Callable[[float], None]
"""Called now and then with the share of the work that is done, 0 to 1."""

BUILTIN = "builtin"


def silent(done: float) -> None:
    """Shows nothing."""


class Engine(Protocol):
    """Something that outlines organs, the liver and its lesions.

    name, version: of the engine. weights_sha256: over its weights file. precision: arithmetic it runs in.
    """

    name: str
    version: str
    precision: str

    @property
    def weights_sha256(self) -> str: ...

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


def engines() -> tuple[str, ...]:
    """The names that `engine` takes, beside paths to engine files."""
    from hepar.segment import external

    return tuple(dict.fromkeys((BUILTIN, *external.shipped(), *external.own())))


def engine(
    name: str,
    settings: SegmentSettings | None = None,
    *,
    consent: Consent | None = None,
    site: Path | None = None,
) -> Engine:
    """The built-in engine, or one that an engine file (its name, or a path that ends in .toml) describes.

    consent: shows a licence and asks; None where nobody can be asked. site: folder of a site's own model, for the
    built-in engine (`site.site_model` says what it refuses). Raises WrongCall with the list of names for one
    that does not exist, and for an engine file, a tool or a licence that is not in order.
    """
    if name == BUILTIN:
        from hepar.segment.builtin import Builtin
        from hepar.segment.site import site_model

        return Builtin(settings or SegmentSettings(), site=site_model(site) if site else None)
    if site is not None:
        raise WrongCall(f"--site goes with the built-in engine only, got --engine {name}; leave one of them out")
    from hepar.segment import external

    path = external.find(name)
    if path is None:
        raise WrongCall(
            f"engine {name!r} does not exist; the engines are: {', '.join(engines())}, or give an engine file (.toml)"
        )
    return external.External(external.load(path), settings or SegmentSettings(), consent)


def described(engine: Engine) -> dict[str, Any] | None:
    """What an engine of somebody else, or a site's own model, adds to the settings of an analysis."""
    added: dict[str, Any] | None = getattr(engine, "described", None)
    return added


def calls(engine: Engine) -> list[dict[str, Any]]:
    """Each call of somebody else's program: seconds, memory, what it said. Empty for the built-in engine."""
    from hepar.segment import external

    return engine.log if isinstance(engine, external.External) else []
