"""Weight streams: what Vela encodes comes back exactly, what is damaged raises.

The oracle is the C codec in Vela's wheel. It ends the process on a malformed stream, so it is
only ever given streams that are well-formed by construction.
"""

from __future__ import annotations

from typing import Any, TypedDict

import numpy as np
import pytest
from ethosu import mlw_codec
from ethosu.vela.weight_compressor import encode_bias
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.artefact.errors import StreamError
from targets.ethos_u55.weights import SCALE_BYTES, WeightOrder
from targets.simulator.native.choice import InnerLoops
from targets.simulator.weights.decoding import decode_scales, decode_weights
from targets.simulator.weights.mlw import MAX_WEIGHTS_PER_BYTE, decode_stream
from targets.simulator.weights.traversal import (
    Shape,
    Traversal,
    stream_indices,
    stream_length,
)
from tests.support.streams.weight_streams import PaletteSpec, SliceSpec, pack, slice_fields, stream


class _Where(TypedDict):
    word: int
    operation: str


WHERE: _Where = {"word": 17, "operation": "NPU_OP_CONV"}

DISTRIBUTIONS = ["dense", "pruned", "clustered4", "clustered16", "clustered32", "zero", "extreme"]


def weights_of(kind: str, size: int, rng: np.random.Generator) -> np.ndarray:
    dense: np.ndarray = np.clip(np.round(rng.normal(0, 30, size)), -127, 127)
    if kind == "pruned":
        dense[rng.random(size) < 0.8] = 0
    elif kind.startswith("clustered"):
        dense = rng.choice(rng.integers(-127, 128, int(kind.removeprefix("clustered"))), size)
    elif kind == "zero":
        dense = np.zeros(size)
    elif kind == "extreme":
        dense = rng.choice([-255, 255, -128, 127, 0, 1], size)
    elif kind == "uniform":
        dense = rng.integers(-255, 256, size)
    return dense.astype(np.int16)


def encoded(weights: np.ndarray) -> np.ndarray:
    return np.frombuffer(bytes(mlw_codec.encode(weights.tolist())), np.uint8)


def decoded(data: np.ndarray, limit: int | None = None) -> np.ndarray:
    """By Python and by machine code, which agree, also about what is wrong."""
    most = MAX_WEIGHTS_PER_BYTE * data.size
    answers: list[np.ndarray | StreamError] = []
    for kernels in (None, InnerLoops.FASTEST.kernels()):
        try:
            answers.append(
                decode_stream(
                    data, limit=most if limit is None else limit, **WHERE, kernels=kernels
                )
            )
        except StreamError as error:
            answers.append(error)
    python, machine = answers
    if isinstance(python, StreamError):
        assert str(machine) == str(python)
        raise python
    assert isinstance(machine, np.ndarray)
    assert np.array_equal(machine, python)
    return machine


@settings(max_examples=120, deadline=None)
@given(
    kind=st.sampled_from([*DISTRIBUTIONS, "uniform"]),
    size=st.one_of(st.integers(1, 40), st.integers(1, 4000)),
    seed=st.integers(0, 2**32),
)
def test_what_velas_encoder_writes_is_read_back(kind: str, size: int, seed: int) -> None:
    weights = weights_of(kind, size, np.random.default_rng(seed))
    assert np.array_equal(decoded(encoded(weights), limit=size), weights)


@pytest.mark.parametrize("kind", [*DISTRIBUTIONS, "uniform"])
def test_streams_of_many_slices(kind: str) -> None:
    """More weights than the 32,768 of one slice, and a part of another character."""
    rng = np.random.default_rng(5)
    weights = np.concatenate([weights_of(kind, 70_000, rng), weights_of("pruned", 30_000, rng)])
    assert np.array_equal(decoded(encoded(weights), limit=weights.size), weights)


