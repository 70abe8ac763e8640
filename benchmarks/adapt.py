"""Does `hepar learn adapt` bring back what a site that scans otherwise costs, and does it refuse poisoned cases?

    python benchmarks/adapt.py DIR [--minutes 9] [--threads 2] [--anatomies FOLDER] [--out FILE.json]

Makes the virtual patients of the distribution `site-shifted` below DIR, portal venous phase alone: ten to adapt with,
twelve to test, and the same twelve as a site that scans like the others would see them ([standard] in that file). Then
poisoned copies of the ten, which must be refused; then the adaptation; then the recall of the shipped and the adapted
model on the twelve. `--tests 0` is cheaper: the ten patients themselves, each as held out from the training that judges
it, against the same ten as a usual site sees them. What is there is not made again, so that it can be stopped and goes
on. Needs torch.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from hepar.errors import Refused
from hepar.learn.adapt import Plan, adapt
from hepar.learn.adapt_cases import SiteCase, kept, read_truth, ready_case
from hepar.learn.adapt_judge import counts, found_within, judge_case
from hepar.segment.builtin import Builtin
from hepar.segment.confidence import confidence_file, curve_of
from hepar.segment.settings import SegmentSettings
from hepar.segment.site import site_model
from hepar.simulate.case import simulate_case
from hepar.simulate.distribution import Distribution, load_distribution
from hepar.validate.bootstrap import of_sums

ADAPT, TEST = range(10), range(10, 22)
POINTS = ("measuring", "screening")


def make(folder: Path, tests: range = TEST) -> None:
    """The cases that are not there yet."""
    shifted = load_distribution("site-shifted")
    standard = replace(shifted, name="site-standard", tables={**shifted.tables, **shifted.tables["standard"]})
    _simulate(folder / "site", shifted, ADAPT)
    _simulate(folder / "test-shifted", shifted, tests)
    _simulate(folder / "test-standard", standard, tests)
    if not tests:
        _simulate(folder / "site-standard", standard, ADAPT)


def _simulate(folder: Path, distribution: Distribution, numbers: range) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        target = folder / f"case-{number:03d}"
        if not (target / "truth.json").is_file():
            part = folder / f".{target.name}.part"
            shutil.rmtree(part, ignore_errors=True)
            simulate_case(part, distribution, number, compress=False, only=("portal_venous",))
            part.rename(target)
            print(f"made {folder.name}/{target.name}", flush=True)


def case_of(folder: Path, number: int) -> SiteCase:
    """A simulated case as the adaptation takes it."""
    image = next((folder / "nifti").glob("*_portal_venous.nii"))
    return SiteCase(number, {"portal_venous": image}, (folder / "truth" / "labels.nii.gz",), True, folder.name)


def poisoned(folder: Path) -> dict[str, Path]:
    """Copies of the site's ten cases with the same images and wrong labels, one way each."""
    rng = np.random.default_rng(7)

    def off(labels: Any, spacing: Any, number: int) -> Any:
        return np.roll(labels, round(12 / spacing[2]), 2) if number % 2 else labels

    def mirrored(labels: Any, spacing: Any, number: int) -> Any:
        return labels[:, :, ::-1]

    def invented(labels: Any, spacing: Any, number: int) -> Any:
        out = np.where(labels > 0, 1, 0).astype(np.uint8)
        places = np.argwhere(labels == 1)
        axes = np.ogrid[: labels.shape[0], : labels.shape[1], : labels.shape[2]]
        for lesion in range(5):
            middle, radius = places[rng.integers(len(places))], rng.uniform(5, 12)
            away = sum(((a - m) * s) ** 2 for a, m, s in zip(axes, middle, spacing, strict=True))
            out[(away < radius**2) & (labels > 0)] = 11 + lesion
        return out

    def none(labels: Any, spacing: Any, number: int) -> Any:
        return np.where(labels > 0, 1, 0).astype(np.uint8)

    ways = {"half of the labels 12 mm off": off, "labels mirrored": mirrored, "lesions on healthy tissue": invented,
            "no lesions": none}  # fmt: skip
    made = {}
    for name, change in ways.items():
        made[name] = folder / f"poisoned-{name.replace(' ', '-')}"
        for number in ADAPT:
            case = folder / "site" / f"case-{number:03d}"
            target = made[name] / case.name
            if not (target / "truth" / "labels.nii.gz").is_file():
                (target / "truth").mkdir(parents=True, exist_ok=True)
                (target / "nifti").mkdir(exist_ok=True)
                image = next((case / "nifti").glob("*_portal_venous.nii"))
                (target / "nifti" / image.name).unlink(missing_ok=True)
                (target / "nifti" / image.name).symlink_to(image.resolve())
                shutil.copy(case / "truth.json", target / "truth.json")
                labels = nibabel.load(case / "truth" / "labels.nii.gz")
                array = np.asarray(labels.dataobj).transpose(2, 1, 0)
                spacing = np.array(labels.header.get_zooms())[::-1]
                wrong = np.ascontiguousarray(change(array, spacing, number).transpose(2, 1, 0))
                nibabel.save(nibabel.Nifti1Image(wrong, labels.affine), target / "truth" / "labels.nii.gz")
    made["the same case ten times"] = twice = folder / "poisoned-one-case"
    for number in ADAPT:
        (twice / f"case-{number:03d}").mkdir(parents=True, exist_ok=True)
        for name in ("nifti", "truth", "truth.json"):
            link = twice / f"case-{number:03d}" / name
            if not link.exists():
                link.symlink_to((folder / "site" / "case-000" / name).resolve())
    return made


