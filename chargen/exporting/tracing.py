"""A function of tensors as a list of operations, found by running it once.

The operations have ONNX's names, so that one list serves the ONNX file and the page. What doesn't
depend on the inputs is computed while the function runs, and becomes a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Value: TypeAlias = str
"""The name of a number that depends on the inputs, or of a constant."""


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        op: ONNX's name for it.
        inputs: names of values.
        output: the name of what it gives.
        attributes: numbers that it needs besides; ``Slice`` has its ``start`` and ``end`` here,
            in the last dimension. ``axis`` is the dimension, where it isn't the last.
    """

    op: str
    inputs: tuple[Value, ...]
    output: Value
    attributes: Mapping[str, int | float] = field(default_factory=dict)


@dataclass(frozen=True)
class Traced:
    """A function as operations on rows (B, …).

    Attributes:
        inputs: an example of each input, by name.
        outputs: an example of each output, by name.
        sources: the name of the value that each output is.
        nodes: the operations in order.
        constants: the numbers that they share.
        varying: inputs and outputs whose second dimension is not always that of the example.
    """

    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    sources: Mapping[str, Value]
    nodes: Sequence[Node]
    constants: Mapping[str, Tensor]
    varying: frozenset[str] = frozenset()


def trace(
    function: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]],
    inputs: Mapping[str, Tensor],
    known: Mapping[str, Tensor],
) -> Traced:
    """Run ``function`` of ``inputs`` by name, and note its operations.

    Args:
        function: of tensors whose first dimension is the batch, which it doesn't mix.
        inputs: examples with the same number of rows.
        known: tensors whose names constants take over.

    Raises:
        NotImplementedError: an operation has no counterpart here.
    """
    recorder = _Recorder(inputs, known)
    with torch.no_grad(), recorder:
        outputs = function(inputs)
    sources = {name: recorder.name_of(tensor) for name, tensor in outputs.items()}
    used = _used(recorder.nodes, sources.values())
    read = {name for node in used for name in node.inputs}
    constants = {name: each for name, each in recorder.constants.items() if name in read}
    return Traced(inputs, outputs, sources, used, constants)


def _used(nodes: Sequence[Node], wanted: Any) -> list[Node]:
    """The nodes that the outputs depend on, in order."""
    needed, kept = set(wanted), []
    for node in reversed(nodes):
        if node.output in needed:
            needed.update(node.inputs)
            kept.append(node)
    return kept[::-1]


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every operation on a tensor that depends on the inputs."""

    def __init__(self, inputs: Mapping[str, Tensor], known: Mapping[str, Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.nodes: list[Node] = []
        self.constants: dict[str, Tensor] = {}
        self._names = {_place(tensor): name for name, tensor in known.items()}
        # With the tensors themselves: the id or the memory of one that is gone may be used again.
        self._found = {id(tensor): (name, tensor) for name, tensor in inputs.items()}
        self._kept: list[Tensor] = list(known.values())

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        flat = [part for each in args for part in (each if isinstance(each, list) else [each])]
        if any(self._depends(each) for each in flat):
            self._note(func.overloadpacket.__name__, args, kwargs or {}, result)
        return result

    def name_of(self, tensor: Tensor) -> Value:
        """The name of a tensor; one that depends on no input is a constant."""
        if self._depends(tensor):
            return self._found[id(tensor)][0]
        name = self._names.setdefault(_place(tensor), f"constant.{len(self.constants)}")
        if name not in self.constants:
            self.constants[name] = tensor.detach().contiguous()
            self._kept.append(tensor)
        return name

    def _depends(self, value: Any) -> bool:
        return isinstance(value, Tensor) and id(value) in self._found

    def _note(self, op: str, args: tuple[Any, ...], kwargs: Any, result: Any) -> None:
        if op in ("alias", "detach"):
            self._give(result, self.name_of(args[0]))
        elif op == "split":
            start = 0
            for part in result:
                end = start + part.shape[-1]
                self._give(part, self._add("Slice", args[:1], start=start, end=end))
                start = end
        elif op == "log_sigmoid_forward":  # −softplus(−x)
            softplus = self._add("Softplus", [self._add("Neg", args[:1])])
            self._give(result[0], self._add("Neg", [softplus]))
        else:
            self._give(result, self._operation(op, args, kwargs, result))

    def _operation(self, op: str, args: tuple[Any, ...], kwargs: Any, result: Tensor) -> Value:
        inputs, attributes = args[:1], {}
        in_rows = bool(args) and isinstance(args[0], Tensor) and args[0].ndim > 1
        if op in _ELEMENTWISE and not kwargs:
            name, inputs = _ELEMENTWISE[op], args
        elif op in ("mm", "addmm") and not self._depends(args[-1]):
            *bias, x, W = args
            name, inputs = "Gemm", (x, W.t(), *bias)
        elif op == "embedding":
            name, inputs = "Gather", args[:2]
        elif op == "_softmax" and in_rows and args[1] in (-1, 1):
            name = "Softmax"
        elif op == "clamp":
            name, attributes = "Clip", {"low": args[1], "high": args[2]}
        elif op == "cat" and args[1] in (-1, 1):
            name, inputs = "Concat", tuple(each for each in args[0] if each.shape[-1])
        elif op == "index" and len(args[1]) == 1:
            name, inputs = "Gather", (args[0], args[1][0])
        elif op == "sum" and len(args[1]) == 1:
            name, attributes = "ReduceSum", {"axis": args[1][0]}
        elif op == "unsqueeze":
            name, last = "Unsqueeze", args[1] in (-1, args[0].ndim)
            attributes = {} if last else {"axis": args[1]}
        elif op == "slice" and in_rows and args[1] in (-1, 1):
            name, attributes = "Slice", {"start": args[2], "end": args[2] + result.shape[-1]}
        else:
            raise NotImplementedError(f"torch's operation {op} has no counterpart in an export")
        return self._add(name, inputs, **attributes)

    def _give(self, tensor: Tensor, name: Value) -> None:
        self._found[id(tensor)] = (name, tensor)

    def _add(self, op: str, inputs: Sequence[Any], **attributes: int | float) -> Value:
        kind = next(each.dtype for each in [*inputs, torch.zeros(())] if isinstance(each, Tensor))
        names = []
        for each in inputs:
            if isinstance(each, str):
                names.append(each)
            else:
                of = each if isinstance(each, Tensor) else torch.tensor(each, dtype=kind)
                names.append(self.name_of(of))
        output = f"value.{len(self.nodes)}"
        self.nodes.append(Node(op, tuple(names), output, attributes))
        return output


def _place(tensor: Tensor) -> tuple[Any, ...]:
    """What two tensors of the same numbers in the same memory have in common."""
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype


_ELEMENTWISE = {
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "remainder": "Mod",
    "eq": "Equal",
    "where": "Where",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "relu": "Relu",
    "neg": "Neg",
}
"""Operations whose inputs have one shape, or a number for each row, or for all."""
