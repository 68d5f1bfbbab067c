"""What one inference may cost: real streams stay far below the bounds, absurd ones are refused."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.tflite.interpreters import run_tflm
from bench.tflite.model_file import inspect
from bench.tflite.random_inputs import random_inputs
from targets.artefact import Artefact, NpuOperator, load_artefact
from targets.artefact.errors import StreamError
from targets.artefact.stream.operations import (
    BlockOperation,
    Conv,
    Dma,
    FeatureMap,
    KernelWait,
    Operation,
    Padding,
    Stop,
)
from targets.simulator.graph import Graph
from tests.operators.network import Network
from tests.operators.weighted import conv2d
from tests.support.models.vela_files import run_vela, small_mlp

#: Peak memory and processor time in which a refusal must come.
MEMORY_BYTES = 16 << 20
PATIENCE_S = 2.0


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    return load_artefact(run_vela(small_mlp(), tmp_path_factory.mktemp("limits")))


def with_operations(
    artefact: Artefact, change: Callable[[tuple[Operation, ...]], tuple[Operation, ...]]
) -> Artefact:
    (operator,) = artefact.operators
    assert isinstance(operator, NpuOperator)
    return replace(artefact, operators=(replace(operator, operations=change(operator.operations)),))


def refused(artefact: Artefact, message: str) -> None:
    tracemalloc.start()
    started = time.process_time()
    try:
        with pytest.raises(StreamError, match=message):
            Graph(artefact)
        assert tracemalloc.get_traced_memory()[1] < MEMORY_BYTES
        assert time.process_time() - started < PATIENCE_S
    finally:
        tracemalloc.stop()


def flat(fm: FeatureMap, height: int, width: int, depth: int) -> FeatureMap:
    """Any size in one row of bytes: rows and columns lie on top of each other."""
    return replace(
        fm,
        height=height,
        width=width,
        depth=depth,
        stride_y=0,
        stride_x=0,
        tile_height0=1 << 16,
        tile_height1=1 << 16,
        tile_width0=1 << 16,
    )


def first_conv(operations: tuple[Operation, ...]) -> Conv:
    return next(operation for operation in operations if isinstance(operation, Conv))


def resized(
    height: int, width: int, depth: int, **fields: object
) -> Callable[..., tuple[Operation, ...]]:
    def change(operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
        conv = first_conv(operations)
        return (
            replace(
                conv,
                ifm=flat(conv.ifm, height, width, conv.ifm.depth),
                ofm=flat(conv.ofm, height, width, depth),
                **fields,  # type: ignore[arg-type]
            ),
            operations[-1],
        )

    return change


def test_the_largest_sizes_of_all_are_refused_at_once(artefact: Artefact) -> None:
    refused(with_operations(artefact, resized(1 << 16, 1 << 16, 1 << 16)), "elements")


def test_padding_counts(artefact: Artefact) -> None:
    def change(operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
        conv = first_conv(operations)
        small = replace(conv.ifm, height=1, width=1, depth=1 << 16)
        padded = replace(
            conv, ifm=small, ofm=flat(conv.ofm, 383, 383, 1), padding=Padding(127, 127, 255, 255)
        )
        return padded, operations[-1]

    refused(with_operations(artefact, change), "elements")


def test_one_row_of_windows_that_fits_no_memory_is_refused(artefact: Artefact) -> None:
    def change(operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
        conv = first_conv(operations)
        kernel = replace(conv.kernel, height=256, width=256)
        wide = replace(
            conv, kernel=kernel, ifm=flat(conv.ifm, 256, 8447, 1), ofm=flat(conv.ofm, 1, 8192, 1)
        )
        return wide, operations[-1]

    refused(with_operations(artefact, change), "bytes of memory")


def test_work_adds_up_over_the_stream(artefact: Artefact) -> None:
    """Each is possible; a file of a few KiB holds thousands."""

    def change(operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
        (large, stop) = resized(32, 32, 512)(operations)
        assert isinstance(large, Conv)
        deep = replace(large, ifm=replace(large.ifm, depth=4096))
        return (*[deep] * 1000, stop)

    refused(with_operations(artefact, change), r"stream up to here .* work")


def test_parts_add_up_over_the_stream(artefact: Artefact) -> None:
    def change(operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
        (large, stop) = resized(512, 512, 8)(operations)
        assert isinstance(large, BlockOperation)
        few_blocks = replace(large, block=replace(large.block, height=16, width=16))
        return (*[few_blocks] * 1000, stop)

    refused(with_operations(artefact, change), r"stream up to here .* parts")


def test_blocks_of_one_element_are_refused(artefact: Artefact) -> None:
    def change(operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
        conv = first_conv(operations)
        (large, stop) = resized(3000, 3000, 1)(operations)
        assert isinstance(large, BlockOperation)
        ifm = replace(large.ifm, depth=1)
        block = replace(conv.block, height=1, width=1)
        return replace(large, ifm=ifm, block=block), stop

    refused(with_operations(artefact, change), "parts to be moved")


def test_blocks_add_up_over_the_stream(artefact: Artefact) -> None:
    """The cycle model looks at each."""

    def change(operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
        (large, stop) = resized(300, 300, 1)(operations)
        assert isinstance(large, BlockOperation)
        block = replace(large.block, height=1, width=1)
        small = replace(large, ifm=replace(large.ifm, depth=1), block=block)
        return (*[small] * 6, stop)

    refused(with_operations(artefact, change), r"stream up to here .* blocks")


def test_a_transfer_of_millions_of_pieces_is_refused(artefact: Artefact) -> None:
    transfer = Dma(
        word=0,
        issue_words=1,
        source_region=1,
        source=0,
        destination_region=1,
        destination=0,
        length=16,
        size0=1 << 16,
        size1=1 << 16,
        skip0=0,
        skip1=0,
        source_strided=True,
        destination_strided=True,
    )
    refused(with_operations(artefact, lambda operations: (transfer, operations[-1])), "parts")


def test_waiting_is_free(artefact: Artefact) -> None:
    plain = Graph(artefact)
    waits = with_operations(artefact, lambda ops: (*[KernelWait(0, 1, 0)] * 100_000, *ops))
    row = np.ones((1, 40), np.int8)
    assert np.array_equal(Graph(waits).run([[row]])[0][0], plain.run([[row]])[0][0])


def test_a_stream_of_nothing_costs_nothing(artefact: Artefact) -> None:
    nothing = Graph(with_operations(artefact, lambda operations: (Stop(0, 1, 0),)))
    (outputs,) = nothing.run([[np.ones((1, 40), np.int8)]])[0]
    assert outputs.shape == (1, 10)
    assert (outputs == 1).all(), "the arena as the input was put there, over which the output lies"


def test_a_larger_network_runs_where_the_user_allows_it(tmp_path: Path) -> None:
    network = Network(1)
    # 16,810,000 elements; 2^24 are allowed.
    large = network.input((1, 1025, 1025, 16))
    model = tmp_path / "large.tflite"
    model.write_bytes(network.serialise([conv2d(network, large, 1, kernel=(1, 1))]))
    large_artefact = load_artefact(run_vela(model.read_bytes(), tmp_path))
    with pytest.raises(StreamError, match="elements of one feature map") as refusal:
        Graph(large_artefact)
    assert "max_size under [targets.sim]" in refusal.value.cure
    (row,) = random_inputs(inspect(model), 1, seed=1)
    (outputs,) = Graph(large_artefact, max_size=2).run([[row]])[0]
    np.testing.assert_array_equal(outputs, run_tflm(model, [row])[0])
