"""Every operation of a compiled model has the layer that it was made from.

What Vela fuses, splits, reorders and takes apart is taken from the operators' catalogue and from
random graphs.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, seed, settings

from bench.compiler import VelaOptions, VelaReport, VelaServer, compile_model
from bench.core.text import one_line
from bench.tflite.graph import FileGraph
from bench.tflite.reader import read_graph
from targets.artefact import Artefact, load_artefact
from targets.artefact.debug_database import Streams, debug_database, read_database
from targets.artefact.layers import NamedOperation
from targets.artefact.stream.operations import BlockOperation, Conv, Dma, Operation, Stop
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.sim import names_of
from tests.operators.case import Case
from tests.operators.catalogue import CASES
from tests.operators.graphs import GRAPHS, SEED, Graph, graphs
from tests.operators.network import Network
from tests.operators.pointwise import softmax, table, unary
from tests.operators.shaping import concatenate, resize, split, transpose
from tests.operators.stateful import running_window
from tests.operators.toolchain import CONFIGURATIONS
from tests.operators.weighted import conv2d, fully_connected
from tests.support.models.tflite_factory import fully_connected as one_layer

#: What Vela rewrites the most.
REWRITTEN = (
    *("arg-max", "concat", "graph", "gru", "lstm", "pack", "resize", "softmax", "split"),
    *("strided", "transpose", "unpack"),
)
#: Of what these give, Vela may make no new tensor.
MOVING = ("RESHAPE", "TRANSPOSE")
OFTEN_REWRITTEN = [case for case in CASES if case.name.startswith(REWRITTEN)]


@pytest.fixture(scope="module")
def vela() -> Iterator[VelaServer]:
    with VelaServer() as server:
        yield server


@dataclass(frozen=True)
class Compiled:
    artefact: Artefact
    graph: FileGraph
    database: Streams
    report: VelaReport
    names: Mapping[int, NamedOperation]

    @property
    def operations(self) -> list[Operation]:
        return [each for operator in self.artefact.npu_operators for each in operator.operations]


def compiled(model: bytes, vela: VelaServer, option: VelaOptions | None = None) -> Compiled:
    if option is None:
        option = CONFIGURATIONS[zlib.crc32(model) % len(CONFIGURATIONS)]
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "model.tflite"
        source.write_bytes(model)
        made = compile_model(source, option, Path(name) / "out", runner=vela)
        path = made.path(Path(name) / "out")
        artefact = load_artefact(path)
        return Compiled(
            artefact,
            read_graph(source),
            read_database(debug_database(path)),
            made.report,
            names_of(artefact, path, source),
        )


def assert_all_named(found: Compiled) -> None:
    operations = found.operations
    unnamed = [each for place, each in enumerate(operations) if place not in found.names]
    assert all(isinstance(each, Stop) for each in unnamed), unnamed
    layers = [name.layer for name in found.names.values()]
    assert len({layer.name for layer in layers}) == len({layer.index for layer in layers})
    for layer in layers:
        assert layer.index is not None, layer
        node = found.graph.operators[layer.index]
        assert layer.tensor == found.graph.tensors[node.outputs[0]].name
    told = sum(name.vela_cycles or 0 for name in found.names.values())
    assert told == found.report.cycles_total
    assert_velas_tensors_agree(found)


def assert_velas_tensors_agree(found: Compiled) -> None:
    """What an operation writes is its layer's result, or that of what was fused into the layer.

    A copy that Vela makes of what a layer reads has the name of what it copies, or of what another
    layer makes of the same without changing a value, such as a transposition of one column.
    """
    graph = found.graph
    makers = {
        graph.tensors[i].name: number
        for number, node in enumerate(graph.operators)
        for i in node.outputs
    }
    entries = [
        origin
        for operator, stream in zip(
            found.artefact.npu_operators, found.database.operations, strict=True
        )
        for origin in (stream.get(each.word) for each in operator.operations)
    ]
    for place, origin in enumerate(entries):
        if origin is not None and origin.performance is not None:
            index = found.names[place].layer.index
            assert index is not None
            maker = makers.get(origin.performance.tensor, index)
            read = set(graph.operators[index].inputs)
            beside = {
                number
                for number, node in enumerate(graph.operators)
                if node.info.name in MOVING and read.intersection(node.inputs)
            }
            copied = origin.performance.tensor in {graph.tensors[i].name for i in read if i >= 0}
            assert copied or maker in beside | followers(graph, index)


def followers(graph: FileGraph, index: int) -> set[int]:
    """The operator at `index`, and those that use its results, directly or not."""
    found, tensors = {index}, set(graph.operators[index].outputs)
    for number, node in enumerate(graph.operators):
        if tensors.intersection(node.inputs):
            found.add(number)
            tensors.update(node.outputs)
    return found


@pytest.mark.parametrize("case", OFTEN_REWRITTEN, ids=lambda case: case.name)
def test_operators_that_vela_rewrites(case: Case, vela: VelaServer) -> None:
    model = case.model()
    # Where Vela puts a table beyond the SHRAM, there is no stream to look at.
    sound = [each for each in CONFIGURATIONS if each.accelerator not in case.fault_on]
    options = sound or CONFIGURATIONS
    assert_all_named(compiled(model, vela, options[zlib.crc32(model) % len(options)]))


def test_a_copy_of_what_a_layer_reads_belongs_to_the_layer(vela: VelaServer) -> None:
    network = Network(0)
    value = softmax(network, network.input((1, 1, 2, 1)))
    resized = resize(network, value, (2, 4), bilinear=True, half_pixel=True)
    found = compiled(network.serialise([resized]), vela)
    assert_all_named(found)
    tensors = [name.layer.tensor for name in found.names.values()]
    # The copy, and the four parts of the result.
    assert tensors.count("tensor_3") >= 5


def test_a_copy_may_have_the_name_of_a_transposition_beside_it(vela: VelaServer) -> None:
    network = Network(0)
    value = network.input((1, 1, 2, 1))
    turned = transpose(network, value, (0, 2, 1, 3))
    resized = resize(network, value, (2, 4), bilinear=True, half_pixel=True)
    found = compiled(network.serialise([turned, resized]), vela)
    assert_all_named(found)
    layers = [name.layer.operator for name in found.names.values()]
    assert layers == ["Transpose"] + ["ResizeBilinear"] * 9


def test_random_graphs(vela: VelaServer) -> None:
    @seed(SEED)
    @settings(
        max_examples=-(-GRAPHS // 8),
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(graphs())
    def check(graph: Graph) -> None:
        note(repr(graph))
        assert_all_named(compiled(graph.model, vela))

    check()


def test_all_parts_of_a_transposition_belong_to_it(vela: VelaServer) -> None:
    network = Network(3)
    value = unary(network, network.input((1, 16, 24, 1), "int16"), "ABS")
    turned = transpose(network, value, (0, 2, 3, 1))
    found = compiled(network.serialise([unary(network, turned, "ABS")]), vela)
    assert_all_named(found)
    elements: dict[str, int] = {}
    for place, operation in enumerate(found.operations):
        if isinstance(operation, BlockOperation):
            ofm, kind = operation.ofm, found.names[place].layer.operator
            elements[kind] = elements.get(kind, 0) + ofm.height * ofm.width * ofm.depth
    # It runs in two steps; of the second, with its dozens of operations, the database names one.
    entries = sum(map(len, found.database.operations))
    assert len(found.operations) > entries + 20
    assert elements == {"Abs": 2 * 16 * 24, "Transpose": 2 * 16 * 24}


def test_a_transfer_belongs_to_the_layer_that_uses_it(vela: VelaServer) -> None:
    network = Network(7)
    value = network.input((1, 24, 24, 48))
    for _ in range(5):
        value = conv2d(network, value, 96, (3, 3))
    buffering = VelaOptions(accelerator=Accelerator.U55_256, memory_mode=MemoryMode.SHARED_SRAM)
    found = compiled(network.serialise([value]), vela, buffering)
    assert_all_named(found)
    transfers = 0
    for place, operation in enumerate(found.operations):
        if not isinstance(operation, Dma):
            continue
        brought = range(operation.destination, operation.destination + operation.length)
        user = next(
            later
            for later, each in enumerate(found.operations)
            if later > place
            and isinstance(each, Conv)
            and each.weights.region == operation.destination_region
            and each.weights.address in brought
        )
        assert found.names[place].layer == found.names[user].layer
        transfers += 1
    assert transfers > 5


def test_a_model_of_several_subgraphs(vela: VelaServer) -> None:
    network = Network(5)
    window = running_window(network, network.input((1, 1, 1, 16)), 5)
    value = conv2d(network, window, 8, (6, 1), padding="VALID")
    model = network.serialise([fully_connected(network, value, 4)])
    found = compiled(model, vela)
    named = [name.layer for name in found.names.values()]
    assert {"Concat", "Conv2D", "FullyConnected"} <= {layer.operator for layer in named}
    for layer in named:
        assert layer.index is not None
        node = found.graph.operators[layer.index]
        assert layer.tensor == found.graph.tensors[node.outputs[0]].name
    # Of a file with several subgraphs, Vela 5.2.0 keeps only the last one's rows of cycles.
    assert {name.vela_cycles for name in found.names.values()} == {None}


def test_branches_keep_their_layers(vela: VelaServer) -> None:
    network = Network(9)
    halves = split(network, network.input((1, 8, 8, 32)), 3, 2)
    branches = [table(network, conv2d(network, half, 16, (3, 3)), "LOGISTIC") for half in halves]
    model = network.serialise([concatenate(network, branches, 3)])
    found = compiled(model, vela)
    assert_all_named(found)
    assert len({n.layer.name for n in found.names.values() if n.layer.operator == "Conv2D"}) == 2


@pytest.mark.parametrize(
    "name",
    [
        'a,"b",1,2,3',
        "1,2,3,\"Conv2D\",\"forged\",0,0\n9,9,9,\"Add\",\"x\",1,2,3,4,5,6,7",
        "x\n]]>\n</table>\n<table name=\"queue\">\n<![CDATA[\n\"offset\",\"cmdstream_id\"",
        "]]></table></debug>",
        "\x01\x1b[2J\u2028\x85",
        "12345",
        "",
        "'; \\",
    ],
)  # fmt: skip
def test_no_name_of_a_tensor_misleads_the_reader(name: str, vela: VelaServer) -> None:
    weights = np.random.default_rng(1).integers(-99, 99, (16, 24), dtype=np.int8)
    found = compiled(one_layer(weights, output_name=name), vela)
    layers = {named.layer for named in found.names.values()}
    (layer,) = layers
    assert (layer.index, layer.operator, layer.tensor) == (0, "FullyConnected", one_line(name))
    assert "forged" not in layer.operator
