"""The curves of a training run as a figure."""

from __future__ import annotations

import json
from pathlib import Path

from hepar.errors import WrongCall


def draw_curves(run: Path, target: Path) -> Path:
    """Loss, Dice of liver and lesions and learning rate against minutes, from run/log.jsonl, as SVG."""
    log = run / "log.jsonl"
    if not log.is_file():
        raise WrongCall(f"{run.name} holds no log.jsonl; give the folder of a training run")
    rows = [json.loads(line) for line in log.read_text().splitlines() if line]
    if not rows:
        raise WrongCall(f"{run.name}: nothing is logged yet; wait for 20 steps")
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "hepar"
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3), layout="constrained")
    loss, dice, rate = figure.subplots(1, 3)
    for axis, keys, title in (
        (loss, ("loss",), "Loss"),
        (dice, ("liver", "lesion"), "Dice on training patches"),
        (rate, ("lr",), "Learning rate"),
    ):
        for key in keys:
            points = [(r["min"], r[key]) for r in rows if key in r]
            axis.plot([p[0] for p in points], [p[1] for p in points], lw=1, label=key)
        axis.set_xlabel("minutes")
        axis.set_title(title)
        if len(keys) > 1:
            axis.legend(frameon=False)
    figure.savefig(target, format="svg", metadata={"Date": None})
    return target
