"""Writing a function in LLVM's language: loops, variables, memory, vectors of `LANES`.

A thin layer over `llvmlite.ir`, so that a kernel reads as what it computes. Numbers are 64-bit
integers, and addresses are counted in bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from targets.simulator.native.kernels import LANES

__all__ = ["BYTE", "INT16", "INT32", "INT64", "Code", "vector"]

BYTE, INT16, INT32, INT64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_POINTER = ir.PointerType()

#: A value of LLVM's; llvmlite has no types.
Value = Any
Type = Any


def vector(element: Type, lanes: int = LANES) -> Type:
    """The type of `lanes` elements."""
    return ir.VectorType(element, lanes)


class Code:
    """A function of the record of its arguments (int64 `[n]`), under construction.

    It returns nothing. `finish` ends it.
    """

    def __init__(self, module: ir.Module, name: str) -> None:
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_POINTER]), name)
        self._module = module
        self._entry = function.append_basic_block("entry")
        body = function.append_basic_block("body")
        self._variables = ir.IRBuilder(self._entry)
        self.build = ir.IRBuilder(body)
        self._body = body
        self._record = function.args[0]

    def finish(self) -> None:
        """End the function."""
        self.build.ret_void()
        self._variables.branch(self._body)

    def argument(self, index: int) -> Value:
        """Entry `index` of the record."""
        return self.load(INT64, self._record, self.number(8 * index))

    def give(self, index: int, value: Value) -> None:
        """Change entry `index` of the record."""
        self.store(value, self._record, self.number(8 * index))

    def pointer(self, index: int) -> Value:
        """The same, as an address."""
        return self.build.inttoptr(self.argument(index), _POINTER)

    @staticmethod
    def number(value: int) -> Value:
        """A constant."""
        return ir.Constant(INT64, value)

    @staticmethod
    def constants(element: Type, values: Sequence[int | float]) -> Value:
        """A constant vector."""
        return ir.Constant(vector(element, len(values)), list(values))

    def variable(self, kind: Type, value: Value) -> Value:
        """A place for a value that changes; for `get` and `set`."""
        place = self._variables.alloca(kind)
        self.set(place, value)
        return place

    def array(self, kind: Type, count: int) -> Value:
        """The address of `count` places for values that change."""
        return self._variables.alloca(kind, size=count)

    def get(self, place: Value) -> Value:
        """A variable's value."""
        return self.build.load(place, typ=place.allocated_type)

    def set(self, place: Value, value: Value) -> None:
        """Change a variable."""
        self.build.store(value, place)

    @contextmanager
    def loop(self, count: Value) -> Iterator[Value]:
        """Repeat the block for 0 .. count - 1, which it gets."""
        build = self.build
        place = self.variable(INT64, self.number(0))
        head, body, end = (build.append_basic_block(name) for name in ("head", "body", "end"))
        build.branch(head)
        build.position_at_end(head)
        index = self.get(place)
        build.cbranch(build.icmp_signed("<", index, count), body, end)
        build.position_at_end(body)
        yield index
        self.set(place, build.add(index, self.number(1)))
        build.branch(head)
        build.position_at_end(end)

    @contextmanager
    def repeat(self) -> Iterator[Value]:
        """Run the block, and again as long as the variable that it gets is not 0 (it is 1)."""
        build = self.build
        again = self.variable(INT64, self.number(1))
        body, end = build.append_basic_block("again"), build.append_basic_block("end")
        build.branch(body)
        build.position_at_end(body)
        yield again
        build.cbranch(build.icmp_signed("!=", self.get(again), self.number(0)), body, end)
        build.position_at_end(end)

    def least(self, a: Value, b: Value) -> Value:
        """The smaller number."""
        return self.build.select(self.build.icmp_signed("<", a, b), a, b)

    def at(self, address: Value, offset: Value) -> Value:
        """The address `offset` bytes further."""
        return self.build.gep(address, [offset], source_etype=BYTE)

    def entry(self, table: Value, index: Value) -> Value:
        """An element of a table of numbers."""
        return self.load(INT64, table, self.build.mul(index, self.number(8)))

    def load(self, kind: Type, address: Value, offset: Value) -> Value:
        """A value of any type, wherever it lies."""
        return self.build.load(self.at(address, offset), align=1, typ=kind)

    def store(self, value: Value, address: Value, offset: Value) -> None:
        """Store a value, wherever that is."""
        self.build.store(value, self.at(address, offset), align=1)

    def splat(self, value: Value, lanes: int = LANES) -> Value:
        """A vector of equal elements."""
        one = ir.Constant(vector(value.type, lanes), ir.Undefined)
        first = self.build.insert_element(one, value, ir.Constant(INT32, 0))
        return self.build.shuffle_vector(first, one, self.constants(INT32, [0] * lanes))

    def pick(self, value: Value, lanes: Sequence[int]) -> Value:
        """Some of the lanes of a vector."""
        return self.build.shuffle_vector(value, value, self.constants(INT32, lanes))

    def intrinsic(self, name: str, *arguments: Value) -> Value:
        """Call a function of LLVM's that gives the type of its first argument."""
        return self._call(name, arguments[0].type, arguments)

    def store_lanes(self, value: Value, count: Value, address: Value, offset: Value) -> None:
        """Store the first `count` lanes of a vector of bytes."""
        build = self.build
        whole = build.icmp_signed(">=", count, self.number(LANES))
        with build.if_else(whole, likely=True) as (full, part):
            with full:
                self.store(value, address, offset)
            with part:
                limit = self.splat(build.trunc(count, BYTE))
                mask = build.icmp_unsigned("<", self.constants(BYTE, range(LANES)), limit)
                place = self.at(address, offset)
                name = f"llvm.masked.store.v{LANES}i8.p0"
                one = ir.Constant(INT32, 1)
                self._call(name, ir.VoidType(), [value, place, one, mask])

    def _call(self, name: str, result: Type, arguments: Sequence[Value]) -> Value:
        function = self._module.globals.get(name)
        if function is None:
            kinds = [each.type for each in arguments]
            function = ir.Function(self._module, ir.FunctionType(result, kinds), name)
        return self.build.call(function, arguments)
