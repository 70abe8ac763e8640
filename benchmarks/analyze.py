"""Wall time and peak memory of `hepar analyze`, start-up included, second run; beside a known load on the same machine.

    python benchmarks/analyze.py STUDY [STUDY ...]      folders or zips; without any: the virtual four-phase study

Peak memory is the largest sum of resident memory over the process and its children, sampled every 20 ms (Linux).
The peer is SimpleITK's median filter (radius 2) on 120 x 512 x 512 voxels, one run in the same minute: a ratio that
carries over to other machines, where seconds do not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import SimpleITK


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and all its children, 0 when it is gone."""
    total = 0
    try:
        total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return total
    return total + sum(resident_bytes(int(child)) for child in children)


def run(command: list[str]) -> tuple[float, int]:
    """Seconds and peak resident bytes of a command, which must end well."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, resident_bytes(process.pid))
        time.sleep(0.02)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - began, peak


def peer_seconds() -> float:
    """The known load."""
    image = SimpleITK.GetImageFromArray(np.random.default_rng(0).integers(-100, 200, (120, 512, 512), dtype=np.int16))
    began = time.perf_counter()
    SimpleITK.Median(image, (2, 2, 2))
    return time.perf_counter() - began


def main(sources: list[str]) -> None:
    """Measure each study, print one row each."""
    with tempfile.TemporaryDirectory() as folder:
        hepar = [sys.executable, "-m", "hepar"]
        if not sources:
            run([*hepar, "simulate", "-o", f"{folder}/study", "--quiet"])
            sources = [f"{folder}/study"]
        peer = peer_seconds()
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; SimpleITK median filter {peer:.1f} s")
        print(f"{'study':<24} {'first s':>8} {'second s':>9} {'ratio':>6} {'peak GiB':>9}")
        for source in sources:
            command = [*hepar, "analyze", source, "-o", f"{folder}/result", "--quiet", "--overwrite"]
            first, _ = run(command)
            second, peak = run(command)
            print(f"{Path(source).name:<24} {first:8.1f} {second:9.1f} {second / peer:6.1f} {peak / 2**30:9.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
