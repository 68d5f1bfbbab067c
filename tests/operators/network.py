"""Building a quantised network operator by operator, without TensorFlow.

`Network` collects tensors and operators and serialises them; the modules beside this one
(`weighted`, `pointwise`, `shaping`, `reducing`, `recurrent`) each append one kind of operator
and know its quantisation rules. Single-operator models and random graphs are built from the
same functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from bench.core.arrays import Array
from tests.support.models.tflite_factory import Op, Tensor, model_bytes

__all__ = ["RANGES", "Network", "Quantisation", "Value", "handle_options"]


#: Smallest and largest value of each feature-map type.
RANGES = {
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-32768, 32767),
    "int32": (-(2**31), 2**31 - 1),
}


@dataclass(frozen=True)
class Quantisation:
    """`real = scale * (q - zero_point)`."""

    scale: float
    zero_point: int = 0


@dataclass(frozen=True)
class Value:
    """A tensor of a network under construction."""

    index: int
    shape: tuple[int, ...]
    dtype: str
    quantisation: Quantisation | None

    @property
    def scale(self) -> float:
        """The tensor's scale; only feature maps are asked for it."""
        if self.quantisation is None:
            raise ValueError(f"tensor {self.index} is not quantised")
        return self.quantisation.scale

    @property
    def zero_point(self) -> int:
        """The tensor's zero point, 0 where it has none."""
        return 0 if self.quantisation is None else self.quantisation.zero_point

    @property
    def rms(self) -> float:
        """Root mean square of the real values, if the integers spread over half their range."""
        low, high = RANGES[self.dtype]
        middle = (low + high + 1) // 2
        return self.scale * math.hypot((high - low) / 4, middle - self.zero_point)

    def scale_for(self, rms: float) -> float:
        """The scale by which real values of that size fill half the range of this type."""
        low, high = RANGES[self.dtype]
        return rms / ((high - low) / 4)


def handle_options(name: str) -> object:
    """The options of a VAR_HANDLE of the variable `name`."""
    options = schema.VarHandleOptionsT()
    options.container, options.sharedName = "", name
    return options


