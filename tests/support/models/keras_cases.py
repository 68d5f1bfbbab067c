"""Small Keras models through compression: `python -m tests.support.models.keras_cases OUT`.

It runs by itself, because TensorFlow must be set up before anything else imports it. OUT gets, for
each case, what came of it: the error, or what the quantised model keeps.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import BenchError
from bench.tflite.reader import graph_of
from models.compression.changing import change, copy_weights, layers_of
from models.compression.kernels import kernels_of
from models.compression.wrapping import wrap
from models.lineage import Promise, promised
from models.promises import check_promises
from models.quantise import quantise
from models.runtime import reset, tf, tfmot
from models.schedule import TrainingPlan
from models.spec import (
    ClusterSpec,
    PruneSpec,
    QatSpec,
    QuantiseSpec,
    RequantiseSpec,
    TrainSpec,
    VariantSpec,
)
from models.training import TrainingSet, fit

layers = tf.keras.layers

_RANDOM = np.random.default_rng(0)
IMAGES = _RANDOM.random((64, 8, 8, 4)).astype(np.float32)
LABELS = _RANDOM.integers(0, 3, 64)
TWO = (IMAGES, _RANDOM.random((64, 5)).astype(np.float32))
ROWS = IMAGES.reshape(64, 64, 4)


def data(*images: Any, outputs: int = 1) -> TrainingSet:
    plan = TrainingPlan(epochs=3, steps_per_epoch=4, fit_images=64, validation_images=0)
    return TrainingSet(images, (LABELS,) * outputs, plan)


def convolutions(*, bias: bool = True, norm: bool = False) -> Any:
    stack = [
        layers.Input((8, 8, 4), name="image"),
        layers.Conv2D(8, 3, use_bias=bias, name="conv"),
        *([layers.BatchNormalization(name="norm"), layers.ReLU(name="relu")] if norm else []),
        layers.DepthwiseConv2D(3, name="depthwise"),
        layers.Flatten(name="flatten"),
        layers.Dense(16, activation="relu", name="dense"),
        layers.Dense(3, activation="softmax", name="output"),
    ]
    return tf.keras.Sequential(stack, name="net")


def rarer() -> Any:
    """The other layers that tfmot compresses."""
    stack = [
        layers.Input((8, 8, 4), name="image"),
        layers.SeparableConv2D(8, 3, name="separable"),
        layers.Conv2DTranspose(8, 3, name="transposed"),
        layers.Flatten(name="flatten"),
        layers.Dense(3, activation="softmax", name="output"),
    ]
    return tf.keras.Sequential(stack, name="net")


def two_by_two() -> Any:
    """Two inputs and two outputs."""
    image, extra = tf.keras.Input((8, 8, 4), name="image"), tf.keras.Input((5,), name="extra")
    seen = layers.Flatten(name="flatten")(layers.Conv2D(8, 3, name="conv")(image))
    both = layers.Concatenate(name="join")([seen, layers.Dense(8, name="small")(extra)])
    answers = [layers.Dense(3, "softmax", name=name)(both) for name in ("one", "two")]
    return tf.keras.Model([image, extra], answers, name="net")


def rows() -> Any:
    """One dimension, which tfmot cannot simulate."""
    stack = [
        layers.Input((64, 4), name="image"),
        layers.Conv1D(8, 3, activation="relu", name="conv"),
        layers.Flatten(name="flatten"),
        layers.Dense(3, activation="softmax", name="output"),
    ]
    return tf.keras.Sequential(stack, name="net")


def nested() -> Any:
    inner = tf.keras.Sequential(
        [layers.Input((8, 8, 4)), layers.Conv2D(8, 3, name="deep")], "inner"
    )
    stack = [
        layers.Input((8, 8, 4), name="image"),
        inner,
        layers.Flatten(name="flatten"),
        layers.Dense(3, activation="softmax", name="output"),
    ]
    return tf.keras.Sequential(stack, name="net")


class Subclassed(tf.keras.Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.flatten, self.dense = layers.Flatten(), layers.Dense(3, "softmax", name="dense")

    def call(self, image: Any) -> Any:
        return self.dense(self.flatten(image))


class Scaled(tf.keras.layers.Layer):  # type: ignore[misc]
    """A matrix product of a user's own, about which tfmot knows nothing."""

    def build(self, shape: Any) -> None:
        self.matrix = self.add_weight("matrix", (shape[-1], 16))
        super().build(shape)

    def call(self, values: Any) -> Any:
        return tf.matmul(values, self.matrix)


class Prunable(Scaled, tfmot.sparsity.keras.PrunableLayer):  # type: ignore[misc]
    def get_prunable_weights(self) -> Any:
        return [self.matrix]


class Open(Prunable, tfmot.clustering.keras.ClusterableLayer):  # type: ignore[misc]
    def get_clusterable_weights(self) -> Any:
        return [("matrix", self.matrix)]


def custom(kind: type) -> Callable[[], Any]:
    def model() -> Any:
        image = tf.keras.Input((8, 8, 4), name="image")
        own = kind(name="own")(layers.Flatten(name="flatten")(image))
        return tf.keras.Model(image, layers.Dense(3, "softmax", name="output")(own), name="net")

    return model


