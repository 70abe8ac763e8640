"""How each kind of tool is asked: the words of its command, where it reads, where it writes, what its version is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepar.errors import WrongCall
from hepar.segment.external.mapping import EngineFile, Run

_VERSION = "import importlib.metadata as m; print(m.version({!r}))"
_NNUNET = "from nnunetv2.inference.predict_from_raw_data import predict_entry_point_modelfolder as run; run()"
"""What the command nnUNetv2_predict_from_modelfolder runs (nnunetv2 2.2 to 2.8), for the interpreter that was named."""
_DISTRIBUTION = {"nnunet": "nnunetv2", "monai": "monai", "totalsegmentator": "TotalSegmentator"}
_TITLE = {"nnunet": "nnU-Net ", "monai": "MONAI "}


@dataclass(frozen=True)
class Call:
    """One call of a tool: its words, where it must put the scan first, where its answer will lie (file or folder)."""

    words: tuple[str, ...]
    scan: Path
    answer: Path


def call(engine: EngineFile, run: Run, workspace: Path, threads: int) -> Call:
    """The call of one run; makes the folders and files that it needs. Nothing in it names a patient.

    Sources: TotalSegmentator 2.18 --help; nnU-Net 2.8.1 nnUNetv2_predict_from_modelfolder -h; MONAI 1.6 monai.bundle
    run with the keys that the model zoo's inference.json share (bundle_root, dataset_dir, output_dir, device).
    """
    inside, outside = workspace / "in", workspace / "out"
    inside.mkdir(parents=True, exist_ok=True)
    outside.mkdir(parents=True, exist_ok=True)
    scan, answer = inside / "scan.nii.gz", outside / "labels.nii.gz"
    if engine.kind == "nnunet":
        scan, answer = inside / "scan_0000.nii.gz", outside / "scan.nii.gz"
    if engine.kind == "monai":
        scan, answer = inside / "imagesTs" / "scan.nii.gz", outside
        scan.parent.mkdir(exist_ok=True)
    places = {
        "input": str(scan), "output": str(answer), "input_folder": str(inside), "output_folder": str(outside),
        "workspace": str(workspace), "device": engine.device, "model": str(engine.model or ""),
        "python": engine.python, "threads": str(threads or 1),
    }  # fmt: skip
    for name, text in engine.files.items():
        if Path(name).name != name:
            raise WrongCall(f"engine {engine.name}: the file {name!r} must be a plain name, without a folder")
        (workspace / name).write_text(_fill(text, places), encoding="utf-8")
    if run.output:
        answer = Path(_fill(run.output, places))
        if not answer.is_relative_to(workspace):
            raise WrongCall(f"engine {engine.name}: output must lie in {{output_folder}} or {{workspace}}")
    words = [*_words(engine, run, places), *run.arguments]
    return Call(tuple(_fill(word, places) for word in words), scan, answer)


def _words(engine: EngineFile, run: Run, places: Mapping[str, str]) -> tuple[str, ...]:
    if engine.kind == "command":
        return run.command
    if engine.kind == "totalsegmentator":
        program = engine.executable or "TotalSegmentator"
        if engine.python:
            program = str(Path(engine.python).parent / "TotalSegmentator")
        task = run.task or "total"
        return (program, "-i", "{input}", "-o", "{output}", "--ml", "--task", task, "--device", "{device}", "--quiet",
                "-nr", "1", "-ns", "1")  # fmt: skip
    if engine.kind == "nnunet":
        folds = () if {"-f"} & set(run.arguments) else ("-f", *_folds(engine))
        device = "cuda" if engine.device == "gpu" else engine.device
        return (engine.python, "-c", _NNUNET, "-i", "{input_folder}", "-o", "{output_folder}", "-m", "{model}",
                "-device", device, "-npp", "1", "-nps", "1", "--disable_progress_bar", *folds)  # fmt: skip
    device = "cuda:0" if engine.device == "gpu" else engine.device
    words = [engine.python, "-m", "monai.bundle", "run", "--config_file", str(_config(engine)),
             "--bundle_root", "{model}", "--dataset_dir", "{input_folder}", "--output_dir", "{output_folder}",
             "--device", f"$torch.device('{device}')"]  # fmt: skip
    meta = Path(places["model"]) / "configs" / "metadata.json"
    return (*words, "--meta_file", str(meta)) if meta.is_file() else tuple(words)


def check(engine: EngineFile) -> None:
    """Look at the model before a scan is read. Raises WrongCall where the tool would stumble over it."""
    if engine.kind == "nnunet":
        _check_nnunet(engine)
    elif engine.kind == "monai":
        _config(engine)
    elif engine.kind == "onnx" and not (engine.model and engine.model.is_file()):
        raise WrongCall(f"engine {engine.name}: model must name an ONNX file; the one named does not exist")


def version_words(engine: EngineFile) -> tuple[str, ...]:
    """The command that tells the tool's version; empty where there is none to ask."""
    if engine.kind == "totalsegmentator" and not engine.python:
        return (engine.executable or "TotalSegmentator", "--version")
    if engine.kind in _DISTRIBUTION:
        return (engine.python, "-c", _VERSION.format(_DISTRIBUTION[engine.kind]))
    asked = engine.given.get("version")
    if isinstance(asked, list):
        places = {"python": engine.python, "model": str(engine.model or "")}
        return tuple(_fill(str(word), places) for word in asked)
    return ()


