"""What a correct NPU must answer, and who says so.

TFLite-Micro's integer kernels round as Vela's command streams ask the NPU to, so its outputs are
what a correct NPU must give, bit for bit. Where it lacks a kernel, LiteRT runs that operator and
TFLite-Micro the others; whether the whole is still exact depends on what the operator does. Where
an interpreter dies of the model there is no reference, and that is a finding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Protocol

from bench.core.arrays import Array, join_parts, row_slices
from bench.core.errors import ModelError
from bench.core.processes import Bounds
from bench.core.processes.servers import End
from bench.core.rows import row_shape, steps_of
from bench.core.versions import installed_version
from bench.tflite.extract import EXTRACT_DAMAGE, extract_operators, inputs_of, stands_alone
from bench.tflite.graph import FileGraph, OperatorNode
from bench.tflite.interpreters import (
    INTERPRETER_BOUNDS,
    DiedError,
    Interpreter,
    InterpreterError,
    RefusedError,
    Request,
    run_model,
    shared_interpreters,
    tensor_bytes,
)
from bench.tflite.model_file import inspect
from bench.tflite.reader import read_graph

__all__ = ["Reference", "ReferenceOutputs", "ReferenceRunner"]

#: Operators that only move values, or only choose among them: no result depends on how a kernel
#: rounds, as nothing is computed. They are exact in any kernel while their tensors share one
#: scale and zero point, for then nothing is rescaled either.
_ROUNDS_NOTHING = frozenset(
    {
        # Moved.
        *("BATCH_TO_SPACE_ND", "BROADCAST_TO", "CONCATENATION", "DEPTH_TO_SPACE", "EXPAND_DIMS"),
        *("GATHER", "GATHER_ND", "MIRROR_PAD", "PACK", "PAD", "PADV2", "RESHAPE", "REVERSE_V2"),
        *("SLICE", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SQUEEZE"),
        *("STRIDED_SLICE", "TILE", "TRANSPOSE", "UNPACK"),
        # Chosen.
        *("ARG_MAX", "ARG_MIN", "MAXIMUM", "MAX_POOL_2D", "MINIMUM", "REDUCE_MAX", "REDUCE_MIN"),
        *("SELECT", "SELECT_V2", "TOPK_V2"),
    }
)

#: All tensors of the rows that are run together, in bytes, if there is more than one row.
_PART_BYTES = 64 << 20
_DISTRIBUTIONS = {Interpreter.TFLM: "tflite-micro", Interpreter.LITERT: "ai-edge-litert"}


@dataclass(frozen=True)
class ReferenceOutputs:
    """What the reference answered, or why there is none."""

    #: One array `[n, ...]` for each model output; none where there is no reference.
    outputs: tuple[Array, ...] = ()
    #: Who gave them, with versions.
    interpreter: str = ""
    #: Why a correct NPU may differ from them; empty where it may not.
    inexact: str = ""
    #: Why there are none.
    absent: str = ""


class Reference(Protocol):
    """Gives reference outputs: by running the interpreters, or from a cache."""

    def fingerprint(self) -> Mapping[str, str]:
        """What the outputs depend on besides model and inputs."""
        ...

    def __call__(self, model: Path, inputs: Sequence[Array]) -> ReferenceOutputs:
        """The reference outputs of the quantised model at `model`.

        `inputs` as for `run_model`. An interpreter's refusal or death is part of the answer.
        Raises `ModelError` when the file is damaged or the inputs do not fit, `PrerequisiteError`
        when an interpreter is not installed.
        """
        ...


@dataclass(frozen=True)
class ReferenceRunner:
    """A `Reference` that runs the interpreters; `bounds.seconds` are for each row."""

    bounds: Bounds = INTERPRETER_BOUNDS

    def fingerprint(self) -> Mapping[str, str]:
        """The interpreters' versions, and how long and how large they may become."""
        versions = {name: installed_version(name) for name in _DISTRIBUTIONS.values()}
        bounds = f"{self.bounds.seconds:g} s, {self.bounds.memory_bytes} bytes"
        return {**versions, "interpreter bounds": bounds}

    def __call__(self, model: Path, inputs: Sequence[Array]) -> ReferenceOutputs:
        """See `Reference`."""
        try:
            outputs = run_model(Interpreter.TFLM, model, inputs, self.bounds)
        except DiedError as error:
            return ReferenceOutputs(absent=_death(error, model, inputs, self.bounds))
        except RefusedError as error:
            return _with_litert(error, model, inputs, self.bounds)
        return ReferenceOutputs(outputs, _name(Interpreter.TFLM))