def made(
    model: Callable[[], Any],
    spec: VariantSpec,
    usual: tuple[str, ...],
    parent: dict[str, Promise] | None = None,
    images: Any = (IMAGES,),
    outputs: tuple[str, ...] = ("output",),
    quantisation: QuantiseSpec | None = None,
    first: Callable[[Any], Any] = lambda model: model,
) -> str:
    """What the quantised model of the variant keeps. `first` prepares the parent's weights."""
    reset(0)
    before, usual_quantisation = first(model()), quantisation or QuantiseSpec()
    training = data(*images, outputs=len(outputs))
    changed = change(before, spec, usual, parent or {}, training, lambda text, share: None)
    final = model()
    copy_weights(changed, spec, final)
    deployed = changed if isinstance(spec, QatSpec) else final
    tflite = quantise(deployed, usual_quantisation, images, outputs)
    promises = promised(spec, parent or {}, usual)
    graph = graph_of(tflite, Path("model.tflite"))
    kept = check_promises(promises, kernels_of(final, promises), graph)
    told = "; ".join(
        f"{k.layer}.{k.weight} {k.found.sparsity:.2f} {k.found.values} {k.found.values_in}"
        for k in kept
    )
    return f"{told} (sha256 {hashlib.sha256(tflite).hexdigest()})"


def simulated() -> str:
    return made(
        lambda: convolutions(norm=True),
        QatSpec(batch_size=16, preserve="sparsity"),
        (),
        SPARSE,
        first=pruned("dense", 0.5),
    )


def pruned(layer: str, share: float) -> Callable[[Any], Any]:
    """Sets the smallest weights of a kernel to zero, as if the model had been pruned."""

    def change_weights(model: Any) -> Any:
        kernel = model.get_layer(layer).kernel
        values = kernel.numpy()
        values[np.abs(values) <= np.quantile(np.abs(values), share)] = 0
        kernel.assign(values)
        return model

    return change_weights


def uneven(model: Any) -> Any:
    """Gives each channel of the batch norm a factor of its own, as training does."""
    gamma = model.get_layer("norm").gamma
    gamma.assign(np.linspace(0.3, 2.0, gamma.shape[0]))
    return model


def unstripped() -> str:
    """What deploys the weights that a wrapper trains, in place of those that it makes of them."""
    reset(0)
    spec = ClusterSpec(batch_size=16, clusters=8, layers=("dense",))
    promises = promised(spec, {}, layers_of(spec, ()))
    initial = tfmot.clustering.keras.CentroidInitialization.LINEAR
    wrapped = wrap(
        convolutions(),
        promises,
        lambda layer: tfmot.clustering.keras.cluster_weights(
            layer, number_of_clusters=8, cluster_centroids_init=initial
        ),
    )
    fit(wrapped, 1e-3, 16, data(IMAGES), lambda text, share: None)
    final, wrapper = convolutions(), wrapped.get_layer("cluster_dense")
    final.get_layer("dense").kernel.assign(wrapper.original_clusterable_weights["kernel"])
    graph = graph_of(quantise(final, QuantiseSpec(), [IMAGES], ["output"]), Path("model.tflite"))
    return str(check_promises(promises, kernels_of(final, promises), graph))


SPARSE = {"dense": Promise(sparsity=0.5)}
EPOCHS = 1.0

