"""`hepar learn adapt`: 5 to 20 corrected cases of a site make a candidate, promoted only if it is better there.

1  find, prepare and check the cases; a set that cannot be right is refused before anything is trained
2  cut them by patient into halves; train on one, judge on the other, both ways (every case is held out once)
3  train on all: the candidate; move the confidence by what the held-out halves showed
4  judge on the fixed simulated set, apply the rule of `adapt_judge`, write the attempt, promote or refuse
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import hepar
from hepar.errors import Refused
from hepar.learn.adapt_cases import ReadyCase, SiteCase, Truth, find_cases, kept, read_truth, ready_case
from hepar.learn.adapt_checks import check_case, check_set, liver_detail
from hepar.learn.adapt_confidence import expected, moved
from hepar.learn.adapt_judge import (
    Judged,
    compare,
    compare_within,
    fixed_scores,
    fixed_sums,
    folds_of,
    judge_case,
    site_sums,
    verdict,
)
from hepar.learn.adapt_report import figures, write_report
from hepar.learn.adapt_sample import SiteVolume, site_volume
from hepar.learn.adapt_site import attempt, check_site, open_site, promote, trace
from hepar.learn.calibrate import write
from hepar.learn.recipe import Recipe, read_recipe
from hepar.segment.builtin import Builtin
from hepar.segment.confidence import confidence_file, curve_of
from hepar.segment.network import shipped
from hepar.segment.settings import SegmentSettings
from hepar.segment.site import shipped_hashes

RECIPE = Path(__file__).parent / "adapt.toml"
FIXED_CASES = 24
Tell = Callable[[str, float], None]


@dataclass(frozen=True)
class Plan:
    """minutes: of training, the three trainings together; steps: of each training instead, 0: by minutes. keep: folder
    of the simulated anatomies. work: folder that keeps what was prepared, trained and judged, images of patients among
    it, so that a stopped run goes on; None: thrown away. fixed_cases: of the simulated set."""

    minutes: float = 15.0
    steps: int = 0
    threads: int = 2
    keep: Path = Path.home() / ".cache" / "hepar" / "anatomies"
    work: Path | None = None
    fixed_cases: int = FIXED_CASES
    recipe: Path = RECIPE


@dataclass(frozen=True)
class Outcome:
    """version: number of the attempt. reasons: why it is not promoted; none: it is. report: text for people."""

    version: str
    promoted: bool
    reasons: tuple[str, ...]
    report: Path
    document: dict[str, Any]


def adapt(folder: Path, site: Path, plan: Plan, tell: Tell) -> Outcome:
    """Make, judge and promote or refuse a candidate. Raises Refused for a set of cases that is not in order, with the
    report already in the site folder, and WrongCall for folders that are none. Cases that cannot be read leave no site
    folder behind."""
    cases = find_cases(folder)
    check_site(site)
    with tempfile.TemporaryDirectory(prefix="hepar-adapt-") as scratch:
        work = plan.work or Path(scratch)
        engine = Builtin(SegmentSettings(threads=plan.threads, lesion_min_confidence=0.0))
        ready = _Prepared(cases, engine, work / "prepared")
        about, objections = _check(ready, tell)
        was = open_site(site)
        document: dict[str, Any] = {
            "schema": "hepar-adapt-report/1.0",
            "hepar": hepar.__version__,
            "in_use_before": was["version"],
            "judged_against": shipped_hashes(),
            "cases": about,
        }
        if objections:
            document |= {"promoted": False, "refused_by": "checks", "reasons": objections}
            with attempt(site) as (number, target):
                write_report({"version": number, **document}, target)
            trace(site, "refused by checks", version=number, why=objections[0])
            more = f" (and {len(objections) - 1} more objections)" if len(objections) > 1 else ""
            raise Refused(f"{objections[0]}{more}; nothing was trained, attempt {number} of the site holds the report")
        made = _make(ready, engine, plan, work, tell, document)
        with attempt(site) as (number, target):
            for name in ("region.onnx", "region.json", "confidence.json", "provenance.json"):
                shutil.copyfile(made / name, target / name)
            document = {"version": number, **document}
            write_report(document, target)
        reasons = tuple(document["reasons"])
        if reasons:
            trace(site, "refused by the rule", version=number, why=reasons[0])
        else:
            promote(site, number)
        return Outcome(number, not reasons, reasons, site / number / "report.md", document)


class _Prepared:
    """The cases, read again whenever they are needed, so that twenty of them never stand in memory."""

    def __init__(self, cases: Sequence[SiteCase], engine: Builtin, keep: Path) -> None:
        self.cases, self.engine, self.keep = cases, engine, keep

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> tuple[ReadyCase, Truth]:
        case = self.cases[index]
        ready = ready_case(case, self.engine, self.keep)
        return ready, read_truth(case, ready.reference.geometry)


def _check(ready: _Prepared, tell: Tell) -> tuple[list[dict[str, Any]], list[str]]:
    """What was measured of each case, and every objection."""
    checked, details, labels = [], [], []
    for index, case in enumerate(ready.cases):
        one, truth = ready[index]
        checked.append(check_case(case, one, truth))
        details.append(liver_detail(one, truth))
        labels.append(truth.sha256)
        tell("cases read and checked", (index + 1) / len(ready))
    found = [f"case {c.case}: {text}" for c in checked for text in c.objections]
    found += check_set(ready.cases, checked, details, labels)
    halves = folds_of([c.patient for c in ready.cases], [c.lesions for c in checked], [c.sha256 for c in checked])
    rows = [
        {**c.as_dict(), "labels_sha256": sha256, "held_out_in": int(half) + 1}
        for c, sha256, half in zip(checked, labels, halves, strict=True)
    ]
    return rows, found


def _make(ready: _Prepared, engine: Builtin, plan: Plan, work: Path, tell: Tell, document: dict[str, Any]) -> Path:
    """Train, judge, fill the document; the folder of the candidate's files."""
    recipe = read_recipe(plan.recipe)
    volumes: list[SiteVolume] = []
    ours: list[Judged] = []
    for index in range(len(ready)):
        one, truth = ready[index]
        ours.append(_judged(work, index, one, truth, engine))
        volumes.append(site_volume(f"site-{index + 1}", one, truth, ours[-1].finer, engine.settings))
        tell("shipped model judged", (index + 1) / len(ready))
    halves = np.array([c["held_out_in"] for c in document["cases"]])
    theirs: list[Judged | None] = [None] * len(ready)
    training = {}
    for half in (1, 2):
        name = f"half {half} held out"
        chosen = np.flatnonzero(halves != half).tolist()
        path, training[name] = _trained(name, volumes, chosen, half, plan, work, tell, document)
        changed = Builtin(engine.settings, region_weights=path)
        for index in np.flatnonzero(halves == half).tolist():
            theirs[index] = _judged(work, index, *ready[index], changed)
            tell("candidate judged on held-out cases", sum(t is not None for t in theirs) / len(ready))
    seen = [t for t in theirs if t is not None]
    everyone = list(range(len(ready)))
    path, training["all cases"] = _trained("all cases", volumes, everyone, 3, plan, work, tell, document)
    fixed = _fixed(recipe, path, plan, work, document, tell)
    shown = confidence_file()
    # The confidence by which a case is judged comes from the other half, so that no case speaks for itself.
    by_half = {h: moved([t.rows for t, k in zip(seen, halves, strict=True) if k != h], shown) for h in (1, 2)}
    patients = [c.patient for c in ready.cases]
    their_curves = [curve_of(by_half[int(h)], t.rows.phases) for t, h in zip(seen, halves, strict=True)]
    our_curves = [curve_of(shown, o.rows.phases) for o in ours]
    site = compare(
        [site_sums(t, curve) for t, curve in zip(seen, their_curves, strict=True)],
        [site_sums(o, curve) for o, curve in zip(ours, our_curves, strict=True)],
        patients,
    )
    within = compare_within(([t.rows for t in seen], their_curves), ([o.rows for o in ours], our_curves), patients)
    reasons = verdict(site, fixed)
    document |= {
        "held_out": figures({**site, "recall_within_one": within}), "training": training, "promoted": not reasons,
        "refused_by": "rule" if reasons else None, "reasons": reasons,
    }  # fmt: skip
    _files(path.parent, [t.rows for t in seen], shown, document, plan, recipe)
    return path.parent


