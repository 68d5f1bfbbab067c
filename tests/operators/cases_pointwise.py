"""Element-wise cases: arithmetic with every broadcast, activations, softmax, requantisation."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from tests.operators.case import Case, Deviation, single_input
from tests.operators.network import Network, Quantisation, Value
from tests.operators.pointwise import (
    binary,
    constant_like,
    leaky_relu,
    prelu,
    requantise,
    softmax,
    table,
    unary,
)
from tests.operators.toolchain import Oracle

__all__ = ["cases"]

SHAPE = (1, 6, 5, 19)

#: Shapes of the smaller operand: one dimension, two, or all of them repeated.
BROADCASTS = {
    "height": (1, 1, 5, 19),
    "width": (1, 6, 1, 19),
    "depth": (1, 6, 5, 1),
    "height-width": (1, 1, 1, 19),
    "height-depth": (1, 1, 5, 1),
    "width-depth": (1, 6, 1, 1),
    "one": (1, 1, 1, 1),
    "lower-rank": (5, 19),
    "vector": (19,),
}

#: Those that a fused activation may follow.
_FUSES = ("ADD", "SUB", "MUL")

BINARIES = ("ADD", "SUB", "MUL", "MINIMUM", "MAXIMUM", "SQUARED_DIFFERENCE")


def cases() -> Iterator[Case]:
    """All of them."""
    for builtin in BINARIES:
        yield from _binary(builtin, "int8")
        yield from _binary16(builtin)
    yield from _activations()
    yield from _tables()
    yield from _softmaxes()
    yield from _requantisations()


def _second(network: Network, a: Value, shape: tuple[int, ...], *, shared: bool) -> Value:
    if shared:
        return network.input(shape, a.dtype, a.scale, a.zero_point)
    return network.input(shape, a.dtype, a.scale * 0.73, 0 if a.dtype == "int16" else 17)


def _pair(
    builtin: str,
    name: str,
    first: tuple[int, ...],
    second: tuple[int, ...],
    *,
    dtype: str = "int8",
    constant: bool = False,
    swapped: bool = False,
    ratio: float | None = None,
    case: dict[str, Any] | None = None,
    **options: Any,
) -> Case:
    shared = builtin in ("MINIMUM", "MAXIMUM")

    def build(network: Network) -> Value:
        a = network.input(first, dtype)
        if constant:
            b = constant_like(network, a, second, same_scale=shared)
        elif ratio is not None:
            b = network.input(second, dtype, a.scale * ratio, 0 if dtype == "int16" else 17)
        else:
            b = _second(network, a, second, shared=shared)
        left, right = (b, a) if swapped else (a, b)
        return binary(network, builtin, left, right, **options)

    operator = builtin.lower().replace("_", "-")
    prefix = "" if dtype == "int8" else f"{dtype}-"
    return Case(f"{operator}/{prefix}{name}", build, **(case or {}))


def _binary(builtin: str, dtype: str) -> Iterator[Case]:
    yield _pair(builtin, "same-shape", SHAPE, SHAPE, dtype=dtype)
    for name, shape in BROADCASTS.items():
        # The kernels take a lower rank as constants only where a graph's input leads with 1.
        if len(shape) == 4:
            yield _pair(builtin, f"second-{name}", SHAPE, shape, dtype=dtype)
            yield _pair(builtin, f"first-{name}", SHAPE, shape, dtype=dtype, swapped=True)
        yield _pair(builtin, f"constant-{name}", SHAPE, shape, dtype=dtype, constant=True)
    yield _pair(builtin, "constant-same-shape", SHAPE, SHAPE, dtype=dtype, constant=True)
    yield _pair(builtin, "constant-scalar", SHAPE, (), dtype=dtype, constant=True)
    yield _pair(
        builtin, "first-constant-vector", SHAPE, (19,), dtype=dtype, constant=True, swapped=True
    )
    yield _pair(
        builtin, "first-constant-scalar", SHAPE, (), dtype=dtype, constant=True, swapped=True
    )
    yield _pair(builtin, "both-repeated", (1, 6, 1, 19), (1, 1, 5, 19), dtype=dtype)
    yield _pair(builtin, "rank-2", (1, 33), (1, 33), dtype=dtype)
    if builtin in _FUSES:
        for activation in ("RELU", "RELU6", "RELU_N1_TO_1"):
            yield _pair(
                builtin, activation.lower(), SHAPE, SHAPE, dtype=dtype, activation=activation
            )
        for ratio in (1.0, 0.02, 37.0):
            yield _pair(builtin, f"scales-1-to-{ratio:g}", SHAPE, SHAPE, dtype=dtype, ratio=ratio)
        for factor in (0.25, 3.0):
            yield _pair(
                builtin, f"output-times-{factor:g}", SHAPE, SHAPE, dtype=dtype, scale_factor=factor
            )


def _binary16(builtin: str) -> Iterator[Case]:
    # Vela and LiteRT compute the multiplier of MUL in float, TFLite-Micro in double.
    oracle = Oracle.LITERT if builtin == "MUL" else Oracle.TFLM
    this = partial(_pair, builtin, first=SHAPE, dtype="int16", case={"oracle": oracle})
    yield this("same-shape", second=SHAPE)
    for name, shape in BROADCASTS.items():
        if len(shape) == 4:
            yield this(f"second-{name}", second=shape)
            yield this(f"first-{name}", second=shape, swapped=True)
    yield this("constant-vector", second=(19,), constant=True)
    yield this("constant-scalar", second=(), constant=True)
    if builtin in _FUSES:
        yield this("relu", second=SHAPE, activation="RELU")
        yield this("scales-1-to-37", second=SHAPE, ratio=37.0)


def _activations() -> Iterator[Case]:
    shape = (1, 9, 8, 17)
    this = partial(single_input, shape=shape)
    other = Quantisation(0.011, 9)
    positive = Quantisation(0.03, -128)
    ties = Deviation(
        1, 0.05, "Vela divides scales in float32, TFLite-Micro in double: test_deviations.py"
    )
    for builtin in ("RELU", "RELU6"):
        name = builtin.lower()
        yield this(f"{name}/same-scale", operate=partial(unary, builtin=builtin), scale=0.07)
        yield this(
            f"{name}/other-scale",
            operate=partial(unary, builtin=builtin, quantisation=positive),
            scale=0.07,
            # TFLite-Micro's RELU6 takes both scales to be the same.
            oracle=Oracle.LITERT,
        )
    yield this(
        "relu-n1-to-1/same-scale",
        operate=partial(unary, builtin="RELU_N1_TO_1"),
        oracle=Oracle.LITERT,
    )
    yield this("relu/int16", operate=partial(unary, builtin="RELU"), dtype="int16")
    absolute = partial(unary, builtin="ABS")
    yield this("abs/same-scale", operate=absolute, zero_point=0)
    yield this("abs/other-scale", operate=partial(absolute, quantisation=other))
    yield this("abs/int16", operate=absolute, dtype="int16")
    for scale in (0.0157, 0.06):
        swish = partial(unary, builtin="HARD_SWISH")
        yield this(f"hard-swish/scale-{scale:g}", operate=swish, scale=scale)
        yield this(
            f"hard-swish/scale-{scale:g}-to-0.03",
            operate=partial(swish, quantisation=Quantisation(0.03, -118)),
            scale=scale,
        )
    for alpha in (0.01, 0.3, 1.5, -0.2):
        yield this(f"leaky-relu/alpha-{alpha:g}", operate=partial(leaky_relu, alpha=alpha))
    leaky = partial(leaky_relu, alpha=0.1)
    yield this("leaky-relu/other-scale", operate=partial(leaky, quantisation=other))
    yield this("leaky-relu/int16", operate=leaky, dtype="int16")
    for ratio in (1.65, 0.7368, 2.2222):
        to = Quantisation(2.0 / 32768 * ratio)
        other16 = partial(this, operate=partial(leaky, quantisation=to), dtype="int16")
        yield other16(f"leaky-relu/int16-scales-1-to-{ratio:g}", deviation=ties)
        yield other16(f"leaky-relu/int16-scales-1-to-{ratio:g}-litert", oracle=Oracle.LITERT)
    wider = partial(unary, builtin="RELU", quantisation=Quantisation(3.3 / 32768))
    yield this("relu/int16-other-scale", operate=wider, dtype="int16", deviation=ties)
    yield this("relu/int16-other-scale-litert", operate=wider, dtype="int16", oracle=Oracle.LITERT)
    yield this("prelu/positive", operate=prelu)
    yield this("prelu/some-negative", operate=partial(prelu, negative=True))


def _tables() -> Iterator[Case]:
    """Functions Vela puts into a look-up table, and the NPU's own 16-bit sigmoid and tanh."""
    this = partial(single_input, shape=(1, 9, 8, 17))
    for builtin in ("LOGISTIC", "TANH"):
        operate = partial(table, builtin=builtin)
        for scale in (0.0157, 0.05, 0.3):
            yield this(f"{builtin.lower()}/scale-{scale:g}", operate=operate, scale=scale)
        yield this(
            f"{builtin.lower()}/power-of-two-scale",
            operate=operate,
            scale=1 / 256,
            zero_point=-128,
            deviation=Deviation(1, 0.02, "a tie: Vela's table is made in double"),
        )
        for limit in (8, 4, 5.5):
            yield this(
                f"{builtin.lower()}/int16-up-to-{limit:g}",
                operate=operate,
                dtype="int16",
                scale=limit / 32768,
            )
    yield this(
        "elu/int8",
        operate=partial(unary, builtin="ELU", quantisation=Quantisation(0.012, -40)),
        deviation=Deviation(1, 0.02, "Vela computes its table in double, TFLite-Micro in float"),
    )
    exponential = partial(unary, builtin="EXP", quantisation=Quantisation(0.03, -128))
    yield this("exp/int8", operate=exponential, oracle=Oracle.LITERT)
    yield this(
        "exp/int16",
        operate=partial(exponential, quantisation=Quantisation(8 / 32768)),
        dtype="int16",
        oracle=Oracle.LITERT,
    )
    yield this(
        "log/int8",
        operate=partial(unary, builtin="LOG", quantisation=Quantisation(0.03, 20)),
        zero_point=-128,
        oracle=Oracle.LITERT,
    )
    yield this(
        "rsqrt/int8",
        operate=partial(unary, builtin="RSQRT", quantisation=Quantisation(0.02, -128)),
        zero_point=-128,
    )


