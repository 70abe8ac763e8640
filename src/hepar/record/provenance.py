"""Where a result comes from."""

from __future__ import annotations

from dataclasses import dataclass

DISCLAIMER = (
    "Research use only. hepar is not a certified medical device; its results must be checked by a qualified reader "
    "before anybody relies on them."
)


@dataclass(frozen=True)
class Provenance:
    """What made the result, without clock or host: two runs alike give the same record."""

    version: str
    settings_sha256: str
    weights_sha256: str
    input_sha256: str
    engine: str
    precision: str
    cpu: str
