"""The kernel of convolutions, depthwise convolutions and sums: multiply, add up, scale, store.

    for each chunk of rows of the batch
        copy the IFM, padded, into the scratch memory                   (`_gather`)
        for each group of output channels                 `blocks` vectors of 16
            for each tile of positions in the OFM         `positions` of them
                sums = start                              int32, in registers
                for each step along the kernel
                    sums += inputs x weights              (`Dot`)
                scale, round, clamp, store                (`_stage`)

The tables say where everything is, so one kernel serves every layout, window and dilation. A step
takes four bytes of the scratch memory for every output channel, or one byte of each channel
(depthwise). The sums wrap in 32 bits, and who calls it knows that the last one does not.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from targets.simulator.native.code import BYTE, INT16, INT32, INT64, Code, vector
from targets.simulator.native.kernels import LANES, PIECE_FIELDS, Dot, Multiplication, Product

__all__ = ["emit_multiplication"]

#: A value of LLVM's; llvmlite has no types.
Value = Any

#: The arguments that are addresses.
_ADDRESSES = {
    Product.SOURCE,
    Product.PIECE_TABLE,
    Product.SCRATCH,
    Product.TARGET,
    Product.INPUT_OFFSETS,
    Product.OUTPUT_OFFSETS,
    Product.STEP_OFFSETS,
    Product.WEIGHTS,
    Product.START,
    Product.MULTIPLIER,
    Product.BEFORE,
    Product.NEGATIVE,
    Product.AFTER,
    Product.SHIFT,
    Product.CHANNEL_OFFSETS,
    Product.CHANNEL_COUNTS,
}


def emit_multiplication(kernel: Multiplication, module: ir.Module) -> None:
    """Add the function of `kernel` to `module`."""
    _Emitter(kernel, module).emit()


class _Emitter:
    """Writes one variant."""

    def __init__(self, kernel: Multiplication, module: ir.Module) -> None:
        self.kernel = kernel
        self.code = Code(module, kernel.name)
        self.given = {
            field: (self.code.pointer if field in _ADDRESSES else self.code.argument)(field)
            for field in Product
        }
        #: The sums of a tile, int32 `[positions, blocks, 16]`.
        self.results = self.code.array(vector(INT32), kernel.positions * kernel.blocks)
        self.zero_point, self.low, self.high = (
            self.code.splat(self.code.build.trunc(self.given[field], INT32))
            for field in (Product.ZERO_POINT, Product.LOW, Product.HIGH)
        )

    def emit(self) -> None:
        code, build, given = self.code, self.code.build, self.given
        chunk = given[Product.CHUNK]
        rows = given[Product.ROWS]
        chunks = build.sdiv(build.add(rows, build.sub(chunk, code.number(1))), chunk)
        with code.loop(chunks) as index:
            first = build.mul(index, chunk)
            count = code.least(chunk, build.sub(rows, first))
            source = code.at(given[Product.SOURCE], build.mul(first, given[Product.SOURCE_ROW]))
            with code.loop(count) as row:
                self._gather(
                    code.at(source, build.mul(row, given[Product.SOURCE_ROW])),
                    code.at(given[Product.SCRATCH], build.mul(row, given[Product.SCRATCH_ROW])),
                )
            target = code.at(given[Product.TARGET], build.mul(first, given[Product.TARGET_ROW]))
            self._chunk(target, build.mul(count, given[Product.POSITIONS]))
        code.finish()

    def _gather(self, source: Value, target: Value) -> None:
        """Copy the IFM of one row into the scratch memory."""
        code, build, given = self.code, self.code.build, self.given
        with code.loop(given[Product.PIECES]) as piece:
            base = build.mul(piece, code.number(PIECE_FIELDS))
            fields = [
                code.entry(given[Product.PIECE_TABLE], build.add(base, code.number(i)))
                for i in range(PIECE_FIELDS)
            ]
            start, lines, columns, bricks, run = fields[:5]
            begin, into, out_of = fields[8], fields[9:], fields[5:8]
            with code.loop(lines) as y, code.loop(columns) as x, code.loop(bricks) as brick:
                from_, to = (
                    code.at(code.at(base, first), self._place((y, x, brick), strides))
                    for base, first, strides in ((source, start, out_of), (target, begin, into))
                )
                vectors = build.sdiv(run, code.number(LANES))
                with code.loop(vectors) as i:
                    self._copy(from_, to, build.mul(i, code.number(LANES)), vector(BYTE))
                done = build.mul(vectors, code.number(LANES))
                with code.loop(build.sub(run, done)) as i:
                    self._copy(from_, to, build.add(done, i), BYTE)

    def _place(self, index: tuple[Value, Value, Value], strides: list[Value]) -> Value:
        build = self.code.build
        products = [build.mul(i, stride) for i, stride in zip(index, strides, strict=True)]
        return build.add(build.add(products[0], products[1]), products[2])

    def _copy(self, source: Value, target: Value, element: Value, kind: Any) -> None:
        """Copy a byte, or a vector of them, as the dot product wants it."""
        code, build = self.code, self.code.build
        value = code.load(kind, source, element)
        several = isinstance(kind, ir.VectorType)
        if self.kernel.dot is Dot.PAIRS:
            wide = vector(INT16) if several else INT16
            value = (build.sext if self.kernel.signed else build.zext)(value, wide)
        elif self.kernel.signed:
            top = ir.Constant(BYTE, 0x80)
            value = build.xor(value, code.splat(top) if several else top)
        code.store(value, target, build.mul(element, code.number(self.kernel.dot.input_bytes)))

    def _chunk(self, target: Value, positions: Value) -> None:
        """All positions of a chunk, by groups of channels."""
        code, build, given = self.code, self.code.build, self.given
        size = self.kernel.positions
        last = build.sub(positions, code.number(1))
        tiles = build.sdiv(build.add(positions, code.number(size - 1)), code.number(size))
        with code.loop(given[Product.GROUPS]) as group, code.loop(tiles) as tile:
            first = build.mul(tile, code.number(size))
            # The last tile repeats the last position.
            index = [code.least(build.add(first, code.number(i)), last) for i in range(size)]
            self._sum(group, index)
            blocks = self.kernel.blocks
            # A loop here is as fast as a copy for each position, and a fraction of the code.
            with code.loop(code.number(size)) as i:
                position = code.least(build.add(first, i), last)
                offset = code.entry(given[Product.OUTPUT_OFFSETS], position)
                for b in range(blocks):
                    block = build.add(build.mul(group, code.number(blocks)), code.number(b))
                    channel = code.entry(given[Product.CHANNEL_OFFSETS], block)
                    count = code.entry(given[Product.CHANNEL_COUNTS], block)
                    at = build.add(build.mul(i, code.number(blocks)), code.number(b))
                    value = code.load(
                        vector(INT32), self.results, build.mul(at, code.number(4 * LANES))
                    )
                    value = self._stage(value, *self._scaling(block))
                    code.store_lanes(value, count, target, build.add(offset, channel))

    def _sum(self, group: Value, index: list[Value]) -> None:
        """Put the sums of a tile into `results`."""
        code, build, given, kernel = self.code, self.code.build, self.given, self.kernel
        sums_type = vector(INT32)
        size = code.number(4 * LANES)
        starts = [
            code.load(
                sums_type,
                given[Product.START],
                build.mul(
                    build.add(build.mul(group, code.number(kernel.blocks)), code.number(b)), size
                ),
            )
            for b in range(kernel.blocks)
        ]
        sums = [[code.variable(sums_type, start) for start in starts] for _ in index]
        windows = [
            code.at(given[Product.SCRATCH], code.entry(given[Product.INPUT_OFFSETS], i))
            for i in index
        ]
        if kernel.dot is Dot.CHANNELS:
            shift = build.mul(group, code.number(LANES * kernel.blocks))
            windows = [code.at(window, shift) for window in windows]
        block_bytes = LANES * kernel.dot.step * kernel.dot.weight_bytes
        step_bytes = code.number(block_bytes * kernel.blocks)
        weights = code.at(
            given[Product.WEIGHTS], build.mul(build.mul(group, given[Product.STEPS]), step_bytes)
        )
        with code.loop(given[Product.STEPS]) as step:
            offset = code.entry(given[Product.STEP_OFFSETS], step)
            here = code.at(weights, build.mul(step, step_bytes))
            factors = [self._weights(here, b * block_bytes) for b in range(kernel.blocks)]
            for window, row in zip(windows, sums, strict=True):
                if kernel.dot is not Dot.CHANNELS:
                    common = code.splat(code.load(INT32, window, offset))
                for b, place in enumerate(row):
                    if kernel.dot is Dot.CHANNELS:
                        common = code.load(
                            vector(BYTE), code.at(window, offset), code.number(LANES * b)
                        )
                    code.set(place, self._dot(code.get(place), common, factors[b]))
        for i, place in enumerate(place for row in sums for place in row):
            code.store(code.get(place), self.results, code.number(4 * LANES * i))

    def _weights(self, address: Value, offset: int) -> Value:
        kernel = self.kernel
        lanes = LANES * kernel.dot.step
        kind = vector(BYTE if kernel.dot is Dot.QUADS else INT16, lanes)
        return self.code.load(kind, address, self.code.number(offset))

    def _dot(self, sums: Value, inputs: Value, weights: Value) -> Value:
        code, build = self.code, self.code.build
        if self.kernel.dot is Dot.QUADS:
            words = build.bitcast(weights, vector(INT32))
            return code.intrinsic("llvm.x86.avx512.vpdpbusd.512", sums, inputs, words)
        if self.kernel.dot is Dot.CHANNELS:
            wide = vector(INT32)
            product = build.mul(build.zext(inputs, wide), build.sext(weights, wide))
            return build.add(sums, product)
        wide = vector(INT32, 2 * LANES)
        pairs = build.bitcast(inputs, vector(INT16, 2 * LANES))
        products = build.mul(build.sext(pairs, wide), build.sext(weights, wide))
        even, odd = (code.pick(products, range(i, 2 * LANES, 2)) for i in (0, 1))
        return build.add(sums, build.add(even, odd))

    def _scaling(self, block: Value) -> list[Value]:
        """Vectors of MULTIPLIER and the four fields after it."""
        code, build = self.code, self.code.build
        fields = (
            Product.MULTIPLIER,
            Product.BEFORE,
            Product.NEGATIVE,
            Product.AFTER,
            Product.SHIFT,
        )
        return [
            code.load(vector(kind), self.given[field], build.mul(block, code.number(LANES * size)))
            for field, kind, size in zip(
                fields, (INT32, INT64, INT64, INT64, INT64), (4, 8, 8, 8, 8), strict=True
            )
        ]

    def _stage(
        self,
        sums: Value,
        multiplier: Value,
        before: Value,
        negative: Value,
        after: Value,
        shift: Value,
    ) -> Value:
        """Bytes of the sums: scaled, rounded and clamped. This is `arithmetic.scale`.

        `negative` is added to what is negative after `before` has been added.
        """
        build = self.code.build
        wide = vector(INT64)
        product = build.mul(build.sext(sums, wide), build.sext(multiplier, wide))
        product = build.add(product, before)
        sign = build.ashr(product, ir.Constant(wide, [63] * LANES))
        product = build.add(product, build.and_(sign, negative))
        product = build.ashr(build.add(product, after), shift)
        value = build.add(build.trunc(product, vector(INT32)), self.zero_point)
        value = build.select(build.icmp_signed(">", value, self.low), value, self.low)
        value = build.select(build.icmp_signed("<", value, self.high), value, self.high)
        return build.trunc(value, vector(BYTE))
