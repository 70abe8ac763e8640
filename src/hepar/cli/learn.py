"""`hepar learn`: how the built-in networks are made."""

from __future__ import annotations

import json
from importlib import util
from pathlib import Path
from typing import Annotated, Any

import typer

from hepar.errors import WrongCall

app = typer.Typer(
    name="learn",
    help="How the built-in networks are made: train, export, judge and compare. Needs torch (hepar[learn]).",
    no_args_is_help=True,
    rich_markup_mode=None,
)

RecipeFile = Annotated[Path, typer.Argument(help="The recipe, a TOML file.")]
Run = Annotated[Path, typer.Option("--run", help="Folder of the training run: its state, log and anatomies.")]
Cases = Annotated[int, typer.Option(min=1, help="Simulated cases, the same ones every time.")]


@app.command()
def train(
    recipe: RecipeFile,
    run: Run,
    threads: Annotated[int, typer.Option(min=1, help="Processor cores to use.")] = 2,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Train, or go on training, until the recipe's time or steps are over. Ctrl-C keeps what was learnt (exit 130)."""
    _torch()
    from hepar.learn.recipe import read_recipe
    from hepar.learn.train import train as run_training

    ended = run_training(read_recipe(_file(recipe)), run, threads=threads, device=device)
    if ended.signal:
        kept = f"{ended.step} steps ({ended.minutes:.1f} min) are kept in {ended.state.name}; the same command goes on"
        typer.echo(f"hepar: stopped; {kept if ended.step else 'nothing was learnt yet'}", err=True)
        raise typer.Exit(128 + ended.signal)


@app.command()
def export(
    recipe: RecipeFile,
    run: Run,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the ONNX file and its description.")],
) -> None:
    """Write the averaged weights of a run as ONNX, with hash, classes and input."""
    _torch()
    from hepar.learn.export import export as write
    from hepar.learn.recipe import read_recipe

    read = read_recipe(_file(recipe))
    state = run / "state.pt"
    if not state.is_file():
        raise WrongCall(f"{run.name} holds no state.pt; train first, or give the folder of a training run")
    typer.echo(str(write(state, _into(output / state.name).parent, read)))


@app.command()
def curves(
    run: Run, output: Annotated[Path, typer.Option("-o", "--output", help="SVG file to write.")]
) -> None:  # fmt: skip
    """Draw the loss and Dice of a run, and how its watched cases fare."""
    from hepar.learn.curve import draw_curves

    typer.echo(str(draw_curves(run, _into(output))))


@app.command()
def evaluate(
    recipe: RecipeFile,
    network: Annotated[Path, typer.Option(help="The ONNX file.")],
    cases: Annotated[int, typer.Option(min=0, help="Simulated cases, the same ones every time; 0 for none.")] = 12,
    real: Annotated[
        list[str] | None,
        typer.Option(
            help="CT,LABELS: a study and its labels as NIfTI: 1 liver, 2 lesion, 12 vein inside the liver, 255 unknown."
            " May be repeated."
        ),
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="Folder that keeps the anatomies (stage region).")] = None,
) -> None:
    """Judge an exported network on simulated cases that no training draws, and on real labelled scans.

    Prints one JSON line per case; stage region ends with the means of the simulated ones.
    """
    _torch()
    from dataclasses import asdict

    from hepar.learn.recipe import read_recipe

    read = read_recipe(_file(recipe))
    pairs = [_pair(text) for text in real or []]
    if not cases and not pairs:
        raise WrongCall("nothing to judge: --cases 0 and no --real; give one of them")
    if read.stage == "region":
        from hepar.learn.compare import score_networks
        from hepar.learn.region_evaluate import summary
        from hepar.learn.region_real import judge_real

        rows: list[dict[str, Any]] = [
            judge_real(f"real{number}", _file(network), *pair) for number, pair in enumerate(pairs, 1)
        ]
        (scores,) = score_networks(read, [_file(network)], cases, _kept(keep))
        rows += [asdict(s) for s in scores] + ([summary(scores)] if scores else [])
    else:
        from hepar.learn.evaluate import evaluate as judge

        rows = judge(_file(network), recipe, cases=cases, real=pairs)
    for row in rows:
        typer.echo(json.dumps(row))


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="ONNX file of a region network.")],
    second: Annotated[Path, typer.Argument(help="The one to compare with.")],
    recipe: Annotated[Path, typer.Option(help="Recipe whose anatomies are simulated.")],
    cases: Cases = 24,
    keep: Annotated[Path | None, typer.Option(help="Folder that keeps the anatomies.")] = None,
) -> None:
    """Compare two region networks on the same simulated patches: first minus second, with intervals, as JSON."""
    _torch()
    from hepar.learn.compare import as_document, differences, score_networks
    from hepar.learn.recipe import read_recipe
    from hepar.learn.region_evaluate import summary

    read = read_recipe(_file(recipe))
    if read.stage != "region":
        raise WrongCall(f"{recipe.name} is of stage {read.stage}; needed: region")
    one, other = score_networks(read, [_file(first), _file(second)], cases, _kept(keep))
    document = {
        "first": summary(one),
        "second": summary(other),
        "first_minus_second": as_document(differences(one, other)),
    }
    typer.echo(json.dumps(document, indent=2))