@st.composite
def palettes(draw: st.DrawFn) -> PaletteSpec:
    bits = draw(st.integers(2, 9))
    value = st.integers(0, (1 << bits) - 1)
    size = draw(st.sampled_from([0, 2, 3, 5, 17, 32]))
    values = tuple(draw(st.lists(value, min_size=size, max_size=size)))
    return PaletteSpec(values, bits, draw(st.integers(0, 31)))


@st.composite
def slices(draw: st.DrawFn, palette: PaletteSpec | None, last: SliceSpec | None) -> SliceSpec:
    """Any slice the format can express; keeps the last one's palette if `palette` is None."""
    if last is not None and palette is None:
        used = last.palette or last.inherited
        zero_runs = last.zero_divisor is not None
    else:
        assert palette is not None
        used, zero_runs = palette, draw(st.booleans())
    divisor = draw(st.one_of(st.none(), st.integers(0, 5)))
    truncated = draw(st.booleans())
    # Indices above 480 could exceed the 9 bits of a weight with the direct offset.
    if divisor is None:
        count = len(used.values)
        top = count - 1 if count else min((1 << used.bits) - 1, 480)
    else:
        top = min((3 << divisor) - 1, 480) if truncated else draw(st.sampled_from([3, 40, 480]))
    indices = tuple(draw(st.lists(st.integers(0, top), min_size=1, max_size=60)))
    runs: tuple[int, ...] = ()
    zero_divisor = None
    if zero_runs:
        zero_divisor = draw(st.integers(0, 3))
        count = len(indices) + (palette is not None)
        run = st.sampled_from([0, 0, 0, 1, 2, 7, 30, 100])
        runs = tuple(draw(st.lists(run, min_size=count, max_size=count)))
    return SliceSpec(indices, divisor, truncated, zero_divisor, runs, palette, used)


@st.composite
def slice_sequences(draw: st.DrawFn) -> list[SliceSpec]:
    sequence = [draw(slices(draw(palettes()), None))]
    for _ in range(draw(st.integers(0, 3))):
        palette = draw(st.one_of(st.none(), palettes()))
        sequence.append(draw(slices(palette, sequence[-1])))
    return sequence


@settings(max_examples=400, deadline=None)
@given(sequence=slice_sequences())
def test_every_coding_parameter_is_read_as_the_c_codec_reads_it(sequence: list[SliceSpec]) -> None:
    data = stream(sequence)
    assert decoded(data).tolist() == list(mlw_codec.decode(bytearray(data.tobytes())))


@pytest.mark.parametrize("bits", range(2, 10))
@pytest.mark.parametrize("zero_divisor", range(4))
def test_uncompressed_weights_between_zero_runs(bits: int, zero_divisor: int) -> None:
    """Chunks are of 12 weights or of 8, by the width of a weight; runs make it visible."""
    indices = tuple(n % (1 << bits) for n in range(50))
    runs = tuple(n % 5 for n in range(51))
    palette = PaletteSpec(bits=bits)
    data = stream([SliceSpec(indices, None, False, zero_divisor, runs, palette)])
    assert decoded(data).tolist() == list(mlw_codec.decode(bytearray(data.tobytes())))


def test_a_stream_of_several_ended_parts_is_one() -> None:
    palette = PaletteSpec(bits=9)
    part = SliceSpec((2, 5, 300), None, palette=palette, zero_divisor=1, runs=(3, 0, 4, 1))
    data = stream([part, part], marker_every=1)
    once = [0, 0, 0, 1, -2, 0, 0, 0, 0, 150, 0]
    assert decoded(data).tolist() == 2 * once


ORDERS = st.sampled_from(WeightOrder)


