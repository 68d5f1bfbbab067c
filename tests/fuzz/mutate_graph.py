"""Mutations of what a file says around the streams: shapes, types, indices, offsets, options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.fuzz.containers import NpzContainer, TfliteContainer

__all__ = ["mutate_arrays", "mutate_graph"]

Random = np.random.Generator

_EDGES = (-(1 << 31), -100, -2, -1, 0, 1, 2, 3, 15, 16, 17, 255, 65536, 1 << 20, (1 << 31) - 1)
_ALLOCATION = b"OfflineMemoryAllocation"


def mutate_graph(container: TfliteContainer, random: Random) -> str:
    """Change a flatbuffer in one to four places; what was done."""
    done = []
    for _ in range(int(min(random.geometric(0.5), 4))):
        mutation = _MUTATIONS[int(random.integers(len(_MUTATIONS)))]
        mutation(container, random)
        done.append(mutation.__name__.lstrip("_"))
    return "+".join(done)


def mutate_arrays(container: NpzContainer, random: Random) -> str:
    """Change the small arrays of a raw file in one to four places; what was done."""
    done = []
    for _ in range(int(min(random.geometric(0.5), 4))):
        name = str(random.choice(sorted(container.arrays)))
        array = np.array(container.arrays[name])
        way = int(random.integers(4))
        if way == 0:
            del container.arrays[name]
        elif way == 1 and array.dtype.kind in "iu":
            container.arrays[name] = array.astype(str(random.choice(["<f8", "<i8", "u1", "<U3"])))
        elif way == 2:
            container.arrays[name] = array.reshape(-1)[: int(random.integers(array.size + 1))]
        elif array.size and array.dtype.kind in "iu":
            value = _edge(random) & 0x7F if array.dtype.itemsize == 1 else _edge(random)
            array.reshape(-1)[int(random.integers(array.size))] = value
            container.arrays[name] = array
        done.append(f"{name}/{way}")
        if not container.arrays:
            break
    return "+".join(done)


def _edge(random: Random) -> int:
    if random.random() < 0.6:
        return int(_EDGES[int(random.integers(len(_EDGES)))])
    return int(random.integers(-64, 1024))


def _one(random: Random, items: Any) -> Any:
    return items[int(random.integers(len(items)))]


def _offset(container: TfliteContainer, random: Random) -> None:
    """Where tensors lie in the arena: far, negative, odd, on top of each other."""
    entry = next((e for e in container.model.metadata or [] if e.name == _ALLOCATION), None)
    if entry is None:
        return
    buffer = container.model.buffers[entry.buffer]
    values = np.frombuffer(bytes(buffer.data), "<i4").copy()
    at = int(random.integers(0, values.size))
    values[at] = _one(random, values[3:]) if random.random() < 0.3 else _edge(random)
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)


def _no_offsets(container: TfliteContainer, random: Random) -> None:
    container.model.metadata = [e for e in container.model.metadata or [] if random.random() < 0.5]


def _dimension(container: TfliteContainer, random: Random) -> None:
    tensor = _one(random, container.graph.tensors)
    shape = [int(size) for size in tensor.shape] if tensor.shape is not None else []
    if shape:
        shape[int(random.integers(len(shape)))] = _edge(random)
    tensor.shape = shape


def _shape(container: TfliteContainer, random: Random) -> None:
    tensor = _one(random, container.graph.tensors)
    tensor.shape = [_edge(random) for _ in range(int(random.integers(0, 6)))]


def _giant(container: TfliteContainer, random: Random) -> None:
    """A tensor whose size overflows everything."""
    tensor = _one(random, container.graph.tensors)
    tensor.shape = [1, *(int(_one(random, (1 << 10, 1 << 16, 1 << 20))) for _ in range(3))]


def _type(container: TfliteContainer, random: Random) -> None:
    _one(random, container.graph.tensors).type = int(random.integers(0, 22))


def _buffer(container: TfliteContainer, random: Random) -> None:
    tensor = _one(random, container.graph.tensors)
    count = len(container.model.buffers)
    tensor.buffer = int(random.integers(0, count + 2)) if random.random() < 0.8 else 0


def _variable(container: TfliteContainer, random: Random) -> None:
    tensor = _one(random, container.graph.tensors)
    tensor.isVariable = not tensor.isVariable


def _quantisation(container: TfliteContainer, random: Random) -> None:
    tensor = _one(random, container.graph.tensors)
    if tensor.quantization is None:
        return
    tensor.quantization.scale = [float(_one(random, (0.0, -1.0, np.inf, np.nan, 1e38)))]
    tensor.quantization.zeroPoint = [_edge(random)] * int(random.integers(0, 3))


def _indices(container: TfliteContainer, random: Random) -> None:
    """An index somewhere among inputs and outputs, of the graph or of an operator."""
    owner = _one(random, [container.graph, *container.graph.operators])
    name = str(random.choice(["inputs", "outputs"]))
    values = [int(index) for index in getattr(owner, name)]
    way = int(random.integers(4))
    other = int(random.integers(-2, len(container.graph.tensors) + 1))
    if way == 0 or not values:
        values.append(other)
    elif way == 1:
        values.pop(int(random.integers(len(values))))
    elif way == 2:
        values[int(random.integers(len(values)))] = other
    else:
        random.shuffle(values)
    setattr(owner, name, values)


def _operators(container: TfliteContainer, random: Random) -> None:
    """Operators twice, missing, or in another order."""
    operators = container.graph.operators
    way = int(random.integers(3))
    if way == 0:
        operators.append(_one(random, operators))
    elif way == 1 and len(operators) > 1:
        operators.pop(int(random.integers(len(operators))))
    else:
        random.shuffle(operators)


def _code(container: TfliteContainer, random: Random) -> None:
    """Another kind of operator: an `ethos-u` becomes one for the CPU."""
    code = _one(random, container.model.operatorCodes)
    if random.random() < 0.3:
        code.customCode = b"ethos-u" if random.random() < 0.5 else bytes(random.bytes(5))
    else:
        code.builtinCode = int(random.integers(-1, 212))
        code.deprecatedBuiltinCode = max(-128, min(code.builtinCode, 127))


def _options(container: TfliteContainer, random: Random) -> None:
    operator = _one(random, container.graph.operators)
    options = operator.builtinOptions
    names = (
        [name for name, value in vars(options).items() if isinstance(value, int)]
        if (options is not None)
        else []
    )
    if names:
        setattr(options, str(random.choice(names)), int(random.integers(0, 2)))
    else:
        operator.opcodeIndex = int(random.integers(0, len(container.model.operatorCodes) + 1))


_Mutation = Callable[[TfliteContainer, Random], None]
_MUTATIONS: tuple[_Mutation, ...] = (
    *(_offset, _offset, _offset, _no_offsets, _dimension, _dimension, _shape, _giant, _type),
    *(_buffer, _variable, _quantisation, _indices, _indices, _operators, _code, _options),
)
