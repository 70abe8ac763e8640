"""What the terminal shows while hepar works."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import TaskID

STEPS = {
    "read": "Reading the study",
    "organs": "Finding the organs",
    "phases": "Naming the phases",
    "align": "Aligning the phases",
    "outline": "Outlining liver and lesions",
    "measure": "Measuring",
    "findings": "Writing findings and masks",
    "dicom": "Writing DICOM SEG and SR",
    "report": "Writing the report",
    "simulate": "Making the virtual patient",
}


class Screen:
    """A progress bar per step on a terminal, a line per finished step elsewhere, nothing when quiet.

    Everything goes to standard error, so that standard output stays clean for results.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._began: dict[str, float] = {}
        self._bars = None
        if not quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._bars = Progress(
                TextColumn("{task.description:<28}"), BarColumn(), TimeElapsedColumn(), console=Console(stderr=True)
            )
            self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Screen:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, step: str, fraction: float) -> None:
        """A step is at this fraction, 0..1; 1.0 ends it."""
        if self._quiet:
            return
        text = STEPS.get(step, step)
        if self._bars is not None:
            if step not in self._tasks:
                self._tasks[step] = self._bars.add_task(text, total=1.0)
            self._bars.update(self._tasks[step], completed=fraction)
        elif step not in self._began:
            self._began[step] = time.perf_counter()
        elif fraction >= 1.0:
            print(f"{text:<28} {time.perf_counter() - self._began[step]:6.1f} s", file=sys.stderr, flush=True)