def _judged(work: Path, index: int, ready: ReadyCase, truth: Truth, engine: Builtin) -> Judged:
    file = work / "judged" / f"{ready.sha256[:16]}-{truth.sha256[:16]}-{engine.region.sha256[:16]}.pickle"
    found: Judged = kept(file, lambda: judge_case(str(index), ready, truth, engine))
    return found


def _trained(
    name: str,
    volumes: Sequence[SiteVolume],
    chosen: Sequence[int],
    seed: int,
    plan: Plan,
    work: Path,
    tell: Tell,
    document: dict[str, Any],
) -> tuple[Path, dict[str, Any]]:
    """The network trained on these cases, and what was done."""
    from hepar.learn.adapt_train import fine_tune, simulated_atlases

    recipe = read_recipe(plan.recipe)
    recipe = replace(recipe, seed=recipe.seed + seed)
    cases = [[document["cases"][k][key] for key in ("image_sha256", "labels_sha256")] for k in chosen]
    key = [shipped_hashes()["region"], recipe.sha256, recipe.seed, plan.steps, plan.minutes, cases]
    folder = work / "trained" / hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    if not (folder / "done.json").is_file():
        _, notes = fine_tune(
            recipe, shipped("region"), [volumes[k] for k in chosen], simulated_atlases(recipe, plan.keep, seed), folder,
            seconds=20 * plan.minutes, steps=plan.steps, threads=plan.threads,
            progress=lambda share: tell(f"training, {name}", share),
        )  # fmt: skip
        (folder / "done.json").write_text(json.dumps(notes), encoding="utf-8")
    return folder / "region.onnx", json.loads((folder / "done.json").read_text(encoding="utf-8"))


