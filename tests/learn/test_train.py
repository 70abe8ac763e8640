"""A training run as a user meets it: stopped, resumed, wrongly called, broken, exported."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from small_recipe import PATCH, SMALL, VIRTUAL  # noqa: E402

from hepar.errors import Fault, WrongCall  # noqa: E402
from hepar.learn.recipe import Recipe, read_recipe  # noqa: E402

NEGATIVE = VIRTUAL.replace("virtual", "negative")  # made in a moment


def _recipe(folder: Path, text: str, name: str = "small.toml") -> Recipe:
    path = folder / name
    path.write_text(text)
    return read_recipe(path)


def _text(steps: int = 3, more: str = "") -> str:
    return f"steps = {steps}\n" + more + SMALL + PATCH + NEGATIVE


def _hepar(*words: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "hepar", "learn", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def _until(there: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_keeps_what_was_learnt(tmp_path: Path, number: int) -> None:
    """A signal to the whole group, as Ctrl-C is: exit 128 + its number, state saved, and the same command goes on."""
    _recipe(tmp_path, _text(steps=100_000))
    run = tmp_path / "run"
    process = _hepar("train", tmp_path / "small.toml", "--run", run, "--threads", "1")
    log = run / "log.jsonl"
    _until(lambda: log.is_file() and "\n" in log.read_text())
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    step = torch.load(run / "state.pt", weights_only=True)["step"]
    assert step >= 20
    assert f"stopped; {step} steps" in said
    assert "same command goes on" in said
    assert "Traceback" not in said


def test_a_broken_sample_ends_the_run_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of the process that makes samples comes out as itself, without a path, and that process is gone."""
    import multiprocessing

    from hepar.learn import source
    from hepar.learn.train import train

    recipe = _recipe(tmp_path, _text())
    for error, expected in ((WrongCall("said"), WrongCall), (IndexError("/secret"), Fault)):

        def broken(*_: object, error: Exception = error) -> object:
            raise error

        monkeypatch.setattr(source, "draw", broken)
        with pytest.raises(expected, match=r"^said$" if expected is WrongCall else "IndexError in hepar") as caught:
            train(recipe, tmp_path / "run", threads=1)
        assert "/secret" not in str(caught.value)
        assert not multiprocessing.active_children()


def test_a_broken_sample_ends_the_command(tmp_path: Path) -> None:
    """Slices that are none: their own sentence and exit code within seconds, and nothing is left running."""
    (tmp_path / "a.zip").write_bytes(b"no zip")
    scan = _text().replace('"negative"', '"slices"\nimage = "a.zip"')
    _recipe(tmp_path, scan)
    process = _hepar("train", tmp_path / "small.toml", "--run", tmp_path / "run", "--threads", "1")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said.startswith("hepar: 2D slices: 0 images")
    assert len(said.splitlines()) == 1
    assert str(tmp_path) not in said
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_a_run_is_stopped_while_it_waits_for_a_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C before the first sample is there ends the run at once, not after it; after two steps these are kept."""
    import multiprocessing

    from hepar.learn import source
    from hepar.learn.train import train
    from hepar.learn.trainer import Trainer

    recipe = _recipe(tmp_path, _text())
    draw, update, handler = source.draw, Trainer.update, signal.getsignal(signal.SIGINT)
    learnt = multiprocessing.get_context("fork").Value("i", 0)

    def counted(trainer: Trainer, hu: Any, target: Any) -> Any:
        out = update(trainer, hu, target)
        learnt.value = trainer.step
        return out

    monkeypatch.setattr(Trainer, "update", counted)
    for steps in (0, 2):

        def slow(recipe: Recipe, pools: list[Any], number: int, steps: int = steps) -> Any:
            if number < steps:
                return draw(recipe, pools, number)
            _until(lambda: learnt.value >= steps)
            time.sleep(1)  # until the next sample is waited for
            os.kill(os.getppid(), signal.SIGINT)
            time.sleep(1)
            raise WrongCall("waited for the sample")

        monkeypatch.setattr(source, "draw", slow)
        ended = train(recipe, tmp_path / "run", threads=1)
        assert (ended.step, ended.signal) == (steps, signal.SIGINT)
        assert ended.state.is_file() == (steps > 0)
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_missing_scan_is_named_before_training(tmp_path: Path) -> None:
    """The file's name, and where to look."""
    from hepar.learn.train import train

    text = _text().replace('"negative"', '"totalseg"\nimage = "ct.nii.gz"\nlabels = "organs.nii.gz"')
    with pytest.raises(WrongCall, match=r"ct.nii.gz.* is not there"):
        train(_recipe(tmp_path, text), tmp_path / "run", threads=1)


