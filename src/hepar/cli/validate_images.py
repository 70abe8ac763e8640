"""`hepar validate scores --image`: images that are nearly the same in two splits stop the run."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hepar.cli.screen import Screen
from hepar.errors import HeparError, Refused, WrongCall

if TYPE_CHECKING:
    from hepar.validate.leaks import Signature


def refuse_same_images(
    columns: Mapping[str, Sequence[str]], image: str, split: str | None, patient: str | None, root: Path, *, quiet: bool
) -> list[str]:
    """Read the images named in a column and hold those of different splits against each other.

    Returns what is to be said in the report. Raises Refused for the same or nearly the same image in two splits, or one
    that cannot be read; WrongCall without a column of splits. One image is in memory at a time.
    """
    from hepar.validate.leaks import near_duplicates

    for name in (image, split, patient):
        if name is not None and name not in columns:
            raise WrongCall(f"the table has no column {name!r}; it has: {', '.join(columns)}; name the right one")
    if split is None:
        raise WrongCall("--image holds the images of different splits against each other; name the column with --split")
    first, parts = _distinct(columns[image], columns[split])
    seen: list[Signature] = []
    paths = list(first)
    with Screen(quiet=quiet) as screen, tempfile.TemporaryDirectory() as workspace:
        for done, path in enumerate(paths):
            seen.append(_signature(root / path, first[path], Path(workspace) / str(done)))
            screen("Reading the images", (done + 1) / len(paths))
        found = near_duplicates(
            seen, groups=[parts[path] for path in paths], progress=lambda share: screen("Comparing the images", share)
        )
    if found:
        where = "; ".join(f"rows {first[paths[a.first]]} and {first[paths[a.second]]}" for a in found[:5])
        raise Refused(f"{len(found)} pairs of images are nearly the same and stand in two splits, so the splits are not"
                      f" independent: {where} (header counted); put such images in one split only")  # fmt: skip
    empty = sum(not value.strip() for value in columns[image])
    left = f"; {empty} rows name no image" if empty else ""
    return [f"{len(paths)} images were held against those of the other splits; none is nearly the same as another"
            f"{left}."]  # fmt: skip


def _distinct(images: Sequence[str], splits: Sequence[str]) -> tuple[dict[str, int], dict[str, str]]:
    """The row of each image's first mention, and its split. Raises Refused for an image named in two splits."""
    first: dict[str, int] = {}
    parts: dict[str, str] = {}
    for row, (name, part) in enumerate(zip(images, splits, strict=True), start=2):
        path, where = name.strip(), part.strip()
        if not path or not where:
            continue
        if parts.setdefault(path, where) != where:
            raise Refused(f"one image stands in two splits (rows {first[path]} and {row}, header counted), "
                          "so the splits are not independent; put it in one split only")  # fmt: skip
        first.setdefault(path, row)
    if not first:
        raise WrongCall("the column of images names none; needed: a path per row, or no --image")
    return first, parts


def _signature(path: Path, row: int, workspace: Path) -> Signature:
    from hepar.ingest import IngestSettings, read_study
    from hepar.validate.leaks import signature

    if not path.exists():
        raise Refused(f"the image of row {row} of the table is not there; mend its path, or name the folder that paths "
                      "start from with --images")  # fmt: skip
    workspace.mkdir()
    # formats without a modality must be told one; MR takes any numbers, those of a windowed CT too
    modality = "MR" if path.is_file() and path.suffix != ".zip" else None
    try:
        study = read_study(path, settings=IngestSettings(), modality=modality, workspace=workspace)
        return signature(study.phases[0].volume.array)
    except HeparError as error:
        raise Refused(f"the image of row {row} of the table cannot be compared: {error}") from error
