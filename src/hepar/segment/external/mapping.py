"""An engine file: which program, where it lives, and what its labels mean."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.errors import WrongCall
from hepar.record import Organ
from hepar.segment.external.licence import Licence, config_folder

KINDS = ("totalsegmentator", "nnunet", "monai", "onnx", "command")
ORGANS = {("vessel" if organ is Organ.HEPATIC_VESSEL else organ.name.lower()): organ for organ in Organ if organ}
"""The names that a label may be given."""
LIVER = (Organ.LIVER, Organ.LESION, Organ.HEPATIC_VESSEL)
_KEYS = {
    "extends", "name", "kind", "python", "executable", "model", "device", "timeout_s", "max_memory", "phases", "grid",
    "others", "labels", "ignore", "arguments", "task", "command", "output", "files", "version", "weights", "log",
    "licence", "environment", "run", "onnx", "config",
}  # fmt: skip
_RUN_KEYS = {"task", "arguments", "command", "output", "labels", "ignore", "others"}
_PLACES = ("input", "output", "input_folder", "output_folder", "workspace", "device", "model", "python", "threads")
"""Placeholders in commands, arguments, files and output."""
_NO_PLACE = ("python", "executable", "model", "environment", "log", "weights", "device", "timeout_s", "max_memory")
"""Keys that say where or with what a tool runs on this machine; they stay out of documents and of the hash."""


@dataclass(frozen=True)
class Run:
    """One call of the tool. labels: its numbers to ours. ignore: its numbers that mean nothing here.

    others: whether a number that is named nowhere is "refuse"d or taken as "background".
    task, arguments, command, output: as the kind needs them.
    """

    labels: Mapping[int, Organ]
    ignore: frozenset[int]
    others: str
    task: str = ""
    arguments: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    output: str = ""

    def convert(self, array: NDArray[Any], engine: str) -> NDArray[np.uint8]:
        """Their label map to values of `Organ`. Raises WrongCall for a number that the file does not name."""
        out = np.zeros(array.shape, np.uint8)
        found = {int(number) for number in np.unique(array)} - {0}
        unknown = sorted(found - set(self.labels) - self.ignore)
        if unknown and self.others == "refuse":
            shown = ", ".join(str(number) for number in unknown[:8])
            raise WrongCall(
                f"engine {engine} gave the label {shown}, which its engine file does not name; add it under [labels] or"
                " ignore"
            )
        for number in sorted(found & set(self.labels)):
            out[array == number] = self.labels[number]
        return out


@dataclass(frozen=True, eq=False)
class EngineFile:
    """A checked engine file. folder: where it lies; places in it are meant from there.

    phases: which it is run on, "all" or "reference". any_grid: whether an answer on another grid is brought over.
    python, executable, model, log: as given, already resolved; "" or None where there is none.
    """

    name: str
    kind: str
    runs: tuple[Run, ...]
    licence: Licence
    folder: Path
    given: Mapping[str, Any]
    python: str = ""
    executable: str = ""
    model: Path | None = None
    device: str = "cpu"
    timeout_s: float = 3600.0
    max_memory_bytes: int | None = None
    phases: str = "all"
    any_grid: bool = False
    weights: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None

    @property
    def organs(self) -> frozenset[Organ]:
        """What the tool outlines."""
        return frozenset(organ for run in self.runs for organ in run.labels.values())

    @cached_property
    def described(self) -> dict[str, Any]:
        """What of the file can change a result, without places on this machine; the hash covers it all."""
        plain = {key: value for key, value in self.given.items() if key not in _NO_PLACE}
        text = json.dumps(plain, sort_keys=True, default=str)
        return {
            "name": self.name,
            "kind": self.kind,
            "licence": self.licence.name,
            "outlines": sorted(organ.name.lower() for organ in self.organs),
            "phases": self.phases,
            "file_sha256": hashlib.sha256(text.encode()).hexdigest(),
        }


def shipped() -> tuple[str, ...]:
    """Names of the engine files that come with hepar."""
    folder = resources.files("hepar.segment.external") / "engines"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def own() -> tuple[str, ...]:
    """Names of the engine files in the user's folder of settings."""
    return tuple(sorted(path.stem for path in (config_folder() / "engines").glob("*.toml")))


