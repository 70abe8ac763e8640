"""A table of pooled results, by subgroup: the published one that comes with hepar, or another of the same columns."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

from hepar.errors import WrongCall
from hepar.record import Estimate

DATA = Path(__file__).parent / "data"
POOLED = DATA / "mvi_pooled_table2.csv"
"""Table 2 of the meta-analysis; its source and licence stand in data/README.md."""
KNOWN = DATA / "mvi_pooled_table2_known.csv"
"""What is known to be wrong or weak in it."""
TARGET, SHORT = "microvascular invasion", ("mvi",)
NEEDED = ("subgroup", "n_tables", "sens", "sens_lo", "sens_hi", "spec", "spec_lo", "spec_hi")
OTHER_NAMES = {"ct": "CECT", "pathology": "Pathological Sections", "all": "Overall"}
KINDS = (" internal validation", " external validation")


@dataclass(frozen=True)
class Pooled:
    """One row: sensitivity and specificity of `n_tables` validation sets.

    i2_sensitivity, i2_specificity: heterogeneity in percent; share_positive: prevalence among the pooled, of all rows
    together where a row has none. None where the table does not say.
    """

    subgroup: str
    n_tables: int
    sensitivity: Estimate
    specificity: Estimate
    i2_sensitivity: float | None = None
    i2_specificity: float | None = None
    share_positive: float | None = None


@dataclass(frozen=True)
class PooledTable:
    """Rows by subgroup. names: those that can be asked for; target: what the studies predict, "" if the table does not
    say, and its short names; known: what is wrong or weak in it, a clause each."""

    rows: dict[str, Pooled]
    names: tuple[str, ...]
    target: str
    short: tuple[str, ...]
    known: tuple[str, ...]
    sha256: str


def pooled_table(path: Path = POOLED) -> PooledTable:
    """Read a table: the columns NEEDED, shares from 0 to 1; I2_sens and I2_spec (percent), fagan_prior_pct, group and
    target (what is predicted, the same in every row) may be there. Raises WrongCall for anything else."""
    if not path.is_file():
        raise WrongCall(f"{path.name} is no file; give a CSV table of pooled results, or none for the published one")
    data = path.read_bytes()
    try:
        rows = list(csv.DictReader(data.decode("utf-8-sig").splitlines()))
    except UnicodeDecodeError as error:
        raise WrongCall(f"{path.name} is no text in UTF-8; save the table as CSV in UTF-8") from error
    lacking = [name for name in NEEDED if not rows or name not in rows[0]]
    if lacking:
        raise WrongCall(f"the pooled table lacks {', '.join(lacking)}; needed: the columns of mvi_pooled_table2.csv")
    published = data == POOLED.read_bytes()
    overall = next((_number(row, "fagan_prior_pct") for row in rows if row["subgroup"] == "Overall"), None)
    found = {row["subgroup"]: _row(row, overall) for row in rows}
    if len(found) < len(rows):
        raise WrongCall("the pooled table names a subgroup twice; needed: each once")
    names = [row["subgroup"] for row in rows
             if row["subgroup"] == "Overall" or (row.get("group") or "Image sources") == "Image sources"]  # fmt: skip
    target = TARGET if published else (rows[0].get("target") or "").strip()
    return PooledTable(
        found,
        tuple(name for name in names if not name.endswith(KINDS)),
        target,
        SHORT if target.lower() == TARGET else (),
        _known() if published else (),
        hashlib.sha256(data).hexdigest(),
    )


def named(table: PooledTable, name: str) -> str:
    """The table's own writing of a modality. Raises WrongCall with the list of what there is."""
    asked = name.strip().lower()
    for own in table.names:
        if asked == own.lower() or OTHER_NAMES.get(asked) == own:
            return own
    raise WrongCall(f"the pooled table has no {name.strip()!r}; it has: {', '.join(table.names)}")


def _known() -> tuple[str, ...]:
    with KNOWN.open(encoding="utf-8", newline="") as file:
        return tuple(row["known"] for row in csv.DictReader(file))


def _row(row: dict[str, str], overall: float | None) -> Pooled:
    n_tables = _number(row, "n_tables")
    if n_tables is None or n_tables < 1 or n_tables != int(n_tables):
        raise WrongCall(f"{row['subgroup']}: n_tables is {row['n_tables']!r}; needed: a whole number from 1")
    share = _number(row, "fagan_prior_pct")
    share = overall if share is None else share
    return Pooled(
        row["subgroup"], int(n_tables), _share(row, "sens"), _share(row, "spec"), _number(row, "I2_sens"),
        _number(row, "I2_spec"), None if share is None else share / 100.0,
    )  # fmt: skip


def _number(row: dict[str, str], key: str) -> float | None:
    text = (row.get(key) or "").strip()
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise WrongCall(f"{row['subgroup']}: {key} is {text!r} in the pooled table; needed: a number") from None


def _share(row: dict[str, str], key: str) -> Estimate:
    middle, low, high = (_number(row, name) for name in (key, f"{key}_lo", f"{key}_hi"))
    if middle is None or low is None or high is None or not 0 <= low <= middle <= high <= 1:
        raise WrongCall(f"{row['subgroup']}: {key} is {row[key]} ({row[f'{key}_lo']} to {row[f'{key}_hi']}) in the "
                        "pooled table; needed: three shares from 0 to 1, the middle one inside")  # fmt: skip
    return Estimate(middle, low, high, 0.95, "bivariate, published")