@st.composite
def layers(draw: st.DrawFn) -> tuple[Shape, Traversal]:
    order, macs = draw(ORDERS), draw(st.sampled_from([32, 64, 128, 256]))
    side = st.one_of(st.integers(1, 4), st.integers(1, 13))
    depth = st.one_of(st.integers(1, 9), st.integers(1, 70))
    shape = (
        draw(depth),
        draw(side),
        draw(side),
        1 if order is WeightOrder.DEPTHWISE else draw(depth),
    )
    micro = 4 if macs == 32 else 8
    traversal = Traversal(
        order=order,
        block_depth=micro * draw(st.integers(1, 10)),
        ifm_bits=draw(st.sampled_from([8, 16])),
        dilation_y=draw(st.integers(1, 2)),
        dilation_x=draw(st.integers(1, 2)),
        macs=macs,
    )
    return shape, traversal


def reordered(weights: np.ndarray, traversal: Traversal) -> bytes:
    """Vela's own reordering and encoding of OHWI weights."""
    data, _ = mlw_codec.reorder_encode(
        8,
        traversal.ofm_micro_block,
        weights,
        traversal.block_depth,
        traversal.order is WeightOrder.DEPTHWISE,
        traversal.order is WeightOrder.PART_KERNEL,
        traversal.ifm_bits,
        8 // traversal.dilation_y,
        8 // traversal.dilation_x,
    )
    return bytes(data)


@settings(max_examples=200, deadline=None)
@given(layer=layers(), kind=st.sampled_from(DISTRIBUTIONS), seed=st.integers(0, 2**32))
def test_the_order_velas_encoder_chose_is_undone(
    layer: tuple[Shape, Traversal], kind: str, seed: int
) -> None:
    shape, traversal = layer
    weights = weights_of(kind, int(np.prod(shape)), np.random.default_rng(seed)).reshape(shape)
    result = decode_weights(reordered(weights, traversal), shape, traversal, **WHERE)
    assert result.dtype == np.int16
    assert np.array_equal(result, weights)


@settings(max_examples=200, deadline=None)
@given(layer=layers())
def test_a_traversal_visits_every_weight_once(layer: tuple[Shape, Traversal]) -> None:
    shape, traversal = layer
    indices = stream_indices(shape, traversal)
    assert indices.size == stream_length(shape, traversal)
    assert np.array_equal(np.sort(indices[indices >= 0]), np.arange(np.prod(shape)))


# ---- what is wrong raises

SHAPE: Shape = (10, 3, 3, 5)
TRAVERSAL = Traversal(WeightOrder.DEPTH_FIRST, 16, 8, 1, 1, 128)
WEIGHTS = weights_of("dense", 450, np.random.default_rng(1)).reshape(SHAPE)
STREAM = reordered(WEIGHTS, TRAVERSAL)


@pytest.mark.parametrize(
    ("shape", "changes", "says"),
    [
        ((10, 3, 3, 33), {}, "instead of"),
        ((2, 3, 3, 5), {}, "more"),
        ((60000, 60, 60, 60000), {}, "cannot hold"),
        ((10, 3, 0, 5), {}, "empty"),
        ((10, 3, 3, 4), {}, "padding is not zero"),
        (SHAPE, {"block_depth": 4}, "micro-blocks of 8"),
        (SHAPE, {"block_depth": 0}, "micro-blocks of 8"),
        (SHAPE, {"ifm_bits": 32}, "32 bits"),
        (SHAPE, {"dilation_x": 3}, "dilation"),
        (SHAPE, {"order": WeightOrder.DEPTHWISE}, "depthwise"),
    ],
)
def test_a_stream_of_another_layer_is_refused(
    shape: Shape, changes: dict[str, Any], says: str
) -> None:
    traversal = Traversal(**{**vars(TRAVERSAL), **changes})
    with pytest.raises(StreamError, match=says) as caught:
        decode_weights(STREAM, shape, traversal, **WHERE)
    assert "word 17 (NPU_OP_CONV)" in str(caught.value)


def test_an_empty_stream_is_refused() -> None:
    with pytest.raises(StreamError, match="0 bytes"):
        decode_weights(b"", SHAPE, TRAVERSAL, **WHERE)


