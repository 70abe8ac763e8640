"""What a run says of how good the model is, for the items of a checklist.

A rule tells no more than the results document holds, its numbers are those of the report; it gives None where the run
says nothing to the item.
"""

from __future__ import annotations

from hepar.validate.checklist_run import (
    ANSWERED,
    PARTLY,
    Run,
    Told,
    by_column,
    by_group,
    cases,
    listed,
    named,
    upper,
    value,
)
from hepar.validate.pages import number

MAIN = ("AUC", "sensitivity", "specificity", "calibration slope")
"""Measures told of pooled sites."""
IN_PARTS = ("By ", "Over ", "Drop ", "Beside ")
"""Starts of sections that tell of some of the cases, or of other models."""
WHOLE = ("By a given time", "Hazard ratios", "Each class against the rest")
"""Sections whose groups are times, variables or classes, not some of the cases."""


def output(run: Run) -> Told:
    """What the score is and where its threshold comes from."""
    if run.kind != "scores" or run.classes is None:
        return None
    risk = any(one["name"] == "calibration slope" for one in run.measures)
    text = "The score was read as a risk from 0 to 1." if risk else "The score was not read as a risk."
    cut = run.told("threshold")
    if cut is None:
        return PARTLY, f"{text} No threshold was used."
    if run.settings.get("threshold") is not None:
        how = "given to the run"
    elif run.settings.get("fit_split"):
        how = f"chosen by Youden's index on the split {run.settings['fit_split']}"
    else:
        how = "chosen by Youden's index on the same cases"
    return PARTLY, f"{text} Positive from {number(cut['estimate'])}, {how}."


