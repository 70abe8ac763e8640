"""A table of QUADAS judgements, read from CSV: one row per study, or per study and reviewer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hepar.errors import Refused, WrongCall
from hepar.evidence.table import rows_of

DOMAINS = ("patient_selection", "index_test", "reference_standard", "flow_and_timing")
"""Domains of QUADAS-2. Source: Whiting 2011, Ann Intern Med 155:529. QUADAS-AI frames the biases of AI studies against
the same four (Sounderajah 2021, Nat Med 27:1663); its final form is under way (protocol: Guni 2024, JMIR Res Protoc
13:e58202)."""
JUDGEMENTS = ("low", "unclear", "high")
"""In their order, by which agreement is weighted."""
ANSWERS = ("yes", "unclear", "no")
"""To signalling questions and items."""
CONSENSUS = frozenset({"consensus", "agreed", "final", "settled"})
"""Reviewers of these names stand for what both settled on."""

_DOMAIN = {
    "patient_selection": (
        "patient selection", "patients selection", "patients", "patient", "selection", "sample selection",
        "subject selection", "subjects selection", "participant selection", "study participant selection",
        "study subject selection", "ps", "d1", "domain 1",
    ),
    "index_test": ("index test", "index tests", "index", "it", "d2", "domain 2"),
    "reference_standard": (
        "reference standard", "reference standards", "reference", "reference test", "rs", "d3", "domain 3",
    ),
    "flow_and_timing": (
        "flow and timing", "flow timing", "flow", "timing", "workflow", "workflow and timing", "ft", "d4", "domain 4",
    ),
}  # fmt: skip
_BIAS = ("risk of bias", "risk bias", "rob", "bias", "br", "risk")
_APPLICABILITY = (
    "concerns regarding applicability", "concern regarding applicability", "applicability concerns",
    "applicability concern", "applicability", "concerns", "concern", "ac", "ap", "app",
)  # fmt: skip
_SPELLINGS = {
    "low": ("low", "l", "+", "low risk", "low risk of bias", "low concern", "low concerns", "green"),
    "high": ("high", "h", "-", "\u2212", "\u2013", "high risk", "high risk of bias", "high concern", "high concerns",
             "red"),
    "unclear": ("unclear", "u", "?", "uncertain", "unknown", "unclear risk", "unclear risk of bias", "unclear concern",
                "unclear concerns", "yellow"),
}  # fmt: skip
_ANSWERS = {"yes": ("yes", "y", "1", "true"), "no": ("no", "n", "0", "false"), "unclear": ("unclear", "u", "?")}
_EMPTY = frozenset({"", "na", "n/a", "nan", "nr", "null", "none", "."})


@dataclass(frozen=True)
class Assessments:
    """Judgements as they were given.

    columns: "bias.DOMAIN", "applicability.DOMAIN", "overall", "item.NAME", in the tool's order, items last.
    rows: (study, reviewer, judgements in the order of `columns`); "" where there is none. reviewer is "" in a table
    without reviewers. notices: what a reader should know.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]
    notices: tuple[str, ...] = ()

    @property
    def studies(self) -> tuple[str, ...]:
        """In the order of the table."""
        return tuple(dict.fromkeys(row[0] for row in self.rows))

    @property
    def reviewers(self) -> tuple[str, ...]:
        """Other than the consensus."""
        names = dict.fromkeys(row[1] for row in self.rows)
        return tuple(name for name in names if name and name.lower() not in CONSENSUS)


