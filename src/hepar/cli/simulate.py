"""`hepar simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hepar.cli.screen import Screen
from hepar.errors import WrongCall

if TYPE_CHECKING:
    from hepar.simulate import SimulationSettings

SIZES = ("full", "small")
FORMATS = ("dicom", "nifti")
SMALL_SHAPE = (60, 256, 256)
SMALL_SPACING_MM = (5.0, 1.5, 1.5)


def simulate_command(
    output: Path, *, seed: int, size: str, quiet: bool, overwrite: bool, distribution: str | None = None,
    cases: int = 1, file_format: str = "dicom", anatomy: tuple[Path, Path] | None = None,
) -> None:  # fmt: skip
    """Make a virtual study at `output`, or `cases` patients of a distribution from number `seed` on, all or nothing."""
    if size not in SIZES:
        raise WrongCall(f"--size {size} is not known; needed: one of {', '.join(SIZES)}")
    if file_format not in FORMATS:
        raise WrongCall(f"--format {file_format} is not known; needed: one of {', '.join(FORMATS)}")
    if seed < 0:
        raise WrongCall(f"--seed {seed} is negative; needed: 0 or more")
    if cases < 1 or (cases > 1 and distribution is None):
        raise WrongCall(f"--cases {cases} asks for {'no' if cases < 1 else 'several'} patients; needed: 1, or more of a"
                        " --distribution")  # fmt: skip
    if anatomy is not None and distribution is None:
        raise WrongCall("--anatomy is given without a distribution; needed: --distribution, for what is drawn on it")
    from hepar.report import check_target, delivered

    check_target(output, source=None, overwrite=overwrite, own_files=frozenset({"truth.json", "cases.json"}))
    with delivered(output) as folder, Screen(quiet=quiet) as screen:
        if distribution is None:
            from hepar.simulate import simulate

            settings = _settings(size, file_format)
            simulate(folder, settings, seed, progress=lambda _, share: screen("simulate", min(share, 0.999)))
        else:
            _draw(folder, distribution, seed, cases, file_format, anatomy, screen)
        screen("simulate", 1.0)
    if not quiet:
        what = "A virtual study" if cases == 1 else f"{cases} virtual studies"
        where = output / "truth.json" if cases == 1 else output / "case-NNN" / "truth.json"
        print(f"{what} of four phases: {output}, the truth: {where}")


def _settings(size: str, file_format: str) -> SimulationSettings:
    from dataclasses import replace

    from hepar.simulate import SimulationSettings

    settings = SimulationSettings()
    if size == "small":
        scanner = replace(settings.scanner, thickness_mm=SMALL_SPACING_MM[0])
        settings = replace(settings, shape=SMALL_SHAPE, spacing_mm=SMALL_SPACING_MM, scanner=scanner)
    return replace(settings, output="nifti") if file_format == "nifti" else settings


def _draw(folder: Path, name: str, first: int, cases: int, file_format: str, anatomy: tuple[Path, Path] | None,
          screen: Screen) -> None:  # fmt: skip
    """One case in the folder itself; several in case-NNN, with a list of them."""
    import json

    from hepar.simulate import load_distribution, load_labelled, simulate_case

    source = load_distribution(name)
    real = None if anatomy is None else load_labelled(*anatomy)
    numbers = range(first, first + cases)
    for done, number in enumerate(numbers):
        target = folder if cases == 1 else folder / f"case-{number:03d}"
        simulate_case(target, source, number, output=file_format, anatomy=real)
        screen("simulate", min((done + 1) / cases, 0.999))
    if cases > 1:
        listed = {"distribution": source.name, "version": source.version, "sha256": source.sha256,
                  "cases": [f"case-{number:03d}" for number in numbers]}  # fmt: skip
        (folder / "cases.json").write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
