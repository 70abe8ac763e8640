"""The flow of a systematic review (PRISMA 2020, PRISMA-DTA): read, completed where it follows, and checked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepar.errors import Refused, WrongCall
from hepar.evidence.table import MISSING, rows_of

BOXES: dict[str, tuple[str, ...]] = {
    "previous_studies": (), "previous_reports": (),
    "databases": ("database_results", "identified", "records_identified"), "registers": ("register_results",),
    "duplicates": ("duplicates_removed", "duplicate_records"),
    "automation": ("excluded_automatic", "removed_by_automation"),
    "removed_other": ("excluded_other", "removed_for_other_reasons"),
    "screened": ("records_screened", "after_duplicates", "records_after_duplicates"),
    "records_excluded": ("excluded_title_abstract",),
    "sought": ("dbr_sought_reports", "reports_sought"), "not_retrieved": ("dbr_notretrieved_reports",),
    "assessed": ("dbr_assessed", "reports_assessed", "full_text"),
    "reports_excluded": ("dbr_excluded", "full_text_excluded"),
    "websites": ("website_results",), "organisations": ("organisation_results", "organizations"),
    "citations": ("citations_results", "citation_searching"),
    "other_sought": ("other_sought_reports",), "other_not_retrieved": ("other_notretrieved_reports",),
    "other_assessed": (), "other_excluded": (),
    "new_studies": ("included", "studies_included", "included_studies"),
    "new_reports": ("reports_included", "included_reports"), "total_studies": (), "total_reports": (),
    "meta_analysis": ("studies_in_meta_analysis", "included_meta_analysis"),
    "tables": ("two_by_two_tables",), "participants": ("patients",),
}  # fmt: skip
"""Boxes and their other names, those of the R package PRISMA2020 among them. `meta_analysis`, `tables` (2x2) and
`participants` are those of PRISMA-DTA. Sources: Page 2021, BMJ 372:n71; McInnes 2018, JAMA 319:388 (item 17)."""
REASONED = ("databases", "registers", "reports_excluded", "other_excluded")
"""Boxes that may be given in parts, each with its name."""
_NAMES = {other: box for box, others in BOXES.items() for other in (box, *others)}
_EQUATIONS = (
    ("records screened", {"screened": 1}, {"databases": 1, "registers": 1, "duplicates": -1, "automation": -1,
                                           "removed_other": -1}, "identified less removed"),
    ("reports sought", {"sought": 1}, {"screened": 1, "records_excluded": -1}, "screened less excluded"),
    ("reports assessed", {"assessed": 1}, {"sought": 1, "not_retrieved": -1}, "sought less not retrieved"),
    ("reports sought (other methods)", {"other_sought": 1}, {"websites": 1, "organisations": 1, "citations": 1},
     "identified by other methods"),
    ("reports assessed (other methods)", {"other_assessed": 1}, {"other_sought": 1, "other_not_retrieved": -1},
     "sought less not retrieved"),
    ("reports of new studies", {"new_reports": 1}, {"assessed": 1, "reports_excluded": -1, "other_assessed": 1,
                                                    "other_excluded": -1}, "assessed less excluded"),
    ("studies in all", {"total_studies": 1}, {"previous_studies": 1, "new_studies": 1}, "previous and new ones"),
    ("reports in all", {"total_reports": 1}, {"previous_reports": 1, "new_reports": 1}, "previous and new ones"),
)  # fmt: skip
_MAY_LACK = frozenset({
    "registers", "automation", "removed_other", "not_retrieved", "websites", "organisations", "citations",
    "other_not_retrieved", "other_excluded", "other_assessed", "other_sought", "previous_studies", "previous_reports",
})  # fmt: skip
"""Boxes that a review may leave away, which then count 0."""
_OTHER = frozenset({"websites", "organisations", "citations", "other_sought", "other_assessed", "other_excluded"})
"""Where one of these is given, the branch of other methods is there."""


@dataclass(frozen=True)
class Flow:
    """counts: box -> number, given or computed. parts: box -> its named parts. computed: boxes that followed from
    others. form: "PRISMA-DTA" where it says what went into the meta-analysis, else "PRISMA 2020"."""

    counts: dict[str, int]
    parts: dict[str, tuple[tuple[str, int], ...]]
    computed: tuple[str, ...]
    form: str

    @property
    def included(self) -> int | None:
        """Studies in the review."""
        return self.counts.get("total_studies", self.counts.get("new_studies"))


def read_flow(path: Path) -> Flow:
    """Read a flow from JSON ({"screened": 7539, "reports_excluded": {"no table": 3}, ...}) or CSV (box, n and, for
    parts, reason; or the R package PRISMA2020's own CSV).

    Raises WrongCall where it cannot be read, Refused for an unknown box, for what is no number, and where the numbers
    contradict each other, naming every contradiction.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise WrongCall(f"there is no file {path}; give the path of a CSV or JSON with the flow's numbers") from None
    except OSError:
        raise WrongCall(f"{path} cannot be read; give the path of a CSV or JSON with the flow's numbers") from None
    except UnicodeDecodeError:
        raise Refused("the flow is not text in UTF-8; save it as CSV (UTF-8) or JSON and try again") from None
    return parse_flow(text)


def parse_flow(text: str) -> Flow:
    """`read_flow` from text."""
    if text.lstrip().startswith("{"):
        try:
            given = json.loads(text)
        except json.JSONDecodeError as error:
            raise Refused(f"the flow is not well-formed JSON ({error}); correct it") from None
        return flow_of(given)
    if not text.strip():
        raise Refused("the flow is empty; needed are boxes and their numbers, e.g. screened,7539")
    return flow_of(_of_rows(rows_of(text)))


def flow_of(given: Mapping[str, Any]) -> Flow:
    """A checked flow from numbers, or from names and numbers for boxes in parts. Raises Refused as `read_flow`."""
    counts: dict[str, int] = {}
    parts: dict[str, tuple[tuple[str, int], ...]] = {}
    for name, value in given.items():
        box = _NAMES.get(re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_"))
        if box is None:
            raise Refused(f"the flow has no box {name!r}; its boxes are {', '.join(BOXES)}")
        if box in counts:
            raise Refused(f"the flow gives {box} twice; keep one")
        if isinstance(value, Mapping):
            if box not in REASONED:
                raise Refused(f"{box} is given in parts; needed is one number; parts may have {', '.join(REASONED)}")
            parts[box] = tuple((str(part), _whole(n, f"{box} ({part})")) for part, n in value.items() if part)
            counts[box] = sum(n for _, n in parts[box])
            if "" in value and (total := _whole(value[""], box)) != counts[box]:
                raise Refused(f"the parts of {box} sum to {counts[box]}, and {box} is {total}; correct the flow")
        else:
            counts[box] = _whole(value, box)
    if not counts:
        raise Refused("the flow gives no number; needed are boxes and their numbers, e.g. screened,7539")
    silent = "new_reports" not in counts and "new_studies" in counts
    computed, wrong = _complete(counts)
    wrong += contradictions(counts)
    if wrong:
        raise Refused(f"the flow does not balance: {'; '.join(wrong)}; correct the numbers")
    shown = [box for box in BOXES if box in counts and not (silent and box == "new_reports")]
    return Flow(
        {box: counts[box] for box in shown}, parts, tuple(box for box in BOXES if box in computed),
        "PRISMA-DTA" if "meta_analysis" in counts or "tables" in counts else "PRISMA 2020",
    )  # fmt: skip


def contradictions(counts: Mapping[str, int]) -> list[str]:
    """Every equation that does not hold, each with its two numbers; empty where the flow balances."""
    lacking = _may_lack(counts)
    found = []
    for what, left, right, words in _EQUATIONS:
        terms = set(left) | set(right)
        if terms - set(counts) - lacking or not set(left) <= set(counts) or not set(right) & set(counts):
            continue
        (box,) = left
        plus = " + ".join(str(counts[name]) for name, sign in right.items() if sign > 0 and name in counts)
        minus = "".join(f" - {counts[name]}" for name, sign in right.items() if sign < 0 and name in counts)
        value = sum(sign * counts.get(name, 0) for name, sign in right.items())
        if counts[box] != value:
            hint = ""
            if box == "new_reports" and counts.get("new_studies") == counts[box]:
                hint = "; where a study has several reports, give new_reports as well as new_studies"
            sum_ = f"{plus}{minus} = {value}" if plus + minus != str(value) else str(value)
            found.append(f"{what} are {counts[box]}, but {words} gives {sum_}{hint}")
    studies, reports = counts.get("new_studies"), counts.get("new_reports")
    if studies is not None and reports is not None and studies > reports:
        found.append(f"{studies} studies are included from only {reports} reports")
    included = counts.get("total_studies", studies)
    pooled, tables = counts.get("meta_analysis"), counts.get("tables")
    if included is not None and pooled is not None and pooled > included:
        found.append(f"{pooled} studies are in the meta-analysis, but {included} are included")
    if pooled is not None and tables is not None and tables < pooled:
        found.append(f"{pooled} studies are in the meta-analysis, but they give only {tables} 2x2 tables")
    return found


def _may_lack(counts: Mapping[str, int]) -> frozenset[str]:
    """Boxes that count 0 where they are not given."""
    return _MAY_LACK - {"other_sought", "other_assessed"} if _OTHER & set(counts) else _MAY_LACK


def _complete(counts: dict[str, int]) -> tuple[set[str], list[str]]:
    """Fill in what follows, one unknown of an equation at a time; say which, and what would fall below 0.

    Without reports, each study is one.
    """
    if "new_reports" not in counts and "new_studies" in counts:
        counts["new_reports"] = counts["new_studies"]
    lacking = _may_lack(counts)
    computed: set[str] = set()
    wrong: dict[str, str] = {}
    again = True
    while again:
        again = False
        for _, left, right, _ in _EQUATIONS:
            terms = {**left, **{box: -sign for box, sign in right.items()}}
            open_ = [box for box in terms if box not in counts and box not in lacking]
            if len(open_) != 1 or not set(terms) & set(counts) or not _worth(open_[0], counts) or open_[0] in wrong:
                continue
            value = -terms[open_[0]] * sum(sign * counts.get(box, 0) for box, sign in terms.items())
            if value < 0:
                known = " and ".join(f"{box.replace('_', ' ')} {counts[box]}" for box in terms if box in counts)
                wrong[open_[0]] = f"{open_[0].replace('_', ' ')} would be {value}, from {known}"
                continue
            counts[open_[0]] = value
            computed.add(open_[0])
            again = True
    return computed, list(wrong.values())


def _worth(box: str, counts: Mapping[str, int]) -> bool:
    """Totals are worth computing only where there was an earlier version of the review."""
    return not box.startswith("total_") or box.replace("total", "previous") in counts


def _whole(value: Any, box: str) -> int:
    text = str(value).strip().replace(" ", "")
    # thousands are set apart by commas in many papers
    if re.fullmatch(r"\d{1,3}(,\d{3})+", text):
        text = text.replace(",", "")
    if isinstance(value, bool) or not re.fullmatch(r"\d+(\.0+)?", text):
        raise Refused(f"{box} is {value!r}; needed is a whole number of at least 0; correct the flow")
    return int(float(text))


def _of_rows(rows: list[tuple[int, list[str]]]) -> dict[str, Any]:
    """Boxes from a CSV: columns box (or data), n and reason; or no header and two or three fields a row."""
    header = [name.strip().lower() for name in rows[0][1]]
    if "n" in header and ("data" in header or "box" in header):
        key_at = header.index("data" if "data" in header else "box")
        n_at, body = header.index("n"), rows[1:]
        reason_at = next((header.index(name) for name in ("reason", "label", "part") if name in header), None)
    else:
        key_at, n_at, reason_at, body = 0, -1, 1 if len(header) == 3 else None, rows
    for number, row in body:
        if len(row) != len(header):
            raise Refused(f"row {number} of the flow has {len(row)} fields and the first one {len(header)}; correct it")
    given: dict[str, Any] = {}
    for number, row in body:
        key, value = row[key_at].strip(), row[n_at].strip()
        if key.lower() in MISSING or value.lower() in MISSING:
            continue
        reason = row[reason_at].strip() if reason_at is not None else ""
        listed = re.findall(r"\s*([^;]+?),\s*(\d+)\s*(?:;|$)", value) if ";" in value or "," in value else []
        if listed and not re.fullmatch(r"[\d, ]+", value):
            given[key] = dict(listed)
        elif reason:
            part = given.setdefault(key, {})
            if not isinstance(part, dict) or reason in part:
                raise Refused(f"row {number} of the flow gives {key} ({reason}) twice; keep one")
            part[reason] = value
        elif isinstance(given.get(key), dict):
            given[key][""] = value
        elif key in given:
            raise Refused(f"row {number} of the flow gives {key} twice; keep one")
        else:
            given[key] = {"": value} if _parted(key, body, key_at, reason_at) else value
    return given


def _parted(key: str, body: list[tuple[int, list[str]]], key_at: int, reason_at: int | None) -> bool:
    """Whether other rows give this box in parts."""
    return reason_at is not None and any(row[key_at].strip() == key and row[reason_at].strip() for _, row in body)
