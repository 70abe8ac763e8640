"""The curves of a training run as a figure."""

from __future__ import annotations

import json
from pathlib import Path

from hepar.errors import WrongCall


def draw_curves(run: Path, target: Path) -> Path:
    """Loss, Dice on training patches, Dice and recall on the watched cases against minutes, from run/log.jsonl, as SVG.

    A run without watched cases has no third panel.
    """
    log = run / "log.jsonl"
    if not log.is_file():
        raise WrongCall(f"{run.name} holds no log.jsonl; give the folder of a training run")
    rows = []
    for number, line in enumerate(log.read_text(errors="replace").splitlines(), 1):
        if not line:
            continue
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if not isinstance(entry, dict) or "min" not in entry:
            raise WrongCall(f"{run.name}/log.jsonl, line {number}, is no entry of a log; remove the line")
        rows.append(entry)
    if not rows:
        raise WrongCall(f"{run.name}: nothing is logged yet; wait for 20 steps")
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "hepar"
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3), layout="constrained")
    panels: list[tuple[str, dict[str, str]]] = [
        ("Loss", {"loss": "loss"}),
        ("Dice on training patches", {"liver": "liver", "lesion": "lesion"}),
    ]
    if any("watched_liver" in r for r in rows):
        names = {"liver": "liver, Dice", "lesion": "lesion, Dice", "found": "lesions, share found"}
        panels.append(("On the watched cases", {f"watched_{k}": name for k, name in names.items()}))
    for axis, (title, keys) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        for key, name in keys.items():
            points = [(r["min"], r[key]) for r in rows if key in r]
            axis.plot([p[0] for p in points], [p[1] for p in points], lw=1, label=name)
        axis.set_xlabel("minutes")
        axis.set_title(title)
        if len(keys) > 1:
            axis.legend(frameon=False)
    figure.savefig(target, format="svg", metadata={"Date": None})
    return target
