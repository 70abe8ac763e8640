"""All of the output or nothing: written beside the target, moved into place in one step."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hepar.errors import WrongCall

RESULT_FILES = frozenset({"run.json", "findings.json"})
"""What a folder must hold to be taken for a result of hepar, which alone may be overwritten."""
_STAGING = ".hepar-partial-"


def check_target(out: Path, *, source: Path | None, overwrite: bool, own_files: frozenset[str] = RESULT_FILES) -> None:
    """Raise WrongCall unless a result may be put at `out`.

    out: must not exist, or be an empty folder, or (with overwrite) an earlier result, known by `own_files`.
    source: what is analysed, None for nothing; `out` may lie neither in it nor around it.
    """
    target = out.resolve()
    if source is not None:
        given = source.resolve()
        if target == given or given in target.parents or target in given.parents:
            raise WrongCall(f"the output folder {out} and the study {source} lie inside each other; choose another -o")
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise WrongCall(f"{out} is there and is not a folder; choose another -o")
    if out.exists() and (content := {entry.name for entry in _listing(out)}):
        if not overwrite:
            raise WrongCall(f"{out} is not empty; choose another -o, or replace an earlier result with --overwrite")
        if not own_files <= content:
            raise WrongCall(f"{out} holds other files than an earlier result of hepar; choose another -o")
    parent = _existing_parent(target)
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise WrongCall(f"cannot write in {parent}; choose an -o in a folder that you may write to")


@contextmanager
def delivered(out: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `out` when the block ends well and vanishes when it does not.

    A run that was killed leaves only a hidden folder beside `out`, which the next run removes.
    Raises WrongCall when the disk is full or may not be written to.
    """
    target = out.resolve()
    staging = target.parent / f"{_STAGING}{os.getpid()}-{uuid.uuid4().hex[:8]}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent)
        staging.mkdir()
        yield staging
        _sync(staging)
        _put(staging, target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise WrongCall(f"no space left for the output in {out.parent}; free some or choose another -o") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise WrongCall(f"cannot write in {out.parent}; choose an -o in a folder that you may write to") from error
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _listing(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except PermissionError as error:
        raise WrongCall(f"cannot read {folder}; choose another -o") from error


def _existing_parent(target: Path) -> Path:
    for parent in target.parents:
        if parent.exists():
            return parent
    return target.parent


def _sync(staging: Path) -> None:
    """Everything on the disk before the move makes it visible: a full disk shows here, not afterwards."""
    for path in sorted(staging.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _put(staging: Path, target: Path) -> None:
    if not target.exists():
        staging.rename(target)
    elif not any(target.iterdir()):
        target.rmdir()
        staging.rename(target)
    else:
        _exchange(staging, target)


def _exchange(staging: Path, target: Path) -> None:
    """Swap both folders, in one step where the kernel can (Linux, renameat2 with RENAME_EXCHANGE)."""
    libc = ctypes.CDLL(None, use_errno=True)
    at_fdcwd, rename_exchange = -100, 2
    if hasattr(libc, "renameat2") and (
        libc.renameat2(at_fdcwd, os.fsencode(staging), at_fdcwd, os.fsencode(target), rename_exchange) == 0
    ):
        return
    old = staging.with_name(staging.name + "-old")
    target.rename(old)
    staging.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what killed runs left: staging folders whose process is gone."""
    for left in folder.glob(f"{_STAGING}*"):
        pid = left.name[len(_STAGING) :].split("-")[0]
        if pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