def _fixed(recipe: Recipe, path: Path, plan: Plan, work: Path, document: dict[str, Any], tell: Tell) -> Any:
    tell("fixed simulated set", 0.0)
    pair = [path, shipped("region")]
    hashes = "-".join(hashlib.sha256(p.read_bytes()).hexdigest()[:16] for p in pair)
    one, other = kept(
        work / "fixed" / f"{hashes}-{recipe.sha256[:8]}-{plan.fixed_cases}.pickle",
        lambda: fixed_scores(recipe, pair, plan.fixed_cases, plan.keep, plan.threads),
    )
    found = compare([fixed_sums(s) for s in one], [fixed_sums(s) for s in other], [str(n) for n in range(len(one))])
    document["fixed_set"] = {"patches": len(one), **figures(found)}
    tell("fixed simulated set", 1.0)
    return found


def _files(
    folder: Path, rows: Sequence[Any], shown: dict[str, Any], document: dict[str, Any], plan: Plan, recipe: Recipe
) -> None:
    """confidence.json and provenance.json beside the network."""
    about = json.loads((folder / "region.json").read_text(encoding="utf-8"))
    own = expected(rows, moved(rows, shown))
    own["weights"] = {**shown["weights"], "region": about["sha256"]}
    own["fitted_on"] = f"{shown['fitted_on']}; moved by {len(rows)} cases of the site, each as held out"
    write(own, folder / "confidence.json")
    import torch

    from hepar.pipeline import cpu_name

    provenance = {
        "hepar": hepar.__version__, "torch": torch.__version__, "python": platform.python_version(),
        "cpu": cpu_name(), "threads": plan.threads, "recipe_sha256": recipe.sha256, "seed": recipe.seed,
        "bf16": recipe.bf16, "began_from": document["judged_against"], "region_sha256": about["sha256"],
        "training": document["training"],
        "cases": [{k: c[k] for k in ("image_sha256", "labels_sha256", "held_out_in")} for c in document["cases"]],
    }  # fmt: skip
    (folder / "provenance.json").write_text(json.dumps(provenance, indent=1) + "\n", encoding="utf-8")
