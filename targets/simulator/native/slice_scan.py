"""The kernel that reads the numbers of a slice of a weight stream, chunk by chunk.

It does what `weights.slices.scan_chunks` and `weights.mlw` do in Python and NumPy, with the same
names: unary quotients of this chunk, and the remainders of the last one behind them. A quotient may
continue in the next chunk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from targets.simulator.native.code import INT64, Code
from targets.simulator.native.kernels import SliceField, SliceScan

__all__ = ["emit_slice_scan"]

#: A value of LLVM's; llvmlite has no types.
Value = Any

_CHUNK = 12


def emit_slice_scan(kernel: SliceScan, module: ir.Module) -> None:
    """Add the function of `kernel` to `module`."""
    _Emitter(Code(module, kernel.name)).emit()


@dataclass
class _Numbers:
    """Weights or zero runs: what is known of them, and the variables of their state."""

    total: Value
    divisor: Value
    target: Value
    #: Numbers whose quotients were read, and how many of them in this chunk.
    done: Value
    count: Value
    #: What the quotient that has begun has so far.
    quotient: Value
    #: Whether the last chunk had some: 0 or 1.
    before: Value


class _Emitter:
    def __init__(self, code: Code) -> None:
        self.code = code
        self.bytes = code.pointer(SliceField.BYTES)
        self.position = code.variable(INT64, code.argument(SliceField.POSITION))
        self.weights = self._numbers(SliceField.WEIGHTS, SliceField.DIVISOR, SliceField.INDICES)
        self.runs = self._numbers(SliceField.RUNS, SliceField.ZERO_DIVISOR, SliceField.RUN_LENGTHS)
        self.start, self.word = (code.variable(INT64, code.number(0)) for _ in range(2))

    def _numbers(self, total: SliceField, divisor: SliceField, target: SliceField) -> _Numbers:
        code = self.code
        return _Numbers(
            code.argument(total),
            code.argument(divisor),
            code.pointer(target),
            *(code.variable(INT64, code.number(0)) for _ in range(4)),
        )

    def emit(self) -> None:
        code, build = self.code, self.code.build
        weights, runs = self.weights, self.runs
        none = code.number(0)
        compressed = self._flag(SliceField.COMPRESSED)
        with code.repeat() as again:
            ahead = build.sub(code.get(weights.done), code.get(runs.done))
            balance = build.select(build.icmp_signed(">", runs.total, none), ahead, none)
            limit = code.argument(SliceField.BALANCE)
            weights_on = self._on(weights, build.icmp_signed("<", balance, limit))
            runs_on = self._on(runs, build.icmp_signed(">=", balance, none))
            here = code.get(self.position)
            code.set(self.word, self._bits(here))
            code.set(self.start, here)
            # The numbers whose remainders come now.
            pending = [
                (build.sub(code.get(each.done), code.get(each.count)), code.get(each.count))
                for each in (weights, runs)
            ]
            unary = code.variable(INT64, none)
            with build.if_then(build.and_(weights_on, compressed)):
                code.set(unary, self._take(code.number(_CHUNK)))
            with build.if_then(runs_on):
                self._read_runs()
            with build.if_then(weights_on), build.if_else(compressed) as (coded, plain):
                with coded:
                    self._read_weights(code.get(unary))
                with plain:
                    self._skip_weights()
            for each, (first, count) in zip((weights, runs), pending, strict=True):
                with build.if_then(build.icmp_signed("!=", code.get(each.before), none)):
                    self._add_remainders(each, first, count)
            beyond = build.icmp_signed(">", code.get(self.start), code.argument(SliceField.BITS))
            failed = build.sub(code.number(-1), here)
            code.set(self.position, build.select(beyond, failed, code.get(self.start)))
            going = build.and_(build.or_(weights_on, runs_on), build.not_(beyond))
            code.set(again, build.zext(going, INT64))
            code.set(weights.before, build.zext(weights_on, INT64))
            code.set(runs.before, build.zext(runs_on, INT64))
        code.give(SliceField.POSITION, code.get(self.position))
        code.finish()

    def _flag(self, field: SliceField) -> Value:
        return self.code.build.trunc(self.code.argument(field), ir.IntType(1))

    def _on(self, numbers: _Numbers, balanced: Value) -> Value:
        build = self.code.build
        return build.and_(
            balanced, build.icmp_signed("<", self.code.get(numbers.done), numbers.total)
        )

    def _bits(self, position: Value) -> Value:
        """The 57 bits from `position` on, and a few more."""
        code, build = self.code, self.code.build
        word = code.load(INT64, self.bytes, build.lshr(position, code.number(3)))
        return build.lshr(word, build.and_(position, code.number(7)))

    def _low(self, value: Value, width: Value) -> Value:
        build = self.code.build
        ones = build.shl(self.code.number(-1), width)
        return build.and_(value, build.not_(ones))

    def _take(self, width: Value) -> Value:
        """The next `width` bits of the word."""
        code, build = self.code, self.code.build
        word = code.get(self.word)
        code.set(self.word, build.lshr(word, width))
        code.set(self.start, build.add(code.get(self.start), width))
        return self._low(word, width)

    def _end(self, numbers: _Numbers, index: Value, where: Value) -> None:
        """If `where`, the quotient ends, and is number `index`, a variable."""
        code, build = self.code, self.code.build
        with build.if_then(where):
            at = build.mul(code.get(index), code.number(8))
            code.store(code.get(numbers.quotient), numbers.target, at)
            code.set(numbers.quotient, code.number(0))
            code.set(index, build.add(code.get(index), code.number(1)))

    def _count(self, numbers: _Numbers, found: Value) -> None:
        """Note that `found` numbers are in this chunk, or fewer if those are all."""
        code, build = self.code, self.code.build
        done = code.get(numbers.done)
        count = code.least(found, build.sub(numbers.total, done))
        code.set(numbers.count, count)
        code.set(numbers.done, build.add(done, count))

    def _read_runs(self) -> None:
        code, build, runs = self.code, self.code.build, self.runs
        symbols = code.argument(SliceField.ZERO_SYMBOLS)
        unary = self._take(symbols)
        index = code.variable(INT64, code.number(0))
        code.set(index, code.get(runs.done))
        with code.loop(symbols) as i:
            bit = build.and_(build.lshr(unary, i), code.number(1))
            code.set(runs.quotient, build.add(code.get(runs.quotient), bit))
            self._end(runs, index, build.icmp_signed("==", bit, code.number(0)))
        self._count(runs, build.sub(code.get(index), code.get(runs.done)))

    def _read_weights(self, unary: Value) -> None:
        """Each 1 of the first unary field has a bit in the second: whether another 1 follows."""
        code, build, weights = self.code, self.code.build, self.weights
        truncated = self._flag(SliceField.TRUNCATED)
        second = code.variable(INT64, code.number(0))
        code.set(second, self._take(code.intrinsic("llvm.ctpop.i64", unary)))
        index = code.variable(INT64, code.number(0))
        code.set(index, code.get(weights.done))
        with code.loop(code.number(_CHUNK)) as i:
            bit = build.and_(build.lshr(unary, i), code.number(1))
            more = build.and_(code.get(second), bit)
            code.set(second, build.lshr(code.get(second), bit))
            grown = build.add(code.get(weights.quotient), build.add(bit, more))
            code.set(weights.quotient, grown)
            last = build.icmp_signed("==", more, code.number(0))
            self._end(weights, index, build.or_(truncated, last))
        self._count(weights, build.sub(code.get(index), code.get(weights.done)))

    def _skip_weights(self) -> None:
        """Weights without quotients."""
        code, build, weights = self.code, self.code.build, self.weights
        symbols = code.argument(SliceField.SYMBOLS)
        with code.loop(symbols) as i:
            at = build.mul(build.add(code.get(weights.done), i), code.number(8))
            code.store(code.number(0), weights.target, at)
        self._count(weights, symbols)

    def _add_remainders(self, numbers: _Numbers, first: Value, count: Value) -> None:
        """Complete the numbers of the last chunk."""
        code, build = self.code, self.code.build
        width = numbers.divisor
        with code.loop(count) as i:
            at = build.mul(build.add(first, i), code.number(8))
            position = build.add(code.get(self.start), build.mul(i, width))
            remainder = self._low(self._bits(position), width)
            quotient = build.shl(code.load(INT64, numbers.target, at), width)
            code.store(build.add(quotient, remainder), numbers.target, at)
        code.set(self.start, build.add(code.get(self.start), build.mul(count, width)))