def judged(
    folder: Path, cases: Path, tests: range, engine: Builtin, document: dict[str, Any], name: str
) -> list[list[float]]:
    """Found, missed, false at both points, liver Dice, found with the limit of one false find a scan, of each
    test case; kept below folder/judged."""
    rows, cases_rows, curves = [], [], []
    for number in tests:
        file = folder / "judged" / f"{name}-{number:03d}-{engine.region.sha256[:16]}.pickle"

        def judge(number: int = number) -> Any:
            case = case_of(cases / f"case-{number:03d}", number)
            ready = ready_case(case, engine, folder / "work" / "prepared")
            return judge_case(str(number), ready, read_truth(case, ready.reference.geometry), engine)

        found = kept(file, judge)
        curve = curve_of(document, found.rows.phases)
        rows.append([float(n) for point in POINTS for n in counts(found.rows, curve, point)] + [found.liver_dice])
        cases_rows.append(found.rows)
        curves.append(curve)
        print(f"judged {name} {number}: {rows[-1]}", flush=True)
    return [[*row, float(n)] for row, n in zip(rows, found_within(cases_rows, curves), strict=True)]


def told(standard: list[list[float]], shipped: list[list[float]], adapted: list[list[float]]) -> dict[str, Any]:
    """Recall and false finds of each, what the shift costs, what comes back; 95 %, patients drawn together."""
    table = np.hstack([np.array(rows, float) for rows in (standard, shipped, adapted)] + [np.ones((len(standard), 1))])
    width = len(standard[0])
    out: dict[str, Any] = {"patients": len(standard)}

    def figure(how: Callable[[Any], Any]) -> dict[str, Any]:
        e = of_sums(table, lambda s: np.asarray(how(s)), why_none="no such lesion")
        return {k: None if v is None else round(v, 3) for k, v in
                (("estimate", e.estimate), ("low", e.low), ("high", e.high))}  # fmt: skip

    names = ("shipped, standard site", "shipped, shifted site", "adapted, shifted site")
    for at, point in enumerate(POINTS):

        def recall(s: Any, who: int, at: int = at) -> Any:
            first = who * width + 3 * at
            return s[..., first] / (s[..., first] + s[..., first + 1])

        def false(s: Any, who: int, at: int = at) -> Any:
            return s[..., who * width + 3 * at + 2] / s[..., -1]

        out[point] = {
            "recall": {n: figure(lambda s, k=k: recall(s, k)) for k, n in enumerate(names)},
            "false_per_scan": {n: figure(lambda s, k=k: false(s, k)) for k, n in enumerate(names)},
            "recall_lost": figure(lambda s: recall(s, 0) - recall(s, 1)),
            "recall_gained": figure(lambda s: recall(s, 2) - recall(s, 1)),
            "share_brought_back": figure(lambda s: (recall(s, 2) - recall(s, 1)) / (recall(s, 0) - recall(s, 1))),
        }

    def within(s: Any, who: int) -> Any:
        first = who * width
        return s[..., first + 7] / (s[..., first] + s[..., first + 1])

    out["at one false find a scan"] = {
        "recall": {n: figure(lambda s, k=k: within(s, k)) for k, n in enumerate(names)},
        "recall_lost": figure(lambda s: within(s, 0) - within(s, 1)),
        "recall_gained": figure(lambda s: within(s, 2) - within(s, 1)),
        "share_brought_back": figure(lambda s: (within(s, 2) - within(s, 1)) / (within(s, 0) - within(s, 1))),
    }
    out["lesions"] = int(sum(r[0] + r[1] for r in shipped))
    out["liver_dice"] = {n: figure(lambda s, k=k: s[..., k * width + 6] / s[..., -1]) for k, n in enumerate(names)}
    return out


