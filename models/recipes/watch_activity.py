"""Which of seven shoulder exercises a smartwatch sees: a 1-D CNN over two seconds of its motion.

The data is what `seglearn` ships: 10 people, each of whom did 7 exercises with either arm, 140
series in all, at 50 Hz (D. Burns et al., "Shoulder physiotherapy exercise recognition",
arXiv:1802.01489). The test set is of people whom the training has not seen: windows of one person
are so much alike that any other split would flatter the network.

The convolutions are along time only. They are `Conv2D` with a kernel of width 1, because the tools
for quantisation-aware training do not know `Conv1D`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.packaged import PackagedFile

__all__ = [
    "SOURCE",
    "TEST_SUBJECTS",
    "WINDOW",
    "compressed_layers",
    "data",
    "data_name",
    "epochs_for",
    "model",
    "windows_of",
]

SOURCE = PackagedFile(
    distribution="seglearn",
    path="seglearn/data/watch_dataset.npy",
    sha256="eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537",
)
#: What records call it.
data_name = SOURCE.named("watch_seglearn")

#: The people of the test set; the seven others are trained on.
TEST_SUBJECTS = (8, 9, 10)
#: Samples of a window, two seconds, and from the beginning of one to that of the next.
WINDOW, _STEP = 100, 50
#: By what the three accelerations (in g) and the three rates (in radians per second) are divided.
#: Powers of two, so this is exact; both come to about the same range, of which int8 has one scale.
_SCALE = np.array([1, 1, 1, 4, 4, 4], np.float32)

#: Nearly all weights of the network.
compressed_layers = ("conv_2", "conv_3")
#: So that the epochs that MNIST takes suffice: about twice as many are made on this data.
epochs_for = 15_000


def data() -> Mapping[str, Any]:
    """Windows, float32 `[n, 100, 6]`, and the number of the exercise, int64 `[n]` in 0..6."""
    # A pickle may run anything, but this is known to be the file that was looked at.
    found = np.load(io.BytesIO(SOURCE.read()), allow_pickle=True).item()
    exercises, subjects = np.asarray(found["y"]), np.asarray(found["subject"])
    is_test = np.isin(subjects, TEST_SUBJECTS)
    return {
        "train": windows_of(found["X"], exercises, np.flatnonzero(~is_test)),
        "test": windows_of(found["X"], exercises, np.flatnonzero(is_test)),
    }


def windows_of(
    series: Sequence[npt.NDArray[np.float64]],
    exercises: npt.NDArray[np.int64],
    chosen: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """All whole windows of the `chosen` series, each `[samples, 6]`, and their exercises.

    The beginnings of all series come first, and their ends last. So every range of them is a
    mixture: calibration takes the first, and validation the last.
    """
    found = sorted(
        (start / len(series[index]), index, start)
        for index in chosen.tolist()
        for start in range(0, len(series[index]) - WINDOW + 1, _STEP)
    )
    windows = np.stack([series[index][at : at + WINDOW] for _, index, at in found])
    labels = np.array([exercises[index] for _, index, _ in found], np.int64)
    return windows.astype(np.float32) / _SCALE, labels


def model() -> Any:
    """float32 `[batch, 100, 6]` -> float32 `[batch, 7]` probabilities; 25,175 parameters."""
    import tensorflow as tf

    from models.recipes.blocks import norm_relu

    layers = tf.keras.layers
    stack = [
        layers.Input((WINDOW, 6), name="motion"),
        layers.Reshape((WINDOW, 1, 6), name="reshape"),
    ]
    for block, channels in ((1, 32), (2, 48), (3, 64)):
        name = f"conv_{block}"
        stack += [
            layers.Conv2D(channels, (5, 1), strides=(2, 1), padding="same", name=name),
            *norm_relu(name),
        ]
    stack += [
        layers.GlobalAveragePooling2D(name="pool"),
        layers.Dense(7, activation="softmax", name="exercise"),
    ]
    return tf.keras.Sequential(stack, name="watch_activity")
