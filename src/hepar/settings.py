"""Every setting that can change a result, as one frozen tree. Each step owns its branch and its defaults' sources."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hepar.harmonise import HarmoniseSettings
from hepar.ingest import IngestSettings
from hepar.measure import MeasureSettings
from hepar.segment import SegmentSettings

NO_EFFECT_ON_RESULTS = frozenset({"threads", "max_memory_bytes"})
"""Fields that change time and memory only, and so stay out of the hash."""


@dataclass(frozen=True)
class Settings:
    """The settings of one analysis."""

    ingest: IngestSettings = field(default_factory=IngestSettings)
    segment: SegmentSettings = field(default_factory=SegmentSettings)
    harmonise: HarmoniseSettings = field(default_factory=HarmoniseSettings)
    measure: MeasureSettings = field(default_factory=MeasureSettings)
    reference: str | None = None
    """Label of the phase to measure on; None: hepar chooses."""
    engine: Mapping[str, Any] | None = None
    """What an engine of somebody else, or a site's own model, adds (`segment.described`): hashes, version; None: the
    built-in one as it ships."""

    def as_dict(self) -> dict[str, Any]:
        """All settings that can change a result, as plain values."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self), default=str))
        return _without(plain)

    @property
    def sha256(self) -> str:
        """Hash of `as_dict`."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()


def _without(tree: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without(value) if isinstance(value, dict) else value
        for key, value in tree.items()
        if key not in NO_EFFECT_ON_RESULTS
    }
