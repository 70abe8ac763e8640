"""The verbs, and what every verb does with an error."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

import hepar
from hepar.cli import evidence, learn, validate
from hepar.errors import HeparError

app = typer.Typer(
    name="hepar",
    help="From a folder of liver scans to a checked, measured report. Research use only, not a certified device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Study = Annotated[Path, typer.Argument(help="Folder or zip of DICOM, or NIfTI, NRRD, MHA files.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no summary; errors are still shown.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Modality = Annotated[str | None, typer.Option(help="CT or MR, for formats that carry none (NIfTI, NRRD, MHA).")]
StudyUid = Annotated[str | None, typer.Option("--study", help="StudyInstanceUID to take where there are several.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier result of hepar at the same place.")]


@app.command()
def analyze(
    study: Study,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the result; must not exist yet.")],
    phase: Annotated[
        list[str] | None,
        typer.Option(help="LABEL=PATH, e.g. arterial=study/series7; overrides the guess. May be repeated."),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="Phase to measure on: native, arterial, portal_venous or delayed.")
    ] = None,
    study_uid: StudyUid = None,
    modality: Modality = None,
    precision: Annotated[str, typer.Option(help="Arithmetic of the network: f32 gives the same result again.")] = "f32",
    engine: Annotated[
        str, typer.Option(help="Which model outlines liver and lesions: a name, or an engine file (.toml).")
    ] = "builtin",
    site: Annotated[
        Path | None, typer.Option(help="Use the model that `hepar learn adapt` promoted in this site folder.")
    ] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Agree to the licence of the engine, which is shown; once.")
    ] = False,
    operating_point: Annotated[
        str, typer.Option(help="measuring (few false lesions) or screening (few missed ones).")
    ] = "measuring",
    threads: Annotated[int | None, typer.Option(min=1, help="Processor cores to use; default: all.")] = None,
    max_memory: Annotated[
        str | None, typer.Option(help="Memory that may be used, e.g. 3G; refuses what needs more.")
    ] = None,
    with_identity: Annotated[
        bool, typer.Option("--with-identity", help="Put the patient's name, id and birth date on the report.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Analyse one study: liver, lesions, sizes, enhancement, report, DICOM SEG and SR."""
    from hepar.cli.analyze import analyze_command

    analyze_command(
        study, output, phase=phase or [], reference=reference, study_uid=study_uid, modality=modality,
        precision=precision, engine=engine, site=site, operating_point=operating_point, accept_licence=accept_licence,
        threads=threads, max_memory=max_memory,
        with_identity=with_identity, as_json=as_json, quiet=quiet, overwrite=overwrite,
    )  # fmt: skip


@app.command()
def inspect(study: Study, study_uid: StudyUid = None, modality: Modality = None, as_json: Json = False) -> None:
    """Show what is in a study: series, phases, geometry, what would be refused and why. Analyses nothing."""
    from hepar.cli.inspect import inspect_command

    inspect_command(study, study_uid=study_uid, modality=modality, as_json=as_json)


@app.command()
def simulate(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the study; must not exist yet.")],
    seed: Annotated[int, typer.Option(help="Which virtual patient; the same seed gives the same files.")] = 1,
    size: Annotated[str, typer.Option(help="full (512 x 512) or small (quick to make and to analyse).")] = "full",
    distribution: Annotated[
        str | None,
        typer.Option(help="Draw the patient from a stated distribution: a built-in name or a TOML file; see the docs."),
    ] = None,
    cases: Annotated[int, typer.Option(help="With --distribution: how many patients, from number --seed on.")] = 1,
    file_format: Annotated[str, typer.Option("--format", help="dicom or nifti.")] = "dicom",
    anatomy: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="CT LABELS",
            help="With --distribution: build on a real CT without contrast and its TotalSegmentator labels (NIfTI).",
        ),
    ] = None,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Make a virtual four-phase liver study, with its truth."""
    from hepar.cli.simulate import simulate_command

    simulate_command(
        output, seed=seed, size=size, quiet=quiet, overwrite=overwrite, distribution=distribution, cases=cases,
        file_format=file_format, anatomy=anatomy,
    )  # fmt: skip


@app.command()
def doctor(as_json: Json = False) -> None:
    """Show versions, processor, memory, weights and optional parts, and what is wrong with them."""
    from hepar.cli.doctor import doctor_command

    doctor_command(as_json=as_json)


app.add_typer(validate.app)
app.add_typer(evidence.app)
app.add_typer(learn.app)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"hepar {hepar.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    _silence_libraries()


def run() -> None:
    """Run the command line; every way out is an exit code and at most two sentences."""
    signal.signal(signal.SIGTERM, _end)
    try:
        app()
    except HeparError as error:
        _fail(str(error), error.exit_code)
    except MemoryError:
        _fail("this study needs more memory than there is; close other programs or use a larger machine", 3)
    except KeyboardInterrupt:
        _fail("stopped; nothing was written", 130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        where = _where(error)
        _fail(f"this is a fault of hepar ({type(error).__name__} in {where}), nothing was written; please report it", 4)


def _fail(text: str, code: int) -> None:
    print(f"hepar: {text}", file=sys.stderr)
    sys.exit(code)


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _where(error: BaseException) -> str:
    """Module and line of our own code where the error came up."""
    place = "hepar"
    trace = error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if module.startswith("hepar."):
            place = f"{module}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _silence_libraries() -> None:
    """Libraries warn on standard error, at times with file names or tag values; hepar says itself what matters."""
    import logging
    import warnings

    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
