"""What a run says of its cases and of itself, for the items of a checklist.

A rule tells no more than the results document holds; it gives None where the run says nothing to the item.
"""

from __future__ import annotations

from hepar.validate.checklist_run import ANSWERED, PARTLY, Run, Told, cases, value
from hepar.validate.pages import number


def goal(run: Run) -> Told:
    """What this run is: an evaluation of something that exists."""
    n = cases(run.judged)
    if run.kind == "masks":
        names = ", ".join(run.settings.get("structures", {}))
        return (
            PARTLY,
            f"Outlines that exist ({names}) were judged against reference outlines on {n}; nothing was trained.",
        )
    if run.kind == "scores":
        return PARTLY, f"A score that exists was judged against the truth on {n}; no model was made."
    if run.settings.get("reader"):
        return PARTLY, f"Two ways of reading by the same readers were compared on the same {n}."
    return PARTLY, f"Two models that exist were compared on the same {n}; no model was made."


def checks(run: Run) -> Told:
    """What hepar did to the data and checked in them."""
    if run.kind == "masks":
        moved = [text for text in run.notes if "another grid" in text]
        grid = moved[0] if moved else "Each prediction lay on the grid of its reference; nothing was resampled."
        return PARTLY, f"{grid} Label values that were not declared are refused."
    text = "Truth and score were taken as they stand; rows without a readable truth or a finite score are left out."
    if run.kind == "compare":
        return PARTLY, f"{text} The truth of each case is the same in both tables."
    if run.settings.get("patient") and run.settings.get("split"):
        text += " No patient stands in two splits."
    return PARTLY, text


def size(run: Run) -> Told:
    """How many cases there are, and how many would be needed where the run says so."""
    lesions = run.told("lesions", "all sizes")
    if run.kind == "masks":
        more = f" with {number(lesions['estimate'])} lesions" if lesions else ""
        return PARTLY, f"{cases(run.judged)}{more} were judged."
    needed = [one for one in run.measures if one["name"].startswith("cases needed") and one["estimate"] is not None]
    text = f"{_amount(run)} were {'compared' if run.kind == 'compare' else 'judged'}."
    if needed:
        told = [
            f"{one['name'].removeprefix('cases needed: ')} {number(one['estimate'])} {one['unit']}" for one in needed
        ]
        text += f" Needed: {'; '.join(told)}."
    return PARTLY, text


def _amount(run: Run) -> str:
    """Cases judged, by outcome where the run tells it: two classes, several, or events."""
    if run.classes is not None:
        return f"{run.classes[0]} positive and {run.classes[1]} negative cases"
    events = run.told("events")
    if events:
        return f"{cases(events['n'])} with {number(events['estimate'])} events"
    if run.told("AUC of all classes (Hand and Till)"):
        counts = [f"{one['group']} {number(one['estimate'])}" for one in run.measures if one["name"] == "cases"]
        return f"{cases(run.judged)} ({', '.join(counts)})"
    return cases(run.judged)


def missing(run: Run) -> Told:
    """What was left out and why; hepar fills nothing in."""
    given, left = run.cases["given"], run.cases["left_out"]
    what = "pairs of outlines" if run.kind == "masks" else "cases" if run.kind == "compare" else "rows"
    if not left:
        return PARTLY, f"All {given} {what} given were used; nothing was filled in."
    reasons = "; ".join(f"{one['count']}: {one['reason']}" for one in left)
    total = sum(one["count"] for one in left)
    return PARTLY, f"{total} of {given} {what} were left out ({reasons}); nothing was filled in."


def flow(run: Run) -> Told:
    """From what was given to what was used, and how many had the outcome."""
    left = "; ".join(f"{one['count']} left out: {one['reason']}" for one in run.cases["left_out"])
    text = f"{cases(run.cases['given'])} given, {run.cases['used']} used" + (f" ({left})" if left else "") + "."
    if run.kind == "scores":
        text += f" Judged: {_amount(run)}."
    follow = run.told("median follow-up")
    if follow:
        text += f" Median follow-up {value(follow)}."
    return PARTLY, text


def partitions(run: Run) -> Told:
    """The parts of the data, where a column of splits was named."""
    split, fitted = run.settings.get("split"), run.settings.get("fit_split")
    if not split:
        return None
    parts = ", ".join(f"{one['group']} {one['n']}" for one in run.groups(split))
    text = f"The column {split} divides the cases" + (f" ({parts})" if parts else "") + "."
    if fitted:
        text += (f" The split {fitted} ({cases(run.cases['used'] - run.judged)}) is not judged: what has to be chosen "
                 "from data (threshold, recalibration, risk groups) is chosen on it.")  # fmt: skip
    return PARTLY, text


def disjoint(run: Run) -> Told:
    """Whether the parts share a patient, a study or an image, where columns for both were named."""
    split = run.settings.get("split")
    levels = [what for what in ("patient", "study", "image") if run.settings.get(what)]
    if not split or not levels:
        return None
    return (
        ANSWERED,
        f"By {' and '.join(levels)}: checked that no {' or '.join(levels)} stands in two values of {split}.",
    )


def who(run: Run) -> Told:
    """Sizes of the groups that were named."""
    parts = []
    for name in run.columns:
        sizes = ", ".join(f"{one['group']} {one['n']}" for one in run.groups(name))
        if sizes:
            parts.append(f"{name}: {sizes}")
    if not parts:
        return None
    text = f"Cases by {'; by '.join(parts)}."
    if run.classes is not None:
        text += f" {run.classes[0]} of {sum(run.classes)} are positive."
    return PARTLY, text


def analyses(run: Run) -> Told:
    """Cases and outcomes in what this run computed."""
    if run.kind == "compare":
        return PARTLY, f"{_amount(run)} in each comparison."
    text = f"Judged: {_amount(run)}."
    other = run.cases["used"] - run.judged
    if run.settings.get("fit_split") and other > 0:
        text += f" Not judged, to choose on: {cases(other)} of the split {run.settings['fit_split']}."
    return ANSWERED, text


def software(run: Run) -> Told:
    """What computed these numbers, so that they can be computed again."""
    text = (
        f"The numbers come from hepar {run.version}, which is open source; the settings are in results.json (SHA-256 "
    )
    return PARTLY, f"{text}{run.digest[:16]}), and the same input gives the same numbers."


def limitations(run: Run) -> Told:
    """What the run itself warns of."""
    told = [text for text in run.notes if not text.startswith("Acting on the score beats")]
    if not told:
        return None
    return PARTLY, "\n".join(text if text.endswith((".", "!", "?")) else f"{text}." for text in told)


def interpretation(run: Run) -> Told:
    """How the model stands beside published ones."""
    return (PARTLY, f"{run.place['sentence']} {run.place['fairness']}") if run.place else None