def _with_litert(
    refusal: RefusedError, path: Path, inputs: Sequence[Array], bounds: Bounds
) -> ReferenceOutputs:
    """The reference of a model that TFLite-Micro refuses."""
    graph = read_graph(path)
    try:
        streams = steps_of([graph.tensors[i] for i in graph.inputs], inputs) is not None
        if streams or not _can_be_cut(path, graph):
            outputs = run_model(Interpreter.LITERT, path, inputs, bounds)
            who = _name(Interpreter.LITERT)
            return ReferenceOutputs(outputs, who, inexact=f"LiteRT, not exact ({refusal.reason})")
        pieces = _Pieces(path, graph, bounds)
        runners = pieces.choose_runners(inputs)
        outputs = pieces.run(runners, inputs)
    except InterpreterError as error:
        return ReferenceOutputs(absent=_no_reference(refusal, error, path))
    except _OperatorError as error:
        return ReferenceOutputs(absent=str(error))
    foreign = [graph.operators[i] for i, who in enumerate(runners) if who is Interpreter.LITERT]
    rounding = [node for node in foreign if not _rounds_nothing(graph, node)]
    inexact = f"LiteRT, not exact: {_names(rounding)}" if rounding else ""
    return ReferenceOutputs(outputs, _joint_name(graph, foreign), inexact)


def _no_reference(refusal: RefusedError, error: InterpreterError, path: Path) -> str:
    first = f"TFLite-Micro cannot run {path.stem}: {refusal.reason}"
    if isinstance(error, RefusedError):
        return f"{first}; neither can {error.interpreter.value}: {error.reason}"
    return f"{first}; {error.interpreter.value} {error.reason} on it"


def _death(error: DiedError, path: Path, inputs: Sequence[Array], bounds: Bounds) -> str:
    """The finding, with the operator where one alone has the same effect."""
    where = ""
    graph = read_graph(path)
    if error.end is End.ITSELF and _can_be_cut(path, graph):
        try:
            _Pieces(path, graph, bounds).choose_runners(inputs)
        except _OperatorError as found:
            where = f" ({found.operator})"
    return f"{error.interpreter.value} {error.reason} on {path.stem}{where}"


class _OperatorError(Exception):
    """Neither interpreter gives an answer for one operator of a model."""

    def __init__(self, what: str, operator: str) -> None:
        super().__init__(what)
        self.operator = operator