@app.command()
def adapt(
    cases: Annotated[Path, typer.Argument(help="Folder with a folder for each corrected case of the site, 5 to 20.")],
    site: Annotated[Path, typer.Option(help="The site's folder of versions; made if it is not there.")],
    minutes: Annotated[float, typer.Option(min=0.1, help="Minutes of training, the three trainings together.")] = 15.0,
    steps: Annotated[int, typer.Option(min=0, help="Steps of each training instead of --minutes.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Processor cores to use.")] = 2,
    keep: Annotated[Path | None, typer.Option(help="Folder that keeps the simulated anatomies.")] = None,
    work: Annotated[
        Path | None, typer.Option(help="Folder that keeps what was done, so that a stopped run goes on; holds images.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no summary.")] = False,
) -> None:
    """Adapt the region network to a site's corrected cases; promoted only if better there and not worse elsewhere."""
    _torch()
    from hepar.errors import Refused
    from hepar.learn.adapt import Plan
    from hepar.learn.adapt import adapt as run

    plan = Plan(minutes=minutes, steps=steps, threads=threads, keep=_kept(keep), work=work)
    done = run(cases, site, plan, (lambda step, share: None) if quiet else _Steps())
    if done.reasons:
        more = f" (and {len(done.reasons) - 1} more reasons)" if len(done.reasons) > 1 else ""
        raise Refused(f"not promoted: {done.reasons[0]}{more}; what was in use stays in use; see {done.report}")
    if not quiet:
        typer.echo(f"promoted as version {done.version}; use it with `hepar analyze --site`; report: {done.report}")


@app.command()
def rollback(site: Annotated[Path, typer.Option(help="The site's folder of versions.")]) -> None:
    """Go back to the version that a site used before, and in the end to the shipped model.

    Warns where the site's trace of changes was edited."""
    from hepar.errors import Refused
    from hepar.learn.adapt_site import check_trace
    from hepar.learn.adapt_site import rollback as back

    version = back(site)
    typer.echo("the shipped model is in use" if version is None else f"version {version} is in use")
    try:
        check_trace(site)
    except Refused as reason:  # going back is the way out of damage: it is done, whatever the trace says
        typer.echo(f"warning: {reason}", err=True)


@app.command()
def card(
    recipe: Annotated[Path | None, typer.Argument(help="Recipe of the network; default: that of the region.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Folder with the exported network and its JSON files; default: as shipped.")
    ] = None,
    site: Annotated[Path | None, typer.Option(help="The version in use of this site folder, instead.")] = None,
    run: Annotated[Path | None, typer.Option("--run", help="Folder of the training run, for its log.")] = None,
    figures: Annotated[
        list[str] | None, typer.Option(help="NAME=FILE: figures as JSON, as benchmarks write them. May be repeated.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write; default: print.")] = None,
) -> None:
    """Write the model card of an exported network from the files that are there, as Markdown.

    A site's card is refused where its trace of changes was edited."""
    from hepar.learn.adapt_site import check_trace
    from hepar.learn.card import card_of

    named = []
    for text in figures or []:
        name, equals, file = text.partition("=")
        if not equals:
            raise WrongCall(f"--figures {text}: needed NAME=FILE")
        named.append((name, _file(Path(file))))
    if site is not None and site.is_dir():
        check_trace(site)
    written = card_of(recipe and _file(recipe), weights=weights, site=site, run=run, figures=named)
    if output is None:
        typer.echo(written, nl=False)
    else:
        _into(output).write_text(written, encoding="utf-8", newline="\n")


class _Steps:
    """One line for every step that begins or ends, on standard error."""

    def __init__(self) -> None:
        self.step, self.tenth = "", -1

    def __call__(self, step: str, share: float) -> None:
        tenth = int(10 * share)
        if (step, tenth) != (self.step, self.tenth):
            self.step, self.tenth = step, tenth
            typer.echo(f"{step}: {tenth * 10} %", err=True)


def _torch() -> None:
    for name in ("torch", "onnx"):
        if util.find_spec(name) is None:
            raise WrongCall(f"training needs {name}, which is not installed; install hepar[learn]")


def _file(path: Path) -> Path:
    if not path.is_file():
        raise WrongCall(f"{path} is no file; give the path of one")
    return path


def _into(path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongCall(f"{path.parent} cannot be made ({error.strerror}); give another place to write to") from None
    return path


def _kept(folder: Path | None) -> Path:
    return folder or Path.home() / ".cache" / "hepar" / "anatomies"


def _pair(text: str) -> tuple[Path, Path]:
    image, comma, labels = text.partition(",")
    if not comma:
        raise WrongCall(f"--real {text}: needed CT,LABELS, two paths with a comma between them")
    return (Path(image) if Path(image).is_dir() else _file(Path(image))), _file(Path(labels))
