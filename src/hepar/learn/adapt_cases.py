"""The corrected cases of a site: found in their folders, prepared once, and read with their labels.

    CASES/<any name>/portal_venous.nii.gz   or .nii, .nrrd, .mha, or DICOM in a folder or zip portal_venous; the phases
                                            native, arterial and delayed beside it where there are any
    CASES/<any name>/labels.nii.gz          1 liver; 2, or 11, 12, ... one number each: lesions
      or liver.nii.gz and lesions.nii.gz    as `hepar analyze` writes them below masks/, corrected
    CASES/patients.csv                      case,patient: needed where a patient has several cases

The folders of `hepar simulate --distribution` are read as they are. Files may lie in images/, nifti/, masks/ or truth/.
"""

from __future__ import annotations

import csv
import hashlib
import pickle
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepar import pipeline
from hepar.errors import HeparError, Refused, WrongCall
from hepar.ingest.label_map import read_label_map
from hepar.record import AlignedPhase, Geometry, OrganMap, PhaseLabel, Volume
from hepar.segment.builtin import Builtin
from hepar.settings import Settings

LEAST_CASES, MOST_CASES = 5, 20
PHASES: Final[tuple[PhaseLabel, ...]] = ("native", "arterial", "portal_venous", "delayed")
_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha", ".zip")
_PLACES = ("", "images", "nifti", "masks", "truth")
_LESION_FROM = 11


@dataclass(frozen=True)
class SiteCase:
    """Files of one case. number: from 1, in the order of the folders' names, which messages go by.

    labels: one label map, or liver and lesions. virtual: labels number veins 2 and 3. patient: group of the split.
    """

    number: int
    images: Mapping[PhaseLabel, Path]
    labels: tuple[Path, ...]
    virtual: bool
    patient: str

    def said(self, text: str) -> Refused:
        """A refusal that tells which case."""
        return Refused(f"case {self.number} (by name of the folders): {text}")


@dataclass(frozen=True, eq=False)
class ReadyCase:
    """One case up to the region network. sha256: of the portal venous voxels. others, phases: as `Engine.anatomy` takes
    them."""

    sha256: str
    reference: Volume
    organs: OrganMap
    others: tuple[AlignedPhase, ...]
    phases: tuple[PhaseLabel, ...]


@dataclass(frozen=True, eq=False)
class Truth:
    """On the grid of the portal venous phase. liver: with its lesions. lesions: ids 1, 2, ... by rising label."""

    liver: NDArray[np.bool_]
    lesions: NDArray[np.uint16]
    sha256: str


def find_cases(folder: Path) -> list[SiteCase]:
    """Every case below the folder. Raises WrongCall for no such folder, Refused for too few, too many, or a lack."""
    if not folder.is_dir():
        raise WrongCall(f"{folder} is no folder; give one with a folder for each corrected case")
    places = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not LEAST_CASES <= len(places) <= MOST_CASES:
        raise Refused(
            f"the folder holds {len(places)} cases, needed {LEAST_CASES} to {MOST_CASES}; fewer cannot be judged, for"
            " more train a network of your own (docs/how-to/train-the-network.md)"
        )
    patients = _patients(folder / "patients.csv", [p.name for p in places])
    return [_case(number, place, patients[place.name]) for number, place in enumerate(places, 1)]


def _patients(table: Path, names: list[str]) -> dict[str, str]:
    if not table.is_file():
        return {name: f"case {number}" for number, name in enumerate(names)}
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    try:
        given = {row["case"].strip(): row["patient"].strip() for row in rows}
    except (KeyError, AttributeError):
        raise WrongCall("patients.csv: needed the columns case (name of the folder) and patient; add them") from None
    lacking = sum(1 for name in names if not given.get(name))
    if lacking:
        raise Refused(f"patients.csv names no patient for {lacking} of {len(names)} cases; add a row for each")
    return given


def _case(number: int, place: Path, patient: str) -> SiteCase:
    found: dict[str, Path] = {}
    for part in _PLACES:
        for entry in sorted((place / part).iterdir()) if (place / part).is_dir() else []:
            found.setdefault(_stem(entry), entry)
    images: dict[PhaseLabel, Path] = {phase: found[phase] for phase in PHASES if phase in found}
    if "image" in found:
        images.setdefault("portal_venous", found["image"])
    labels = (found["labels"],) if "labels" in found else tuple(found[n] for n in ("liver", "lesions") if n in found)
    case = SiteCase(number, images, labels, (place / "truth.json").is_file(), patient)
    if "portal_venous" not in images:
        raise case.said("no portal venous image; needed portal_venous.nii.gz, or DICOM in portal_venous; add it")
    if "labels" not in found and len(labels) != 2:
        raise case.said("no corrected labels; needed labels.nii.gz, or liver.nii.gz and lesions.nii.gz; add them")
    return case


