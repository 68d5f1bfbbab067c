"""Cases that move elements about: resizing, joining, cutting, padding, reordering."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from tests.operators import shaping
from tests.operators.case import Case, single_input
from tests.operators.network import Network, Value
from tests.operators.toolchain import Oracle

__all__ = ["cases"]

#: Before and after each dimension, by what is padded.
PADDINGS = {
    "height": ((0, 0), (1, 2), (0, 0), (0, 0)),
    "width": ((0, 0), (0, 0), (3, 0), (0, 0)),
    "height-width": ((0, 0), (1, 1), (2, 1), (0, 0)),
    "depth": ((0, 0), (0, 0), (0, 0), (2, 5)),
    "all": ((0, 0), (1, 0), (2, 1), (3, 4)),
}


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _resizes()
    yield from _joins()
    yield from _parts()
    yield from _paddings()
    yield from _orders()


def _resizes() -> Iterator[Case]:
    shape = (1, 5, 6, 9)
    for name, bilinear in (("resize-nearest", False), ("resize-bilinear", True)):
        for factor in (2, 4, 8):
            plain = (5 * factor, 6 * factor)
            corners = (4 * factor + 1, 5 * factor + 1)
            resize = partial(shaping.resize, bilinear=bilinear)
            yield single_input(f"{name}/{factor}x", shape, partial(resize, size=plain))
            yield single_input(
                f"{name}/{factor}x-align-corners",
                shape,
                partial(resize, size=corners, align_corners=True),
            )
            yield single_input(
                f"{name}/{factor}x-half-pixel",
                shape,
                partial(resize, size=plain, half_pixel=True),
                on_cpu="half-pixel bilinear only by 2" if bilinear and factor > 2 else "",
            )
        yield single_input(f"{name}/from-1x1", (1, 1, 1, 9), partial(resize, size=(5, 7)))
        yield single_input(f"{name}/same-size", shape, partial(resize, size=(5, 6)))
        yield single_input(
            f"{name}/3x", shape, partial(resize, size=(15, 18)), on_cpu="factors are 2, 4 and 8"
        )
        yield single_input(f"{name}/row", (1, 1, 6, 9), partial(resize, size=(1, 12)))
        yield single_input(
            f"{name}/int16",
            shape,
            partial(resize, size=(10, 12)),
            dtype="int16",
            oracle=Oracle.LITERT if bilinear else Oracle.TFLM,
        )


def _joins() -> Iterator[Case]:
    yield _concatenation("height", [(1, 4, 5, 7), (1, 2, 5, 7)], 1)
    yield _concatenation("width", [(1, 4, 5, 7), (1, 4, 1, 7)], 2)
    yield _concatenation("depth", [(1, 4, 5, 7), (1, 4, 5, 20)], 3)
    yield _concatenation("depth-16", [(1, 4, 5, 16), (1, 4, 5, 32)], 3)
    yield _concatenation("depth-four", [(1, 4, 5, 3)] * 4, 3)
    yield _concatenation("rank-2", [(1, 9), (1, 8), (1, 1)], 1)
    yield _concatenation("int16", [(1, 4, 5, 7), (1, 4, 5, 20)], 3, "int16")
    yield _packing("axis-1", 1)
    yield _packing("axis-2", 2)
    yield _packing("axis-3", 3)
    yield _packing("int16", 2, "int16")


def _concatenation(
    name: str, shapes: Sequence[tuple[int, ...]], axis: int, dtype: str = "int8"
) -> Case:
    def build(network: Network) -> Value:
        values = [network.input(shape, dtype) for shape in shapes]
        return shaping.concatenate(network, values, axis)

    return Case(f"concatenate/{name}", build)


def _packing(name: str, axis: int, dtype: str = "int8") -> Case:
    def build(network: Network) -> Value:
        values = [network.input((1, 5, 6), dtype) for _ in range(3)]
        return shaping.pack(network, values, axis)

    return Case(f"pack/{name}", build)


def _parts() -> Iterator[Case]:
    shape = (1, 6, 8, 12)
    for axis in (1, 2, 3):
        sizes = (1, 2, shape[axis] - 3)
        yield single_input(f"split/axis-{axis}", shape, partial(shaping.split, axis=axis, parts=2))
        yield single_input(
            f"split-v/axis-{axis}", shape, partial(shaping.split_v, axis=axis, sizes=sizes)
        )
        yield single_input(f"unpack/axis-{axis}", (1, 4, 5, 6), partial(shaping.unpack, axis=axis))
    thirds = partial(shaping.split, axis=3, parts=3)
    yield single_input("split/int16", shape, thirds, dtype="int16")
    inner = partial(shaping.slice_, begin=(0, 1, 2, 3), size=(1, 4, 5, 7))
    yield single_input("slice/inner", shape, inner)
    yield single_input("slice/int16", shape, inner, dtype="int16")
    channel = partial(shaping.slice_, begin=(0, 0, 0, 5), size=(1, 6, 8, 1))
    yield single_input("slice/one-channel", shape, channel)
    vector = partial(shaping.slice_, begin=(0, 7), size=(1, 20))
    yield single_input("slice/rank-2", (1, 40), vector)
    for name, begin, end, strides in (
        ("plain", (0, 1, 2, 3), (1, 5, 8, 12), (1, 1, 1, 1)),
        ("every-second-row", (0, 0, 0, 0), (1, 6, 8, 12), (1, 2, 1, 1)),
        ("every-second-column", (0, 0, 1, 0), (1, 6, 8, 12), (1, 1, 2, 1)),
        ("rows-and-columns", (0, 1, 0, 2), (1, 6, 8, 10), (1, 2, 3, 1)),
        ("every-second-channel", (0, 0, 0, 0), (1, 6, 8, 12), (1, 1, 1, 2)),
    ):
        yield single_input(
            f"strided-slice/{name}",
            shape,
            partial(shaping.strided_slice, begin=begin, end=end, strides=strides),
            on_cpu="no strides over depth" if strides[3] > 1 else "",
        )
    rows = partial(
        shaping.strided_slice, begin=(0, 1, 0, 2), end=(1, 6, 8, 10), strides=(1, 2, 3, 1)
    )
    yield single_input("strided-slice/int16", shape, rows, dtype="int16")
    yield single_input("unpack/int16", (1, 4, 5, 6), partial(shaping.unpack, axis=2), dtype="int16")


def _paddings() -> Iterator[Case]:
    shape = (1, 5, 6, 9)
    for name, paddings in PADDINGS.items():
        pad = partial(shaping.pad, paddings=paddings)
        yield single_input(f"pad/{name}", shape, pad)
        yield single_input(f"pad-v2/{name}", shape, partial(pad, constant=77))
    yield single_input("pad/int16", shape, pad, dtype="int16")
    for mode in ("REFLECT", "SYMMETRIC"):
        for name in ("height", "width", "height-width", "depth"):
            yield single_input(
                f"mirror-pad/{mode.lower()}-{name}",
                shape,
                partial(shaping.mirror_pad, paddings=PADDINGS[name], mode=mode),
                vela_fault="the padded channels are never written" if name == "depth" else "",
            )
        yield single_input(
            f"mirror-pad/{mode.lower()}-int16",
            shape,
            partial(shaping.mirror_pad, paddings=PADDINGS["height-width"], mode=mode),
            dtype="int16",
            # TFLite-Micro has no 16-bit kernel.
            oracle=Oracle.LITERT,
        )


def _orders() -> Iterator[Case]:
    shape = (1, 6, 8, 12)
    for name, target in {
        "flat": (1, 576),
        "wider": (1, 12, 4, 12),
        "deeper": (1, 6, 96),
        "rank-5": (1, 2, 3, 8, 12),
    }.items():
        yield single_input(f"reshape/{name}", shape, partial(shaping.reshape, shape=target))
    for permutation in ((0, 2, 1, 3), (0, 1, 3, 2), (0, 3, 1, 2), (0, 2, 3, 1), (0, 3, 2, 1)):
        label = "".join("nhwc"[axis] for axis in permutation)
        for dtype in ("int8", "int16"):
            yield single_input(
                f"transpose/{label}-{dtype}",
                (1, 5, 7, 18),
                partial(shaping.transpose, permutation=permutation),
                dtype=dtype,
            )
    yield single_input(
        "transpose/rank-3", (1, 7, 20), partial(shaping.transpose, permutation=(0, 2, 1))
    )
