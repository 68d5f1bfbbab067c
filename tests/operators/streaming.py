"""Small streaming networks, by where they keep their state."""

from __future__ import annotations

from tests.operators.network import Network, Value
from tests.operators.recurrent import fused_lstm
from tests.operators.shaping import reshape
from tests.operators.stateful import running_window, svdf
from tests.operators.weighted import conv2d, fully_connected

__all__ = ["both", "keyword_spotter", "lstm", "wake_word"]


def lstm(network: Network) -> Value:
    """State in variable tensors that the NPU keeps."""
    return fused_lstm(network, network.input((1, 1, 6)), 8)


def keyword_spotter(network: Network) -> Value:
    """State in variable tensors of operators that only the CPU has."""
    hidden = fully_connected(network, network.input((1, 16)), 12)
    remembered = svdf(network, hidden, 8, memory=10, rank=2)
    return fully_connected(network, svdf(network, remembered, 6, memory=4), 4)


def wake_word(network: Network, start: int | None = None) -> Value:
    """State in resource variables, as streaming Keras models have it."""
    window = running_window(network, network.input((1, 1, 1, 12)), 5, start)
    hidden = conv2d(network, window, 16, kernel=(6, 1), padding="VALID")
    window = running_window(network, hidden, 3, start)
    return fully_connected(network, reshape(network, window, (1, 64)), 4)


def both(network: Network) -> Value:
    """Resource variables around the NPU's own state."""
    window = running_window(network, network.input((1, 1, 1, 6)), 2)
    steps = reshape(network, window, (1, 3, 6))
    return fully_connected(network, reshape(network, fused_lstm(network, steps, 8), (1, 24)), 5)