class _Pieces:
    """A model that is run in pieces, each by one interpreter."""

    def __init__(self, path: Path, graph: FileGraph, bounds: Bounds) -> None:
        self._path = path
        self._graph = graph
        self._bounds = bounds

    def choose_runners(self, inputs: Sequence[Array]) -> list[Interpreter]:
        """Who runs each operator: TFLite-Micro, or LiteRT where that refuses; tried on one row.

        Raises `_OperatorError` where both refuse an operator, or one dies of it.
        """
        values = self._given([array[:1] for array in inputs])
        chosen = []
        for number, node in enumerate(self._graph.operators):
            refusals = []
            for interpreter in Interpreter:
                try:
                    values.update(self._piece(interpreter, [number], node.outputs, values))
                except RefusedError as error:
                    refusals.append(error.what)
                except DiedError as error:
                    operator = f"operator {number}, {_operator_name(node)}"
                    what = f"{interpreter.value} {error.reason} on {self._path.stem} ({operator})"
                    raise _OperatorError(what, operator) from error
                else:
                    chosen.append(interpreter)
                    break
            else:
                operator = f"operator {number}, {_operator_name(node)}"
                what = f"no interpreter runs {operator}: {'; '.join(refusals)}"
                raise _OperatorError(what, operator)
        return chosen

    def run(self, runners: Sequence[Interpreter], inputs: Sequence[Array]) -> tuple[Array, ...]:
        """The outputs for all rows, with as few pieces as `runners` allow."""
        rows = len(inputs[0])
        # The values of a row are kept until its outputs are known.
        row_bytes = sum(
            tensor_bytes(tensor) for tensor in self._graph.tensors if not tensor.constant_bytes
        )
        return join_parts(
            rows,
            (
                (part, self._run_part(runners, [array[part] for array in inputs]))
                for part in row_slices(rows, row_bytes, _PART_BYTES)
            ),
        )

    def _run_part(
        self, runners: Sequence[Interpreter], inputs: Sequence[Array]
    ) -> tuple[Array, ...]:
        values = self._given(inputs)
        numbers = range(len(runners))
        for interpreter, group in groupby(numbers, key=lambda number: runners[number]):
            piece = list(group)
            later = [self._graph.operators[i] for i in numbers if i > piece[-1]]
            wanted = {i for node in later for i in node.inputs} | set(self._graph.outputs)
            made = [i for number in piece for i in self._graph.operators[number].outputs]
            outputs = [index for index in made if index in wanted]
            values.update(self._piece(interpreter, piece, outputs, values))
        rows = len(inputs[0])
        return tuple(
            values[index].reshape(rows, *row_shape(self._graph.tensors[index]))
            for index in self._graph.outputs
        )

    def _given(self, inputs: Sequence[Array]) -> dict[int, Array]:
        """The model's inputs as `[n, *tensor shape]`, by their tensors."""
        return {
            index: array.reshape(len(array), *self._graph.tensors[index].shape)
            for index, array in zip(self._graph.inputs, inputs, strict=True)
        }

    def _piece(
        self,
        interpreter: Interpreter,
        numbers: Sequence[int],
        outputs: Sequence[int],
        values: Mapping[int, Array],
    ) -> dict[int, Array]:
        """What the operators `numbers`, run after one another, make of `values`."""
        graph = self._graph
        operators = {number: graph.operators[number] for number in numbers}
        needed = inputs_of(list(operators.values()), graph.constants)
        try:
            model = extract_operators(graph.data, operators, outputs, graph.constants)
            given = tuple(values[index] for index in needed)
        except (*EXTRACT_DAMAGE, KeyError) as error:
            raise ModelError(
                f"{self._path}: operators {numbers[0]} to {numbers[-1]} cannot be run by "
                f"themselves: {error!r}",
                cure="convert the model again",
            ) from error
        rows = tuple(array[:, None] for array in given)
        request = Request(interpreter, model, rows, len(outputs), fresh=False)
        answers = shared_interpreters().run(request, self._bounds)
        return {index: answer[:, 0] for index, answer in zip(outputs, answers, strict=True)}


def _can_be_cut(path: Path, graph: FileGraph) -> bool:
    alone = all(stands_alone(node.info.name) for node in graph.operators)
    return alone and not inspect(path).has_state


def _rounds_nothing(graph: FileGraph, node: OperatorNode) -> bool:
    tensors = [graph.tensors[i] for i in (*node.inputs, *node.outputs) if i >= 0]
    scales = {(tensor.scales, tensor.zero_points) for tensor in tensors if tensor.scales}
    return node.info.name in _ROUNDS_NOTHING and len(scales) <= 1


def _joint_name(graph: FileGraph, foreign: Sequence[OperatorNode]) -> str:
    if len(foreign) == len(graph.operators):
        return _name(Interpreter.LITERT)
    return f"{_name(Interpreter.TFLM)}, with {_names(foreign)} by {_name(Interpreter.LITERT)}"


def _names(nodes: Sequence[OperatorNode]) -> str:
    return ", ".join(dict.fromkeys(map(_operator_name, nodes)))


def _operator_name(node: OperatorNode) -> str:
    return node.info.custom or node.info.name


def _name(interpreter: Interpreter) -> str:
    distribution = _DISTRIBUTIONS[interpreter]
    return f"{distribution} {installed_version(distribution)}"
