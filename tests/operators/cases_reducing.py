"""Cases of pools and reductions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.operators.case import Case, Deviation, single_input
from tests.operators.reducing import arg_max, mean, pool, reduce_

__all__ = ["cases"]

SHAPE = (1, 8, 9, 20)

_DEEP_MEAN = "a mean over depth needs a height, width or depth of 1"

_DROPPED = "the pool takes its output's shape without the reduced dimension: one row is reduced"

_SUM = Deviation(1, 0.25, "TFLite-Micro's SUM is not the nearest integer: test_deviations.py")


def cases() -> Iterator[Case]:
    """All of them."""
    for kind in ("MAX", "AVERAGE"):
        yield from _pools(kind)
    yield from _means()
    for builtin in ("SUM", "REDUCE_MAX", "REDUCE_MIN"):
        yield from _reductions(builtin)
    yield single_input("arg-max/depth", (1, 6, 5, 20), partial(arg_max, axis=3))
    yield single_input("arg-max/classes", (1, 10), partial(arg_max, axis=1))


def _pools(kind: str) -> Iterator[Case]:
    operator = f"{kind.lower()}-pool"
    shape = (1, 12, 11, 20)
    this = partial(pool, kind=kind)
    for kernel in ((2, 2), (3, 3), (2, 3), (8, 8)):
        for padding in ("SAME", "VALID"):
            far = kernel[0] > 3 and padding == "SAME"
            yield single_input(
                f"{operator}/{kernel[0]}x{kernel[1]}-{padding.lower()}",
                shape,
                partial(this, kernel=kernel, padding=padding),
                on_cpu="strides above 3 need VALID padding" if far else "",
            )
    for stride in ((1, 1), (1, 2), (3, 3)):
        for padding in ("SAME", "VALID"):
            yield single_input(
                f"{operator}/stride-{stride[0]}x{stride[1]}-{padding.lower()}",
                shape,
                partial(this, kernel=(3, 3), stride=stride, padding=padding),
            )
    yield single_input(
        f"{operator}/8x8-same-stride-1",
        shape,
        partial(this, kernel=(8, 8), stride=(1, 1), padding="SAME"),
    )
    yield single_input(f"{operator}/global", shape, partial(this, kernel=(12, 11)))
    yield single_input(f"{operator}/global-8x8", (1, 8, 8, 33), partial(this, kernel=(8, 8)))
    yield single_input(f"{operator}/row", (1, 1, 25, 6), partial(this, kernel=(1, 25)))
    yield single_input(f"{operator}/1x1", shape, partial(this, kernel=(1, 1)))
    yield single_input(f"{operator}/relu", shape, partial(this, kernel=(2, 2), activation="RELU"))
    yield single_input(
        f"{operator}/relu6-same",
        shape,
        partial(this, kernel=(3, 3), padding="SAME", activation="RELU6"),
        scale=0.07,
    )
    yield single_input(f"{operator}/int16", shape, partial(this, kernel=(3, 3)), dtype="int16")
    yield single_input(
        f"{operator}/int16-same",
        shape,
        partial(this, kernel=(3, 3), padding="SAME", stride=(2, 2)),
        dtype="int16",
    )


def _means() -> Iterator[Case]:
    for name, axes in {
        "height": (1,),
        "width": (2,),
        "height-width": (1, 2),
        "depth": (3,),
    }.items():
        on_cpu = _DEEP_MEAN if name == "depth" else ""
        for label, narrow in (("", False), ("-narrow", True)):
            yield single_input(
                f"mean/{name}{label}",
                SHAPE,
                partial(mean, axes=axes, narrow=narrow),
                on_cpu=on_cpu,
            )
    yield single_input("mean/drop-dims", SHAPE, partial(mean, axes=(1, 2), keep_dims=False))
    yield single_input("mean/depth-of-row", (1, 1, 9, 20), partial(mean, axes=(3,)))
    yield single_input("mean/all", SHAPE, partial(mean, axes=(1, 2, 3)), on_cpu=_DEEP_MEAN)
    yield single_input("mean/large", (1, 40, 41, 4), partial(mean, axes=(1, 2)))
    yield single_input("mean/rank-2", (1, 30), partial(mean, axes=(1,)))
    yield single_input("mean/rank-3", (1, 12, 30), partial(mean, axes=(1,)))
    yield single_input("mean/int16", SHAPE, partial(mean, axes=(1, 2)), dtype="int16")
    yield single_input("mean/int16-width", SHAPE, partial(mean, axes=(2,)), dtype="int16")


def _reductions(builtin: str) -> Iterator[Case]:
    operator = builtin.lower().replace("_", "-")
    this = partial(reduce_, builtin=builtin)
    for name, axis in (("height", 1), ("width", 2), ("depth", 3)):
        yield single_input(
            f"{operator}/{name}",
            SHAPE,
            partial(this, axes=(axis,)),
            deviation=_SUM if builtin == "SUM" else None,
        )
    yield single_input(
        f"{operator}/height-width",
        SHAPE,
        partial(this, axes=(1, 2)),
        vela_fault="only the first of the axes is summed" if builtin == "SUM" else "",
    )
    for name, axis in (("height", 1), ("width", 2), ("depth", 3)):
        faulty = builtin != "SUM" and axis != 1
        yield single_input(
            f"{operator}/drop-{name}",
            SHAPE,
            partial(this, axes=(axis,), keep_dims=False),
            deviation=_SUM if builtin == "SUM" else None,
            vela_fault=_DROPPED if faulty else "",
        )
    if builtin == "SUM":
        yield single_input(
            f"{operator}/int16-drop-last-of-three",
            (1, 8, 20),
            partial(this, axes=(2,), keep_dims=False),
            dtype="int16",
            vela_fault="the sum over depth has an output whose depth is not 1",
        )
    else:
        yield single_input(
            f"{operator}/drop-last-of-three",
            (1, 8, 20),
            partial(this, axes=(2,), keep_dims=False),
            vela_fault=_DROPPED,
        )
