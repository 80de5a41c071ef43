"""An ONNX graph that is put together node by node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from chargen import __version__
from chargen.errors import MissingExtraError
from chargen.exporting.tracing import Node, Traced

if TYPE_CHECKING:
    from types import ModuleType

_OPSET, _IR_VERSION = 17, 8
"""Old enough for the runtimes in use, new enough for all that is needed."""
BATCH, CHARACTERS = "batch", "characters"
"""Names of the dimensions that vary."""


class Graph:
    """Nodes and the constants that they share; values are known by their names.

    Attributes:
        onnx: the package.

    Raises:
        MissingExtraError: the package onnx is not installed.
    """

    def __init__(self) -> None:
        self.onnx = _import_onnx()
        self._nodes: list[Any] = []
        self._constants: dict[str, Tensor] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def input(self, name: str, example: Tensor, *, varying: bool = False) -> str:
        """Declare an input of the type and shape of an example, whose first dimension varies."""
        self._inputs.append(self._described(name, example, varying=varying))
        return name

    def output(self, name: str, source: str, example: Tensor, *, varying: bool = False) -> None:
        """Declare a value as an output."""
        self._nodes.append(self.onnx.helper.make_node("Identity", [source], [name]))
        self._outputs.append(self._described(name, example, varying=varying))

    def constant(self, value: Any, name: str | None = None) -> str:
        """Name a tensor, or a number or list of numbers."""
        name = f"number.{value}" if name is None else name
        if name not in self._constants:
            tensor = value if isinstance(value, Tensor) else torch.tensor(value)
            self._constants[name] = tensor.detach().contiguous()
        return name

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output, and name that."""
        name = f"{op.lower()}.{len(self._nodes)}"
        self._nodes.append(self.onnx.helper.make_node(op, inputs, [name], **attributes))
        return name

    def include(self, traced: Traced, prefix: str = "") -> dict[str, str]:
        """Add the operations of a function; its inputs are values of the same names.

        Returns:
            The value that each output is. ``prefix`` keeps apart the values of several functions.
        """
        nodes, sources = self._included(traced, prefix, {})
        self._nodes += nodes
        return sources

    def scan(
        self,
        body: Traced,
        states: Mapping[str, str],
        rows: Mapping[str, str],
        prefix: str,
        *,
        backwards: bool,
    ) -> dict[str, str]:
        """Carry a function out at each character of texts.

        Args:
            body: its outputs are what each of ``states`` is afterwards, in that order, and one for
                each character.
            states: values that its inputs of these names have before the first character.
            rows: values (B, S, …), of which the other inputs have a character at a time.
            prefix: of the names within.
            backwards: whether the last character is the first.

        Returns:
            The outputs by name: states (B, …) after the last character, and (B, S, …) for each.
        """
        helper = self.onnx.helper
        named = {name: prefix + name for name in body.inputs}
        nodes, sources = self._included(body, prefix, named)
        outputs = {name: f"{prefix}next.{name}" for name in body.outputs}
        nodes += [helper.make_node("Identity", [sources[n]], [outputs[n]]) for n in outputs]
        graph = helper.make_graph(
            nodes,
            prefix + "step",
            [self._described(named[n], body.inputs[n]) for n in (*states, *rows)],
            [self._described(outputs[n], each) for n, each in body.outputs.items()],
        )
        found = {name: f"{prefix}all.{name}" for name in body.outputs}
        direction, each = int(backwards), len(outputs) - len(states)
        node = helper.make_node(
            "Scan",
            [*states.values(), *rows.values()],
            list(found.values()),
            body=graph,
            num_scan_inputs=len(rows),
            scan_input_axes=[1] * len(rows),
            scan_input_directions=[direction] * len(rows),
            scan_output_axes=[1] * each,
            scan_output_directions=[direction] * each,
        )
        self._nodes.append(node)
        return found

    def to_bytes(self, name: str, metadata: Mapping[str, str]) -> bytes:
        """The ONNX file, checked."""
        helper, to_array = self.onnx.helper, self.onnx.numpy_helper.from_array
        constants = [to_array(each.numpy(), key) for key, each in self._constants.items()]
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, constants)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
            producer_name="chargen",
            producer_version=__version__,
        )
        helper.set_model_props(model, dict(metadata))
        self.onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString(deterministic=True)
        return content

    def _included(
        self, traced: Traced, prefix: str, inputs: Mapping[str, str]
    ) -> tuple[list[Any], dict[str, str]]:
        own = {node.output for node in traced.nodes}
        own |= {name for name in traced.constants if name.startswith("constant.")}
        names = {name: prefix + name for name in own} | dict(inputs)
        for name, each in traced.constants.items():
            self.constant(each, names.get(name, name))
        nodes = [part for node in traced.nodes for part in self._parts(node, names)]
        return nodes, {name: names.get(each, each) for name, each in traced.sources.items()}

    def _parts(self, node: Node, names: Mapping[str, str]) -> Iterable[Any]:
        """ONNX's nodes for one of ours; numbers that it wants as inputs become constants."""
        inputs = [names.get(name, name) for name in node.inputs]
        attributes: dict[str, Any] = dict(node.attributes)
        axis = attributes.pop("axis", -1)
        if node.op == "Gemm":
            attributes = {"transB": 1}
        elif node.op in ("Concat", "Softmax"):
            attributes = {"axis": axis}
        elif node.op == "Unsqueeze":
            inputs.append(self.constant([axis]))
        elif node.op == "ReduceSum":
            inputs.append(self.constant([axis]))
            attributes = {"keepdims": 0}
        elif node.op == "Slice":
            ends = [[attributes.pop("start")], [attributes.pop("end")], [axis]]
            inputs += map(self.constant, ends)
        elif node.op == "Clip":
            inputs += [self.constant(attributes.pop("low")), self.constant(attributes.pop("high"))]
        outputs: Sequence[str] = [names.get(node.output, node.output)]
        yield self.onnx.helper.make_node(node.op, inputs, outputs, **attributes)

    def _described(self, name: str, example: Tensor, *, varying: bool = False) -> Any:
        """The type and shape of a value, from an example of it."""
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(example.numpy().dtype)
        sizes: list[int | str] = [BATCH, *example.shape[1:]]
        if varying:
            sizes[1] = CHARACTERS
        return self.onnx.helper.make_tensor_value_info(name, kind, sizes)


def _import_onnx() -> ModuleType:
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError as error:
        raise MissingExtraError("onnx", "export", "Exporting to ONNX") from error
    return onnx
