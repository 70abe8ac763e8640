"""Run somebody else's program: no shell, bounded in time and memory, what it said kept apart."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepar.errors import WrongCall

_KEPT_BYTES = 20_000
_LINE = 200
_PATH = r"(?<![\w.:/\2])(?:~|[A-Za-z]:)?(?:[/\\][^\s/\\'\":,;)\]]+)+[/\\]([^\s/\\'\":,;)\]]*)"
"""A path of at least two parts; not what follows a name, an address or a place that is already named."""
_NOT_OURS = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
"""Variables of hepar's own Python, which must not reach another one."""


@dataclass(frozen=True)
class Limits:
    """timeout_s: wall clock. max_memory_bytes: of the program and its children together; None: no bound."""

    timeout_s: float
    max_memory_bytes: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What a finished program leaves. said: the end of its standard error (else output), paths taken out."""

    seconds: float
    peak_memory_mb: float | None
    said: str

    def as_dict(self) -> dict[str, Any]:
        """For run.json."""
        return {"seconds": round(self.seconds, 3), "peak_memory_mb": self.peak_memory_mb, "stderr": self.said}


def run_tool(
    engine: str,
    words: Sequence[str],
    *,
    folder: Path,
    limits: Limits,
    environment: Mapping[str, str],
    threads: int = 0,
    private: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> Outcome:
    """Run a command in a folder, in a session of its own that ends with it.

    words: the program and its arguments, given to it as they are. private: paths to what stands for them in texts.
    log: also gets everything that the program said. Raises WrongCall, one sentence, when the program is missing, ends
    with another exit code than 0, takes too long or takes too much memory.
    """
    full = {name: value for name, value in os.environ.items() if name not in _NOT_OURS} | dict(environment)
    if threads:
        full |= {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    said = folder / "said.txt"
    began, peak = time.monotonic(), 0
    with said.open("wb") as out:
        try:
            process = subprocess.Popen(
                list(words), cwd=folder, env=full, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise WrongCall(
                f"engine {engine}: {words[0]} cannot be run ({error.strerror}); install the tool, or give its place in"
                " the engine's file"
            ) from None
        trouble = ""
        try:
            while not trouble:
                try:
                    process.wait(timeout=min(0.5, 0.02 + 0.1 * (time.monotonic() - began)))
                    break
                except subprocess.TimeoutExpired:
                    peak = max(peak, memory_bytes(process.pid))
                trouble = _over(engine, limits, time.monotonic() - began, peak)
        finally:
            _end(process)
    text = _tail(said)
    if log is not None:
        log.write_bytes(said.read_bytes())
    if trouble:
        raise WrongCall(trouble)
    text = without_paths(text, private or {})
    if process.returncode:
        raise WrongCall(_failed(engine, process.returncode, text))
    return Outcome(time.monotonic() - began, round(peak / 1e6, 1) if peak else None, text)


def ask(engine: str, words: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> str:
    """The last line that a short command prints, such as its version. Raises WrongCall as `run_tool` does."""
    outcome = run_tool(engine, words, folder=folder, limits=Limits(120.0), environment=environment)
    lines = [line.strip() for line in outcome.said.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def memory_bytes(session: int) -> int:
    """Memory of all processes of a session, shared pages counted once; 0 where the system does not say (not Linux)."""
    total = 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[3]) != session:
                continue
            rolled = (entry / "smaps_rollup").read_text()
        except (OSError, ValueError, IndexError):
            continue
        found = re.search(r"^Pss:\s+(\d+) kB", rolled, re.MULTILINE)
        total += int(found[1]) * 1024 if found else 0
    return total


def without_paths(text: str, private: Mapping[str, str]) -> str:
    """The text with the given paths replaced by their names, and of every other path only its last part."""
    known = sorted(private.items(), key=lambda item: -len(item[0]))
    for number, (path, _) in enumerate(known):
        text = text.replace(path, f"\1{number}\2")
    text = re.sub(_PATH, r".../\1", text)
    for number, (_, name) in enumerate(known):
        text = text.replace(f"\1{number}\2", name)
    return text


def _over(engine: str, limits: Limits, seconds: float, memory: int) -> str:
    if seconds > limits.timeout_s:
        return (
            f"engine {engine} was stopped after {limits.timeout_s:.0f} s without an answer; raise timeout_s in the"
            " engine's file, or choose a faster model or device"
        )
    if limits.max_memory_bytes is not None and memory > limits.max_memory_bytes:
        return (
            f"engine {engine} was stopped at {memory / 2**30:.1f} GiB of memory, {limits.max_memory_bytes / 2**30:.1f}"
            " GiB are allowed; raise max_memory in the engine's file, or use a larger machine"
        )
    return ""


def _failed(engine: str, code: int, text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = lines[-1][:_LINE] if lines else "it said nothing"
    how = f"exit code {code}" if code > 0 else f"signal {-code} ({_signal(-code)})"
    return f"engine {engine} failed with {how}: {last}; log = FILE in the engine's file keeps all that it says"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def _tail(said: Path) -> str:
    with said.open("rb") as file:
        file.seek(max(0, said.stat().st_size - _KEPT_BYTES))
        # A progress bar rewrites its line; only its last state is of use.
        text = file.read().decode("utf-8", errors="replace")
    return "\n".join(line.rsplit("\r", 1)[-1].rstrip() for line in text.replace("\r\n", "\n").split("\n")).strip()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing that the program started lives on."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            break
        try:
            process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
