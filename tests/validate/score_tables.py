"""Tables written and results read back."""

import csv
import json

from hepar.validate.results import validate_results


def write_rows(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def results_of(folder):
    made = json.loads((folder / "results.json").read_text())
    validate_results(made)
    return made


def measure(made, name, group="", section=""):
    """The first measure of that name and group, in a section that begins so."""
    return next(
        one
        for one in made["measures"]
        if one["name"] == name and one["group"] == group and one["section"].startswith(section)
    )
