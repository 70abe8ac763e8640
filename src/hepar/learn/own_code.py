"""Which code made something that is kept: whoever changes it gets it made anew."""

from __future__ import annotations

import hashlib
from pathlib import Path

import hepar


def code_sha256(*places: str) -> str:
    """Of the sources of hepar's modules and folders, named from the package's folder on ("ingest", "pipeline.py")."""
    root = Path(hepar.__file__).parent
    named = [root / place for place in places]
    files = [p for place in named for p in ([place] if place.is_file() else sorted(place.rglob("*.py")))]
    return hashlib.sha256(b"".join(p.read_bytes() for p in files)).hexdigest()
