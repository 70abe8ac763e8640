"""Group norms rewritten: the same numbers, and nothing that is no group norm is touched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hepar.segment.network import shipped
from hepar.segment.norms import keep_layout

SHAPE = [1, 6, 4, 5, 7]
WEIGHT, BIAS = np.linspace(0.5, 2, 6, dtype=np.float32), np.linspace(-1, 1, 6, dtype=np.float32)


def exported(scale: float = 1.0) -> Any:
    """Two groups as torch writes them: reshape, instance norm (its scale as given), reshape, scale, shift."""
    import openvino as ov
    from openvino import opset13 as op

    def column(values: Any, shape: list[int]) -> Any:
        return op.constant(np.asarray(values, np.float32).reshape(shape))

    image = op.parameter(SHAPE, np.float32, name="image")
    flat = op.reshape(image, op.constant(np.array([0, 2, -1], np.int64)), True)
    norm = op.mvn(flat, op.constant(np.array([2], np.int64)), True, 1e-5, "inside_sqrt")
    inner = op.add(op.multiply(norm, column([scale, scale], [1, 2, 1])), column([0, 0], [1, 2, 1]))
    back = op.reshape(inner, op.constant(np.array(SHAPE, np.int64)), False)
    out = op.add(op.multiply(back, column(WEIGHT, [6, 1, 1, 1])), column(BIAS, [6, 1, 1, 1]))
    return ov.Model([op.relu(out)], [image], "norm")


def answer(model: Any, image: NDArray[np.float32], **options: Any) -> NDArray[np.float32]:
    import openvino as ov

    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", **options})
    return np.array(compiled(image)[0])


def test_the_rewritten_norm_is_the_formula() -> None:
    """(x - mean of the group) / sqrt(variance + 1e-5) * weight + bias, on values far from zero; negative ones cut."""
    image = np.random.default_rng(0).normal(3, 2, SHAPE).astype(np.float32)
    groups = image.astype(float).reshape(1, 2, -1)
    normal = (groups - groups.mean(-1, keepdims=True)) / np.sqrt(groups.var(-1, keepdims=True) + 1e-5)
    wanted = normal.reshape(SHAPE) * WEIGHT.reshape(6, 1, 1, 1) + BIAS.reshape(6, 1, 1, 1)
    model = exported()
    assert keep_layout(model) == 1
    assert "MVN" not in {node.get_type_name() for node in model.get_ordered_ops()}
    assert np.allclose(answer(model, image), np.maximum(wanted, 0), atol=1e-5)


def test_an_even_image_gives_the_bias() -> None:
    """No variance: nothing is divided by zero, nor by the rounding of a difference."""
    model = exported()
    keep_layout(model)
    got = answer(model, np.full(SHAPE, 100, np.float32))
    assert np.allclose(got, np.maximum(BIAS, 0).reshape(1, 6, 1, 1, 1) * np.ones(SHAPE), atol=0.1)


def test_what_is_no_group_norm_stays() -> None:
    """An instance norm with a scale of its own between the reshapes."""
    model = exported(scale=1.5)
    assert keep_layout(model) == 0
    assert "MVN" in {node.get_type_name() for node in model.get_ordered_ops()}


@pytest.mark.parametrize(("name", "channels"), [("liver3mm", 2), ("region", 4)])
def test_the_shipped_networks_answer_the_same(name: str, channels: int) -> None:
    """All 24 norms are found; logits within a thousandth (they range over tens); one thread or two, the same bytes."""
    import openvino as ov

    shape = [1, channels, 32, 32, 48]
    image = np.random.default_rng(1).normal(0, 0.5, shape).astype(np.float32)

    def read() -> Any:
        model = ov.Core().read_model(str(shipped(name)))
        model.reshape(shape)
        return model

    before = answer(read(), image)
    model = read()
    assert keep_layout(model) == 24
    after = answer(model, image, INFERENCE_NUM_THREADS=1)
    assert np.abs(after - before).max() < 2e-3
    assert (after == answer(model, image, INFERENCE_NUM_THREADS=2)).all()
