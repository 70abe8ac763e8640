"""The fixed virtual test set: make its cases, and judge hepar on them.

    python benchmarks/virtual60.py make DIR [--set virtual60] [--first 0] [--cases 60]
    python benchmarks/virtual60.py judge DIR [--first 0] [--cases 60] [--threads 2] [--out FILE.json]
        [--operating-point screening]

make writes DIR/case-NNN (four phases, label map, truth.json), leaving out what is there. judge outlines every case
that is there, as `hepar analyze` does with the phases named, once with four phases and once with the portal venous one
alone. It keeps each result below DIR/judged (and what comes before the region network below DIR/prepared), so that it
can be stopped and goes on; other weights or code start anew. It prints liver Dice, lesion recall by size, false
finds per scan and the calibration of confidence, with intervals that draw patients. A lesion is found when a find
overlaps it (one to one, `hepar.validate.match_lesions`); its size is the diameter of a ball of its volume. False finds
are counted by what the patient has there: each virtual patient is drawn again and asked for its tissues at the voxels
of the find (`hepar.learn.false_finds`). All of it is at one operating point, `measuring` unless told otherwise.
`--set virtual-tuning` makes the 24 cases on which thresholds are chosen: never choose one on virtual60.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

import hepar
from hepar.learn.false_finds import tally, tissues_under
from hepar.learn.own_code import code_sha256
from hepar.learn.prepared import prepare_case
from hepar.record import Anatomy, Geometry
from hepar.segment.builtin import Builtin
from hepar.segment.settings import OPERATING_POINTS, SegmentSettings
from hepar.simulate.case import simulate_case
from hepar.simulate.distribution import load_distribution
from hepar.validate import dice, match_lesions
from hepar.validate.bootstrap import mean, of_sums, ratio
from hepar.validate.calibration import grouped
from hepar.validate.detection import CaseLesions, lesion_wise

CODE_THAT_COUNTS = ("pipeline.py", "ingest", "harmonise", "segment")
"""What an outline depends on: results of another state of it are not mixed in."""
POINT = "measuring"
RECORD = 2
"""Number of the form of a kept result; another one is made anew."""


def make(folder: Path, name: str, first: int, cases: int | None) -> None:
    """Write the cases that are not there yet, each all or nothing."""
    distribution = load_distribution(name)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, distribution.cases if cases is None else first + cases):
        target, part = folder / f"case-{number:03d}", folder / f"case-{number:03d}.part"
        if (target / "truth.json").is_file():
            continue
        shutil.rmtree(part, ignore_errors=True)
        began = time.process_time()
        truth = simulate_case(part, distribution, number, compress=False)
        part.rename(target)
        seconds = time.process_time() - began
        print(f"{target.name}: {truth['type']}, {len(truth['lesions'])} lesions, {seconds:.1f} CPU s", flush=True)


def judge(folder: Path, first: int, cases: int | None, threads: int, point: str = POINT) -> list[dict[str, Any]]:
    """Analyse and compare every case that is there; returns two summaries: four phases, portal venous alone."""
    engine = Builtin(SegmentSettings(threads=threads, operating_point=point))
    key = f"{engine.weights_sha256[:12]}-{code_sha256(*CODE_THAT_COUNTS)[:8]}-{RECORD}" + f"-{point}" * (point != POINT)
    kept = folder / "judged" / key
    kept.mkdir(parents=True, exist_ok=True)
    chosen = sorted(p.parent for p in folder.glob("case-*/truth.json"))
    chosen = [p for p in chosen if int(p.name[5:8]) >= first and (cases is None or int(p.name[5:8]) < first + cases)]
    results: dict[str, list[dict[str, Any]]] = {"four phases": [], "portal venous phase alone": []}
    for case in chosen:
        file = kept / f"{case.name}.json"
        if not file.is_file():
            outcome = judge_case(case, engine, folder / "prepared")
            file.write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")
            told = "; ".join(f"{name}: Dice {one['liver_dice']}" for name, one in outcome.items())
            print(f"{case.name}: {told}", flush=True)
        for name, one in json.loads(file.read_text(encoding="utf-8")).items():
            results[name].append(one)
    told = {"version": hepar.__version__, "operating_point": point, "weights_sha256": engine.weights_sha256, "key": key}
    return [{"phases": name, **told, **summary(rows)} for name, rows in results.items()]


def judge_case(case: Path, engine: Builtin, keep: Path) -> dict[str, Any]:
    """One case both ways. A refusal counts: Dice 0, everything missed."""
    truth = json.loads((case / "truth.json").read_text(encoding="utf-8"))
    try:
        ready = prepare_case(case, engine, keep)
    except hepar.errors.HeparError as reason:
        drawn = np.asarray(nibabel.load(case / truth["labels_file"]).dataobj).transpose(2, 1, 0)
        nothing = compare(truth, drawn, None, None, str(reason))
        return {"four phases": nothing, "portal venous phase alone": nothing}
    out = {}
    for name, others in (("four phases", ready.others), ("portal venous phase alone", ())):
        anatomy, refused = None, None
        try:
            labels = ready.phase_labels[: len(others) + 1]
            anatomy = engine.anatomy(ready.reference, ready.organs, others, labels=labels)
        except hepar.errors.HeparError as reason:
            refused = str(reason)
        out[name] = compare(truth, ready.labels, ready.reference.geometry, anatomy, refused)
    return out


def compare(truth: dict[str, Any], reference: Any, geometry: Geometry | None, anatomy: Anatomy | None,
            refused: str | None) -> dict[str, Any]:  # fmt: skip
    """What was found, missed and false in one outline. reference: the truth's label map, on geometry; anatomy: None if
    refused. A false find tells the share of each tissue under it; null where the case cannot be drawn again."""
    lesions = np.where(reference > 10, reference, 0).astype(np.int32)
    liver = anatomy.liver if anatomy else np.zeros(reference.shape, bool)
    found = anatomy.lesions if anatomy else np.zeros(reference.shape, np.uint16)
    confidence = [None if c is None else float(c) for c in anatomy.confidence] if anatomy else []
    notices = [n.code for n in anatomy.notices] if anatomy else []
    voxel_ml = float(np.prod(truth["spacing_mm"])) / 1000
    match = match_lesions(found.astype(np.int32), lesions, criterion="overlap", instances=True)
    ids = [int(lesions[match.ref_labels == k].max()) - 10 for k in range(1, match.ref_voxels.size + 1)]
    hit = {ids[pair.ref - 1]: pair for pair in match.pairs}
    order = [int(found[match.pred_labels == k].max()) for k in range(1, match.pred_voxels.size + 1)]
    true = {order[pair.pred - 1] for pair in match.pairs}
    false = [k for k in range(1, len(confidence) + 1) if k not in true]
    under = tissues_under(truth, reference, geometry, found, false) if geometry and false else {}
    strict = match_lesions(found.astype(np.int32), lesions, criterion="iou>0.1", instances=True)
    return {
        "case": truth["case"], "type": truth["type"], "cirrhosis": truth["cirrhosis"], "steatosis": truth["steatosis"],
        "refused": refused, "notices": notices,
        "liver_dice": round(dice(liver, reference > 0) or 0.0, 4),
        "found_iou": len(strict.pairs),
        "lesions": [
            {k: one[k] for k in ("id", "kind", "seat", "diameter_mm", "edge_mm", "body_minus_liver_hu")}
            | {"found": one["id"] in hit, "dice": round(hit[one["id"]].dice, 3) if one["id"] in hit else None}
            for one in truth["lesions"] if one["voxels"]
        ],
        "finds": [
            {"diameter_mm": round((6000 * int((found == k).sum()) * voxel_ml / np.pi) ** (1 / 3), 2),
             "confidence": confidence[k - 1], "true": k in true}
            | ({"under": under and under[k]} if k in false else {})
            for k in range(1, len(confidence) + 1)
        ],
    }  # fmt: skip


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures over cases, each with its interval (95 %, whole patients drawn)."""
    cases = [
        CaseLesions(str(r["case"]), *(np.array([one[key] for one in r[what]], float) for what, key in (
            ("lesions", "diameter_mm"), ("lesions", "found"), ("finds", "diameter_mm"), ("finds", "true"))))
        for r in results
    ]  # fmt: skip
    rows = lesion_wise(cases)
    finds = [f for r in results for f in r["finds"] if f["confidence"] is not None]
    out: dict[str, Any] = {
        "cases": len(results), "refused": sum(r["refused"] is not None for r in results),
        "liver_dice": _plain(mean([r["liver_dice"] for r in results])),
        "false_per_scan": _plain(rows[0].false_per_case),
        "recall": {row.name: {"lesions": row.lesions, **_plain(row.recall)} for row in rows},
        "recall_iou_0_1": _plain(_share(results, lambda one: True, "found_iou")),
        "recall_by": {
            "within 25 HU": _plain(_share(results, lambda one: abs(_portal(one)) < 25)),
            "hyperdense": _plain(_share(results, lambda one: _portal(one) > 0)),
            **{k: _plain(_share(results, lambda one, k=k: k in (one["kind"], one["seat"])))
               for k in sorted({one[key] for r in results for one in r["lesions"] for key in ("kind", "seat")})},
        },
        "finds": len(finds),
        "false_finds": tally(f["under"] for r in results for f in r["finds"] if not f["true"]),
    }  # fmt: skip
    if finds:
        sure = np.array([f["confidence"] for f in finds])
        groups = grouped(np.array([f["true"] for f in finds]), sure, groups=10, equal="width")
        out["expected_calibration_error"] = round(groups.ece, 4)
    dices = [one["dice"] for r in results for one in r["lesions"] if one["dice"] is not None]
    out["median_dice_of_found"] = round(float(np.median(dices)), 3) if dices else None
    return out