def test_the_start_is_recorded_and_not_needed_again(tmp_path: Path) -> None:
    """Name and hash of the start weights go into state and description, and stay those of the first run after the
    file was replaced, and after it was taken away."""
    from hepar.learn.export import export
    from hepar.learn.train import train
    from hepar.learn.trainer import Trainer

    plain = _recipe(tmp_path, _text(), "plain.toml")
    torch.save(Trainer(plain).state(), tmp_path / "plain.pt")
    start = export(tmp_path / "plain.pt", tmp_path, plain)
    assert "start" not in json.loads((tmp_path / "liver3mm.json").read_text())["training"]
    told = {"name": "liver3mm.onnx", "sha256": hashlib.sha256(start.read_bytes()).hexdigest()}
    text = _text(3, 'start = "liver3mm.onnx"\n')
    ended = train(_recipe(tmp_path, text), tmp_path / "run", threads=1)
    assert (ended.step, ended.signal) == (3, 0)
    assert torch.load(ended.state, weights_only=True)["start"] == told
    start.write_bytes(b"another")
    train(_recipe(tmp_path, text.replace("steps = 3", "steps = 4")), tmp_path / "run", threads=1)
    start.unlink()
    last = _recipe(tmp_path, text.replace("steps = 3", "steps = 5"))
    assert train(last, tmp_path / "run", threads=1).step == 5
    export(ended.state, tmp_path / "out", last)
    training = json.loads((tmp_path / "out" / "liver3mm.json").read_text())["training"]
    assert training["start"] == told
    assert training["recipe_sha256"] == last.sha256


def test_a_start_that_cannot_be_used_is_a_wrong_call(tmp_path: Path) -> None:
    """Missing, no ONNX, and a network with which it shares nothing."""
    import onnx

    from hepar.learn.trainer import Trainer

    recipe = _recipe(tmp_path, _text(3, 'start = "a.onnx"\n'))
    with pytest.raises(WrongCall, match=r"a\.onnx to start from are not there"):
        Trainer(recipe)
    (tmp_path / "a.onnx").write_bytes(b"no onnx")
    with pytest.raises(WrongCall, match="no ONNX file"):
        Trainer(recipe)
    empty = onnx.helper.make_graph([], "empty", [], [])
    onnx.save(onnx.helper.make_model(empty), str(tmp_path / "a.onnx"))
    with pytest.raises(WrongCall, match="shares no weights"):
        Trainer(recipe)


def test_only_the_recipe_of_the_run_exports_it(tmp_path: Path) -> None:
    """Another recipe and another stage are refused, and nothing is written; a state from before `start` exports."""
    from hepar.learn.export import export
    from hepar.learn.trainer import Trainer

    mine = _recipe(tmp_path, _text())
    state = Trainer(mine).state()
    del state["start"]
    torch.save(state, tmp_path / "state.pt")
    other = _recipe(tmp_path, _text() + "# later\n", "other.toml")
    region = _recipe(tmp_path, 'stage = "region"\n' + _text(), "region.toml")
    for wrong, words in ((other, f"hash {mine.sha256[:12]}.*{other.sha256[:12]}"), (region, "stage organs.*region")):
        with pytest.raises(WrongCall, match=words):
            export(tmp_path / "state.pt", tmp_path / "out", wrong)
    assert not (tmp_path / "out").exists()
    assert Trainer(mine, torch.load(tmp_path / "state.pt", weights_only=True)).start is None
    assert export(tmp_path / "state.pt", tmp_path / "out", mine).is_file()


