"""Everything in the input, before a study is chosen."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hepar.errors import Refused, WrongCall
from hepar.ingest import dicom, files
from hepar.ingest.dicom import Contents
from hepar.ingest.settings import IngestSettings
from hepar.ingest.source import Item, Listing, list_items
from hepar.record import Notice, PhaseLabel, Skipped

_LEFT_OUT = {
    "nested_archive": "archives inside the input are not opened; unpack them first",
    "unsafe_path": "members of the zip whose path leads outside it were left out",
    "symbolic_link": "links inside the zip were left out",
    "encrypted": "encrypted members of the zip were left out; unpack the zip with its password first",
    "cannot_be_opened": "files that cannot be opened; check the permissions or copy them again",
    "not_a_file": "special files were left out",
}


@dataclass
class Found:
    """Everything in the input, before a study is chosen."""

    contents: Contents
    images: list[Item]
    skipped: list[Skipped] = field(default_factory=list)
    user: dict[Path, PhaseLabel] = field(default_factory=dict)

    def user_label(self, item: Item) -> PhaseLabel | None:
        """The label of the innermost --phase path that holds the item."""
        inside = [p for p in self.user if _plain(item.place).is_relative_to(p)]
        return self.user[max(inside, key=lambda p: len(p.parts))] if inside else None


def find(
    path: Path,
    settings: IngestSettings,
    phase_paths: Mapping[PhaseLabel, Path],
    workspace: Path,
    tick: Callable[[float], None],
) -> Found:
    user = {_plain(_inside(p, path)): label for label, p in phase_paths.items()}
    if len(user) < len(phase_paths):
        raise WrongCall("two phases were given the same path; give each phase its own")
    beside = [p for p in phase_paths.values() if p.exists() and not _plain(p).is_relative_to(_plain(path))]
    listing = list_items([path, *sorted(beside)], settings=settings, workspace=workspace)
    contents = dicom.read_heads(listing.items, tick)
    images, unread = files.recognise(contents.others)
    return Found(contents, images, _left_out(listing, unread), user)


def _plain(path: Path) -> Path:
    """Absolute and without "..", links left as they are."""
    return Path(os.path.abspath(path))


def _inside(path: Path, study: Path) -> Path:
    """Where a --phase path lies; one that points into a zip exists only as the place of its members."""
    if path.exists() or _plain(path).is_relative_to(_plain(study)):
        return path
    raise WrongCall(f"--phase: {path} does not exist; give a folder or file of the study")


def _left_out(listing: Listing, unread: int) -> list[Skipped]:
    skipped = [Skipped("", "unknown", n, Notice(code, _LEFT_OUT[code])) for code, n in listing.left_out.items()]
    if unread:
        reason = Notice("not_an_image_file", "files that are no images hepar reads, or too damaged to tell")
        skipped.append(Skipped("", "unknown", unread, reason))
    return dicom.sum_up(skipped)


def nothing_found(found: Found) -> Refused:
    others = sum(s.images for s in found.skipped)
    if not others:
        return Refused("no files in there; give the folder or zip that holds the images")
    return Refused(
        f"no image among {others} files; hepar reads CT and MR as DICOM, NIfTI, NRRD or MHA: give the folder or zip"
        " that holds the images" + _because(found.skipped)
    )


def _because(skipped: Sequence[Skipped]) -> str:
    named = [s for s in skipped if s.reason.code in ("nested_archive", "encrypted", "cannot_be_opened")]
    return "".join(f" ({s.images}: {s.reason.text})" for s in named)


def unused_files(found: Found) -> list[Skipped]:
    if not found.images:
        return []
    reason = Notice("beside_dicom", "NIfTI, NRRD or MHA files beside DICOM images; only the DICOM is read")
    return [Skipped("", "unknown", len(found.images), reason)]


def no_volume(skipped: Sequence[Skipped]) -> Refused:
    reasons = sorted(skipped, key=lambda s: (-s.images, s.reason.code))[:3]
    told = "; ".join(f"{s.images} image{'s' if s.images != 1 else ''}: {s.reason.text}" for s in reasons)
    return Refused(f"no series can be analysed ({told})")