def _share(results: list[dict[str, Any]], wanted: Callable[[Any], bool], count: str | None = None) -> Any:
    table = [
        [r[count] if count else sum(one["found"] for one in r["lesions"] if wanted(one)),
         sum(1 for one in r["lesions"] if wanted(one))]
        for r in results
    ]  # fmt: skip
    return of_sums(table, ratio, why_none="no such lesion")


def _portal(lesion: dict[str, Any]) -> float:
    return float(lesion["body_minus_liver_hu"]["portal_venous"])


def _plain(estimate: Any) -> dict[str, Any]:
    keys = ("estimate", "low", "high")
    return {k: None if getattr(estimate, k) is None else round(float(getattr(estimate, k)), 4) for k in keys}


def table(result: dict[str, Any]) -> str:
    """The summary as text."""

    def shown(estimate: dict[str, Any]) -> str:
        if estimate["estimate"] is None:
            return "-"
        low, high = estimate["low"], estimate["high"]
        return f"{estimate['estimate']:.3f}" + (f" ({low:.3f} to {high:.3f})" if low is not None else "")

    lines = [f"{result['cases']} cases, {result['phases']},"
             f" {result['operating_point']}, {result['refused']} refused; {result['key']}",
             f"liver Dice              {shown(result['liver_dice'])}"]  # fmt: skip
    lines += [f"recall {name:<16} {shown(row)} of {row['lesions']}" for name, row in result["recall"].items()]
    lines += [f"recall {name:<16} {shown(row)}" for name, row in result["recall_by"].items()]
    lines += [f"recall at IoU 0.1       {shown(result['recall_iou_0_1'])}",
              f"false finds per scan    {shown(result['false_per_scan'])}",
              f"calibration error       {result.get('expected_calibration_error', '-')} ({result['finds']} finds)",
              f"Dice of found (median)  {result['median_dice_of_found']}"]  # fmt: skip
    false = result["false_finds"]
    lines.append(f"false finds             {false['finds']}; by what lies there, in most of the find and in a quarter:")
    lines += [f"  {name:<26} {row['most']:>3} {row['much']:>3}" for name, row in false["by_tissue"].items()]
    if false["not_known"]:
        lines.append(f"  {'not known':<26} {false['not_known']:>3}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    maker = verbs.add_parser("make")
    maker.add_argument("folder", type=Path)
    maker.add_argument("--set", default="virtual60")
    judger = verbs.add_parser("judge")
    judger.add_argument("folder", type=Path)
    judger.add_argument("--operating-point", choices=OPERATING_POINTS, default=POINT)
    judger.add_argument("--threads", type=int, default=2)
    judger.add_argument("--out", type=Path)
    for one in (maker, judger):
        one.add_argument("--first", type=int, default=0)
        one.add_argument("--cases", type=int, default=None)
    options = parser.parse_args()
    if options.verb == "make":
        make(options.folder, options.set, options.first, options.cases)
        return
    both = judge(options.folder, options.first, options.cases, options.threads, options.operating_point)
    if options.out:
        options.out.write_text(json.dumps(both, indent=1) + "\n", encoding="utf-8")
    print("\n\n".join(table(result) for result in both))


if __name__ == "__main__":
    main()
