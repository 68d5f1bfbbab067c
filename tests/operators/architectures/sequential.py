"""Networks over time, and those that mix tokens: TCN, recurrent, transformers, mixers, streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from tests.operators.architectures.architecture import Architecture, family
from tests.operators.architectures.blocks import (
    Layer,
    batch_matmul,
    flatten,
    gelu,
    joined,
    layer_norm,
    pointwise_conv,
    pooled,
    reverse,
    scores,
    separable,
    tokens,
)
from tests.operators.network import Network, Value
from tests.operators.pointwise import binary, softmax, table, unary
from tests.operators.recurrent import fused_lstm, unrolled_gru, unrolled_lstm
from tests.operators.reducing import mean
from tests.operators.shaping import pack, pad, reshape, slice_, transpose, unpack
from tests.operators.stateful import running_window, svdf
from tests.operators.weighted import conv2d, depthwise, fully_connected

__all__ = ["architectures"]

#: A recurrent layer of so many units.
Recurrence = Callable[[Network, Value, int], Value]


def architectures() -> Iterator[Architecture]:
    """All of them."""
    yield from family(
        "TCN",
        ("tcn", tcn),
        ("tcn_int16", partial(tcn, dtype="int16")),
        ("tcn_gated", wavenet),
        ("matchbox_separable", matchbox),
    )
    yield from family(
        "recurrent",
        ("lstm", lstm),
        ("lstm_int16", partial(lstm, dtype="int16")),
        ("lstm_two_layers", stacked_lstm),
        ("lstm_unrolled", partial(unrolled, cell=unrolled_lstm)),
        ("gru_unrolled", partial(unrolled, cell=unrolled_gru)),
        ("bilstm_unrolled", partial(bidirectional_unrolled, cell=unrolled_lstm)),
        ("bigru_unrolled", partial(bidirectional_unrolled, cell=unrolled_gru)),
        ("bilstm_fused", bidirectional_fused),
        ("crnn_text", crnn),
    )
    yield from family(
        "transformer",
        ("attention_head", attention_only),
        ("transformer_block", transformer),
        ("transformer_two_heads", partial(transformer, heads=2)),
        ("vision_transformer", vision_transformer),
        ("attention_pooling", attention_pooling),
    )
    yield Architecture(
        "transformer_gelu",
        "transformer",
        partial(transformer, between=gelu),
        unjudged="GELU",
    )
    yield from family(
        "MLP",
        ("mlp", mlp),
        ("mlp_int16", partial(mlp, dtype="int16")),
        ("mlp_mixer", mixer),
        ("mlp_mixer_int16", partial(mixer, dtype="int16")),
    )
    yield Architecture("mlp_mixer_gelu", "MLP", partial(mixer, between=gelu), unjudged="GELU")
    yield from family(
        "streaming",
        ("svdf_keywords", svdf_keywords),
        ("svdf_rank_2", partial(svdf_keywords, rank=2)),
        ("stream_conv", stream_conv),
        ("stream_separable", stream_separable),
        ("stream_lstm", stream_lstm),
    )


def tcn(network: Network, dtype: str = "int8") -> Value:
    """Causal dilated convolutions over 24 steps, each with a shortcut."""
    value = conv2d(network, network.input((1, 1, 24, 6), dtype), 12, kernel=(1, 1))
    for step in (1, 2, 4):
        branch = causal(network, value, 12, step)
        value = binary(network, "ADD", value, branch, activation="RELU")
    return fully_connected(network, last_step(network, value), 5)


def causal(network: Network, value: Value, channels: int, step: int) -> Value:
    """A convolution of three taps that sees no later step."""
    padded = pad(network, value, ((0, 0), (0, 0), (2 * step, 0), (0, 0)))
    return conv2d(network, padded, channels, kernel=(1, 3), dilation=(1, step), padding="VALID")


def last_step(network: Network, value: Value) -> Value:
    _, _, steps, channels = value.shape
    last = slice_(network, value, (0, 0, steps - 1, 0), (1, 1, 1, channels))
    return reshape(network, last, (1, channels))


def wavenet(network: Network) -> Value:
    value = conv2d(network, network.input((1, 1, 20, 4)), 8, kernel=(1, 1))
    skips = []
    for step in (1, 2):
        content = table(network, causal(network, value, 8, step), "TANH")
        gate = table(network, causal(network, value, 8, step), "LOGISTIC")
        both = binary(network, "MUL", content, gate)
        skips.append(pointwise_conv(network, both, 8))
        value = binary(network, "ADD", value, skips[-1])
    skipped = binary(network, "ADD", *skips, activation="RELU")
    return fully_connected(network, flatten(network, skipped), 6)


def matchbox(network: Network) -> Value:
    value = network.input((1, 1, 32, 10))
    for channels, stride in ((16, 2), (16, 1)):
        value = separable(
            network, value, channels, kernel=(1, 9), stride=(1, stride), activation="RELU"
        )
    return softmax(network, scores(network, flatten(network, value), 8))


def lstm(network: Network, dtype: str = "int8") -> Value:
    states = fused_lstm(network, network.input((1, 8, 10), dtype), 16)
    return fully_connected(network, flatten(network, states), 6)


def stacked_lstm(network: Network) -> Value:
    states = fused_lstm(network, network.input((1, 6, 8)), 12)
    return fully_connected(network, flatten(network, fused_lstm(network, states, 10)), 4)


def unrolled(network: Network, cell: Recurrence) -> Value:
    return fully_connected(network, cell(network, network.input((1, 5, 8)), 10), 4)


def bidirectional_unrolled(network: Network, cell: Recurrence) -> Value:
    """The second direction gets the steps the other way round."""
    value = network.input((1, 4, 8))
    backwards = pack(network, unpack(network, value, 1)[::-1], 1)
    both = [cell(network, direction, 8) for direction in (value, backwards)]
    return fully_connected(network, joined(network, both, 1), 4)


def bidirectional_fused(network: Network) -> Value:
    """REVERSE_V2 around the second direction, as Keras exports it."""
    value = network.input((1, 6, 8))
    forwards = fused_lstm(network, value, 8)
    backwards = reverse(network, fused_lstm(network, reverse(network, value, 1), 8), 1)
    return fully_connected(network, flatten(network, joined(network, [forwards, backwards], 2)), 4)


def crnn(network: Network) -> Value:
    """Text recognition: convolutions, the columns as steps, a recurrent layer, classes a step."""
    value = conv2d(network, network.input((1, 8, 16, 1)), 8, activation="RELU")
    value = conv2d(network, pooled(network, value), 12, stride=(2, 1), activation="RELU")
    steps = transpose(network, value, (0, 2, 1, 3))
    _, columns, rows, channels = steps.shape
    states = fused_lstm(network, reshape(network, steps, (1, columns, rows * channels)), 12)
    return softmax(network, scores(network, states, 7))


def attention(network: Network, value: Value, width: int, heads: int = 1) -> Value:
    """Scaled dot-product attention of `[1, n, k]` with itself; `[1, n, width * heads]`."""
    results = []
    for _ in range(heads):
        query, key, content = (scores(network, value, width, rms=1.0) for _ in range(3))
        similarity = batch_matmul(network, query, key, adjoint_b=True)
        results.append(batch_matmul(network, softmax(network, similarity), content))
    return results[0] if heads == 1 else joined(network, results, 2)


def attention_only(network: Network) -> Value:
    value = attention(network, network.input((1, 8, 12)), 12)
    return fully_connected(network, flatten(network, value), 5)


def encoder(network: Network, value: Value, heads: int, between: Layer) -> Value:
    width = value.shape[-1]
    mixed = fully_connected(network, attention(network, value, width // heads, heads), width)
    value = layer_norm(network, binary(network, "ADD", value, mixed))
    hidden = between(network, fully_connected(network, value, 2 * width))
    return layer_norm(
        network, binary(network, "ADD", value, fully_connected(network, hidden, width))
    )


def relu(network: Network, value: Value) -> Value:
    return unary(network, value, "RELU")


def transformer(network: Network, heads: int = 1, between: Layer = relu) -> Value:
    value = encoder(network, network.input((1, 8, 12)), heads, between)
    return fully_connected(network, flatten(network, mean(network, value, (1,))), 5)


def vision_transformer(network: Network) -> Value:
    """Patches of 4x4 pixels, one encoder, and the mean of the tokens."""
    patches = conv2d(network, network.input((1, 12, 12, 3)), 12, kernel=(4, 4), stride=(4, 4))
    value = encoder(network, tokens(network, patches), 2, relu)
    return fully_connected(network, flatten(network, mean(network, value, (1,))), 5)


def attention_pooling(network: Network) -> Value:
    """Steps weighted by a softmax over time, without a product of two activations."""
    value = conv2d(network, network.input((1, 1, 20, 8)), 12, kernel=(1, 3), activation="RELU")
    logits = reshape(network, pointwise_conv(network, value, 1), (1, 20))
    weights = reshape(network, softmax(network, logits), (1, 1, 20, 1))
    pooled_value = mean(network, binary(network, "MUL", value, weights), (2,))
    return fully_connected(network, flatten(network, pooled_value), 5)


def mlp(network: Network, dtype: str = "int8") -> Value:
    value = network.input((1, 40), dtype)
    for units in (64, 32, 16):
        value = fully_connected(network, value, units, activation="RELU", per_channel=True)
    return fully_connected(network, value, 10)


def mixer(network: Network, dtype: str = "int8", between: Layer = relu) -> Value:
    """Dense layers over tokens and over channels in turn."""
    value = network.input((1, 9, 12), dtype)
    for _ in range(2):
        turned = transpose(network, value, (0, 2, 1))
        turned = dense_pair(network, turned, between)
        value = binary(network, "ADD", value, transpose(network, turned, (0, 2, 1)))
        value = binary(network, "ADD", value, dense_pair(network, value, between))
    return fully_connected(network, flatten(network, value), 6)


def dense_pair(network: Network, value: Value, between: Layer) -> Value:
    width = value.shape[-1]
    return fully_connected(
        network, between(network, fully_connected(network, value, 2 * width)), width
    )


def svdf_keywords(network: Network, rank: int = 1) -> Value:
    value = svdf(network, network.input((1, 20)), 16, memory=8, rank=rank)
    return softmax(network, scores(network, svdf(network, value, 12, memory=6), 5))


def stream_conv(network: Network) -> Value:
    """One frame an inference; the last ones are in resource variables."""
    window = running_window(network, network.input((1, 1, 1, 10)), 4)
    value = conv2d(network, window, 16, kernel=(5, 1), padding="VALID", activation="RELU")
    return fully_connected(network, reshape(network, value, (1, 16)), 4)


def stream_separable(network: Network) -> Value:
    window = running_window(network, network.input((1, 1, 1, 12)), 4)
    value = depthwise(network, window, kernel=(5, 1), padding="VALID", activation="RELU")
    window = running_window(network, pointwise_conv(network, value, 16, "RELU"), 2)
    return table(network, scores(network, reshape(network, window, (1, 48)), 3), "LOGISTIC")


def stream_lstm(network: Network) -> Value:
    states = fused_lstm(network, network.input((1, 1, 10)), 12)
    return fully_connected(network, reshape(network, states, (1, 12)), 4)