CASES: dict[str, Callable[[], str]] = {
    # What works.
    "prune": lambda: made(convolutions, PruneSpec(batch_size=16), ("conv", "dense")),
    "constant": lambda: made(
        convolutions, PruneSpec(batch_size=16, schedule="constant", final_sparsity=0.3), ("dense",)
    ),
    "pattern": lambda: made(
        convolutions, PruneSpec(batch_size=16, n_of_m=(2, 4)), ("conv", "dense")
    ),
    "blocks": lambda: made(
        convolutions, PruneSpec(batch_size=16, block_size=(4, 4), block_pooling="max"), ("dense",)
    ),
    "own layer pruned": lambda: made(custom(Prunable), PruneSpec(batch_size=16), ("own",)),
    "own layer clustered": lambda: made(
        custom(Open), ClusterSpec(batch_size=16, clusters=8), ("own",)
    ),
    "one dimension": lambda: made(
        rows, PruneSpec(batch_size=16), ("conv", "output"), images=(ROWS,)
    ),
    "channels": lambda: made(
        lambda: convolutions(bias=False, norm=True),
        ClusterSpec(batch_size=16, clusters=8, per_channel=True),
        ("conv",),
    ),
    "small layer": lambda: made(convolutions, ClusterSpec(batch_size=16, clusters=64), ("output",)),
    "small channels": lambda: made(
        lambda: convolutions(bias=False, norm=True),
        ClusterSpec(batch_size=16, clusters=64, per_channel=True, preserve_sparsity=True),
        ("conv",),
        {"conv": Promise(sparsity=0.5)},
        first=pruned("conv", 0.5),
    ),
    "even channels": lambda: made(
        lambda: convolutions(bias=False, norm=True),
        ClusterSpec(batch_size=16, clusters=8, per_channel=True, initialisation="even"),
        ("conv",),
        first=uneven,
    ),
    "even, zeros kept": lambda: made(
        convolutions,
        ClusterSpec(batch_size=16, clusters=8, preserve_sparsity=True, initialisation="even"),
        ("dense",),
        SPARSE,
        first=pruned("dense", 0.5),
    ),
    "rarer, pruned": lambda: made(rarer, PruneSpec(batch_size=16), ("separable", "transposed")),
    "rarer, clustered": lambda: made(
        rarer, ClusterSpec(batch_size=16, clusters=8), ("separable", "transposed")
    ),
    "rarer, simulated": lambda: made(rarer, QatSpec(batch_size=16), ()),
    "two by two": lambda: made(
        two_by_two, PruneSpec(batch_size=16), ("conv", "two"), images=TWO, outputs=("one", "two")
    ),
    "two by two, simulated": lambda: made(
        two_by_two, QatSpec(batch_size=16), (), images=TWO, outputs=("one", "two")
    ),
    "nested quantised": lambda: made(nested, TrainSpec(epochs=EPOCHS), ()),
    "nested, outer layer": lambda: made(nested, PruneSpec(batch_size=16), ("output",)),
    "own layer, simulated": lambda: made(custom(Scaled), QatSpec(batch_size=16), ()),
    "one dimension, simulated": lambda: made(rows, QatSpec(batch_size=16), (), images=(ROWS,)),
    "simulated": simulated,
    "16 bits": lambda: made(
        convolutions,
        RequantiseSpec(),
        (),
        SPARSE,
        quantisation=QuantiseSpec(activations="int16"),
        first=pruned("dense", 0.5),
    ),
    "simulated again": simulated,
    # What is refused.
    "sub-classed, pruned": lambda: made(Subclassed, PruneSpec(batch_size=16), ("dense",)),
    "sub-classed, simulated": lambda: made(Subclassed, QatSpec(batch_size=16), ()),
    "inside a nested model": lambda: made(nested, PruneSpec(batch_size=16), ("deep",)),
    "nested, simulated": lambda: made(nested, QatSpec(batch_size=16), ()),
    "unknown layer": lambda: made(convolutions, PruneSpec(batch_size=16), ("dens",)),
    "depthwise": lambda: made(convolutions, PruneSpec(batch_size=16), ("depthwise",)),
    "own layer": lambda: made(custom(Scaled), PruneSpec(batch_size=16), ("own",)),
    "own layer, not clusterable": lambda: made(
        custom(Prunable), ClusterSpec(batch_size=16), ("own",)
    ),
    "pattern in one dimension": lambda: made(
        rows, PruneSpec(batch_size=16, n_of_m=(2, 4)), ("conv",), images=(ROWS,)
    ),
    "pattern too large": lambda: made(
        convolutions, PruneSpec(batch_size=16, n_of_m=(4, 8)), ("conv",)
    ),
    "blocks of a convolution": lambda: made(
        convolutions, PruneSpec(batch_size=16, block_size=(4, 4)), ("conv",)
    ),
    "channels of a matrix": lambda: made(
        convolutions, ClusterSpec(batch_size=16, per_channel=True), ("dense",)
    ),
    "more clusters than weights": lambda: made(
        convolutions,
        ClusterSpec(batch_size=16, per_channel=True, clusters=64, layers=("conv",)),
        (),
    ),
    "figure of an unknown layer": lambda: made(
        convolutions, PruneSpec(batch_size=16, sparsity_of={"conv": 0.5}), ("dense",)
    ),
    "zeros not covered": lambda: made(
        convolutions,
        ClusterSpec(batch_size=16, preserve_sparsity=True, clusters=8),
        ("conv",),
        SPARSE,
    ),
    "zeros of one dimension, simulated": lambda: made(
        rows,
        QatSpec(batch_size=16, preserve="sparsity"),
        (),
        {"conv": Promise(sparsity=0.5)},
        images=(ROWS,),
    ),
    # What breaks its promise.
    "zeros that nobody kept": lambda: made(
        convolutions,
        RequantiseSpec(),
        (),
        SPARSE,
        first=pruned("dense", 0.1),
    ),
    "wrappers not stripped": unstripped,
    "batch norm, one scale": lambda: made(
        lambda: convolutions(bias=False, norm=True),
        ClusterSpec(batch_size=16, clusters=8),
        ("conv",),
        quantisation=QuantiseSpec(per_channel=False),
        first=uneven,
    ),
}


def main() -> None:
    outcomes = {}
    for name, case in CASES.items():
        try:
            outcomes[name] = f"kept: {case()}"
        except BenchError as error:
            outcomes[name] = f"error: {error.what} -> {error.cure}"
        except Exception as error:
            outcomes[name] = f"{type(error).__name__}: {error}"
    Path(sys.argv[1]).write_text(json.dumps(outcomes, indent=1), encoding="utf-8")


if __name__ == "__main__":
    tempfile.tempdir = str(Path(sys.argv[1]).parent)
    main()
