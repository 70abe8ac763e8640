"""The command line: one thin module per verb."""

from __future__ import annotations


def main() -> None:
    """The `hepar` command. Exit codes: 0 done, 2 wrong call, 3 study refused, 4 our fault."""
    from hepar.cli.app import run

    run()
