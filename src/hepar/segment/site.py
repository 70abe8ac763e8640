"""A site's own region network and confidence, from its site folder: read and checked, never written here.

    SITE/current.json   which version is used, and the hash of that version's list of files
    SITE/0002/          version.json (hashes of its files, the weights it was judged against), region.onnx,
                        confidence.json, and what else `hepar learn adapt` keeps

`current.json` vouches for `version.json`, which vouches for every other file.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hepar.errors import Refused, WrongCall
from hepar.segment.confidence import confidence_sha256
from hepar.segment.network import shipped

CURRENT: Final = "current.json"
VERSION: Final = "version.json"
MODEL_FILES: Final = ("region.onnx", "confidence.json")
NETWORKS: Final = ("liver3mm", "region")
_HELP = "run `hepar learn rollback` on it, or leave --site out"


@dataclass(frozen=True)
class SiteModel:
    """One promoted version. version: "0002". sha256: of its version.json. files: name to hash."""

    version: str
    sha256: str
    folder: Path
    files: dict[str, str]

    @property
    def region(self) -> Path:
        """The region network."""
        return self.folder / "region.onnx"

    @property
    def confidence(self) -> bytes:
        """Content of its confidence.json."""
        return (self.folder / "confidence.json").read_bytes()

    @property
    def described(self) -> dict[str, Any]:
        """What it adds to the settings of an analysis: hashes and its number, no place."""
        return {
            "site_version": self.version,
            "site_version_sha256": self.sha256,
            "region_sha256": self.files["region.onnx"],
            "confidence_sha256": self.files["confidence.json"],
        }


def site_model(folder: Path) -> SiteModel | None:
    """The version in use, its files checked; None where the shipped model is in use.

    Raises WrongCall where this is no site folder, Refused where a file is missing, damaged, or was made for other
    shipped weights than those installed.
    """
    now = current(folder)
    return None if now["version"] is None else checked(folder, str(now["version"]), str(now["version_sha256"]))


def current(folder: Path) -> dict[str, Any]:
    """Content of current.json: version (None: the shipped model) and version_sha256."""
    file = folder / CURRENT
    if not file.is_file():
        raise WrongCall(f"the site folder holds no {CURRENT}; give a folder that `hepar learn adapt --site` made")
    try:
        read: dict[str, Any] = json.loads(file.read_bytes())
        version = read["version"]
    except (ValueError, KeyError, TypeError):
        raise Refused(f"the site folder's {CURRENT} is damaged: it names no version; {_HELP}") from None
    if version is not None and not (
        isinstance(version, str) and re.fullmatch(r"\d{4}", version) and isinstance(read.get("version_sha256"), str)
    ):
        raise Refused(f"the site folder's {CURRENT} is damaged: needed a version such as 0001 and its hash; {_HELP}")
    return read


def checked(folder: Path, version: str, sha256: str) -> SiteModel:
    """A version whose files are what they were when it was promoted, made against the weights that are installed."""
    place = folder / version
    data = _bytes(place / VERSION, version)
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise Refused(
            f"site version {version} is damaged: its {VERSION} has the hash {found[:12]}, needed {sha256[:12]}; {_HELP}"
        )
    read = json.loads(data)
    files = {str(name): str(value) for name, value in read["files"].items()}
    for name in {*files, *MODEL_FILES}:
        found = hashlib.sha256(_bytes(place / name, version)).hexdigest()
        if found != files.get(name):
            raise Refused(
                f"site version {version} is damaged: {name} has the hash {found[:12]},"
                f" needed {str(files.get(name))[:12]}; {_HELP}"
            )
    here = shipped_hashes()
    for name, value in read["shipped"].items():
        if here.get(name) != value:
            raise Refused(
                f"site version {version} was judged against {name} {value[:12]}, this hepar ships"
                f" {str(here.get(name))[:12]}; adapt again with this hepar, or leave --site out"
            )
    return SiteModel(version, sha256, place, files)


def shipped_hashes() -> dict[str, str]:
    """Hashes of the weights and the confidence that ship."""
    hashes = {name: hashlib.sha256(shipped(name).read_bytes()).hexdigest() for name in NETWORKS}
    return {**hashes, "confidence": confidence_sha256()}


def _bytes(file: Path, version: str) -> bytes:
    if not file.is_file():
        raise Refused(f"site version {version} is damaged: {file.name} is missing; {_HELP}")
    return file.read_bytes()