def of_the_same(standard: list[list[float]], held_out: dict[str, Any]) -> dict[str, Any]:
    """The cheap form: the ten patients as a usual site sees them, against their held-out judgement: at `measuring`, and
    with the limit where each model makes one false find a scan."""
    found, missed, false = (sum(row[k] for row in standard) for k in range(3))
    one = found / (found + missed)
    shipped, adapted = (held_out["recall"][k]["estimate"] for k in ("shipped", "candidate"))
    lost = one - shipped
    within = sum(row[7] for row in standard) / (found + missed)
    shipped_within, adapted_within = (held_out["recall_within_one"][k]["estimate"] for k in ("shipped", "candidate"))
    return {
        "lesions": found + missed, "recall, shipped, standard site": round(one, 3),
        "false per scan, shipped, standard site": round(false / len(standard), 2),
        "recall, shipped, shifted site": shipped, "recall, adapted, shifted site, held out": adapted,
        "recall_lost": round(lost, 3), "recall_gained": round(adapted - shipped, 3),
        "share_brought_back": round((adapted - shipped) / lost, 3) if lost > 0 else None,
        "at one false find a scan": {
            "recall, shipped, standard site": round(within, 3), "recall, shipped, shifted site": shipped_within,
            "recall, adapted, shifted site, held out": adapted_within,
            "share_brought_back": round((adapted_within - shipped_within) / (within - shipped_within), 3)
            if within > shipped_within else None,
        },
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--fixed-cases", type=int, default=24)
    parser.add_argument("--tests", type=int, default=len(TEST), help="0: the ten cases themselves, as held out")
    parser.add_argument("--anatomies", type=Path, default=Plan.keep)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    folder = options.folder
    tests = TEST[: options.tests]
    make(folder, tests)
    plan = Plan(minutes=options.minutes, steps=options.steps, threads=options.threads, keep=options.anatomies,
                work=folder / "work", fixed_cases=options.fixed_cases)  # fmt: skip
    began = [time.process_time(), time.perf_counter()]

    def tell(step: str, share: float) -> None:
        spent = f"{time.process_time() - began[0]:.0f} CPU s, {time.perf_counter() - began[1]:.0f} s"
        print(f"{step} {share:.0%}, {spent}", flush=True)

    result: dict[str, Any] = {"poisoned": {}}
    for name, cases in poisoned(folder).items():
        site = folder / "sites" / name.replace(" ", "-")
        shutil.rmtree(site, ignore_errors=True)
        try:
            adapt(cases, site, plan, lambda step, share: None)
            result["poisoned"][name] = "NOT REFUSED"
        except Refused as reason:
            result["poisoned"][name] = str(reason)
        print(f"{name}: {result['poisoned'][name]}", flush=True)
    site = folder / "sites" / "adapted"
    engine = Builtin(SegmentSettings(threads=options.threads, lesion_min_confidence=0.0))
    shutil.rmtree(site, ignore_errors=True)
    done = adapt(folder / "site", site, plan, tell)
    result["report"] = done.document
    if done.promoted:
        assert site_model(site) is not None
    shipped = confidence_file()
    place = site / done.version
    own = json.loads((place / "confidence.json").read_text())
    adapted = Builtin(engine.settings, region_weights=place / "region.onnx")
    if tests:
        result["test"] = told(
            judged(folder, folder / "test-standard", tests, engine, shipped, "standard"),
            judged(folder, folder / "test-shifted", tests, engine, shipped, "shifted"),
            judged(folder, folder / "test-shifted", tests, adapted, own, "adapted"),
        )
    if not tests:
        result["test"] = of_the_same(
            judged(folder, folder / "site-standard", ADAPT, engine, shipped, "site-standard"), done.document["held_out"]
        )
    result["promoted"] = done.promoted
    print(done.report.read_text())
    print(json.dumps({k: result[k] for k in ("poisoned", "promoted", "test")}, indent=1))
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
