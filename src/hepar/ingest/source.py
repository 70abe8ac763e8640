"""The files of a study, in a folder, a zip or alone. Names stay in here: nothing that leaves ingest carries one."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from hepar.errors import Refused, WrongCall
from hepar.ingest.settings import IngestSettings

ARCHIVES = (b"PK\x03\x04", b"Rar!", b"7z\xbc\xaf\x27\x1c")
_CHUNK = 1 << 20


@dataclass(eq=False)
class Item:
    """One file or zip member.

    place: where it lies (a member lies below its archive), for --phase and for words in names; never written out.
    """

    place: Path
    size: int
    archive: zipfile.ZipFile | None = None
    member: zipfile.ZipInfo | None = None
    workspace: Path | None = None
    number: int = 0
    _unpacked: Path | None = field(default=None, repr=False)

    def open(self) -> IO[bytes]:
        """A binary stream from the beginning, seekable."""
        if self._unpacked is not None:
            return self._unpacked.open("rb")
        if self.archive is not None and self.member is not None:
            return self.archive.open(self.member)
        return self.place.open("rb")

    def path(self, suffix: str = "") -> Path:
        """A real file with these bytes; a zip member is unpacked into the workspace under a number."""
        if self.archive is None or self.member is None or self.workspace is None:
            return self.place
        if self._unpacked is None or not self._unpacked.name.endswith(suffix):
            target = self.workspace / f"m{self.number:06d}{suffix}"
            self.workspace.mkdir(parents=True, exist_ok=True)
            with self.archive.open(self.member) as stream, target.open("wb") as out:
                # zipfile hands out no more than the size that was checked against the limits.
                shutil.copyfileobj(stream, out, _CHUNK)
            self._unpacked = target
        return self._unpacked

    def sha256(self) -> str:
        """Of the bytes."""
        digest = hashlib.sha256()
        with self.open() as stream:
            while block := stream.read(_CHUNK):
                digest.update(block)
        return digest.hexdigest()


@dataclass
class Listing:
    """All items, and how many files were left out for which reason (a code)."""

    items: list[Item] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def leave_out(self, code: str, count: int = 1) -> None:
        """Count files that are not looked at."""
        self.left_out[code] = self.left_out.get(code, 0) + count


def list_items(paths: Iterable[Path], *, settings: IngestSettings, workspace: Path) -> Listing:
    """Every file below the paths (folders, zips or files), each once. WrongCall when a path does not exist."""
    listing = Listing()
    seen: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise WrongCall(f"{path} does not exist; give a folder, a zip or an image file")
        for place in _walk(path):
            real = place.resolve()
            if real in seen:
                continue
            seen.add(real)
            _add(listing, place, at_top=place == path, settings=settings, workspace=workspace)
            if len(listing.items) > settings.max_files:
                raise Refused(
                    f"more than {settings.max_files} files; hepar reads one examination at a time:"
                    " give the folder of a single study"
                )
    return listing


def _walk(path: Path) -> Iterable[Path]:
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path, followlinks=False):
        folders.sort()
        for name in sorted(names):
            yield Path(folder) / name


def _add(listing: Listing, place: Path, *, at_top: bool, settings: IngestSettings, workspace: Path) -> None:
    try:
        status = place.stat()
        if not stat.S_ISREG(status.st_mode):
            listing.leave_out("not_a_file")
            return
        with place.open("rb") as stream:
            head = stream.read(4)
    except OSError:
        listing.leave_out("cannot_be_opened")
        return
    if at_top and head.startswith(b"PK"):
        _add_zip(listing, place, settings=settings, workspace=workspace)
    elif _is_system_file(place.name):
        return
    elif head.startswith(ARCHIVES):
        listing.leave_out("nested_archive")
    else:
        listing.items.append(Item(place, status.st_size, workspace=workspace, number=len(listing.items)))


def _add_zip(listing: Listing, place: Path, *, settings: IngestSettings, workspace: Path) -> None:
    try:
        archive = zipfile.ZipFile(place)
        members = [m for m in archive.infolist() if not m.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise Refused("the zip is damaged or not complete; copy it again") from error
    total = sum(m.file_size for m in members)
    packed = max(1, sum(m.compress_size for m in members))
    if len(members) > settings.max_files:
        raise Refused(f"the zip holds {len(members)} files, at most {settings.max_files} are read; give a single study")
    if total > settings.max_unpacked_bytes:
        raise Refused(
            f"the zip would unpack to {total / 1024**3:.0f} GiB, at most"
            f" {settings.max_unpacked_bytes / 1024**3:.0f} GiB are read; give a single study"
        )
    if total > settings.zip_ratio_free_bytes and total / packed > settings.max_zip_ratio:
        raise Refused(
            f"the zip unpacks to {total / packed:.0f} times its size, at most {settings.max_zip_ratio:.0f} times is"
            " believed; unpack it yourself when you trust it"
        )
    for member in members:
        name = PurePosixPath(member.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or ":" in name.parts[0]:
            listing.leave_out("unsafe_path")
        elif stat.S_ISLNK(member.external_attr >> 16):
            listing.leave_out("symbolic_link")
        elif member.flag_bits & 1:
            listing.leave_out("encrypted")
        elif _is_system_file(name.name) or "__MACOSX" in name.parts:
            continue
        else:
            item = Item(place / name, member.file_size, archive, member, workspace, len(listing.items))
            try:
                with item.open() as stream:
                    head = stream.read(4)
            except Exception:
                # zipfile passes on whatever its decompressors raise (zlib.error, EOFError, NotImplementedError, ...).
                listing.leave_out("cannot_be_opened")
                continue
            if head.startswith(ARCHIVES):
                listing.leave_out("nested_archive")
            else:
                listing.items.append(item)


def _is_system_file(name: str) -> bool:
    return name.startswith("._") or name in (".DS_Store", "Thumbs.db", "desktop.ini", ".gitkeep")
