"""From a training run's state to the shipped ONNX file and its JSON description."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hepar.errors import Fault, WrongCall
from hepar.learn.classes import (
    CLASS_NAMES,
    LIVER_CLASSES,
    PHASE_SLOTS,
    REGION_CLASS_NAMES,
    SPACING_MM,
    STRIDE,
)
from hepar.learn.recipe import Recipe
from hepar.learn.region_loss import REGION_LIVER
from hepar.learn.trainer import new_network
from hepar.segment.region import LIMIT, RELATIVE_HU
from hepar.segment.region import SPACING_MM as REGION_SPACING_MM

OPSET = 17


def averaged_network(state: dict[str, Any]) -> nn.Module:
    """The network with the averaged weights of a saved training state, ready for inference."""
    sizes = tuple(state["widths"]), tuple(state["blocks"])
    net = new_network(state.get("stage", "organs"), *sizes, state.get("architecture", "residual"))
    net.load_state_dict(state["mean"])
    net.eval()
    return net


NAMES = {"organs": "liver3mm", "region": "region"}
"""What the weights of a stage are called."""


def export(state_file: Path, folder: Path, recipe: Recipe) -> Path:
    """Write the ONNX file and the JSON description of a run's state into folder; returns the ONNX file.

    Input `image` [1, channels, D, H, W] float32, output `logits` [1, classes, D, H, W]; D, H, W are free multiples of
    16. The weights of the region network are stored in half precision (and used in single): half the file, logits
    within 0.05. Raises WrongCall where the file is no state of a run, or of one last trained with another recipe.
    """
    import onnx

    try:
        state = dict(torch.load(state_file, weights_only=True, map_location="cpu"))
    except Exception as error:  # of pickle, zipfile or torch, by what the file is
        raise WrongCall(f"{state_file.name} is no state of a training run; train again, or give another run") from error
    lacking = [key for key in ("mean", "recipe", "widths", "blocks", "step", "seconds") if key not in state]
    if lacking:
        raise WrongCall(f"{state_file.name} lacks {', '.join(lacking)}; give the state that `hepar learn train` saved")
    stage = state.get("stage", "organs")
    if stage != recipe.stage:
        raise WrongCall(f"the run is of stage {stage}, the recipe of stage {recipe.stage}; give the run's own recipe")
    if state["recipe"] != recipe.sha256:
        raise WrongCall(
            f"the run was trained with a recipe of hash {state['recipe'][:12]}, this one has {recipe.sha256[:12]};"
            " give the recipe file as it was when the run was trained"
        )
    net = averaged_network(state)
    name, inputs = NAMES[stage], net.inputs
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.onnx"
    sides = {2: "depth", 3: "height", 4: "width"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            (torch.zeros(1, inputs, 32, 48, 64),),
            str(target),
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": sides, "logits": sides},
            opset_version=OPSET,
            dynamo=False,
        )
    if stage == "region":
        _halve(target)
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
        **(_region_words() if stage == "region" else _organ_words()),
        "stride": STRIDE,
        "axes": "slice +z (towards the head), row +y (posterior), column +x (patient left): LPS",
        "modality": "CT",
        "training": {
            "recipe_sha256": recipe.sha256,
            **({"start": state["start"]} if state.get("start") else {}),
            "steps": state["step"],
            "minutes": round(state["seconds"] / 60, 1),
        },
    }
    (folder / f"{name}.json").write_text(json.dumps(about, indent=2) + "\n")
    return target


def _organ_words() -> dict[str, Any]:
    return {
        "classes": list(CLASS_NAMES),
        "liver_classes": list(LIVER_CLASSES),
        "spacing_mm": SPACING_MM,
        "channels": [{"clip_hu": [-150, 250], "to": [-1, 1]}, {"clip_hu": [-1024, 800], "to": [-1, 1]}],
        "outside_hu": -1024,
    }


def _region_words() -> dict[str, Any]:
    return {
        "classes": list(REGION_CLASS_NAMES),
        "liver_classes": list(REGION_LIVER),
        "spacing_mm": REGION_SPACING_MM,
        "channels": [{"phase": p, "relative_to_liver_hu": RELATIVE_HU, "limit": LIMIT} for p in PHASE_SLOTS],
        "missing": 0,
    }


def _halve(path: Path) -> None:
    """Store every large weight in half precision behind a cast to single."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(path))
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type == TensorProto.FLOAT and len(weight.dims) == 5:
            name = weight.name
            weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype("float16"), name + ".half"))
            casts.append(helper.make_node("Cast", [name + ".half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, str(path))