def read_quality(path: Path, codes: Mapping[str, str] | None = None) -> Assessments:
    """Read a CSV of judgements: study, the domains of QUADAS in common spellings, perhaps reviewer, overall, item_*.

    codes: what other entries stand for, e.g. {"1": "low", "2": "high", "3": "unclear"}. Raises WrongCall where the
    file cannot be read, Refused where it is no such table.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise WrongCall(f"there is no file {path}; give the path of a CSV of judgements") from None
    except OSError:
        raise WrongCall(f"{path} cannot be read; give the path of a CSV of judgements") from None
    except UnicodeDecodeError:
        raise Refused("the table is not text in UTF-8; save it as CSV (UTF-8) and try again") from None
    return parse_quality(text, codes)


def parse_quality(text: str, codes: Mapping[str, str] | None = None) -> Assessments:
    """`read_quality` from text."""
    known = _codes(codes or {})
    if not text.strip():
        raise Refused("the table is empty; needed is a header with study and the domains, and one row per study")
    rows = rows_of(text)
    header = [name.strip() for name in rows[0][1]]
    plain = [_plain(name) for name in header]
    study_at = _place(plain, ("study", "study id", "author", "name"))
    if study_at is None:
        raise Refused(f"the table has no column study; its columns are {', '.join(header)}; name one of them study")
    reviewer_at = _place(plain, ("reviewer", "rater", "assessor", "reader"))
    where, unused = _columns(header, plain, {study_at, reviewer_at})
    judged = [column for column in where if column.startswith(("bias", "applicability"))]
    if not judged:
        raise Refused(
            f"no column is a domain of QUADAS; the columns are {', '.join(header)}; needed are patient selection,"
            " index test, reference standard and flow and timing"
        )
    found = []
    for number, row in rows[1:]:
        if len(row) != len(header):
            raise Refused(f"row {number} of the table has {len(row)} fields and the header {len(header)}; correct it")
        cells = [cell.strip() for cell in row]
        study = cells[study_at]
        if not study:
            raise Refused(f"row {number} names no study; correct it")
        reviewer = cells[reviewer_at] if reviewer_at is not None else ""
        if reviewer_at is not None and not reviewer:
            raise Refused(f"row {number} ({study}) names no reviewer; each row of such a table needs one; correct it")
        values = tuple(
            _judgement(cells[at], column, number, study, header[at], known) for column, at in where.items()
        )  # fmt: skip
        found.append((study, reviewer, values))
    if not found:
        raise Refused("the table has a header and no rows; needed is one row per study")
    _once(found)
    notices = [] if not unused else [f"Not used: the column{'s' * (len(unused) > 1)} {', '.join(unused)}."]
    absent = [f"bias.{name}" for name in DOMAINS if f"bias.{name}" not in where]
    if absent:
        notices.append(f"No judgement of the risk of bias in {', '.join(label(one) for one in absent)}.")
    assessments = Assessments(tuple(where), tuple(found), tuple(notices))
    if len(assessments.reviewers) > 2:
        raise Refused(
            f"the table has {len(assessments.reviewers)} reviewers ({', '.join(assessments.reviewers)}); agreement is"
            " that of two; keep two, and name what they settled on consensus"
        )
    return assessments


def label(column: str) -> str:
    """A column in words: "patient selection"; items as they were named."""
    kind, _, name = column.partition(".")
    return name if kind == "item" else (name or kind).replace("_", " ")


def _plain(name: str) -> str:
    return " ".join(re.sub(r"[^a-z0-9]+", " ", name.lower()).split())


def _place(plain: list[str], names: tuple[str, ...]) -> int | None:
    return next((plain.index(name) for name in names if name in plain), None)


def _columns(header: list[str], plain: list[str], taken: set[int | None]) -> tuple[dict[str, int], list[str]]:
    """Our columns and where they stand, in our order; and the names of those that are none."""
    found: dict[str, int] = {}
    items: dict[str, int] = {}
    unused = []
    for at, name in enumerate(plain):
        if at in taken:
            continue
        column = _item(header[at]) or _meaning(name)
        if column is None:
            unused.append(header[at] or f"(column {at + 1})")
        elif column in found or column in items:
            raise Refused(
                f"the columns {header[(found | items)[column]]!r} and {header[at]!r} both mean {label(column)};"
                " begin the names of the concerns regarding applicability with applicability, or rename one"
            )
        else:
            (items if column.startswith("item.") else found)[column] = at
    order = [f"{kind}.{domain}" for kind in ("bias", "applicability") for domain in DOMAINS] + ["overall"]
    return {**{column: found[column] for column in order if column in found}, **items}, unused


def _item(name: str) -> str | None:
    match = re.fullmatch(r"(?i)\s*item\s*[_:. ]\s*(.+?)\s*", name)
    return f"item.{match[1].replace('_', ' ')}" if match else None


def _meaning(name: str) -> str | None:
    """What a column's plain name means: "rob ps" is bias.patient_selection."""
    if name in ("overall", "overall risk of bias", "overall rob", "overall bias"):
        return "overall"
    for kind, words in (("bias", _BIAS), ("applicability", _APPLICABILITY)):
        for word in words:
            for rest in (name.removeprefix(word + " "), name.removesuffix(" " + word)):
                domain = _domain(rest) if rest != name else None
                # flow and timing has no concern regarding applicability
                if domain and not (kind == "applicability" and domain == DOMAINS[3]):
                    return f"{kind}.{domain}"
    domain = _domain(name)
    return f"bias.{domain}" if domain else None


def _domain(name: str) -> str | None:
    return next((domain for domain, names in _DOMAIN.items() if name in names), None)


def _codes(codes: Mapping[str, str]) -> dict[str, str]:
    known = {spelling: one for one, spellings in _SPELLINGS.items() for spelling in spellings}
    for code, meaning in codes.items():
        if meaning.lower() not in JUDGEMENTS:
            raise WrongCall(f"the code {code!r} stands for {meaning!r}; needed: {', '.join(JUDGEMENTS)}")
        known[code.strip().lower()] = meaning.lower()
    return known


def _judgement(cell: str, column: str, row: int, study: str, name: str, known: Mapping[str, str]) -> str:
    text = cell.lower()
    if text in _EMPTY:
        return ""
    if column.startswith("item."):
        answer = next((one for one, spellings in _ANSWERS.items() if text in spellings), None)
        if answer is None:
            raise Refused(f"row {row} ({study}): {name} is {cell!r}; needed: yes, no or unclear; correct the table")
        return answer
    if text not in known:
        raise Refused(
            f"row {row} ({study}): {name} is {cell!r}; needed: low, high or unclear (L, H, U; +, -, ?); correct the"
            " table, or say what it stands for with --codes, e.g. 1=low,2=high,3=unclear"
        )
    return known[text]


def _once(rows: list[tuple[str, str, tuple[str, ...]]]) -> None:
    times = Counter((study, reviewer) for study, reviewer, _ in rows)
    for (study, reviewer), number in times.items():
        if number > 1:
            by = f" by {reviewer}" if reviewer else ""
            raise Refused(
                f"{study} is judged {number} times{by}; needed is one row per study"
                + ("" if reviewer else ", or a column reviewer that tells two reviewers apart")
            )
