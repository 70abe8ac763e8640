"""A program of somebody else's: bounded, ended with all its children, its words kept without paths."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from hepar.errors import WrongCall
from hepar.segment.external.tool import Limits, memory_bytes, run_tool, without_paths

LINUX = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is told by Linux only")


def run(folder: Path, code: str, *, seconds: float = 30.0, memory: int | None = None, **more: object) -> object:
    """A Python program of these words, in a folder."""
    return run_tool(
        "other", [sys.executable, "-S", "-c", code], folder=folder, limits=Limits(seconds, memory),
        **({"environment": {}} | more),  # type: ignore[arg-type]
    )  # fmt: skip


def test_program_that_fails_gives_code_and_last_line(tmp_path: Path) -> None:
    """One sentence; of a path only its last part."""
    code = "import sys; print('first'); sys.stderr.write('no weights at /home/smith/liver/net.pth\\n\\n'); sys.exit(7)"
    with pytest.raises(WrongCall, match=r"engine other failed with exit code 7: no weights at \.\.\./net\.pth; log = "):
        run(tmp_path, code)


def test_program_that_dies_gives_the_signal(tmp_path: Path) -> None:
    """As when the system ends it for memory."""
    with pytest.raises(WrongCall, match=r"failed with signal 9 \(SIGKILL\): it said nothing"):
        run(tmp_path, "import os; os.kill(os.getpid(), 9)")


def test_program_that_is_missing_is_said(tmp_path: Path) -> None:
    """And what to do."""
    for words, says in ((["no-such-program"], "No such file"), ([str(tmp_path)], "Permission denied")):
        with pytest.raises(WrongCall, match=f"engine other: .*cannot be run .{says}.*; install the tool"):
            run_tool("other", words, folder=tmp_path, limits=Limits(5), environment={})


def test_program_that_takes_too_long_is_stopped_with_its_children(tmp_path: Path) -> None:
    """A child that ignores the polite signal is gone too."""
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    code = f"import subprocess, sys; c = subprocess.Popen([sys.executable, '-S', '-c', {child!r}]); open('child', 'w').write(str(c.pid)); c.wait()"  # noqa: E501
    began = time.monotonic()
    with pytest.raises(WrongCall, match="stopped after 2 s without an answer; raise timeout_s"):
        run(tmp_path, code, seconds=2)
    assert time.monotonic() - began < 25
    pid = int((tmp_path / "child").read_text())
    for _ in range(50):
        if not alive(pid):
            break
        time.sleep(0.1)
    assert not alive(pid)


def alive(pid: int) -> bool:
    """Whether the process still runs (a dead one that nobody has waited for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@LINUX
def test_program_that_takes_too_much_memory_is_stopped(tmp_path: Path) -> None:
    """200 MB are allowed, 400 are taken."""
    code = "import time; block = bytearray(400_000_000); time.sleep(30)"
    with pytest.raises(WrongCall, match=r"stopped at 0\.\d GiB of memory, 0\.2 GiB are allowed; raise max_memory"):
        run(tmp_path, code, memory=200 * 2**20)


@LINUX
def test_memory_counts_the_children_of_a_session() -> None:
    """This process' own session holds at least this process."""
    assert memory_bytes(os.getsid(0)) > 5_000_000
    assert memory_bytes(2**30) == 0


def test_program_sees_its_own_python_and_no_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of hepar's Python do not reach it, those of the engine file do; it has nothing to read."""
    monkeypatch.setenv("PYTHONPATH", "/hepar")
    monkeypatch.setenv("VIRTUAL_ENV", "/hepar")
    code = "import os, sys; e = os.environ; print(e.get('PYTHONPATH'), e.get('VIRTUAL_ENV'), e['KEY'], e['OMP_NUM_THREADS'], repr(sys.stdin.read()))"  # noqa: E501
    outcome = run(tmp_path, code, environment={"KEY": "value"}, threads=2)
    assert outcome.said == "None None value 2 ''"  # type: ignore[attr-defined]


def test_words_are_not_read_by_a_shell(tmp_path: Path) -> None:
    """Quotes, dollars and semicolons arrive as they are."""
    words = [sys.executable, "-S", "-c", "import sys; print(sys.argv[1])", "$HOME; touch 'x' | y"]
    outcome = run_tool("other", words, folder=tmp_path, limits=Limits(30), environment={})
    assert outcome.said == "$HOME; touch 'x' | y"
    assert not (tmp_path / "x").exists()


def test_everything_it_said_may_be_kept(tmp_path: Path) -> None:
    """The log has it as it was; what is kept for documents has neither paths nor a progress bar's past."""
    code = "print('at /data/smith/x.nii', end='\\n'); print('1%\\r50%\\r100%')"
    outcome = run(tmp_path, code, log=tmp_path / "log")
    assert (tmp_path / "log").read_bytes() == b"at /data/smith/x.nii\n1%\r50%\r100%\n"
    assert outcome.said == "at .../x.nii\n100%"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('File "/home/smith/env/lib/net.py", line 3', 'File ".../net.py", line 3'),
        ("loading /models/Smith_2024/fold_0/x.pth now", "loading <model>/fold_0/x.pth now"),
        ("see https://example.org/a/b for 1/2 of it", "see https://example.org/a/b for 1/2 of it"),
        (r"C:\Users\smith\x.nii", ".../x.nii"),
        ("ratio 3/4 and and/or", "ratio 3/4 and and/or"),
    ],
)
def test_paths_are_taken_out(text: str, left: str) -> None:
    """Known places by name, others but for their last part; addresses and fractions stay."""
    assert without_paths(text, {"/models/Smith_2024": "<model>"}) == left
