"""A site folder as `learn adapt` keeps it: attempts side by side, a pointer to the one in use, a trace of every change.

What the folder holds and how it is read stands in `segment.site`. Here it is written: an attempt appears whole or not
at all, the pointer is replaced in one step, and `log.jsonl` only grows; each line holds the hash of the one before.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from hepar.errors import HeparError, Refused, WrongCall
from hepar.segment.site import CURRENT, VERSION, SiteModel, checked, current, shipped_hashes

SCHEMA: Final = "hepar-site/1.0"
LOG: Final = "log.jsonl"
Clock = Callable[[], str]


def utc_now() -> str:
    """For the trace, and nowhere else."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def check_site(folder: Path) -> None:
    """Whether `open_site` can have this folder; nothing is written. Raises WrongCall for a folder that holds other
    things, Refused for a damaged pointer."""
    if (folder / CURRENT).is_file():
        current(folder)
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise WrongCall("the folder given with --site holds other things than a site; name a new or an empty one")


def open_site(folder: Path, *, now: Clock = utc_now) -> dict[str, Any]:
    """The pointer; a folder that is not there, or empty, becomes a site that uses the shipped model.

    Raises what `check_site` raises.
    """
    check_site(folder)
    if not (folder / CURRENT).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _point(folder, None, [])
        trace(folder, "opened", now=now)
    return current(folder)


@contextmanager
def attempt(folder: Path) -> Iterator[tuple[str, Path]]:
    """The number of the next attempt and a folder to write it into, which takes its place when the block ends well."""
    taken = [int(p.name) for p in folder.iterdir() if p.name.isdigit() and len(p.name) == 4]
    number = f"{max(taken, default=0) + 1:04d}"
    staging = folder / f".{number}.part"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        yield number, staging
        files = {p.name: _sha256(p) for p in sorted(staging.iterdir())}
        about = {"schema": SCHEMA, "version": number, "files": files, "shipped": shipped_hashes()}
        (staging / VERSION).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        for path in staging.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        staging.rename(folder / number)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def promote(folder: Path, version: str, *, now: Clock = utc_now) -> SiteModel:
    """Use this attempt from now on; its files are read back first, and the pointer afterwards."""
    sha256 = _sha256(folder / version / VERSION)
    model = checked(folder, version, sha256)
    before = current(folder)
    stack = [*before.get("before", [])]
    if before["version"] is not None:
        stack.append({"version": before["version"], "version_sha256": before["version_sha256"]})
    trace(
        folder, "promoted", now=now, version=version, version_sha256=sha256, instead_of=before["version"], **model.files
    )
    _point(folder, {"version": version, "version_sha256": sha256}, stack)
    return checked(folder, version, str(current(folder)["version_sha256"]))


def rollback(folder: Path, *, now: Clock = utc_now) -> str | None:
    """Back to the version that was in use before; returns it, None for the shipped model.

    A version whose files are damaged or missing is passed over; a damaged pointer leads to the shipped model. Raises
    WrongCall where the shipped model is in use already.
    """
    try:
        was = current(folder)
    except Refused as reason:
        trace(folder, "rolled back", now=now, version=None, instead_of="unknown", why=str(reason))
        _point(folder, None, [])
        return None
    if was["version"] is None:
        raise WrongCall("the shipped model is in use at this site; there is nothing to roll back to")
    stack = list(was.get("before", []))
    passed_over = []
    while stack:
        target = stack.pop()
        try:
            checked(folder, target["version"], target["version_sha256"])
        except HeparError:
            passed_over.append(target["version"])
            continue
        trace(folder, "rolled back", now=now, instead_of=was["version"], passed_over=passed_over, **target)
        _point(folder, target, stack)
        return str(target["version"])
    trace(folder, "rolled back", now=now, version=None, instead_of=was["version"], passed_over=passed_over)
    _point(folder, None, [])
    return None


def trace(folder: Path, event: str, *, now: Clock = utc_now, **what: Any) -> None:
    """Add one line to the log."""
    file = folder / LOG
    before = file.read_bytes().splitlines() if file.is_file() else []
    last = hashlib.sha256(before[-1]).hexdigest() if before else None
    line = json.dumps({"at": now(), "event": event, **what, "line_before_sha256": last})
    with file.open("ab") as log:
        log.write(line.encode() + b"\n")
        log.flush()
        os.fsync(log.fileno())


def check_trace(folder: Path) -> int:
    """How many lines the log has. Raises Refused where it is missing, or a line before the last was changed, added or
    taken out. What happened to the last line alone is only seen once another one follows."""
    if not (folder / LOG).is_file():
        raise Refused(f"the site's {LOG} is missing; needed: the trace of every change; ask who took it away")
    last = None
    lines = (folder / LOG).read_bytes().splitlines()
    for number, line in enumerate(lines, 1):
        try:
            before = json.loads(line)["line_before_sha256"]
        except (ValueError, KeyError, TypeError):
            raise Refused(f"the site's {LOG}: line {number} is no line of a trace; ask who edited it") from None
        if before != last:
            raise Refused(f"the site's {LOG} was changed before line {number}: it holds the hash {str(before)[:12]},"
                          f" needed {str(last)[:12]}; ask who edited it")  # fmt: skip
        last = hashlib.sha256(line).hexdigest()
    return len(lines)


def _point(folder: Path, to: dict[str, str] | None, stack: list[dict[str, str]]) -> None:
    content = {"schema": SCHEMA, "version": None, "version_sha256": None, **(to or {}), "before": stack}
    fresh = folder / f".{CURRENT}.new"
    with fresh.open("w", encoding="utf-8") as file:
        file.write(json.dumps(content, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / CURRENT)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
