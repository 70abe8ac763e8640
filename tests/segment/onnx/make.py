"""Two tiny networks with known answers. Run with an environment that has onnx: python tests/segment/onnx/make.py

shift3d.onnx: image [1, 1, D, H, W] -> logits [1, 3, D, H, W]; with v the value one voxel EARLIER along the first axis:
    logits 0, 20 v - 10, 40 v - 40: class 1 above v = 0.5, class 2 above v = 1.5.
plane2d.onnx: image [1, 1, H, W] -> one map [1, 1, H, W] of labels: 1 where the value is above 0.5, else 0.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent


def save(name: str, nodes: list, constants: dict, image: list, answer: list) -> None:
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, answer)],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString())


weight = np.zeros((3, 1, 3, 1, 1), np.float32)
weight[:, 0, 0, 0, 0] = (0, 20, 40)
save(
    "shift3d",
    [
        helper.make_node(
            "Conv", ["image", "weight", "bias"], ["answer"], kernel_shape=[3, 1, 1], pads=[1, 0, 0, 1, 0, 0]
        )
    ],
    {"weight": weight, "bias": np.array([0, -10, -40], np.float32)},
    [1, 1, "D", "H", "W"],
    [1, 3, "D", "H", "W"],
)
save(
    "plane2d",
    [
        helper.make_node("Greater", ["image", "half"], ["above"]),
        helper.make_node("Cast", ["above"], ["answer"], to=TensorProto.FLOAT),
    ],
    {"half": np.array(0.5, np.float32)},
    [1, 1, "H", "W"],
    [1, 1, "H", "W"],
)
