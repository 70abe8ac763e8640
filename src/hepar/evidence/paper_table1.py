"""Table 1 of the MVI review as data, and whether its numbers and the text agree with each other."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE1 = Path(__file__).parent / "data" / "mvi_table1.csv"
"""Its source and licence stand in data/README.md."""
SPLIT_TOLERANCE = 0.1
"""A share of training cases further from the stated split than this is named."""


@dataclass(frozen=True)
class ValidationSet:
    """n_mvi of n people. printed: the size as it stands in the paper. external: as stated, or inferred for a study
    with both kinds of sets."""

    name: str
    n_mvi: int
    n: int
    printed: str
    external: bool


@dataclass(frozen=True)
class Study:
    """One row. Numbers that the paper does not give are None."""

    row: int
    name: str
    source: str
    modality: str
    group: str
    segmentation: str
    n_mvi: int | None
    n_total: int
    n_mvi_train: int | None
    n_train: int | None
    validation: str
    sets: tuple[ValidationSet, ...]

    @property
    def external(self) -> bool:
        """Whether the study was validated externally (footnote a)."""
        return "external validation" in self.validation.lower()


@dataclass(frozen=True)
class Check:
    """One statement of the paper against what follows from its own numbers."""

    place: str
    statement: str
    printed: str
    computed: str
    agrees: bool
    words: str = ""


@dataclass(frozen=True)
class Doubt:
    """What no arithmetic settles, but a reader should know. kind: error, doubt, gap, reading."""

    place: str
    kind: str
    words: str


@cache
def read_table1() -> tuple[Study, ...]:
    """The 52 studies in the order of the paper, from the file that ships with hepar."""
    with TABLE1.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    by_row: dict[int, list[dict[str, str]]] = defaultdict(list)
    for line in lines:
        by_row[int(line["row"])].append(line)

    def number(text: str) -> int | None:
        return int(text) if text else None

    return tuple(
        Study(
            row, _name(first), first["source"], first["modality"], first["modality_group"], first["segmentation"],
            number(first["n_mvi"]), int(first["n_total"]), number(first["n_mvi_train"]), number(first["n_train"]),
            first["validation_type"],
            tuple(
                ValidationSet(
                    f"{_name(line)}, set {line['val_set']}", int(line["n_mvi_val"]), int(line["n_val"]),
                    line["n_val_printed"], line["external"] == "1",
                )
                for line in own if line["n_val"]
            ),
        )
        for row, own in sorted(by_row.items()) for first in own[:1]
    )  # fmt: skip


def _name(line: dict[str, str]) -> str:
    return f"{line['author']} {line['year']} [{line['ref']}]"


def sets_of(studies: tuple[Study, ...]) -> tuple[ValidationSet, ...]:
    """All validation sets with counts."""
    return tuple(one for study in studies for one in study.sets)


def check_table1(studies: tuple[Study, ...]) -> tuple[Check, ...]:
    """Every statement on Table 1, in the text and in Table 2, that Table 1 lets us count again."""
    sets = sets_of(studies)
    known = [study for study in studies if study.n_mvi is not None]
    missing = [study for study in studies if study.n_mvi is None]
    mvi = sum(study.n_mvi or 0 for study in known)
    gap = 8161 - mvi
    implied = f"{gap} would be the count of {missing[0].name}, which is not printed" if len(missing) == 1 else ""
    text = "Study characteristics"
    checks = [
        _check(text, "studies", 52, len(studies)),
        _check(text, "individuals with HCC", 19531, sum(study.n_total for study in studies),
               "the sample sizes of the 52 rows sum to more than the text and the abstract say"),
        Check(text, "MVI cases", "8,161", f"{mvi:,} in {len(known)} rows", 0 < gap < missing[0].n_total, implied),
        *_counted(text, Counter(study.source.split(" +")[0] if "+" not in study.source else "Registry" for study in
                                studies), {"Single center": 32, "Multicenter": 19, "Registry": 1}),
        *_counted(text, Counter(study.group for study in studies), {
            "CECT": 16, "CEMRI": 19, "MRI": 5, "CEUS": 5, "Pathological section": 2, "Multimodal": 5}),
        *_counted(text, Counter(study.segmentation for study in studies), {
            "Manual": 38, "Automatic": 5, "Semiautomatic": 9}),
        _check(text, "studies with external validation", 14, sum(study.external for study in studies)),
        _check(text, "studies with cross-validation and none external", 15,
               sum("cross-validation" in study.validation and not study.external for study in studies)),
        _check("Limitations", "studies of more than 1,000 people", 3, sum(study.n_total > 1000 for study in studies)),
        _check("Table 2", "validation sets", 68, len(sets)),
    ]  # fmt: skip
    words = "the grouping of Table 2 cannot be rebuilt from Table 1"
    checks += _counted(
        "Table 2",
        Counter(study.group for study in studies for _ in study.sets),
        {"CECT": 20, "CEMRI": 24, "MRI": 5, "CEUS": 5, "Pathological section": 4, "Multimodal": 10},
        "sets of ",
        words,
    )
    checks += [
        _check("Table 2", "external sets", 19, sum(one.external for one in sets), words),
        _check("Table 2", "sets of fewer than 100", 38, sum(one.n < 100 for one in sets), words),
    ]
    return (*checks, *_balances(studies))


def _check(place: str, statement: str, printed: int, computed: int, words: str = "") -> Check:
    same = printed == computed
    return Check(place, statement, f"{printed:,}", f"{computed:,}", same, "" if same else words)


def _counted(
    place: str, found: Counter[str], printed: dict[str, int], what: str = "studies: ", words: str = ""
) -> list[Check]:
    return [_check(place, f"{what}{name}", n, found[name], words) for name, n in printed.items()]


def _balances(studies: tuple[Study, ...]) -> list[Check]:
    """Training and validation sets sum to the totals, as printed; one line for all rows that do."""
    whole, wrong = 0, []
    for study in studies:
        if study.n_train is None or study.n_mvi is None or study.n_mvi_train is None or not study.sets:
            continue
        parts = study.n_train + sum(int(one.printed) for one in study.sets)
        cases = study.n_mvi_train + sum(one.n_mvi for one in study.sets)
        if parts == study.n_total and cases == study.n_mvi:
            whole += 1
            continue
        sums = " + ".join([str(study.n_train), *(one.printed for one in study.sets)])
        wrong.append(Check(
            f"Table 1, row {study.row}", f"{study.name}: training and validation sets sum to the total",
            f"{study.n_total:,}", f"{sums} = {parts:,}", False, _digit(study),
        ))  # fmt: skip
    statement = f"training and validation sets sum to the total in the other {whole} rows with counts"
    return [Check("Table 1", statement, str(whole), str(whole), True), *wrong]


def _digit(study: Study) -> str:
    """What a set must be for the row to balance, where one was printed otherwise."""
    return "; ".join(
        f'"{one.printed}" stands for {one.n} ({study.n_total} - {study.n_total - one.n}), and {one.n_mvi} patients with'
        f" MVI cannot come from {int(one.printed)}"
        for one in study.sets if one.printed != str(one.n)
    )  # fmt: skip


def doubts_of(studies: tuple[Study, ...]) -> tuple[Doubt, ...]:
    """Possible duplicates, stated splits that the numbers deny, contradictory words, gaps."""
    found = []
    for study in studies:
        place = f"Table 1, row {study.row}"
        if not study.sets:
            found.append(Doubt(place, "gap", (
                f"{study.name}: no counts of its validation set are given; the 68 pooled tables are as many as the sets"
                " of the other studies."
            )))  # fmt: skip
        share = _stated_share(study)
        if share is not None and study.n_train and study.sets:
            real = study.n_train / (study.n_train + study.sets[0].n)
            if abs(share - real) > SPLIT_TOLERANCE:
                found.append(Doubt(place, "error", (
                    f"{study.name}: the stated split puts {100 * share:.0f} % into training, the numbers"
                    f" {study.n_train} of {study.n_train + study.sets[0].n} ({100 * real:.0f} %)."
                )))  # fmt: skip
        if study.source == "Single center" and "multicenter" in study.validation.lower():
            words = "its patients are said to come from a single center, those of its external validation from many."
            found.append(Doubt(place, "doubt", f"{study.name}: {words}"))
    same: dict[tuple[int | None, int], list[Study]] = defaultdict(list)
    for study in studies:
        if study.n_mvi is not None:
            same[study.n_mvi, study.n_total].append(study)
    for (cases, n), group in same.items():
        if len(group) > 1:
            names = " and ".join(f"{one.name} (row {one.row}; {one.source.lower()}, {one.modality})" for one in group)
            found.append(Doubt("Table 1", "doubt", (
                f"{names} have the same {cases} patients with MVI among {n}: perhaps one cohort counted twice, though"
                " the review says that samples do not overlap."
            )))  # fmt: skip
    both = [study for study in studies if len({one.external for one in study.sets}) == 2]
    found.append(Doubt("Subgroups", "doubt", (
        f"{len(both)} studies give internal and external sets; the same model is judged in both, so the two subgroups"
        " are not independent, and each set is no study of its own, as the review took it."
    )))  # fmt: skip
    found.append(Doubt("Risk of bias", "error", (
        'The text says "all eligible studies included consecutive or random cases" and that this "carries an inherent'
        ' high" risk; in QUADAS-2 consecutive or random enrolment speaks for a low risk, and it is the case-control'
        " design, which the review ascribes to all studies, that speaks for a high one."
    )))  # fmt: skip
    return tuple(found)


def _stated_share(study: Study) -> float | None:
    """Share of training cases in "(7:3)" or "(8:1:1)"; None where no split is stated."""
    match = re.search(r"\((\d+(?::\d+)+)\)", study.validation)
    if match is None:
        return None
    parts = [int(part) for part in match[1].split(":")]
    # of three parts the last is a set of its own
    return parts[0] / sum(parts[: 3 - (len(study.sets) > 1)] if len(parts) == 3 else parts)