DIRECT = PaletteSpec(bits=9)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (pack([(4, 3), (0, 100)]), "zero-run divisor 4"),
        (pack([(6, 3), (0, 15), (6, 3), (0, 1), (1, 1), (0, 100)]), "weight divisor 6"),
        (stream([SliceSpec((1,), 0)]), "no palette"),
        (stream([SliceSpec((511,), None, palette=PaletteSpec(direct=1))]), "9 bits"),
        (stream([SliceSpec((520,), 5, palette=DIRECT)]), "9 bits"),
        (
            stream(
                [
                    SliceSpec((1,), 0, palette=DIRECT),
                    SliceSpec((1,), 0, zero_divisor=0, runs=(1,), inherited=DIRECT),
                ]
            ),
            "without a new palette",
        ),
        (pack(slice_fields(SliceSpec((1,) * 999, None, palette=DIRECT)))[:64], "ends inside"),
        (np.frombuffer(bytes([0xFF, 0x06]), np.uint8), "ends inside"),
    ],
)
def test_what_the_format_does_not_know_is_refused(data: np.ndarray, says: str) -> None:
    with pytest.raises(StreamError, match=says):
        decoded(data)


def test_no_more_than_the_limit_is_decoded() -> None:
    runs = SliceSpec((2,), None, zero_divisor=3, runs=(0, 8000), palette=DIRECT)
    assert decoded(stream([runs]), limit=8001).size == 8001
    with pytest.raises(StreamError, match="1 weights more"):
        decoded(stream([runs]), limit=8000)
    with pytest.raises(StreamError, match="more than the expected 3"):
        decoded(stream([SliceSpec((1, 2, 3, 4), 0, palette=DIRECT)]), limit=3)


@st.composite
def damaged_streams(draw: st.DrawFn) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    data = encoded(weights_of(draw(st.sampled_from(DISTRIBUTIONS)), 800, rng)).copy()
    for _ in range(draw(st.integers(0, 4))):
        data[draw(st.integers(0, data.size - 1))] = draw(st.integers(0, 255))
    length: int = draw(st.integers(0, data.size))
    cut: np.ndarray = data[:length]
    return cut


@settings(max_examples=500, deadline=None)
@given(
    data=st.one_of(
        damaged_streams(), st.binary(max_size=300).map(lambda b: np.frombuffer(b, np.uint8))
    ),
    limit=st.integers(0, 2000),
)
def test_a_damaged_stream_raises_or_decodes_within_bounds(data: np.ndarray, limit: int) -> None:
    try:
        result = decoded(data, limit=limit)
    except StreamError:
        return
    assert result.size <= limit
    assert np.abs(result).max(initial=0) <= 255


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=2000))
def test_no_stream_decodes_to_more_than_the_stated_density(data: bytes) -> None:
    """The bound that `decode_weights` relies on before it allocates anything."""
    try:
        result = decoded(np.frombuffer(data, np.uint8), limit=10**9)
    except StreamError:
        return
    assert result.size <= MAX_WEIGHTS_PER_BYTE * len(data)


# ---- scales


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(-(2**39), 2**39 - 1), st.integers(0, 2**32 - 1), st.integers(0, 63)),
        min_size=1,
        max_size=20,
    ),
    padding=st.integers(0, 15),
)
def test_scales_are_read_as_vela_packs_them(rows: list[tuple[int, int, int]], padding: int) -> None:
    table = b"".join(bytes(encode_bias(np.int64(b), m, s)) for b, m, s in rows)
    result = decode_scales(table + bytes(padding), len(rows), **WHERE)
    assert list(zip(*(column.tolist() for column in result), strict=True)) == rows


def test_a_short_table_of_scales_is_refused() -> None:
    with pytest.raises(StreamError, match="39 bytes cannot hold the scales of 4 channels"):
        decode_scales(bytes(4 * SCALE_BYTES - 1), 4, **WHERE)
