"""Phase labels from pixels: make the model's virtual patients, fit the model, judge it.

    python benchmarks/phase_labels.py scan DIR --set fit|test [--first 0] [--cases N]
    python benchmarks/phase_labels.py fit DIR [--out src/hepar/measure/phase_model.json]
    python benchmarks/phase_labels.py real DIR [--of ../shared/data/ct]
    python benchmarks/phase_labels.py cases DIR --of VIRTUAL60 [--first 0] [--cases N]
    python benchmarks/phase_labels.py judge DIR

scan draws patients of `virtual-tuning`'s kind with seeds of their own (fit and test never share one), scans five phases
of each at 3 mm at a time drawn within the phase's range, outlines the organs with hepar's own network and keeps HU and
organs below DIR, so that it can be stopped and goes on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from phase_labelling.judge import judge
from phase_labelling.mixture import fit
from phase_labelling.patients import SEEDS, measure_cases, measure_real, scans

from hepar.measure.phase_model import from_document, phase_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    names = ("scan", "fit", "real", "cases", "judge")
    scanner, fitter, realer, caser, judger = (verbs.add_parser(name) for name in names)
    for one in (scanner, fitter, realer, caser, judger):
        one.add_argument("folder", type=Path)
    scanner.add_argument("--set", choices=sorted(SEEDS), required=True)
    caser.add_argument("--of", type=Path, required=True)
    for one, many in ((scanner, 16), (caser, 60)):
        one.add_argument("--first", type=int, default=0)
        one.add_argument("--cases", type=int, default=many)
    fitter.add_argument("--out", type=Path, default=Path("src/hepar/measure/phase_model.json"))
    judger.add_argument("--model", type=Path)
    realer.add_argument("--of", type=Path, default=Path("../shared/data/ct"))
    options = parser.parse_args()
    if options.verb == "scan":
        scans(options.folder, options.set, options.first, options.cases)
    elif options.verb == "fit":
        options.out.write_text(json.dumps(fit(options.folder)) + "\n", encoding="utf-8")
    elif options.verb == "real":
        measure_real(options.folder, options.of)
    elif options.verb == "cases":
        measure_cases(options.folder, options.of, options.first, options.cases)
    else:
        model = from_document(json.loads(options.model.read_text())) if options.model else phase_model()
        judge(options.folder, model)


if __name__ == "__main__":
    main()