def _softmaxes() -> Iterator[Case]:
    for classes in (2, 10, 12, 100):
        yield single_input(f"softmax/{classes}-classes", (1, classes), softmax, scale=0.08)
    yield single_input("softmax/many-rows", (1, 7, 6, 9), softmax, scale=0.08)
    yield single_input("softmax/coarse", (1, 10), softmax, scale=0.9)
    yield single_input("softmax/fine", (1, 10), softmax, scale=0.004)
    yield single_input("softmax/beta", (1, 10), partial(softmax, beta=0.5), scale=0.1)
    yield single_input("softmax/int16", (1, 12), softmax, dtype="int16", scale=8 / 32768)
    yield single_input("softmax/int16-rows", (1, 5, 12), softmax, dtype="int16", scale=4 / 32768)
    yield single_input(
        "softmax/int16-many",
        (1, 20, 20, 5),
        softmax,
        dtype="int16",
        scale=1 / 32768,
        deviation=Deviation(
            1,
            0.01,
            "entries 160 and 294 of Vela's reciprocal table differ from TFLM's by one: "
            "test_softmax16.py",
        ),
    )
    yield single_input(
        "log-softmax/int8",
        (1, 10),
        partial(softmax, logarithm=True),
        scale=0.08,
        on_cpu="not in Vela's list",
    )


def _requantisations() -> Iterator[Case]:
    for name, source, target, quantisation in (
        ("finer", "int8", "int8", Quantisation(0.009, 12)),
        ("coarser", "int8", "int8", Quantisation(0.04, -30)),
        ("offset", "int8", "int8", Quantisation(0.0157, 44)),
        ("power-of-two", "int8", "int8", Quantisation(0.0157 / 4, -3)),
        ("int8-to-int16", "int8", "int16", Quantisation(2.1 / 32768)),
        ("int16-to-int8", "int16", "int8", Quantisation(0.0157, -5)),
        ("int16-to-int16", "int16", "int16", Quantisation(3.3 / 32768)),
        ("int8-to-uint8", "int8", "uint8", Quantisation(0.0157, 125)),
        ("uint8-to-int8", "uint8", "int8", Quantisation(0.0157, -3)),
    ):
        yield single_input(
            f"requantise/{name}",
            (1, 9, 8, 17),
            partial(requantise, dtype=target, quantisation=quantisation),
            dtype=source,
        )