def find(name: str) -> Path | None:
    """The engine file of this name: a path to one, one of the user's, or one that ships; None when there is none."""
    if name.endswith(".toml"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise WrongCall(f"engine file {name} does not exist; give a .toml file or the name of an engine")
        return path
    if name in own():
        return config_folder() / "engines" / f"{name}.toml"
    return (
        Path(str(resources.files("hepar.segment.external") / "engines" / f"{name}.toml")) if name in shipped() else None
    )


def load(path: Path) -> EngineFile:
    """Read and check an engine file. Raises WrongCall, naming the key, for anything that cannot be meant."""
    given = _read(path)
    _only(given, _KEYS, path.name)
    folder = path.parent
    name = _text(given, "name", path.stem)
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,23}", name) or name == "builtin":
        raise WrongCall(f"engine file {path.name}: name {name!r} must be up to 24 of a-z, 0-9, - and _, not builtin")
    kind = _text(given, "kind", "")
    if kind not in KINDS:
        raise WrongCall(f"engine file {path.name}: kind is {kind!r}; needed: one of {', '.join(KINDS)}")
    for key, needed in (("model", ("nnunet", "monai", "onnx")), ("python", ("nnunet", "monai"))):
        if kind in needed and not given.get(key):
            raise WrongCall(f"engine file {path.name}: {kind} needs {key} = a place on this machine")
    runs = tuple(_run({**_shared(given), **one}, kind, path.name) for one in given.get("run", [{}]))
    outlined = {organ for run in runs for organ in run.labels.values()}
    if not outlined & {Organ.LIVER, Organ.LESION}:
        raise WrongCall(f"engine file {path.name}: no label is liver or lesion; name at least one of them")
    # Every phase needs organs, for its label and for alignment; a tool without them is worth its time only once.
    usual = "all" if {Organ.LIVER, Organ.AORTA} <= outlined else "reference"
    phases, grid = _text(given, "phases", usual), _text(given, "grid", "same")
    if phases not in ("all", "reference") or grid not in ("same", "any"):
        raise WrongCall(f'engine file {path.name}: phases is "all" or "reference", grid is "same" or "any"')
    if phases == "all" and Organ.LIVER not in outlined:
        raise WrongCall(f'engine file {path.name}: without the liver only phases = "reference" is possible')
    timeout = given.get("timeout_s", 3600)
    if not isinstance(timeout, int | float) or timeout <= 0:
        raise WrongCall(f"engine file {path.name}: timeout_s is {timeout!r}; needed: seconds above 0")
    model = _place(folder, _text(given, "model", ""))
    return EngineFile(
        name=name,
        kind=kind,
        runs=runs,
        licence=_licence(name, given.get("licence"), folder, path.name),
        folder=folder,
        given=given,
        python=_python(folder, _text(given, "python", "")),
        executable=_executable(folder, _text(given, "executable", "")),
        model=Path(model) if model else None,
        device=_text(given, "device", "cpu"),
        timeout_s=float(timeout),
        max_memory_bytes=_bytes(given.get("max_memory"), path.name),
        phases=phases,
        any_grid=grid == "any",
        weights=tuple(Path(_place(folder, one)) for one in _words(given, "weights", path.name)),
        environment={key: str(value) for key, value in dict(given.get("environment", {})).items()},
        files={key: _filled(str(value), path.name) for key, value in dict(given.get("files", {})).items()},
        log=Path(_place(folder, given["log"])) if given.get("log") else None,
    )