def measures(run: Run) -> Told:
    """Every measure and figure of the run, by what it is for; sections of the same measures stand together."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for section in dict.fromkeys(one["section"] for one in run.measures):
        names = dict.fromkeys(one["name"] for one in run.measures if one["section"] == section)
        drawn = dict.fromkeys(f"figure: {one['title']}" for one in run.figures if one["section"] == section)
        alike.setdefault((*names, *drawn), []).append(section)
    parts = [f"[{', '.join(sections)}] {'; '.join(names)}." for names, sections in alike.items()]
    return (ANSWERED, "\n".join(["Measures and figures, by what they are for:", *parts])) if parts else None


def uncertainty(run: Run) -> Told:
    """How intervals were made, and which tests were run."""
    ways: dict[str, dict[str, None]] = {}
    for one in run.measures:
        if one["low"] is not None and one["method"]:
            ways.setdefault(f"{100 * one['level']:g} % {one['method']}", {})[one["name"]] = None
    tests = dict.fromkeys(
        text for one in run.measures for text in (one["group"], one["name"]) if text.startswith("p of")
    )
    if not ways and not tests:
        return None
    lines = [f"{way}: {', '.join(names)}." for way, names in ways.items()]
    lines += [f"Tests: {', '.join(tests)}."] if tests else []
    return ANSWERED, "\n".join(["Intervals and how each was made:", *lines])


def performance(run: Run) -> Told:
    """The main measures with their intervals."""
    if run.kind == "masks":
        structures = run.settings.get("structures", {})
        found = [one for one in run.measures if one["estimate"] is not None
                 and ((one["group"] in structures and _is_main_of_outlines(one["name"]))
                      or (one["group"] == "all sizes" and one["name"].startswith(("found (", "right ("))))]  # fmt: skip
    elif run.kind == "compare":
        found = [one for one in run.measures if one["estimate"] is not None and one["low"] is not None]
    else:
        found = [one for one in run.measures if one["estimate"] is not None and one["low"] is not None
                 and (one["section"] in WHOLE or not (one["group"] or one["section"].startswith(IN_PARTS)))
                 and one["name"] not in ("prevalence", "median follow-up", "free of the event")]  # fmt: skip
    return (ANSWERED, "; ".join(map(named, found)) + ".") if found else None


def _is_main_of_outlines(name: str) -> bool:
    """Dice, surface Dice, mean surface distance, 95 % Hausdorff distance."""
    return (name.endswith(("Dice", "surface distance")) and not name.startswith("root")) or "95 %" in name


def performance_by_group(run: Run) -> Told:
    """The main measures, and those of the groups that were named."""
    main = performance(run)
    if main is None:
        return None
    groups = [f"{told}." for name in run.columns if (told := by_column(run, name))]
    return (ANSWERED, "\n".join([main[1], *groups])) if groups else (PARTLY, main[1])


def diagnostic(run: Run) -> Told:
    """Sensitivity, specificity and what follows, at the threshold or by patient and lesion."""
    starts = ("sensitivity", "specificity", "positive predictive", "negative predictive", "likelihood ratio",
              "found (recall)", "right (precision)")  # fmt: skip
    found = [one for one in run.measures if one["name"].startswith(starts) and one["low"] is not None
             and not one["section"].startswith(IN_PARTS)
             and (run.kind == "compare" or one["section"] in WHOLE or one["group"] in ("", "all sizes"))]  # fmt: skip
    if not found:
        return None
    cut = run.told("threshold")
    lead = f"At the threshold {number(cut['estimate'])}: " if cut else ""
    return ANSWERED, f"{lead}{'; '.join(map(named, found))}."


def failures(run: Run) -> Told:
    """How many cases it got wrong, and of which kind."""
    if run.kind == "masks":
        rows = [one for one in run.measures if one["name"] == "found (recall)" and one["estimate"] is not None]
        if not rows:
            return None
        told = [f"{one['group']} {one['n'] - round(one['estimate'] * one['n'])} of {one['n']}" for one in rows]
        text = f"Lesions missed: {', '.join(told)}."
        false = run.told("false findings per case", "all sizes")
        if false:
            text += f" False findings: {number(false['estimate'])} per case."
        joined = [note for note in run.notes if "join several lesions" in note]
        return PARTLY, " ".join([text, *joined, "Each case stands in cases.csv."])
    sens, spec = run.told("sensitivity"), run.told("specificity")
    if run.kind != "scores" or sens is None or spec is None or run.classes is None:
        return None
    positive, negative = run.classes
    missed, false_alarms = round((1 - sens["estimate"]) * positive), round((1 - spec["estimate"]) * negative)
    text = f"At the threshold, {missed} of {positive} positive cases are missed and {false_alarms} of {negative}"
    return PARTLY, f"{text} negative cases are called positive."


def clusters(run: Run) -> Told:
    """How differences between sites were dealt with."""
    site = run.settings.get("site")
    if not site:
        return None
    means = [one for one in run.measures if one["group"].startswith("mean over")]
    if not means:
        return PARTLY, f"Measures were computed for each value of {site}; there were too few cases to pool them."
    ways = dict.fromkeys(one["method"].removesuffix(", logit").removesuffix(", log") for one in means if one["method"])
    names = ", ".join(dict.fromkeys(one["name"] for one in means))
    text = f"Computed for each value of {site}, and pooled over them with random effects ({'; '.join(ways)}): {names}."
    return ANSWERED, f"{text} The range expected at a new one is given, and AUC without each in turn."


def clusters_result(run: Run) -> Told:
    """The measures by site, pooled, and expected at a new site."""
    site = run.settings.get("site")
    told = by_column(run, site) if site else ""
    if not told:
        return None
    pooled = [one for one in run.measures if one["group"].startswith(("mean over", "expected at"))
              and one["name"] in MAIN and one["estimate"] is not None]  # fmt: skip
    return (ANSWERED if pooled else PARTLY), "\n".join(f"{one}." for one in (told, *by_group(pooled)))


def robustness(run: Run) -> Told:
    """How the main measure changes without each site, by group and by size of lesion."""
    parts = []
    without = [one for one in run.measures if one["group"].startswith("all but") and one["name"] == "AUC"
               and one["estimate"] is not None]  # fmt: skip
    if without:
        values = sorted(one["estimate"] for one in without)
        parts.append(f"AUC without each site in turn: {number(values[0])} to {number(values[-1])}")
    parts += [told for name in run.columns if (told := by_column(run, name))]
    if run.kind == "masks":
        rows = [one for one in run.measures if one["name"] == "found (recall)" and one["group"] != "all sizes"
                and one["estimate"] is not None]  # fmt: skip
        if rows:
            parts.append(f"lesions found by size: {listed(rows)}")
    return (PARTLY, f"{upper('; '.join(parts))}.") if parts else None


def fairness(run: Run) -> Told:
    """The groups that were judged, and the largest gap between them."""
    by = [str(name).partition(":")[0] for name in run.settings.get("by", ())]
    if not by:
        return None
    judged = dict.fromkeys(one["name"] for one in run.measures if one["section"] in {f"By {name}" for name in by})
    gaps = [one for one in run.measures if one["estimate"] is not None and one["group"].startswith(("AUC", "C-index"))
            and one["section"] in {f"By {name}: largest gaps" for name in by}]  # fmt: skip
    text = f"Judged by {', '.join(by)}: {', '.join(judged)}. Groups too small to judge are named as such."
    told = [f"{one['section']}, {one['group']} {value(one)}" for one in gaps]
    return PARTLY, text + (f" {upper('; '.join(told))}." if told else "")


def _updated(run: Run) -> list[str]:
    return [*run.sections("Recalibrated on"), *run.sections("Made a risk on")]


def updating(run: Run) -> Told:
    """Whether the run recalibrated the score."""
    if run.kind == "masks":
        return None
    found = _updated(run)
    if not found:
        return PARTLY, "Nothing was updated in this run."
    ways = dict.fromkeys(one["group"] for one in run.measures if one["section"] in found and one["group"] != "as given")
    return ANSWERED, f"{'; '.join(found)}: {', '.join(ways)}."


def updating_result(run: Run) -> Told:
    """Calibration before and after each way of updating."""
    found = _updated(run)
    if not found:
        return updating(run)
    told = [one for section in found for one in run.inside(section)
            if one["name"] in ("calibration slope", "calibration in the large", "ICI", "Brier score")]  # fmt: skip
    return ANSWERED, "\n".join([f"{'; '.join(found)}:", *(f"{one}." for one in by_group(told))])


def _on(run: Run, kind: str) -> Told:
    split, area = run.settings.get("split"), run.told("AUC") or run.told("C-index (Harrell)")
    inner = str(run.settings.get("internal") or "internal").lower()
    wanted = inner if kind == "internal" else kind
    found = [one for one in run.groups(split) if one["group"].lower() == wanted] if split else []
    if found:
        return PARTLY, f"{found[0]['name']} in {listed(found)}, {cases(found[0]['n'])}."
    if run.settings.get("validation") == kind and area is not None:
        return PARTLY, f"These cases were said to be {kind}: {area['name']} {value(area)}, {cases(area['n'])}."
    return None


def inside(run: Run) -> Told:
    """Results on internal cases, where the run knows which those are."""
    return _on(run, "internal")


def outside(run: Run) -> Told:
    """Results on external cases, where the run knows which those are."""
    return _on(run, "external")
