"""The licence of somebody else's network: shown, asked for once, remembered by the hash of its text."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from hepar.errors import WrongCall


@dataclass(frozen=True)
class Licence:
    """name: short, stands in the report ("Apache-2.0"). text: everything that the user is shown and agrees to."""

    engine: str
    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Of the engine's name and the text: a licence that changes is asked for again."""
        return hashlib.sha256(f"{self.engine}\n{self.text}".encode()).hexdigest()


Consent: TypeAlias = Callable[[Licence], bool]
"""Shows the licence and says whether the user agrees; never called where nobody can answer."""


def config_folder() -> Path:
    """The user's folder for hepar's settings; it holds what was agreed to and the user's own engine files."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "hepar"


def require(licence: Licence, consent: Consent | None, folder: Path | None = None) -> None:
    """Pass when this text was agreed to before, or is now. Raises WrongCall, with what to pass, when it was not.

    consent: None where nobody can be asked (a batch). folder: instead of `config_folder()`.
    """
    file = (folder or config_folder()) / "licences.json"
    agreed = _read(file)
    if licence.sha256 in agreed:
        return
    if consent is None or not consent(licence):
        raise WrongCall(
            f"engine {licence.engine} stands under the licence {licence.name}, which was not accepted yet; read it"
            " (hepar shows it) and pass --accept-licence once, hepar remembers it"
        )
    agreed[licence.sha256] = {"engine": licence.engine, "licence": licence.name}
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(agreed, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    part.replace(file)


def _read(file: Path) -> dict[str, dict[str, str]]:
    """What was agreed to; nothing, where the file is missing or damaged (then hepar asks again)."""
    try:
        agreed = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return agreed if isinstance(agreed, dict) else {}
