"""From a training run's state to the shipped ONNX file and its JSON description."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import torch

from hepar.errors import Fault
from hepar.learn.classes import CLASS_NAMES, LIVER_CLASSES, SPACING_MM, STRIDE
from hepar.learn.network import UNet
from hepar.learn.recipe import Recipe

OPSET = 17


def averaged_network(state: dict[str, Any]) -> UNet:
    """The network with the averaged weights of a saved training state, ready for inference."""
    net = UNet(tuple(state["widths"]), tuple(state["blocks"]))
    net.load_state_dict(state["mean"])
    net.eval()
    return net


def export(state_file: Path, folder: Path, recipe: Recipe, *, name: str = "liver3mm") -> Path:
    """Write folder/name.onnx and folder/name.json from a run's state and return the ONNX file.

    Input `image` [1, 2, D, H, W] float32, output `logits` [1, 13, D, H, W]; D, H, W are free multiples of 16.
    """
    import onnx

    state = torch.load(state_file, weights_only=True)
    net = averaged_network(state)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.onnx"
    sides = {2: "depth", 3: "height", 4: "width"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            (torch.zeros(1, 2, 32, 48, 64),),
            str(target),
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": sides, "logits": sides},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load(str(target))
    onnx.checker.check_model(model)
    inputs = [i.name for i in model.graph.input]
    if inputs != ["image"]:
        raise Fault(f"exported network has inputs {inputs}, needed ['image']")
    data = target.read_bytes()
    about = {
        "name": name,
        "format": "onnx",
        "opset": OPSET,
        "sha256": hashlib.sha256(data).hexdigest(),
        "parameters": sum(p.numel() for p in net.parameters()),
        "classes": list(CLASS_NAMES),
        "liver_classes": list(LIVER_CLASSES),
        "spacing_mm": SPACING_MM,
        "stride": STRIDE,
        "axes": "slice +z (towards the head), row +y (posterior), column +x (patient left): LPS",
        "channels": [{"clip_hu": [-150, 250], "to": [-1, 1]}, {"clip_hu": [-1024, 800], "to": [-1, 1]}],
        "outside_hu": -1024,
        "modality": "CT",
        "training": {
            "recipe_sha256": recipe.sha256,
            "steps": state["step"],
            "minutes": round(state["seconds"] / 60, 1),
        },
    }
    (folder / f"{name}.json").write_text(json.dumps(about, indent=2) + "\n")
    return target
