"""The report of one attempt: report.json, and report.md for people. No names of files, folders or patients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hepar.learn.adapt_judge import RULE
from hepar.record import Estimate

_NAMES = {
    "f1": "lesion F1", "recall": "lesion recall", "false_per_scan": "false lesions per scan",
    "liver_dice": "liver Dice",
    "recall_within_one": "lesion recall with the limit where a scan holds one false lesion",
}  # fmt: skip


def figures(compared: dict[str, dict[str, Estimate]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Each figure of candidate and shipped model, and their difference, as objects."""
    return {name: {what: _plain(e) for what, e in one.items()} for name, one in compared.items()}


def write_report(document: dict[str, Any], folder: Path) -> None:
    """report.json and report.md into folder."""
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    (folder / "report.json").write_text(text, encoding="utf-8")
    (folder / "report.md").write_text(_markdown(document), encoding="utf-8")


def _plain(e: Estimate) -> dict[str, Any]:
    if e.estimate is None:
        return {"estimate": None, "missing": e.missing}
    ends = {"low": round(e.low, 4), "high": round(e.high, 4)} if e.low is not None and e.high is not None else {}
    return {"estimate": round(e.estimate, 4), **ends, "level": e.level, "method": e.method}


def _markdown(d: dict[str, Any]) -> str:
    lines = [f"# Attempt {d['version']}: {'promoted' if d['promoted'] else 'not promoted'}", ""]
    if d["reasons"]:
        lines += ["The shipped model, or the version in use before, stays in use, because:", ""]
        lines += [f"- {reason}" for reason in d["reasons"]] + [""]
    elif d["promoted"]:
        lines += ["`hepar analyze --site` uses it from now on; `hepar learn rollback --site` takes it back.", ""]
    lines += ["Research use only; not a certified medical device.", "", "## Rule", "", RULE, ""]
    if "held_out" in d:
        lines += ["## Cases of the site, each held out from the training that judges it", "", *_table(d["held_out"])]
        about = f"The candidate on {d['fixed_set']['patches']} simulated patches that no training draws"
        lines += ["", "## Fixed simulated set", "", about + " (network alone).", "", *_table(d["fixed_set"])]
        lines += ["", "Intervals: 90 %, bootstrap of patients (each end a one-sided 5 %). Lesions count from 5 mm on."]
        told = [f"{name}: {t['steps']} steps in {t['minutes']} minutes" for name, t in d["training"].items()]
        lines += ["", "## Training", "", "; ".join(told) + "."]
    lines += ["", "## Cases", ""]
    lines += ["| case | image | lesions from 5 mm | liver Dice with the organ network | contrast rank | held out in |"]
    lines += ["|---|---|---|---|---|---|"]
    for c in d["cases"]:
        rank = "-" if c["mean_contrast_rank"] is None else f"{c['mean_contrast_rank']:.2f}"
        lines.append(
            f"| {c['case']} | {c['image_sha256'][:12]} | {c['lesions']} | {c['liver_dice_with_organ_network']:.2f} |"
            f" {rank} | {c['held_out_in']} |"
        )
    rank = "share of places of healthy liver that differ less from what is around them than the labelled lesions do"
    lines += ["", f"Cases are numbered in the order of their folders' names. Contrast rank: {rank}; chance is 0.5."]
    return "\n".join(lines) + "\n"


def _table(figure: dict[str, Any]) -> list[str]:
    lines = ["| | candidate | shipped | difference |", "|---|---|---|---|"]
    for name, words in _NAMES.items():
        if name in figure:
            one = figure[name]
            cells = [_cell(one[w], sign=w == "difference") for w in ("candidate", "shipped", "difference")]
            lines.append(f"| {words} | {' | '.join(cells)} |")
    return lines


def _cell(e: dict[str, Any], *, sign: bool) -> str:
    if e["estimate"] is None:
        return f"cannot tell: {e['missing']}"
    form = "+.3f" if sign else ".3f"
    ends = f" ({e['low']:{form}} to {e['high']:{form}})" if "low" in e else ""
    return f"{e['estimate']:{form}}{ends}"
