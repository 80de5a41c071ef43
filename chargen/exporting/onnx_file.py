"""A step as an ONNX file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from chargen import __version__
from chargen.errors import MissingExtraError
from chargen.exporting.tracing import Node, Traced

if TYPE_CHECKING:
    from types import ModuleType

_OPSET, _IR_VERSION = 17, 8
"""Old enough for the runtimes in use, new enough for all that a step needs."""


def onnx_bytes(step: Traced, metadata: Mapping[str, str]) -> bytes:
    """The ONNX file of a step, its weights in it; the batch is the dimension ``batch``.

    Raises:
        MissingExtraError: the package onnx is not installed.
    """
    onnx = _import_onnx()
    helper = onnx.helper
    constants = dict(step.constants)
    nodes = [part for node in step.nodes for part in _nodes(helper, node, constants)]
    nodes += [
        helper.make_node("Identity", [source], [name]) for name, source in step.sources.items()
    ]
    graph = helper.make_graph(
        nodes,
        "step",
        [_described(helper, name, each) for name, each in step.inputs.items()],
        [_described(helper, name, each) for name, each in step.outputs.items()],
        [onnx.numpy_helper.from_array(each.numpy(), name) for name, each in constants.items()],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="chargen",
        producer_version=__version__,
    )
    helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def metadata_of(table: Mapping[str, Any]) -> dict[str, str]:
    """What an ONNX file says of itself: the version, and the table of the tokenizer as JSON."""
    return {
        "chargen": __version__,
        "newline": str(table["newline"]),
        "tokenizer": json.dumps(table, ensure_ascii=False),
    }


def _import_onnx() -> ModuleType:
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError as error:
        raise MissingExtraError("onnx", "export", "Exporting to ONNX") from error
    return onnx


def _described(helper: Any, name: str, example: Tensor) -> Any:
    """The type and shape of an input or output, from an example of it."""
    kind = helper.np_dtype_to_tensor_dtype(example.numpy().dtype)
    return helper.make_tensor_value_info(name, kind, ["batch", *example.shape[1:]])


def _nodes(helper: Any, node: Node, constants: dict[str, Tensor]) -> list[Any]:
    """ONNX's nodes for one of ours; numbers that it wants as inputs become constants."""
    inputs, attributes = list(node.inputs), dict(node.attributes)

    def constant(value: Any) -> str:
        name = f"number.{value}"
        constants[name] = torch.tensor(value)
        return name

    if node.op == "Gemm":
        attributes = {"transB": 1}
    elif node.op in ("Concat", "Softmax"):
        attributes = {"axis": -1}
    elif node.op == "Unsqueeze":
        inputs.append(constant([-1]))
    elif node.op == "Slice":
        inputs += [constant([attributes.pop("start")]), constant([attributes.pop("end")])]
        inputs.append(constant([-1]))
    elif node.op == "Clip":
        inputs += [constant(attributes.pop("low")), constant(attributes.pop("high"))]
    return [helper.make_node(node.op, inputs, [node.output], **attributes)]
