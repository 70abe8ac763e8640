"""Are the weights that ship with hepar there and whole?"""

from __future__ import annotations

import hashlib
import json
from importlib import resources


def weights_state() -> dict[str, str]:
    """Name of each weights file to "ok, ..." or to what is wrong with it, by the hash that its card states."""
    folder = resources.files("hepar.segment") / "weights"
    states: dict[str, str] = {}
    for card in sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".json")):
        read = json.loads((folder / card).read_text(encoding="utf-8"))
        if "sha256" not in read:
            continue
        name = card.removesuffix(".json") + ".onnx"
        file = folder / name
        stated = str(read["sha256"])
        if not file.is_file():
            states[name] = "missing; install hepar again"
            continue
        found = hashlib.sha256(file.read_bytes()).hexdigest()
        states[name] = f"ok, sha256 {found[:12]}" if found == stated else "damaged: its hash differs from its card's"
    return states or {"liver3mm.onnx": "missing; install hepar again"}
