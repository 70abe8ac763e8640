"""Weights of exported networks, read back into torch."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from hepar.errors import Fault, WrongCall


def start_from(net: nn.Module, weights: Path) -> int:
    """Copy what an exported network holds under the same name and in the same shape; how many tensors were copied.

    Raises WrongCall where the file is missing, is no ONNX or shares nothing with the network.
    """
    own = net.state_dict()
    shared = {name: value for name, value in _read(net, weights).items() if value.shape == own[name].shape}
    if not shared:
        raise WrongCall(f"{weights.name} shares no weights with this network; start from one of the same architecture")
    net.load_state_dict({**own, **shared})
    return len(shared)


def load_exported(net: nn.Module, weights: Path) -> None:
    """Every weight of an exported network into a network of the same architecture; what the file lacks (the head of
    deep supervision) becomes zero, and so disturbs nothing at first.

    Raises Fault where the file is of another architecture.
    """
    own, read = net.state_dict(), _read(net, weights)
    missing = [name for name in own if name not in read or read[name].shape != own[name].shape]
    if any(not name.startswith("half_head.") for name in missing):
        raise Fault(f"{weights.name} lacks {missing[0]}; it is of another architecture")
    net.load_state_dict({**{name: torch.zeros_like(own[name]) for name in missing}, **read})


def _read(net: nn.Module, weights: Path) -> dict[str, torch.Tensor]:
    """The file's tensors by the names that the network gives them.

    ONNX names convolutions as torch does, but turns a group norm into an instance norm, a product and a sum with
    constants of other names; they stand in the file in the order in which the network runs. Another number of norms:
    none of them.
    """
    import onnx
    from onnx import numpy_helper

    if not weights.is_file():
        raise WrongCall(f"the weights {weights.name} to start from are not there; give the path of an exported network")
    try:
        graph = onnx.load(str(weights)).graph
    except Exception as error:  # of protobuf, which onnx does not name
        raise WrongCall(f"the weights {weights.name} are no ONNX file; give an exported network") from error
    stored = {i.name.removesuffix(".half"): numpy_helper.to_array(i).astype("float32") for i in graph.initializer}
    own = net.state_dict()
    read = {name: torch.from_numpy(value) for name, value in stored.items() if name in own}
    scales = [stored[n.input[1]] for n in graph.node if n.op_type == "Mul" and n.input[1] in stored]
    shifts = [stored[n.input[1]] for n in graph.node if n.op_type == "Add" and n.input[1] in stored]
    norms = _norms_as_run(net)
    if len(norms) == len(scales) == len(shifts):
        for name, scale, shift in zip(norms, scales, shifts, strict=True):
            read[f"{name}.weight"] = torch.from_numpy(scale.reshape(-1))
            read[f"{name}.bias"] = torch.from_numpy(shift.reshape(-1))
    return read


def _norms_as_run(net: nn.Module) -> list[str]:
    """Names of the group norms in the order in which a pass uses them."""
    order: list[str] = []
    hooks = [
        module.register_forward_hook(lambda *_, name=name: order.append(name))
        for name, module in net.named_modules()
        if isinstance(module, nn.GroupNorm)
    ]
    first = next(value for value in net.parameters() if value.dim() == 5)
    inputs: int = net.inputs if hasattr(net, "inputs") else first.shape[1]
    training = net.training
    net.eval()
    with torch.inference_mode():
        net(torch.zeros(1, inputs, 16, 16, 16))
    net.train(training)
    for hook in hooks:
        hook.remove()
    return order
