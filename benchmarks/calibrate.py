"""Fit the confidence of lesions and the operating points on the tuning set; writes weights/confidence.json.

    python benchmarks/calibrate.py TUNING [--out FILE] [--threads 2]

TUNING: cases of `virtual60.py make --set virtual-tuning`. Each is read with all its phases and with the portal venous
phase alone; what comes before the region network is kept in TUNING/prepared. Never run it on virtual60.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from hepar.learn.calibrate import collect, fit, write
from hepar.learn.prepared import prepare_case
from hepar.segment import SegmentSettings
from hepar.segment.builtin import Builtin

SHIPPED = Path(__file__).parents[1] / "src" / "hepar" / "segment" / "weights" / "confidence.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--out", type=Path, default=SHIPPED)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    engine = Builtin(SegmentSettings(threads=options.threads, lesion_min_confidence=0.0))
    rows = []
    source = None
    for case in sorted(p.parent for p in options.cases.glob("case-*/truth.json")):
        truth = json.loads((case / "truth.json").read_text(encoding="utf-8"))
        source = truth["distribution"]
        if source["name"] != "virtual-tuning":
            parser.error(f"{case.name} is of {source['name']}; thresholds are chosen on virtual-tuning only")
        rows.extend(collect(prepare_case(case, engine, options.cases / "prepared"), engine))
        print(f"{case.name}: {len(rows[-2].true)} and {len(rows[-1].true)} candidates", flush=True)
    weights = {"liver3mm": engine.network.sha256, "region": engine.region.sha256}
    told = f"{source['name']} {source['version']}, {len(rows) // 2} cases, four phases and portal venous alone"
    made = fit(rows, weights=weights, source=told)
    write(made, options.out)
    print(json.dumps({kind: made[kind]["operating_points"] for kind in ("one_phase", "several_phases")}, indent=1))


if __name__ == "__main__":
    main()