def test_a_run_goes_on_with_its_own_network_only(tmp_path: Path) -> None:
    """Other widths than the state's: both are named."""
    from hepar.learn.trainer import Trainer

    state = Trainer(_recipe(tmp_path, _text())).state()
    wider = _recipe(tmp_path, _text().replace("widths = [8, 8,", "widths = [16, 8,"))
    with pytest.raises(WrongCall, match=r"widths \(8, 8, 8, 8, 8\), the recipe \(16, 8, 8, 8, 8\)"):
        Trainer(wider, state)


def test_devices_that_are_not_there_are_refused(tmp_path: Path) -> None:
    """A name that is none; cuda without a GPU."""
    from hepar.learn.train import train

    recipe = _recipe(tmp_path, _text())
    with pytest.raises(WrongCall, match="needed cpu or cuda"):
        train(recipe, tmp_path / "run", device="gpu")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(WrongCall, match="finds no GPU"):
        train(recipe, tmp_path / "run", device="cuda")
    assert not (tmp_path / "run").exists()


def test_export_looks_at_the_recipe_first(tmp_path: Path) -> None:
    """A recipe that is not there is named before a state that is not there."""
    from typer.testing import CliRunner

    from hepar.cli.app import app

    words = ["learn", "export", str(tmp_path / "no.toml"), "--run", str(tmp_path), "-o", str(tmp_path / "out")]
    error = CliRunner().invoke(app, words).exception
    assert isinstance(error, WrongCall)
    assert "no.toml is no file" in str(error)


def _refusal(*words: str | Path) -> str:
    from typer.testing import CliRunner

    from hepar.cli.learn import app

    error = CliRunner().invoke(app, [str(w) for w in words]).exception
    assert isinstance(error, WrongCall), error
    return str(error)


def test_damaged_runs_and_impossible_places_are_wrong_calls(tmp_path: Path) -> None:
    """A state and a log that are none, a description without its keys, folders that cannot be, nothing to judge."""
    recipe, run = Path(__file__).parents[2] / "src/hepar/learn/region.toml", tmp_path / "run"
    run.mkdir()
    for junk, said in ((b"noise", "is no state of a training run"), (None, "lacks mean, recipe")):
        if junk is None:
            torch.save({"step": 3}, run / "state.pt")
        else:
            (run / "state.pt").write_bytes(junk)
        assert said in _refusal("export", recipe, "--run", run, "-o", tmp_path / "out")
    for line in ("{", "[1]", '{"loss": 1}'):
        (run / "log.jsonl").write_text('{"min": 0.1, "loss": 2.0}\n\n' + line + "\n")
        assert "run/log.jsonl, line 3, is no entry of a log" in _refusal("curves", "--run", run, "-o", run / "c.svg")
    (run / "region.onnx").write_bytes(b"")
    for text in ("{}", "[]", "{"):
        (run / "region.json").write_text(text)
        assert "region.json is no description of an exported network" in _refusal("card", "--weights", run)
    blocked = run / "log.jsonl" / "deeper"
    assert "cannot be made" in _refusal("card", "-o", blocked / "card.md")
    assert "cannot be made" in _refusal("train", recipe, "--run", blocked)
    torch.save(dict.fromkeys(("mean", "recipe", "widths", "blocks", "step", "seconds"), 0), run / "state.pt")
    assert "cannot be made" in _refusal("export", recipe, "--run", run, "-o", blocked)
    words = ("evaluate", recipe, "--network", run / "region.onnx", "--cases", "0")
    assert "nothing to judge" in _refusal(*words)
