"""How fast weight streams are decoded, compared with the C codec in Vela's wheel.

The network is the fully-connected one of Arm's pruning and clustering article (784-128-64-10),
encoded by Vela for an Ethos-U55-128, once dense and once for each kind of compression. "ours" is
everything that the simulator does, up to weights in OHWI order, with machine code and without; "C"
only decodes. Run it with `python -m benchmarks.weight_decode`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from ethosu import mlw_codec
from numpy.typing import NDArray

from targets.ethos_u55.weights import WeightOrder
from targets.simulator.native.choice import InnerLoops
from targets.simulator.weights.decoding import decode_weights
from targets.simulator.weights.traversal import Traversal

LAYERS = ((128, 784), (64, 128), (10, 64))
REPEATS = 15
ORDER = Traversal(WeightOrder.DEPTH_FIRST, 128, 8, 1, 1, 128)

Weights = NDArray[np.int16]


def variants(rng: np.random.Generator) -> dict[str, list[Weights]]:
    dense = [np.clip(np.round(rng.normal(0, 30, s)), -127, 127).astype(np.int16) for s in LAYERS]
    pruned = [np.where(rng.random(w.shape) < 0.8, 0, w).astype(np.int16) for w in dense]
    clustered = [(np.round(w / 16) * 16).astype(np.int16) for w in dense]
    both = [np.where(p == 0, 0, c).astype(np.int16) for p, c in zip(pruned, clustered, strict=True)]
    return {"dense": dense, "pruned 80 %": pruned, "16 clusters": clustered, "both": both}


def encode(weights: Weights) -> bytes:
    data, _ = mlw_codec.reorder_encode(
        8, 8, weights[:, None, None, :], ORDER.block_depth, False, False, 8, 8, 8
    )
    return bytes(data)


def best_ms(work: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


def main() -> None:
    print(f"{'weights':<12} {'KiB':>7} {'ours ms':>9} {'NumPy ms':>9} {'C ms':>7} {'ratio':>7}")
    for name, layers in variants(np.random.default_rng(0)).items():
        streams = [encode(weights) for weights in layers]

        def ours(loops: InnerLoops, streams: list[bytes] = streams) -> None:
            for stream, (outputs, inputs) in zip(streams, LAYERS, strict=True):
                decode_weights(
                    stream,
                    (outputs, 1, 1, inputs),
                    ORDER,
                    word=0,
                    operation="NPU_OP_CONV",
                    kernels=loops.kernels(),
                )

        def theirs(streams: list[bytes] = streams) -> None:
            for stream in streams:
                mlw_codec.decode(bytearray(stream))

        size = sum(map(len, streams)) / 1024
        own, plain = (best_ms(partial(ours, loops)) for loops in InnerLoops)
        codec = best_ms(theirs)
        print(f"{name:<12} {size:7.2f} {own:9.2f} {plain:9.2f} {codec:7.2f} {own / codec:7.1f}")


if __name__ == "__main__":
    main()
