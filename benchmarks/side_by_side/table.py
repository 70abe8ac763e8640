"""The figures of every run, over seeds and against `residual`, and the Markdown of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hepar.learn.recipe import ARCHITECTURES
from hepar.validate.bootstrap import DRAWS, of_sums, ratio
from hepar.validate.inputs import Floats

STRATA = ("under 10 mm", "10 to 20 mm", "over 20 mm")
Row = dict[str, Any]
Parts = Callable[[Row], tuple[float, float]]
"""What one patch adds to a figure: the figure is the sum of the first over the sum of the second."""


def _mean(key: str) -> Parts:
    return lambda row: (row[key] or 0.0, float(row[key] is not None))


def _recall(strata: tuple[int, ...]) -> Parts:
    return lambda row: (sum(row["found"][i] for i in strata), sum(row["lesions"][i] for i in strata))


FIGURES: dict[str, Parts] = {
    "liver Dice": _mean("liver_dice"),
    "liver edge, mm": _mean("edge_mm"),
    "lesion AUC": _mean("lesion_auc"),
    "lesion Dice": _mean("lesion_dice"),
    **{f"recall {name}": _recall((i,)) for i, name in enumerate(STRATA)},
    "recall of all": _recall((0, 1, 2)),
    "false per patch": _mean("false"),
}
"""What is told of a set of patches. Recall: a fifth of the lesion is covered."""


def figure(name: str, rows: list[Row]) -> float | None:
    """One of FIGURES over patches; None where no patch has it."""
    parts = [FIGURES[name](row) for row in rows]
    count = sum(bottom for _, bottom in parts)
    return sum(top for top, _ in parts) / count if count else None


def over_seeds(values: list[float]) -> dict[str, Any]:
    """Mean with the t interval over seeds; no interval from one seed."""
    from scipy import stats

    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return {"estimate": mean, "low": None, "high": None, "level": None, "method": "one seed"}
    half = float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return {"estimate": mean, "low": mean - half, "high": mean + half, "level": 0.95, "method": f"t, {n} seeds"}


def paired(one: list[list[Row]], other: list[list[Row]]) -> dict[str, Any]:
    """Every figure of `one` minus `other`, mean over seeds, with the interval of drawing patches (2,000 draws).

    one, other: per seed the rows of the same patches in the same order.
    """
    seeds = len(one)

    def difference(sums: Floats) -> Floats:
        values = ratio(sums.reshape(*sums.shape[:-1], 2 * seeds, 2))
        return np.asarray((values[..., :seeds] - values[..., seeds:]).mean(-1))

    out: dict[str, Any] = {}
    for name, parts in FIGURES.items():
        by_patch = [[x for row in rows for x in parts(row)] for rows in zip(*one, *other, strict=True)]
        found = of_sums(by_patch, difference, why_none="no such patch")
        # No interval: every draw alike, so that the figure itself is both ends.
        alike = found.low is None
        out[name] = {
            "estimate": found.estimate,
            "low": found.estimate if alike else found.low,
            "high": found.estimate if alike else found.high,
            "level": 0.95,
            "method": f"bootstrap of patches, {DRAWS} draws",
        }
    return out


def table(folder: Path) -> str:
    """The Markdown of everything that is there; also writes summary.json."""
    runs: dict[str, dict[int, Any]] = {}
    for path in sorted(folder.glob("*-*.json")):
        made = json.loads(path.read_text())
        runs.setdefault(made["network"], {})[made["seed"]] = made
    runs = {name: runs[name] for name in ARCHITECTURES if name in runs}
    costs = json.loads((folder / "cost.json").read_text())["networks"] if (folder / "cost.json").exists() else {}
    paced = json.loads((folder / "pace.json").read_text())
    summary: dict[str, Any] = {}
    for name, seeds in runs.items():
        first = next(iter(seeds.values()))
        entry: dict[str, Any] = {
            "parameters": first["parameters"],
            "steps": {s: m["steps"] for s, m in seeds.items()},
            "training_cpu_s": {s: m["cpu_s"] for s, m in seeds.items()},
            "cpu_s_per_step": paced[name],
            "last_loss": {s: round(float(np.mean(m["loss_per_20_steps"][-4:-1])), 3) for s, m in seeds.items()},
            "cost": costs.get(name),
            "seeds": {},
            "over_seeds": {},
        }
        chosen: dict[str, Callable[[Row], bool]] = {
            "all": lambda r: True,
            "portal venous": lambda r: r["phases"] == 1,
            "four phases": lambda r: r["phases"] > 1,
        }
        for part, keep in chosen.items():
            for key in FIGURES:
                values = {s: figure(key, [r for r in m["patches"] if keep(r)]) for s, m in seeds.items()}
                entry["seeds"].setdefault(part, {})[key] = values
                told = [v for v in values.values() if v is not None]
                entry["over_seeds"].setdefault(part, {})[key] = over_seeds(told) if told else None
        if name != "residual" and "residual" in runs:
            both = sorted(set(seeds) & set(runs["residual"]))
            if both:
                entry["minus_residual"] = paired(
                    [seeds[s]["patches"] for s in both], [runs["residual"][s]["patches"] for s in both]
                )
        summary[name] = entry
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    return "\n\n".join(
        (_costs(summary), *(_part(summary, p) for p in ("all", "portal venous", "four phases")), _differences(summary))
    )


def _costs(summary: dict[str, Any]) -> str:
    lines = [
        "| network | parameters | CPU s a step | steps | loss at the end | CPU s a region | seconds, two threads "
        "| peak memory, MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, e in summary.items():
        c = e["cost"] or {}
        steps = ", ".join(str(v) for v in dict.fromkeys(e["steps"].values()))
        ends = "; ".join(f"{v:.2f}" for v in e["last_loss"].values())
        told = [f"{c[k]:.{d}f}" if k in c else "" for k, d in (("cpu_s", 2), ("wall_s", 2), ("peak_mib", 0))]
        size, pace_s = f"{e['parameters'] / 1e6:.2f} M", f"{e['cpu_s_per_step']:.2f}"
        lines.append(f"| {name} | {size} | {pace_s} | {steps} | {ends} | {' | '.join(told)} |")
    return "\n".join(lines)


def _part(summary: dict[str, Any], part: str) -> str:
    lines = [f"| network, {part} | " + " | ".join(FIGURES) + " |", "|---" * (len(FIGURES) + 1) + "|"]
    for name, e in summary.items():
        cells = []
        for key in FIGURES:
            mean, values = e["over_seeds"][part][key], [v for v in e["seeds"][part][key].values() if v is not None]
            interval = f", {mean['low']:.2f} to {mean['high']:.2f}" if mean and mean["low"] is not None else ""
            cells.append(f"{mean['estimate']:.3f} ({'; '.join(f'{v:.3f}' for v in values)}{interval})" if mean else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _differences(summary: dict[str, Any]) -> str:
    lines = ["| minus residual, same patches | " + " | ".join(FIGURES) + " |", "|---" * (len(FIGURES) + 1) + "|"]
    for name, e in summary.items():
        if "minus_residual" in e:
            cells = [
                "" if v["low"] is None else f"{v['estimate']:+.3f} ({v['low']:+.3f} to {v['high']:+.3f})"
                for v in e["minus_residual"].values()
            ]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
