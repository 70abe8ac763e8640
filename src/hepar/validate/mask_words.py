"""What stands above each table of `hepar validate masks`, for a reader who never saw one, and its first figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OVERLAP = "Outlines: how well they agree"
VOLUMES = "Volumes"
BY_LESION = "Finding lesions, counted by lesion"
BY_PATIENT = "Finding lesions, counted by patient"
BY_LARGEST = "Patients with lesions, by their largest lesion"
FROC = "Finding lesions at other thresholds (FROC)"
LITS = "Scores of the LiTS challenge, three ways"

FIRST = (
    (OVERLAP, "liver", "Dice", "Dice of the liver"), (OVERLAP, "lesion", "Dice", "Dice of the lesions"),
    (BY_LESION, "all sizes", "found (recall)", "lesions found"),
    (BY_LESION, "all sizes", "right (precision)", "predictions that are right"),
    (BY_LESION, "all sizes", "false findings per case", "false findings per case"),
)  # fmt: skip
"""Section, group and name of a measure, and what it is called on top of the report."""

WORDS = {
    OVERLAP: (
        "Each measure is taken per case and averaged. Dice is twice the shared volume over the sum of both volumes: "
        "1 is the same outline, 0 nothing shared. Jaccard is the shared volume over that of either; overlap error "
        "is 1 less Jaccard. The surface distance is how far the two outlines lie apart, in millimetres, on average "
        "(mean, or root mean square, which weighs large errors more), for all but the worst 5 % of the surface "
        "(Hausdorff 95 %), and at the worst place. Surface Dice is the share of both surfaces that lies within the "
        "tolerance. Dice falls with size: the same error of one millimetre costs a small lesion far more than a "
        "liver."
    ),
    VOLUMES: (
        "Prediction less reference, per case. The limits of agreement hold about 95 of 100 differences; ICC is 1 "
        "when both volumes are the same in every case."
    ),
    BY_LESION: (
        "A lesion is a piece of the outline that hangs together. Found: of the lesions in the reference, the share "
        "that was predicted (recall, sensitivity by lesion). Right: of the predicted lesions, the share that is one "
        "(precision). F1 joins both. Sizes are the longest diameter in one slice; found goes by the size in the "
        "reference, right by the predicted size. Lesions of one patient are not independent, so the intervals draw "
        "whole patients; where all or none were found, each patient counts once (Wilson)."
    ),
    BY_PATIENT: (
        "A patient counts as positive if any lesion is predicted, wherever it lies. Predictive values hold for the "
        "share of patients with lesions in this set only."
    ),
    BY_LARGEST: (
        "By the longest diameter of the patient's largest lesion. Suspected: any lesion was predicted, wherever it "
        "lies. Found in its place: at least one of the patient's lesions was found."
    ),
    FROC: (
        "Each predicted lesion has a score; a lower threshold finds more lesions and more that are none. The curve "
        "shows what part of the lesions is found when so many false findings per case are put up with; it ends "
        "where the model predicts no more. The mean over 1/8 to 8 false findings per case is the one figure of the "
        "LUNA16 challenge. AFROC is the chance that a lesion scores higher than the worst false finding in a case "
        "without lesions: 0.5 is chance."
    ),
    LITS: (
        "For comparison with published figures of the Liver Tumour Segmentation challenge only. Its scorer and its "
        "notebook differ, and both do things that a reader would not expect (see the documentation); the last "
        "column is how the same measures ought to be taken. Means over found lesions leave out what was missed. "
        "9001 is what the scorer writes where there is no value."
    ),
}
"""Section -> its explanation."""


def mask_tiles(made: Mapping[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Name, value, interval and whether it is missing, of the figures that stand first; none in other reports."""
    from hepar.validate.pages import number

    own = {(one["section"], one["group"], one["name"]): one for one in made["measures"]}
    found = []
    for section, group, name, shown in FIRST:
        one = own.get((section, group, name))
        if one is not None:
            span = "" if one["low"] is None else f"{number(one['low'])} to {number(one['high'])}"
            value = "cannot tell" if one["estimate"] is None else number(one["estimate"])
            found.append((shown, value, span or one["missing"], one["estimate"] is None))
    return found
