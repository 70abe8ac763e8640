"""Identifiers derived from content, so that a repeated run gives the same ones."""

from __future__ import annotations

import hashlib


def derived_uid(*parts: str) -> str:
    """A DICOM UID under 2.25 from the parts, at most 44 characters. Source: DICOM PS3.5 B.2 (UUID-derived UID).

    The 128 bits are the head of a SHA-256 with the version and variant bits of a name-based UUID (RFC 4122).
    """
    digest = bytearray(hashlib.sha256("\x1f".join(parts).encode()).digest()[:16])
    digest[6] = (digest[6] & 0x0F) | 0x50
    digest[8] = (digest[8] & 0x3F) | 0x80
    return f"2.25.{int.from_bytes(digest, 'big')}"
