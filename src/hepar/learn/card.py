"""The model card of an exported network, from the files that are there: nothing in it is typed in twice.

From NAME.json: hash, classes, input, steps. From the recipe: data and their shares, schedule. From RECIPE.card.toml
beside it: what only people know (use, licences, known failures, figures of real scans). From confidence.json: the
operating points. From figures.json: what `benchmarks/virtual60.py judge DIR --out figures.json` measured. From a
training run's log, other JSON files of figures, a site's report: what they hold. What is missing is said to be missing,
and figures of other weights are never shown.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from hepar.errors import Refused, WrongCall
from hepar.learn.calibrate import STRATA
from hepar.learn.recipe import AtlasSource, Recipe, read_recipe
from hepar.segment.network import shipped
from hepar.segment.site import site_model
from hepar.validate.proportion import proportion

NAMES: Final = {"organs": "liver3mm", "region": "region"}
_SIZES: Final = {"under_10_mm": "under 10 mm", "10_to_20_mm": "10 to 20 mm", "over_20_mm": "over 20 mm"}
_KINDS: Final = {"one_phase": "one phase", "several_phases": "several phases"}
_PROPER: Final = {"dice": "Dice", "hcc": "HCC", "icc": "ICC", "fnh": "FNH", "recall_iou_0_1": "recall at IoU 0.1"}
"""Keys, and parts of keys, of JSON figures that are not written as they are."""


def card_of(
    recipe: Path | None = None,
    *,
    weights: Path | None = None,
    site: Path | None = None,
    run: Path | None = None,
    figures: Sequence[tuple[str, Path]] = (),
) -> str:
    """The card as Markdown, the same for the same files.

    recipe: None: region.toml. weights: folder of the exported network; None: the shipped ones. site: its version in
    use. run: folder of a training run. figures: names and JSON files. Raises Refused where the network is not the one
    that its JSON file describes, or figures.json is of other weights; WrongCall where a file is missing.
    """
    path = recipe or Path(__file__).parent / "region.toml"
    read = read_recipe(path)
    words = _toml(path.with_suffix(".card.toml"))
    name = NAMES[read.stage]
    folder = weights or shipped(name).parent
    if site is not None:
        model = site_model(site)
        if model is None:
            raise WrongCall("the site uses the shipped model; leave --site out for its card")
        folder = model.folder
    about = _described(folder, name)
    parts = [
        [f"# Model card: {name}", "", words["summary"].strip(), "", *_file_lines(folder, name, about, words)],
        ["## Intended use", "", words["intended_use"].strip() + f" **Not for**: {', '.join(words['not_for'])}."],
        ["## Input and output", "", *_input(about, words)],
        ["## Training data", "", words["data"].strip(), "", *_data(read, words)],
        ["## Training", "", *_training(path, read, about, words, run)],
    ]
    if site is not None:
        parts.append(["## Adapted at a site", "", *_adapted(folder)])
    if read.stage == "region":
        parts.append(["## Operating points", "", *_points(folder)])
    told = [*_measured(folder, read.stage, about, words), *_figures(figures)]
    parts.append(["## Figures", *(line for block in told for line in ("", *block))])
    parts.append(["## Known failures", "", *(f"- {one}" for one in words["known_failures"])])
    parts.append(["## Choices and test leakage", "", words["leakage"].strip()])
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise WrongCall(f"{path.name} is missing beside the recipe; write it as in region.card.toml")
    try:
        words = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as fault:
        raise WrongCall(f"{path.name} is no TOML: {fault}; mend it") from None
    needed = ("summary", "intended_use", "not_for", "data", "training", "known_failures", "leakage", "source")
    missing = [key for key in needed if key not in words]
    if missing:
        raise WrongCall(f"{path.name} lacks {', '.join(missing)}; write it as in region.card.toml")
    return words


def _described(folder: Path, name: str) -> dict[str, Any]:
    about, file = folder / f"{name}.json", folder / f"{name}.onnx"
    if not about.is_file() or not file.is_file():
        raise WrongCall(f"the folder of weights holds no {name}.onnx and {name}.json; export the network first")
    try:
        read = json.loads(about.read_text(encoding="utf-8"))
    except ValueError:
        read = None
    if not isinstance(read, dict) or not {"sha256", "parameters", "training"} <= read.keys():
        raise WrongCall(f"{about.name} is no description of an exported network; export it again")
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != read["sha256"]:
        raise Refused(f"{name}.onnx has the hash {found[:12]}, its description {read['sha256'][:12]}; export it again")
    return read


def _file_lines(folder: Path, name: str, about: dict[str, Any], words: dict[str, Any]) -> list[str]:
    mb = (folder / f"{name}.onnx").stat().st_size / 1e6
    size = f"{about['parameters'] / 1e6:.1f} million parameters, {mb:.1f} MB, ONNX opset {about['opset']}"
    line = f"File: `{name}.onnx`, sha256 {about['sha256'][:12]}...; {size}. Research use only; no certified device."
    return [" ".join((line, words.get("file", "").strip())).strip()]


def _input(about: dict[str, Any], words: dict[str, Any]) -> list[str]:
    seen: dict[str, list[str]] = {}
    for one in about["channels"]:
        if "phase" in one:
            to = f"(HU - median HU of the liver) / {one['relative_to_liver_hu']:g}, cut at +-{one['limit']:g}"
        else:
            to = f"HU cut to {one['clip_hu'][0]} to {one['clip_hu'][1]}, mapped to {one['to'][0]} to {one['to'][1]}"
        seen.setdefault(to, []).append(one.get("phase", "").replace("_", " "))
    channels = [f"{', '.join(names)}: {to}" if names[0] else to for to, names in seen.items()]
    missing = f" A place without data is {about['missing']}." if "missing" in about else ""
    missing = f" Outside the scan: {about['outside_hu']} HU." if "outside_hu" in about else missing
    names = [name.replace("_", " ") for name in about["classes"]]
    liver = f"The liver that is measured: {', '.join(names[k] for k in about['liver_classes'])}."
    return [
        f"- `image` [1, {len(about['channels'])}, D, H, W] float32, {about['spacing_mm']} mm, axes {about['axes']};"
        f" sides are multiples of {about['stride']}. Channels: {'; '.join(channels)}.{missing}",
        f"- `logits` [1, {len(names)}, D, H, W]: {', '.join(names)}. {liver} {words.get('output', '').strip()}".strip(),
    ]


def _data(recipe: Recipe, words: dict[str, Any]) -> list[str]:
    total = sum(s.share for s in recipe.sources)
    lines = ["| share | anatomy | variants | source and licence |", "|---|---|---|---|"]
    for source in recipe.sources:
        told = _told(source, words["source"])
        lines.append(f"| {source.share / total:.0%} | {told['anatomy']} | {source.variants} | {told['licence']} |")
    return lines


def _told(source: AtlasSource, told: list[dict[str, str]]) -> dict[str, str]:
    stem = source.image.name.split(".")[0] if source.image else ""
    for one in told:
        if one["kind"] == source.kind and one.get("image", stem) == stem:
            return one
    raise WrongCall(f"the card's text names no source and licence for {source.kind} {stem}; add a [[source]] to it")


def _training(path: Path, recipe: Recipe, about: dict[str, Any], words: dict[str, Any], run: Path | None) -> list[str]:
    done = about["training"]
    lines = [
        f"Recipe `{path.name}`, `hepar learn train`, then `export`: {done['steps']} steps of one patch in"
        f" {done['minutes']} minutes; learning rate {recipe.learning_rate:g}; widths {list(recipe.widths)}, blocks"
        f" {list(recipe.blocks)}. {words['training'].strip()}"
    ]
    if "start" in done:
        lines.append(f"\nIt began from `{done['start']['name']}`, sha256 {done['start']['sha256'][:12]}....")
    if done["recipe_sha256"] != recipe.sha256:
        lines.append(
            f"\nThe recipe that made these weights has the hash {done['recipe_sha256'][:12]}, the file as it is now"
            f" {recipe.sha256[:12]}: it was changed afterwards, if only in a path or a remark, and the shares above are"
            " those of the file."
        )
    log = run / "log.jsonl" if run else None
    if log is not None:
        if not log.is_file():
            raise WrongCall("the run's folder holds no log.jsonl; give the folder of the training run")
        rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line]
        losses = [r["loss"] for r in rows if "loss" in r]
        tenth = max(1, len(losses) // 10)
        if losses:
            first, last = sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth
            lines.append(f"\nLoss on training patches: {first:.2f} over the first tenth, {last:.2f} over the last.")
        watched = [r for r in rows if "watched_liver" in r]
        if watched:
            keys = {"watched_liver": "liver Dice", "watched_lesion": "lesion Dice", "watched_found": "share of lesions"
                    " found", "watched_false": "false per case"}  # fmt: skip
            told = ", ".join(f"{words} {watched[-1][k]}" for k, words in keys.items() if k in watched[-1])
            lines.append(f"On the watched simulated cases at the end: {told}.")
    return lines


def _adapted(folder: Path) -> list[str]:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    made = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    steps = ", ".join(f"{name}: {t['steps']} steps" for name, t in made["training"].items())
    lines = [
        f"Version {report['version']}, trained on from region {made['began_from']['region'][:12]} with"
        f" {len(report['cases'])} corrected cases of the site among virtual patients ({steps}), recipe adapt.toml"
        f" {made['recipe_sha256'][:12]}. Data above are those of the network that it began from.",
        "", "| | candidate | shipped | difference |", "|---|---|---|---|",
    ]  # fmt: skip
    for where, words in (("held_out", "held-out cases of the site"), ("fixed_set", "fixed simulated set")):
        for key, name in (("f1", "lesion F1"), ("recall", "lesion recall"), ("false_per_scan", "false per scan"),
                          ("liver_dice", "liver Dice")):  # fmt: skip
            one = report[where][key]
            cells = " | ".join(_said(one[what]) for what in ("candidate", "shipped", "difference"))
            lines.append(f"| {name}, {words} | {cells} |")
    return [*lines, "", "Intervals: 90 %, bootstrap of patients."]


def _judged(read: dict[str, Any]) -> str:
    """How far the figures of a confidence file were made on what chose it."""
    moved = [words for kind, words in _KINDS.items() if "recalibrated" in read.get(kind, {})]
    if moved:
        return f"scans with {', '.join(moved)}: by the very curve and limits chosen on the site's cases"
    return "each patient left out of the fit"


def _points(folder: Path) -> list[str]:
    file = folder / "confidence.json"
    if not file.is_file():
        return ["No confidence.json stands beside the network: its operating points are not known."]
    read = json.loads(file.read_text(encoding="utf-8"))
    strata = [name for name, *_ in STRATA]
    lines = [
        f"Expected of the lesions shown ({read['fitted_on']}; {_judged(read)}), 95 % Wilson intervals,"
        " which take lesions as independent:",
        "",
        f"| point | scans with | least confidence | {' | '.join(_SIZES[s] for s in strata)} | false per scan |",
        "|" + "---|" * (len(strata) + 4),
    ]
    for kind, words in _KINDS.items():
        for name, point in read.get(kind, {}).get("operating_points", {}).items():
            cells = [_share(point[f"found_{s}"], point[f"lesions_{s}"]) for s in strata]
            lines.append(
                f"| {name} | {words} | {point['least_confidence']} | {' | '.join(cells)} | {point['false_per_scan']} |"
            )
    errors = [f"{_KINDS[k]} {read[k]['expected_calibration_error']}" for k in _KINDS if k in read]
    return [*lines, "", f"Expected calibration error of the confidence: {', '.join(errors)}."]


def _share(found: int, lesions: int) -> str:
    if not lesions:
        return "no lesion"
    p = proportion(found, lesions)
    return f"{found} of {lesions} ({p.low:.2f} to {p.high:.2f})"


def _measured(folder: Path, stage: str, about: dict[str, Any], words: dict[str, Any]) -> list[list[str]]:
    """What RECIPE.card.toml tells of these very weights, and for stage region figures.json."""
    typed = words.get("figures")
    blocks = []
    if typed and about["sha256"].startswith(typed["sha256"]):
        blocks.append([typed["text"].strip()])
        blocks.append(["| data | liver | lesions |", "|---|---|---|", *(_typed_row(row) for row in typed["row"])])
    elif typed:
        blocks.append([f"Figures were told of the network {typed['sha256'][:12]}, none of this one."])
    if stage == "region":
        file = folder / "figures.json"
        if file.is_file():
            _check_judged(folder, about, _read(file))
            return [*blocks, *_figures([("The virtual test set `virtual60`, both networks, `measuring`", file)])]
        blocks.append(["No figures.json stands beside the network: it was not judged on the virtual test set."])
    return blocks


def _typed_row(row: dict[str, Any]) -> str:
    found = [f"{what} {_share(k, n)}" for what, k, n in row.get("found", [])]
    told = "; ".join([*found, *([row["lesions"]] if "lesions" in row else [])])
    return f"| {row['data']} | {row.get('liver', '-')} | {told or '-'} |"


def _check_judged(folder: Path, about: dict[str, Any], judged: Any) -> None:
    """Refuse figures of another operating point, or of other weights: organ network, region network and confidence, as
    `Builtin` names them together."""
    again = "run benchmarks/virtual60.py judge DIR --out figures.json, or take the file away"
    if not isinstance(judged, list) or not all(isinstance(one, dict) and "weights_sha256" in one for one in judged):
        raise WrongCall(f"figures.json is not what benchmarks/virtual60.py writes; {again}")
    points = sorted({one.get("operating_point", "measuring") for one in judged})
    if points != ["measuring"]:
        raise WrongCall(f"figures.json is at {' and '.join(points) or 'no point'}, needed measuring; {again}")
    organs = json.loads(shipped("liver3mm").with_suffix(".json").read_text(encoding="utf-8"))["sha256"]
    shown = hashlib.sha256((folder / "confidence.json").read_bytes()).hexdigest()
    needed = hashlib.sha256((organs + about["sha256"] + shown).encode()).hexdigest()
    if {one["weights_sha256"] for one in judged} != {needed}:
        raise Refused(
            f"figures.json is of the weights {judged[0]['weights_sha256'][:12]}, these are {needed[:12]}; {again}"
        )


def _figures(files: Sequence[tuple[str, Path]]) -> list[list[str]]:
    """Every figure with an estimate that the files hold: a line each, and a column for each choice of phases."""
    blocks = []
    for name, path in files:
        read = _read(path)
        columns = [("value", read)]
        if isinstance(read, list) and all(isinstance(one, dict) and "phases" in one for one in read):
            columns = [(one["phases"], one) for one in read]
        told = [dict(_estimates(one, "")) for _, one in columns]
        head = [f"| figure (95 % interval) | {' | '.join(n for n, _ in columns)} |", "|" + "---|" * (1 + len(columns))]
        keys = dict.fromkeys(key for one in told for key in one)
        rows = [f"| {key} | {' | '.join(one.get(key, '-') for one in told)} |" for key in keys]
        blocks.append([f"### {name}", "", *head, *rows])
    return blocks


def _read(path: Path) -> Any:
    """A JSON document, or the last line of JSON lines (`hepar learn evaluate` ends with its summary)."""
    text = path.read_text(encoding="utf-8")
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return json.loads(text.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise WrongCall(f"{path.name} is no JSON; give what a benchmark or `hepar learn evaluate` wrote") from None


def _estimates(node: Any, where: str) -> list[tuple[str, str]]:
    if isinstance(node, list):
        named = [(str(n.get("phases", k + 1)) if isinstance(n, dict) else str(k + 1), n) for k, n in enumerate(node)]
        return [one for key, item in named for one in _estimates(item, f"{where}{key}: ")]
    if not isinstance(node, dict):
        return []
    if "estimate" in node:
        count = f" of {node['lesions']}" if "lesions" in node else ""
        return [(where.rstrip(": "), _said(node) + count)]
    lines = []
    for key, item in node.items():
        words = _PROPER.get(key) or " ".join(_PROPER.get(part, part) for part in key.split("_"))
        if isinstance(item, (dict, list)):
            lines += _estimates(item, f"{where}{words}: ")
        elif isinstance(item, (int, float)) or (isinstance(item, str) and key.startswith("found_")):
            lines.append((f"{where}{words}", str(item)))
    return lines


def _said(e: dict[str, Any]) -> str:
    if e["estimate"] is None:
        return "cannot tell"
    ends = f" ({e['low']:.3f} to {e['high']:.3f})" if e.get("low") is not None else ""
    return f"{e['estimate']:.3f}{ends}"
