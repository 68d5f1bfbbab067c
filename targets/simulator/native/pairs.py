"""The kernel of operations on two bytes: what any two of them give is looked up in a table.

for each index of four outer axes
    for each element of the innermost axis
        target = table[256 * first + second]
"""

from __future__ import annotations

from llvmlite import ir

from targets.simulator.native.code import BYTE, INT64, Code
from targets.simulator.native.kernels import AXES, PairField, PairLookup

__all__ = ["emit_pair_lookup"]


def emit_pair_lookup(kernel: PairLookup, module: ir.Module) -> None:
    """Add the function of `kernel` to `module`."""
    code = Code(module, kernel.name)
    build = code.build
    table = code.pointer(PairField.TABLE)
    arrays = [
        (code.pointer(start), [code.argument(strides + i) for i in range(AXES)])
        for start, strides in (
            (PairField.FIRST, PairField.FIRST_STRIDES),
            (PairField.SECOND, PairField.SECOND_STRIDES),
            (PairField.TARGET, PairField.TARGET_STRIDES),
        )
    ]
    sizes = [code.argument(PairField.SIZES + i) for i in range(AXES)]
    first, second, target = range(3)
    with (
        code.loop(sizes[0]) as i,
        code.loop(sizes[1]) as j,
        code.loop(sizes[2]) as k,
        code.loop(sizes[3]) as m,
    ):
        lines = []
        for start, strides in arrays:
            place = start
            for index, stride in zip((i, j, k, m), strides, strict=False):
                place = code.at(place, build.mul(index, stride))
            lines.append((place, strides[-1]))
        with code.loop(sizes[4]) as n:
            steps = [build.mul(n, stride) for _, stride in lines]
            a, b = (
                build.zext(code.load(BYTE, lines[i][0], steps[i]), INT64) for i in (first, second)
            )
            both = build.or_(build.shl(a, code.number(8)), b)
            code.store(code.load(BYTE, table, both), lines[target][0], steps[target])
    code.finish()