class Network:
    """Tensors and operators in the order in which they were added."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self._tensors: list[Tensor] = []
        self._operators: list[Op] = []
        self._inputs: list[int] = []
        #: Resource variables: their names, and the constants that CALL_ONCE gives them.
        self._resources: list[tuple[str, Array]] = []

    def resource(self, start: Array) -> Value:
        """The handle of a new resource variable, to which CALL_ONCE assigns `start`."""
        name = f"variable_{len(self._resources)}"
        if not self._resources:
            options = schema.CallOnceOptionsT()
            options.initSubgraphIndex = 1
            self._operators.append(Op("CALL_ONCE", (), (), options))
        self._resources.append((name, start))
        return self._handle(name)

    def read_resource(self, handle: Value, like: Value) -> Value:
        """READ_VARIABLE: a tensor like `like`, with the variable's content."""
        return self.apply(
            "READ_VARIABLE",
            [handle],
            like.shape,
            like.dtype,
            like.quantisation,
            schema.ReadVariableOptionsT(),
        )

    def assign_resource(self, handle: Value, value: Value) -> None:
        """ASSIGN_VARIABLE."""
        inputs = (handle.index, value.index)
        self._operators.append(Op("ASSIGN_VARIABLE", inputs, (), schema.AssignVariableOptionsT()))

    def _handle(self, name: str) -> Value:
        return self.apply("VAR_HANDLE", [], (), "resource", None, handle_options(name))

    def _once(self) -> tuple[list[Tensor], list[Op]] | None:
        """The subgraph that runs once."""
        if not self._resources:
            return None
        tensors: list[Tensor] = []
        operators: list[Op] = []
        for name, start in self._resources:
            at = len(tensors)
            tensors.append(Tensor(f"handle of {name}", (), "resource"))
            tensors.append(Tensor(f"start of {name}", start.shape, start.dtype.name, data=start))
            operators.append(Op("VAR_HANDLE", (), (at,), handle_options(name)))
            options = schema.AssignVariableOptionsT()
            operators.append(Op("ASSIGN_VARIABLE", (at, at + 1), (), options))
        return tensors, operators

    def input(
        self,
        shape: Sequence[int],
        dtype: str = "int8",
        scale: float | None = None,
        zero_point: int | None = None,
    ) -> Value:
        """A model input. Without parameters: values in about -2..2, off the centre; float32
        values are real.
        """
        if dtype == "float32":
            return self._input(self._add(tuple(shape), dtype, None))
        default_scale, default_zero = {
            "int8": (0.0157, -3),
            "uint8": (0.0157, 125),
            "int16": (2.0 / 32768, 0),
            "int32": (1e-6, 0),
        }[dtype]
        quantisation = Quantisation(
            default_scale if scale is None else scale,
            default_zero if zero_point is None else zero_point,
        )
        return self._input(self._add(tuple(shape), dtype, quantisation))

    def constant(
        self,
        data: Array,
        scale: float | tuple[float, ...] | None = None,
        zero_point: int = 0,
        channel_axis: int = 0,
    ) -> Value:
        """A constant tensor; a tuple of scales quantises it per channel."""
        index = len(self._tensors)
        self._tensors.append(
            Tensor(
                f"constant_{index}",
                data.shape,
                data.dtype.name,
                scale,
                zero_point,
                data,
                channel_axis=channel_axis,
            )
        )
        quantisation = Quantisation(scale, zero_point) if isinstance(scale, float) else None
        return Value(index, data.shape, data.dtype.name, quantisation)

    def integers(self, *values: int) -> Value:
        """An int32 vector: axes, paddings, shapes."""
        return self.constant(np.array(values, np.int32))

    def variable(self, shape: Sequence[int], dtype: str, quantisation: Quantisation) -> Value:
        """A tensor that keeps its content from one invocation to the next."""
        return self._add(tuple(shape), dtype, quantisation, variable=True)

    def intermediate(self, dtype: str, quantisation: Quantisation) -> Value:
        """A tensor that only carries a quantisation."""
        return self._add((0,), dtype, quantisation)

    def apply(
        self,
        builtin: str,
        inputs: Sequence[Value | None],
        shape: Sequence[int],
        dtype: str,
        quantisation: Quantisation | None,
        options: object | None = None,
        version: int = 1,
        intermediates: Sequence[Value] = (),
    ) -> Value:
        """Append an operator of one output; None stands for an absent optional input."""
        (output,) = self.apply_many(
            builtin, inputs, [shape], dtype, quantisation, options, version, intermediates
        )
        return output

    def apply_many(
        self,
        builtin: str,
        inputs: Sequence[Value | None],
        shapes: Sequence[Sequence[int]],
        dtype: str,
        quantisation: Quantisation | None,
        options: object | None = None,
        version: int = 1,
        intermediates: Sequence[Value] = (),
    ) -> tuple[Value, ...]:
        """Append an operator of several outputs that share type and quantisation."""
        outputs = tuple(self._add(tuple(shape), dtype, quantisation) for shape in shapes)
        self._operators.append(
            Op(
                builtin,
                tuple(-1 if value is None else value.index for value in inputs),
                tuple(value.index for value in outputs),
                options,
                version=version,
                intermediates=tuple(value.index for value in intermediates),
            )
        )
        return outputs

    def serialise(self, outputs: Sequence[Value]) -> bytes:
        """The `.tflite` file."""
        return model_bytes(
            self._tensors,
            self._operators,
            self._inputs,
            [value.index for value in outputs],
            once=self._once(),
        )

    def _input(self, value: Value) -> Value:
        self._inputs.append(value.index)
        return value

    def _add(
        self,
        shape: tuple[int, ...],
        dtype: str,
        quantisation: Quantisation | None,
        *,
        variable: bool = False,
    ) -> Value:
        index = len(self._tensors)
        scale = None if quantisation is None else quantisation.scale
        zero_point = 0 if quantisation is None else quantisation.zero_point
        self._tensors.append(
            Tensor(f"tensor_{index}", shape, dtype, scale, zero_point, variable=variable)
        )
        return Value(index, shape, dtype, quantisation)