def _read(path: Path, depth: int = 0) -> dict[str, Any]:
    """The file's keys over those of the file that it extends."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WrongCall(f"engine file {path.name} cannot be read: {error}") from None
    base = given.pop("extends", None)
    if base is None:
        return given
    if base in shipped():
        below = Path(str(resources.files("hepar.segment.external") / "engines" / f"{base}.toml"))
    else:
        below = path.parent / str(base)
    if depth > 4 or not below.is_file():
        raise WrongCall(
            f"engine file {path.name} extends {base!r}, which is not there; needed: one of {', '.join(shipped())}, or a"
            " .toml file"
        )
    return {**_read(below, depth + 1), **given}


def _shared(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: given[key] for key in _RUN_KEYS & set(given)}


def _run(given: Mapping[str, Any], kind: str, file: str) -> Run:
    _only(given, _RUN_KEYS, file)
    labels: dict[int, Organ] = {}
    for name, numbers in dict(given.get("labels", {})).items():
        if name not in ORGANS:
            raise WrongCall(f"engine file {file}: {name!r} is no organ of hepar; they are {', '.join(ORGANS)}")
        for number in numbers if isinstance(numbers, list) else [numbers]:
            if not isinstance(number, int) or number < 0 or number in labels or (number == 0 and kind != "onnx"):
                raise WrongCall(f"engine file {file}: label {number!r} of {name} must be a number above 0, named once")
            labels[number] = ORGANS[name]
    if not labels:
        raise WrongCall(f"engine file {file}: [labels] is empty; say which of their labels is what, e.g. liver = 1")
    command = _words(given, "command", file)
    if (kind == "command") != bool(command):
        raise WrongCall(
            f'engine file {file}: command = ["PROGRAM", ...] is needed for the kind command, and only there'
        )
    others = _text(given, "others", "refuse")
    if others not in ("refuse", "background"):
        raise WrongCall(f'engine file {file}: others is {others!r}; needed: "refuse" or "background"')
    ignore = given.get("ignore", [])
    return Run(
        labels=labels,
        ignore=frozenset(int(n) for n in (ignore if isinstance(ignore, list) else [ignore])),
        others=others,
        task=_text(given, "task", ""),
        arguments=tuple(_filled(word, file) for word in _words(given, "arguments", file)),
        command=tuple(_filled(word, file) for word in command),
        output=_filled(_text(given, "output", ""), file),
    )


def _licence(engine: str, given: Any, folder: Path, file: str) -> Licence:
    if not isinstance(given, Mapping) or not given.get("name"):
        raise WrongCall(f'engine file {file}: [licence] needs name = "..." (and text, file or url) of the network used')
    parts = [str(given["name"]), str(given.get("url", "")), str(given.get("text", ""))]
    if given.get("file"):
        place = Path(_place(folder, str(given["file"])))
        try:
            parts.append(place.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            raise WrongCall(f"engine file {file}: the licence's file cannot be read; give its place") from None
    return Licence(engine, str(given["name"])[:60], "\n".join(part.strip() for part in parts if part.strip()))


def _only(given: Mapping[str, Any], known: set[str], file: str) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise WrongCall(f"engine file {file}: {unknown[0]!r} is not known here; known are {', '.join(sorted(known))}")


def _text(given: Mapping[str, Any], key: str, default: str) -> str:
    value = given.get(key, default)
    return value if isinstance(value, str) else str(value)


def _words(given: Mapping[str, Any], key: str, file: str) -> tuple[str, ...]:
    value = given.get(key, [])
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise WrongCall(f'engine file {file}: {key} must be a list of words, ["like", "this"]; no shell reads it')
    return tuple(value)


def _filled(text: str, file: str) -> str:
    """The text, when all its placeholders are known; doubled braces stand for braces."""
    for found in re.findall(r"\{(\w*)\}", text.replace("{{", "").replace("}}", "")):
        if found not in _PLACES:
            raise WrongCall(f"engine file {file}: {{{found}}} is no placeholder; they are {', '.join(_PLACES)}")
    return text


def _place(folder: Path, text: str) -> str:
    """A place on this machine, meant from the engine file's folder."""
    return str((folder / Path(text).expanduser()).resolve()) if text else ""


def _python(folder: Path, text: str) -> str:
    """An interpreter; of an environment's folder, the one inside."""
    if not text:
        return ""
    # Not resolved: an environment's interpreter is a link, and knows its environment by where the link lies.
    place = folder / Path(text).expanduser()
    return str((place / "bin" / "python").absolute() if place.is_dir() else place.absolute())


def _executable(folder: Path, text: str) -> str:
    """A program: a bare name is looked up where programs lie, anything with a slash from the file's folder."""
    return str((folder / Path(text).expanduser()).absolute()) if "/" in text or text.startswith("~") else text


def _bytes(given: Any, file: str) -> int | None:
    if given is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:iB|B)?", str(given).strip(), re.IGNORECASE)
    if match is None or float(match[1]) <= 0:
        raise WrongCall(f'engine file {file}: max_memory is {given!r}; needed: for example "16G"')
    return int(float(match[1]) * 1024 ** " KMGT".index((match[2] or " ").upper()))
