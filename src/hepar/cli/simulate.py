"""`hepar simulate`."""

from __future__ import annotations

from pathlib import Path

from hepar.cli.screen import Screen
from hepar.errors import WrongCall

SIZES = ("full", "small")
SMALL_SHAPE = (60, 256, 256)
SMALL_SPACING_MM = (5.0, 1.5, 1.5)


def simulate_command(output: Path, *, seed: int, size: str, quiet: bool, overwrite: bool) -> None:
    """Make a virtual study at `output`, all of it or nothing."""
    if size not in SIZES:
        raise WrongCall(f"--size {size} is not known; needed: one of {', '.join(SIZES)}")
    if seed < 0:
        raise WrongCall(f"--seed {seed} is negative; needed: 0 or more")
    from dataclasses import replace

    from hepar.report import check_target, delivered
    from hepar.simulate import SimulationSettings, simulate

    settings = SimulationSettings()
    if size == "small":
        scanner = replace(settings.scanner, thickness_mm=SMALL_SPACING_MM[0])
        settings = replace(settings, shape=SMALL_SHAPE, spacing_mm=SMALL_SPACING_MM, scanner=scanner)
    check_target(output, source=None, overwrite=overwrite, own_files=frozenset({"truth.json"}))
    with delivered(output) as folder, Screen(quiet=quiet) as screen:
        simulate(folder, settings, seed, progress=lambda _, share: screen("simulate", min(share, 0.999)))
        screen("simulate", 1.0)
    if not quiet:
        print(f"A virtual study of four phases is in {output}, its truth in {output / 'truth.json'}")