def stated_version(engine: EngineFile) -> str:
    """What is added to, or stands for, the version that the tool tells."""
    if engine.kind == "monai" and engine.model is not None:
        meta = engine.model / "configs" / "metadata.json"
        try:
            return f"bundle {json.loads(meta.read_text(encoding='utf-8'))['version']}"
        except (OSError, ValueError, KeyError, TypeError):
            return ""
    asked = engine.given.get("version")
    return asked if isinstance(asked, str) else ""


def title(kind: str) -> str:
    """The tool's name before its version, where the engine's own name does not say it."""
    return _TITLE.get(kind, "")


def no_package(engine: EngineFile) -> str:
    """What to say when the tool's version cannot be had from its Python."""
    package = _DISTRIBUTION.get(engine.kind, "")
    return (
        f"engine {engine.name}: the Python named in its engine file has no package {package}; name the one of the"
        f" environment where {package} is installed"
    )


def weights_sha256(engine: EngineFile, seen: dict[Path, str]) -> str:
    """Over the model's files that are known, by their names inside it; "" where none is. seen: hashes at hand."""
    files: list[tuple[str, Path]] = []
    model = engine.model
    if engine.kind == "onnx" and model is not None:
        files = [(model.name, model), *((p.name, p) for p in [model.with_name(model.name + ".data")] if p.is_file())]
    elif engine.kind == "nnunet" and model is not None:
        wanted = [*model.glob("*.json"), *model.glob("fold_*/checkpoint_*.pth")]
        files = [(str(p.relative_to(model)), p) for p in wanted]
    elif engine.kind == "monai" and model is not None:
        wanted = [p for part in ("configs", "models", "scripts") for p in (model / part).rglob("*") if p.is_file()]
        files = [(str(p.relative_to(model)), p) for p in wanted if "__pycache__" not in p.parts]
    for place in engine.weights:
        below = sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
        files += [(str(p.relative_to(place)) if place.is_dir() else p.name, p) for p in below]
    if not files:
        return ""
    whole = hashlib.sha256()
    for name, path in sorted(files):
        if path not in seen:
            try:
                with path.open("rb") as file:
                    seen[path] = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise WrongCall(
                    f"engine {engine.name}: its weights {path.name} cannot be read ({error.strerror})"
                ) from None
        whole.update(f"{name}\n{seen[path]}\n".encode())
    return whole.hexdigest()


def _check_nnunet(engine: EngineFile) -> None:
    """One CT channel, NIfTI, trained folds, and no label that the engine file leaves unnamed."""
    model = engine.model
    if model is None or not (model / "dataset.json").is_file() or not (model / "plans.json").is_file():
        raise WrongCall(
            f"engine {engine.name}: model must be a trained nnU-Net folder (dataset.json, plans.json, fold_X); what is"
            " named is not"
        )
    about: dict[str, Any] = json.loads((model / "dataset.json").read_text(encoding="utf-8"))
    channels = about.get("channel_names") or about.get("modality") or {}
    if len(channels) != 1:
        raise WrongCall(f"engine {engine.name}: the model wants {len(channels)} channels, hepar gives it one CT phase")
    if about.get("file_ending") != ".nii.gz":
        raise WrongCall(f"engine {engine.name}: the model reads {about.get('file_ending')} files, hepar writes .nii.gz")
    _folds(engine)
    values: set[int] = set()
    for numbers in about.get("labels", {}).values():
        values |= set(numbers) if isinstance(numbers, list) else {numbers}
    for run in engine.runs:
        missing = sorted(n for n in values - set(run.labels) - run.ignore - {0} if isinstance(n, int))
        strange = sorted(set(run.labels) - values)
        if strange or (missing and run.others == "refuse"):
            raise WrongCall(
                f"engine {engine.name}: label {(strange or missing)[0]} is"
                f" {'not in the model' if strange else 'not named in its engine file'}; the model has"
                f" {json.dumps(about.get('labels', {}))}"
            )


def _folds(engine: EngineFile) -> tuple[str, ...]:
    """The folds that were trained to the end."""
    trained = (engine.model or Path()).glob("fold_*/checkpoint_final.pth")
    found = sorted(path.parent.name.removeprefix("fold_") for path in trained)
    if not found:
        raise WrongCall(f"engine {engine.name}: the model has no fold with checkpoint_final.pth; train it to the end")
    return ("all",) if "all" in found else tuple(found)


def _config(engine: EngineFile) -> Path:
    """The bundle's configuration for inference."""
    model = engine.model or Path()
    given = engine.given.get("config")
    wanted = [str(given)] if given else [f"configs/inference.{kind}" for kind in ("json", "yaml", "yml")]
    for name in wanted:
        if (model / name).is_file():
            return model / name
    raise WrongCall(
        f"engine {engine.name}: the bundle has no {' or '.join(wanted)}; name its folder as model, and its"
        " configuration for inference as config"
    )


def _fill(text: str, places: Mapping[str, str]) -> str:
    """Placeholders replaced, doubled braces made single; nothing else is touched."""
    out = text.replace("{{", "\0").replace("}}", "\1")
    for name, value in places.items():
        out = out.replace("{" + name + "}", value)
    return out.replace("\0", "{").replace("\1", "}")
