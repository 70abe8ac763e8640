"""The LiTS organisers' own code on phantoms of boxes -> lits_expected.json.

    python make_lits.py FOLDER

FOLDER holds `calc_metric.py` and `surface.py` of github.com/PatrickChrist/lits-challenge-scoring (program/helpers,
commit 0cbafa55), made to run on numpy 2 and scipy 1.17: `np.bool` -> `bool`, lists of slices -> tuples,
`scipy.array` -> `numpy.array`, `find_objects` of whole numbers, and three values instead of five where the reference is
empty. Needs
medpy (0.5.2 was used). What `evaluate.py` and the evaluation notebook do with them is written out below.
"""

import json
import random
import sys
from pathlib import Path

import numpy as np
from scipy import ndimage

sys.path.insert(0, sys.argv[1])
import calc_metric
from medpy import metric
from surface import Surface

SHAPE, SPACING = (14, 34, 34), (2.5, 0.8, 0.7)
KEYS = ("dice", "jaccard", "voe", "rvd", "assd", "rmsd", "msd")


def label_map(liver, boxes):
    made = np.zeros(SHAPE, np.int8)
    made[tuple(slice(a, b) for a, b in liver)] = 1
    for box in boxes:
        made[tuple(slice(a, b) for a, b in box)] = 2
    return made


def some_boxes(draw):
    """Up to eight lesions; the prediction shifts, cuts, joins, leaves out and adds some."""
    ref, pred = [], []
    for _ in range(draw.randint(1, 8)):
        low = [draw.randint(1, n - 9) for n in SHAPE]
        size = [draw.randint(2, 5), draw.randint(3, 8), draw.randint(3, 8)]
        box = [[a, min(a + s, n - 1)] for a, s, n in zip(low, size, SHAPE, strict=True)]
        ref.append(box)
        fate = draw.random()
        if fate < 0.15:
            continue
        if fate < 0.3:
            pred += [[*box[:2], [box[2][0], box[2][0] + 1]], [*box[:2], [box[2][0] + 2, box[2][1]]]]
            continue
        wider = draw.randint(0, 6) if fate > 0.8 else 0
        shift = [draw.randint(-1, 1) for _ in range(3)]
        pred.append([[a + s, min(b + s + wider, n)] for (a, b), s, n in zip(box, shift, SHAPE, strict=True)])
    if draw.random() < 0.4:
        pred.append([[1, 3], [1, 4], [30, 33]])
    return ref, pred


def scorer(pred, ref):
    pred_lesion, n_pred = ndimage.label(pred == 2, output=np.int16)
    ref_lesion, n_ref = ndimage.label(ref == 2, output=np.int16)
    detected, changed, true = calc_metric.detect_lesions(pred_lesion, ref_lesion, min_overlap=0.5)
    scores = {key: [] for key in KEYS}
    if true > 0:
        scores = calc_metric.compute_segmentation_scores(detected, changed, SPACING)
    liver = calc_metric.compute_segmentation_scores((pred >= 1).astype(int), (ref >= 1).astype(int), SPACING)
    dice = 1.0 if not pred_lesion.any() and not ref_lesion.any() else metric.dc(pred_lesion, ref_lesion)
    return {
        "true": true, "false": n_pred - true, "missed": n_ref - true, "dice": dice, "found": scores,
        "liver": {key: liver[key][0] for key in KEYS}, "burden_error": calc_metric.compute_tumor_burden(pred, ref),
    }  # fmt: skip


def notebook(pred, ref):
    # two empty masks: medpy means Dice 0 (it catches ZeroDivisionError) and stops at Jaccard; numpy 2 gives NaN
    some = pred.any() or ref.any()
    made = {"dice": metric.dc(pred, ref) if some else 0.0, "jaccard": metric.binary.jc(pred, ref) if some else None}
    try:
        made["rvd"] = metric.ravd(ref, pred)
    except RuntimeError:
        made["rvd"] = None
    if not pred.any() or not ref.any():
        return {**made, "assd": 0, "msd": 0}
    own = Surface(pred, ref, physical_voxel_spacing=SPACING, mask_offset=[0.0] * 3, reference_offset=[0.0] * 3)
    return {**made, "assd": own.get_average_symmetric_surface_distance(), "msd": metric.hd(ref, pred, SPACING)}


def plain(value):
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value if isinstance(value, int) or value is None else float(value)


def main():
    draw, cases = random.Random(7), []
    liver = [[0, 14], [0, 30], [0, 34]]
    for number in range(40):
        ref, pred = some_boxes(draw)
        if number in (10, 11):
            pred = []
        if number in (11, 12):
            ref = []
        other = [[a, b - draw.randint(0, 2)] for a, b in liver]
        a, b = label_map(other, pred), label_map(liver, ref)
        cases.append({"ref": ref, "pred": pred, "ref_liver": liver, "pred_liver": other,
                      "scorer": plain(scorer(a, b)), "notebook": plain(notebook(a == 2, b == 2))})  # fmt: skip
    made = {"shape": SHAPE, "spacing_mm": SPACING, "cases": cases}
    Path(__file__).with_name("lits_expected.json").write_text(json.dumps(made) + "\n")


if __name__ == "__main__":
    main()