def _stem(entry: Path) -> str:
    """`3_portal_venous.nii.gz` -> `portal_venous`."""
    name = entry.name.lower()
    if not entry.is_dir():
        suffix = next((s for s in _SUFFIXES if name.endswith(s)), None)
        if suffix is None:
            return ""
        name = name.removesuffix(suffix)
    head, _, tail = name.partition("_")
    return tail if head.isdigit() else name


def ready_case(case: SiteCase, engine: Builtin, keep: Path) -> ReadyCase:
    """Phases read, organs outlined, phases aligned; made once and then read from keep, by the content of the images.

    Raises Refused, with the case's number, for what `hepar analyze` would refuse.
    """
    key = hashlib.sha256(engine.network.sha256.encode())
    for phase, path in sorted(case.images.items()):
        key.update(phase.encode())
        for file in _files(path):
            key.update(hashlib.sha256(file.read_bytes()).digest())
    made: ReadyCase = kept(keep / f"{key.hexdigest()[:32]}.pickle", lambda: _prepare(case, engine))
    return made


def kept(file: Path, make: Callable[[], Any]) -> Any:
    """What `make` gives, made once and then read from the file."""
    if file.is_file():
        return pickle.loads(file.read_bytes())
    made = make()
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.write_bytes(pickle.dumps(made, protocol=5))
    fresh.replace(file)
    return made


def _prepare(case: SiteCase, engine: Builtin) -> ReadyCase:
    settings = Settings(segment=engine.settings, reference="portal_venous")
    with tempfile.TemporaryDirectory() as folder:
        try:
            source, paths = _linked(case, Path(folder) / "in")
            ready = pipeline.prepare(
                pipeline.Request(source, phase_paths=paths, modality="CT"), settings, engine, Path(folder),
                pipeline.Clock(), lambda step, share: None,
            )  # fmt: skip
        except HeparError as reason:
            raise case.said(str(reason)) from reason
        reference = ready.reference.volume
        return ReadyCase(
            hashlib.sha256(reference.array.tobytes()).hexdigest(), reference, ready.organs[ready.reference.id],
            tuple(ready.others), tuple(ready.labels),
        )  # fmt: skip


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())


def _linked(case: SiteCase, folder: Path) -> tuple[Path, dict[PhaseLabel, Path]]:
    """The images alone in a folder, without the labels beside them."""
    if len(case.images) == 1:
        (phase, path) = next(iter(case.images.items()))
        return path, {phase: path}
    paths: dict[PhaseLabel, Path] = {}
    for phase, path in case.images.items():
        for file in _files(path):
            target = folder / phase / (file.name if path.is_file() else str(file.relative_to(path)))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(file.resolve())
        paths[phase] = folder / phase
    return folder, paths


def read_truth(case: SiteCase, geometry: Geometry) -> Truth:
    """The labels on the grid of the portal venous phase. Raises Refused for another grid or unknown numbers."""
    maps = []
    for path in case.labels:
        try:
            read = read_label_map(path)
        except HeparError as reason:
            raise case.said(str(reason)) from reason
        on = read.on(geometry)
        if on is None:
            raise case.said(
                f"{_stem(path)} has {_grid(read.geometry)}, the portal venous image {_grid(geometry)}; needed the same"
                " grid in the same place; resample the labels onto the image (nearest neighbour)"
            )
        maps.append(on.values)
    if len(maps) == 2:
        lesions = _parts(maps[1] > 0, 0) if int(maps[1].max(initial=0)) == 1 else maps[1]
        liver = (maps[0] > 0) | (lesions > 0)
    else:
        (labels,) = maps
        present = np.unique(labels)
        strange = [int(n) for n in present if 2 < n < _LESION_FROM and not (case.virtual and n == 3)]
        if strange:
            raise case.said(
                f"labels hold the number {strange[0]}; needed 0, 1 for liver, and 2 or {_LESION_FROM} and up for"
                " lesions; renumber them"
            )
        liver = labels > 0
        lesions = np.where(labels >= _LESION_FROM, labels, 0)
        if not case.virtual and (labels == 2).any():
            lesions = _parts(labels == 2, int(present[-1])) + lesions
    ids = np.zeros(geometry.shape, np.uint16)
    for number, label in enumerate(np.unique(lesions[lesions > 0]), 1):
        ids[lesions == label] = number
    digest = hashlib.sha256(np.packbits(liver).tobytes() + ids.tobytes()).hexdigest()
    return Truth(np.ascontiguousarray(liver), ids, digest)


def _parts(mask: NDArray[np.bool_], last: int) -> NDArray[np.int32]:
    """Connected parts numbered beyond `last`, which other lesions may use."""
    from scipy import ndimage

    parts, _ = ndimage.label(mask)
    return np.where(parts > 0, parts + max(last, _LESION_FROM), 0).astype(np.int32)


def _grid(geometry: Geometry) -> str:
    shape = " x ".join(str(n) for n in geometry.shape)
    spacing = " x ".join(f"{s:.2f}" for s in geometry.spacing_mm)
    first = ", ".join(f"{v:.0f}" for v in geometry.origin_lps_mm)
    return f"{shape} voxels of {spacing} mm from ({first})"
