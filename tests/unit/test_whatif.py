"""What a what-if does to weights, which layers it takes, and where it sees a knee."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.arrays import Array
from bench.core.errors import BenchError, ConfigError, ModelError
from bench.tflite.compression.compressing import compressed, layer_weights
from bench.tflite.compression.layers import (
    Choice,
    LayerChoice,
    WeightLayer,
    chosen_layers,
    weight_layers,
)
from bench.tflite.compression.points import UNCHANGED, Clustering, Point, Spacing, points_of
from bench.tflite.compression.values import cluster, prune, spread
from bench.tflite.reader import graph_of
from bench.whatif.distance import distance
from bench.whatif.knee import Gain, find_knee
from tests.support.models.tflite_factory import mlp

ONE = np.ones(1)
shapes = st.sampled_from([(24,), (3, 8), (4, 3, 3, 2), (1, 1), (7, 1)])
shares = st.floats(0, 1, exclude_min=True, exclude_max=True)
zero_points = st.integers(-128, 127)


@st.composite
def weights(draw: st.DrawFn) -> Array:
    shape = draw(shapes)
    spread = draw(st.sampled_from([0, 1, 5, 128]))
    seed = draw(st.integers(0, 1 << 30))
    low, high = max(-128, -spread), min(127, spread)
    drawn = np.random.default_rng(seed).integers(low, high, shape, np.int8, endpoint=True)
    return np.asarray(drawn)


@st.composite
def scales(draw: st.DrawFn, values: Array) -> Array:
    """One for all, or one for each of the first axis."""
    if draw(st.booleans()):
        return ONE
    shape = [len(values)] + [1] * (values.ndim - 1)
    seed = draw(st.integers(0, 1 << 30))
    return np.random.default_rng(seed).uniform(0.01, 10, shape)


@given(st.data(), weights(), shares, zero_points)
def test_pruning_reaches_the_sparsity_and_keeps_the_largest(
    data: st.DataObject, values: Array, share: float, zero_point: int
) -> None:
    each = data.draw(scales(values))
    pruned = prune(values, zero_point, each, share)
    before = np.count_nonzero(values == zero_point)
    assert np.count_nonzero(pruned == zero_point) == max(round(share * values.size), before)
    kept = pruned != zero_point
    assert (pruned[kept] == values[kept]).all()
    real = np.abs(values.astype(np.int64) - zero_point) * each
    if kept.any() and not kept.all():
        assert real[kept].min() >= real[~kept].max()
    assert (prune(pruned, zero_point, each, share) == pruned).all()
    assert pruned.dtype == values.dtype


@given(weights(), st.lists(shares, min_size=2, max_size=4), zero_points)
def test_more_sparsity_only_adds_zeros(
    values: Array, sparsities: list[float], zero_point: int
) -> None:
    results = [prune(values, zero_point, ONE, share) for share in sorted(sparsities)]
    for less, more in itertools.pairwise(results):
        assert (more[less == zero_point] == zero_point).all()


@given(st.data(), weights(), st.integers(2, 40), zero_points)
def test_clusters_are_few_keep_zeros_and_stay(
    data: st.DataObject, values: Array, count: int, zero_point: int
) -> None:
    each = data.draw(scales(values))
    clustered = cluster(values, zero_point, each, count)
    assert len(np.unique(clustered)) <= count
    assert (clustered[values == zero_point] == zero_point).all()
    assert clustered.dtype == values.dtype
    assert clustered.min() >= values.min()
    assert clustered.max() <= values.max()
    if len(np.unique(values)) <= count:
        assert (clustered == values).all()
    assert (cluster(clustered, zero_point, each, count) == clustered).all()


@given(weights(), st.integers(2, 40), zero_points)
def test_even_values_are_few_keep_zeros_and_stay(
    values: Array, count: int, zero_point: int
) -> None:
    clustered = spread(values, zero_point, count)
    assert len(np.unique(clustered)) <= count
    assert ((clustered == zero_point) >= (values == zero_point)).all()
    assert clustered.dtype == values.dtype
    assert clustered.min() >= values.min()
    assert clustered.max() <= values.max()
    if len(np.unique(values)) <= count:
        assert (clustered == values).all()
    assert (spread(clustered, zero_point, count) == clustered).all()


def test_even_values_are_divided_as_the_weights_are() -> None:
    # 30 below zero and 10 above: of 5 clusters one is zero, three are below and one is above.
    values = np.array([0, *range(-30, 0), *range(1, 11)], np.int8)
    assert set(np.unique(spread(values, 0, 5))) == {-30, -16, -1, 0, 1}


def error_of(values: Array, clustered: Array) -> int:
    return int(np.square(values.astype(int) - clustered.astype(int)).sum())


@given(weights(), st.integers(2, 20))
def test_more_clusters_are_never_further_away(values: Array, count: int) -> None:
    fewer, more = (cluster(values, 0, ONE, each) for each in (count, count + 1))
    assert error_of(values, more) <= error_of(values, fewer)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=7), st.integers(2, 3))
def test_clusters_are_the_nearest_there_are(numbers: list[int], count: int) -> None:
    values = np.array(numbers, np.int8)
    found = error_of(values, cluster(values, 0, ONE, count))
    # Every choice of centres, each value at its nearest.
    choices = itertools.combinations(range(1, 13), min(count, len(set(numbers))))
    least = min(
        int(np.square(values[:, None].astype(int) - np.array(each)).min(axis=1).sum())
        for each in choices
    )
    assert found == least


def test_an_error_counts_by_its_real_size() -> None:
    # The steps of the second channel are ten times as large, so its value is kept.
    values = np.array([[10, 10, 0], [20, 20, 0]], np.int8)
    assert set(np.unique(cluster(values, 0, np.array([[1.0], [10.0]]), 2))) == {0, 20}
    assert set(np.unique(cluster(values, 0, ONE, 2))) == {0, 15}


def test_zero_needs_a_cluster_of_its_own() -> None:
    with pytest.raises(ValueError, match="leave none"):
        cluster(np.array([0, 5, 9], np.int8), 0, ONE, 1)


def network(*sizes: tuple[int, int]) -> bytes:
    generator = np.random.default_rng(3)
    return mlp([generator.integers(-127, 127, size, dtype=np.int8) for size in sizes])


@given(shares, st.integers(2, 64), st.booleans(), st.sampled_from(Spacing))
def test_a_file_has_what_was_asked_for_and_nothing_else(
    share: float, count: int, per_channel: bool, spacing: Spacing
) -> None:
    graph = graph_of(network((32, 48), (10, 32)), Path("net.tflite"))
    first, second = weight_layers(graph)
    data = compressed(graph, [first], Point(share, count), Clustering(spacing, per_channel))
    after = graph_of(data, Path("net.tflite"))
    found = layer_weights(after, first)
    assert found.zeros >= round(share * found.weights)
    assert (found.distinct_in_channel if per_channel else found.distinct) <= count
    assert layer_weights(after, second) == layer_weights(graph, second)
    assert after.tensors == graph.tensors
    assert after.operators == graph.operators


def layers(*kinds: str) -> tuple[WeightLayer, ...]:
    info = graph_of(network((4, 4)), Path("net.tflite")).tensors[0]
    return tuple(WeightLayer(f"layer_{i}", kind, i, i, info) for i, kind in enumerate(kinds))


CONV, DEPTHWISE, DENSE = "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"


def test_depthwise_layers_and_the_first_convolution_are_left_alone() -> None:
    found = chosen_layers(layers(CONV, DEPTHWISE, CONV, DENSE), LayerChoice())
    assert [each.choice for each in found] == [
        Choice.FIRST,
        Choice.DEPTHWISE,
        Choice.CHOSEN,
        Choice.CHOSEN,
    ]


def test_a_first_layer_that_is_dense_is_compressed() -> None:
    assert all(each.compressed for each in chosen_layers(layers(DENSE, DENSE), LayerChoice()))


def test_layers_are_chosen_by_name_or_all() -> None:
    mine = layers(CONV, DEPTHWISE, CONV)
    named = chosen_layers(mine, LayerChoice(names=("layer_1", "*_2")))
    assert [each.compressed for each in named] == [False, True, True]
    assert all(each.compressed for each in chosen_layers(mine, LayerChoice(every=True)))


def test_a_layer_that_does_not_exist_is_an_error_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"layer 'layer_9'.*\n.*did you mean 'layer_"):
        chosen_layers(layers(CONV, CONV), LayerChoice(names=("layer_9",)))


@pytest.mark.parametrize("kinds", [(), (CONV, DEPTHWISE)])
def test_nothing_to_compress_is_an_error(kinds: tuple[str, ...]) -> None:
    with pytest.raises(BenchError) as caught:
        chosen_layers(layers(*kinds), LayerChoice())
    assert isinstance(caught.value, ModelError)
    assert caught.value.cure


def test_points_are_each_alone_or_combined() -> None:
    alone = points_of([0.8, 0.5, 0.8], [16, 32], combined=False)
    assert [point.slug for point in alone] == ["base", "p50", "p80", "c32", "c16"]
    both = points_of([0.625], [32], combined=True)
    assert [point.slug for point in both] == ["base", "p62_5", "c32", "p62_5_c32"]
    assert both[-1].words == "62.5 % zero, 32 values"
    assert alone[0] == UNCHANGED


@pytest.mark.parametrize(
    ("cycles", "knee", "gain"),
    [
        ((100, 60, 40.7, 40.5, 40), "c", Gain.KNEE),
        ((100, 90, 80, 70, 60), "e", Gain.FALLING),
        ((100, 99.5, 99, 99, 99), "a", Gain.NONE),
        ((100, 101, 102, 103, 104), "a", Gain.NONE),
    ],
)
def test_the_knee_is_the_largest_model_near_the_fewest_cycles(
    cycles: tuple[float, ...], knee: str, gain: Gain
) -> None:
    sizes = dict(zip("abcde", (50, 40, 30, 20, 10), strict=True))
    assert find_knee(dict(zip("abcde", cycles, strict=True)), sizes, "a") == (knee, gain)


def test_fewer_cycles_at_the_same_size_are_no_gain_of_compression() -> None:
    assert find_knee({"a": 100, "b": 90}, {"a": 10, "b": 10}, "a") == ("a", Gain.NONE)


def test_distance_is_that_of_all_outputs() -> None:
    before = (np.array([[1, 2], [3, 4]], np.int8), np.array([[5], [5]], np.int32))
    after = (np.array([[1, 2], [3, -4]], np.int8), np.array([[5], [6]], np.int32))
    found = distance(before, after, (0.5, 1.0), (0, 0))
    assert (found.samples, found.changed, found.largest) == (2, 2 / 6, 8)
    old, new = [0.5, 1, 1.5, 2, 5, 5], [0.5, 1, 1.5, -2, 5, 6]
    expected = np.dot(old, new) / np.linalg.norm(old) / np.linalg.norm(new)
    assert found.cosine == pytest.approx(expected)


@given(weights())
def test_equal_outputs_have_no_distance(values: Array) -> None:
    rows = values.reshape(1, -1)
    found = distance([rows], [rows], [0.1], [3])
    assert (found.changed, found.largest) == (0, 0)
    assert found.cosine is None or found.cosine == pytest.approx(1)
