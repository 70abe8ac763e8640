"""What stands above the tables of a report on scores, for a reader who never saw one, and its first figures."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

WORDS = {
    "Telling positive from negative": (
        "The AUC is the chance that a positive case scores higher than a negative one: 0.5 is a blind guess, 1 "
        "never fails. It says nothing of the threshold one acts from. From the threshold on a case is called "
        "positive: sensitivity is the share of positive cases that are called so, specificity the share of "
        "negative cases that are not. The predictive values hold for the prevalence of these cases only."
    ),
    "The chance of disease after the test": (
        "What a positive or negative result means where the disease is rarer or more frequent than among these "
        "cases: the odds before the test times the likelihood ratio."
    ),
    "Is a risk of 30 % really 30 in 100?": (
        "Calibration: whether as many cases turn out positive as the risks say. A model can tell cases apart well"
        " and still give risks that are all too high or too extreme."
    ),
    "Is a probability of 30 % really 30 in 100?": (
        "Calibration: whether as many cases are of a class as its probabilities say, for each class against the rest."
    ),
    "Does acting on it do good?": (
        "Net benefit weighs those rightly treated against those treated in vain; how much a needless treatment "
        "counts follows from the risk one acts from (acting from 10 % means that nine needless treatments are "
        "worth one that is needed). A model is useful where its line lies above both treating all and treating "
        "nobody."
    ),
    "Recalibrated on*": (
        "Risks corrected on one split and judged on the others: shifted as a whole (intercept), shifted and "
        "stretched (logistic), or by any rising steps (isotonic). Correcting moves no case past another, so the "
        "AUC stays."
    ),
    "Made a risk on*": (
        "The score was turned into a risk on one split (logistic regression) and is judged on the others."
    ),
    "Are there enough cases?": (
        "Cases here, and those that a precise external validation would need if the model did as well as seen here."
    ),
    "Over *": (
        "Sites pooled as a sample of all sites (random effects). What to expect at a new site is wider than the "
        "mean: it includes how much sites differ. Below, each measure without one site in turn: a site that "
        "carries the result shows."
    ),
    "Drop from*": (
        "Inside less outside, in the same measure: above 0 the AUC, sensitivity or specificity is lost outside."
    ),
    "Who has the event sooner?": (
        "The C-index is the chance that of two cases the one with the higher score has the event first: 0.5 is a "
        "blind guess, 1 never fails."
    ),
    "Curves by risk group": ("Cases sorted into groups by their score; the curves say how many are free of the event."),
    "Hazard ratios": (
        "How many times more often the event happens at each moment, against the group named or per standard "
        "deviation of the score; 1 is no difference."
    ),
    "Which class is called which": (
        "How many cases of each true class were called which; right where both names agree."
    ),
    "Reclassification, from second to first": (
        "Whether risks rise for events and fall for others. A useless or badly calibrated model can score well "
        "here, so never read it alone."
    ),
    "*: largest gaps": (
        "The two groups that are furthest apart in each measure. As they were chosen for being so, the interval "
        "is widened to hold for all pairs of groups at once. A gap whose interval holds 0 may be chance."
    ),
}
"""By section; * at an end of a key stands for anything."""


def words_of(section: str, words: Mapping[str, str]) -> str:
    """The words of a section, "" where there are none."""
    found = (text for key, text in words.items() if fnmatchcase(section, key.replace("?", "[?]")))
    return words.get(section) or next(found, "")


FIRST = {
    "scores": ("AUC", "sensitivity", "specificity", "calibration slope", "Brier score", "C-index (Harrell)",
               "AUC of all classes (Hand and Till)", "accuracy"),
    "compare": ("AUC", "difference"),
}  # fmt: skip


def tiles(made: Mapping[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Name, value, interval and whether it is missing, of the figures that stand first."""
    from hepar.validate.pages import number

    found = []
    for name in FIRST.get(made["kind"], ()):
        one = next((one for one in made["measures"] if one["name"] == name and one["group"] in FIRST_GROUPS), None)
        if one is not None:
            span = "" if one["low"] is None else f"{number(one['low'])} to {number(one['high'])}"
            shown = name if not one["group"] else f"{name}, {one['group']}"
            value = "cannot tell" if one["estimate"] is None else number(one["estimate"])
            found.append((shown, value, span or one["missing"], one["estimate"] is None))
    return found


FIRST_GROUPS = ("", "first less second", "holds for other readers and cases")
