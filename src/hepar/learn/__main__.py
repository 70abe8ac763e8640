"""`python -m hepar.learn train|export|evaluate`: make, ship and judge the built-in network."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hepar.errors import HeparError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code is that of hepar's errors."""
    parser = argparse.ArgumentParser(prog="python -m hepar.learn", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train, or go on training, from a recipe")
    train.add_argument("recipe", type=Path)
    train.add_argument("--run", type=Path, required=True, help="folder of the run's state and log")
    train.add_argument("--threads", type=int, default=2)
    export = commands.add_parser("export", help="write the ONNX file and its description from a run")
    export.add_argument("recipe", type=Path)
    export.add_argument("--run", type=Path, required=True)
    export.add_argument("--out", type=Path, required=True, help="folder of the ONNX file")
    judge = commands.add_parser("evaluate", help="score an exported network")
    judge.add_argument("recipe", type=Path)
    judge.add_argument("--network", type=Path, required=True, help="the ONNX file")
    judge.add_argument("--cases", type=int, default=12, help="simulated cases; 0 for none")
    judge.add_argument(
        "--real", nargs=2, action="append", type=Path, metavar=("CT", "LABELS"), help="a study and its labels as NIfTI"
    )
    options = parser.parse_args(arguments)
    try:
        if options.command == "train":
            from hepar.learn.recipe import read_recipe
            from hepar.learn.train import train as run_training

            run_training(read_recipe(options.recipe), options.run, threads=options.threads)
        elif options.command == "export":
            from hepar.learn.export import export as write
            from hepar.learn.recipe import read_recipe

            write(options.run / "state.pt", options.out, read_recipe(options.recipe))
        else:
            import json

            from hepar.learn.evaluate import evaluate

            for row in evaluate(options.network, options.recipe, cases=options.cases, real=options.real):
                print(json.dumps(row))
    except HeparError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
