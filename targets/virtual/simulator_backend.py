"""The backend that executes command streams with the simulator."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from targets.artefact.errors import StreamError, WeightStreamError
from targets.artefact.stream.decode import decode
from targets.artefact.stream.operations import Operation
from targets.ethos_u55.command_stream import WORD_BYTES
from targets.ethos_u55.memory_modes import MemoryMode
from targets.ethos_u55.ports import BurstBytes
from targets.jobs.device_job import TimingAdapter
from targets.simulator.execution.memory import Memory, MemoryMap, RegionInfo
from targets.simulator.execution.program import Program
from targets.simulator.timing import estimate
from targets.simulator.timing.events import pmu_events
from targets.simulator.timing.work import network_work
from targets.simulator.traffic.network import network_traffic
from targets.timing_profiles import (
    LATENCY_MAX,
    OUTSTANDING_MAX,
    PERIOD_MAX,
    PortTiming,
    TimingProfile,
)
from targets.virtual.accesses import Access, accesses
from targets.virtual.backend import NpuFault, NpuOutcome, NpuRequest
from targets.virtual.errors import BusError
from targets.virtual.memory import Block, Bytes
from targets.virtual.pmu import NPU_ACTIVE

__all__ = ["SimulatorBackend"]

#: Writable memory up to this size is compared with that of the last run; DDR would take too long.
_REMEMBERED_BYTES = 4 << 20
_BLOCKED = "the run never ends: the timing adapter of a port that it uses has PULSE_ON 0"


class SimulatorBackend:
    """Runs `targets.simulator` on the machine's own memory, without copying.

    To count PMU events in several passes, firmware runs the same stream several times. If a run
    finds everything that it can read unchanged since the last one, it gets the same result. So such
    passes cost one simulation, if the job clears its arena.

    With `timed` False cycle counts are 0, as with the FVP's `--fast`.
    """

    def __init__(self, timed: bool = True) -> None:
        self._timed = timed
        self._decoded: _Decoded | None = None
        self._counted: _Counted | None = None
        self._prepared: _Prepared | None = None
        self._last: _Run | None = None

    def run(self, request: NpuRequest) -> NpuOutcome:
        """Execute one stream. What the simulator refuses is a fault, with its explanation.

        A stream is checked whole before anything of it is executed. What the simulator does not do,
        or not at that size, is reported like a command that does not exist.
        """
        try:
            stream = self._decode(request)
            abort = _first_abort(request, stream)
            prepared = self._prepare(request, stream, None if abort is None else abort.index)
            if abort is not None:
                return abort.outcome
            if _blocked(request, stream):
                return NpuOutcome(endless=True, explanation=_BLOCKED)
            counters = self._count(request, stream)
        except WeightStreamError as error:
            return _fault(NpuFault.WEIGHT_DECODER, error)
        except StreamError as error:
            return _fault(NpuFault.COMMAND_PARSE, error)
        self._execute(prepared)
        if not self._timed:
            counters = {**counters, NPU_ACTIVE: 0}
        return NpuOutcome(cycles=counters[NPU_ACTIVE], counters=counters)

    def _decode(self, request: NpuRequest) -> _Decoded:
        key = request.commands, request.macs
        if self._decoded is None or self._decoded.key != key:
            commands = np.frombuffer(request.commands, "<u4").astype(np.uint32)
            operations = decode(commands, request.macs)
            self._decoded = _Decoded(key, operations, [tuple(accesses(op)) for op in operations])
        return self._decoded

    def _count(self, request: NpuRequest, stream: _Decoded) -> Mapping[int, int]:
        ports = request.qconfig, request.regioncfg, request.timing, request.axi_limits
        key = *stream.key, *ports
        if self._counted is None or self._counted.key != key:
            self._counted = _Counted(key, _counters(request, stream.operations))
        return self._counted.counters

    def _prepare(self, request: NpuRequest, stream: _Decoded, end: int | None) -> _Prepared:
        """The operations before number `end` (None = all), checked."""
        operations = stream.operations[:end]
        reach = [access for some in stream.accesses[:end] for access in some]
        layout, blocks = _layout(request, reach)
        key = _digest(
            request.commands,
            repr((request.macs, request.bases, len(operations))).encode(),
            *_constants(reach, layout),
        )
        if self._prepared is None or self._prepared.key != key:
            program = Program(operations, layout, request.macs)
            self._prepared = _Prepared(key, program, layout, blocks)
        return self._prepared

    def _execute(self, prepared: _Prepared) -> None:
        storages = {number: block.contents for number, block in prepared.blocks.items()}
        small = sum(map(len, storages.values())) <= _REMEMBERED_BYTES
        before = _digest(prepared.key, *storages.values()) if small else b""
        if small and self._last is not None and self._last.before == before:
            for number, contents in self._last.after.items():
                storages[number][:] = contents
            return
        rows = {number: contents[np.newaxis] for number, contents in storages.items()}
        prepared.program.run(Memory(prepared.layout, rows, rows=1))
        if small:
            self._last = _Run(before, {n: contents.copy() for n, contents in storages.items()})


@dataclass(frozen=True)
class _Decoded:
    """A stream's operations, and what it was decoded from."""

    key: tuple[object, ...]
    operations: tuple[Operation, ...]
    #: Those of each operation.
    accesses: Sequence[tuple[Access, ...]]


@dataclass(frozen=True)
class _Counted:
    """A stream's counts by event number, and what they depend on."""

    key: tuple[object, ...]
    counters: Mapping[int, int]


@dataclass(frozen=True)
class _Prepared:
    """A checked stream, and the digest of everything that went into it."""

    key: bytes
    program: Program
    layout: MemoryMap
    #: The writable memories, by the layout's storage numbers.
    blocks: Mapping[int, Block]


@dataclass(frozen=True)
class _Run:
    """The last run: the digest of what it found, and the writable memories after it."""

    before: bytes
    after: Mapping[int, Bytes]


@dataclass(frozen=True)
class _Abort:
    """A bus abort, and the index of the operation that caused it."""

    index: int
    outcome: NpuOutcome


def _blocked(request: NpuRequest, stream: _Decoded) -> bool:
    """Whether the timing adapter of a port that the stream uses lets no address through."""
    ports = _port_timings(request)
    regions = {access.region for reach in stream.accesses for access in reach}
    return any(ports[request.ports.port(region)].blocked for region in (None, *regions))


def _first_abort(request: NpuRequest, stream: _Decoded) -> _Abort | None:
    """The stream's first access to an address at which the NPU finds no memory."""
    for index, (operation, reach) in enumerate(
        zip(stream.operations, stream.accesses, strict=True)
    ):
        for access in reach:
            try:
                _check(request, access)
            except BusError as error:
                outcome = NpuOutcome(
                    faults=NpuFault.BUS_ABORT,
                    fault_port=request.ports.port(access.region),
                    fault_channel=access.channel,
                    read_bytes=WORD_BYTES * operation.word,
                    explanation=f"word {operation.word}: {error}",
                )
                return _Abort(index, outcome)
    return None


def _check(request: NpuRequest, access: Access) -> None:
    """Raise `BusError` unless the bytes lie in their region, which ends where its memory does."""
    base = request.bases[access.region]
    block, offset = request.memory.locate(base)
    if access.first < 0 or offset + access.end > block.size:
        raise BusError(
            f"bytes {access.first}..{access.end - 1} of region {access.region} at {base:#010x} "
            f"are outside the {block.name}"
        )


def _layout(request: NpuRequest, reach: Sequence[Access]) -> tuple[MemoryMap, dict[int, Block]]:
    """The regions that a stream uses, each from its base to the end of its memory.

    A region that is never written is read-only; the others share their memory's storage.
    """
    written = {access.region for access in reach if access.channel.writes}
    regions: dict[int, RegionInfo] = {}
    blocks: dict[int, Block] = {}
    for index in sorted({access.region for access in reach}):
        block, offset = request.memory.locate(request.bases[index])
        size = block.size - offset
        if index in written:
            blocks[block.address] = block
            regions[index] = RegionInfo(size, None, block.address, offset)
        else:
            regions[index] = RegionInfo(size, block.contents[offset:], storage=-1)
    return MemoryMap(regions), blocks


def _constants(reach: Sequence[Access], layout: MemoryMap) -> Iterator[Bytes]:
    """What is read from each read-only region, from its first byte on."""
    ends: dict[int, int] = {}
    for access in reach:
        ends[access.region] = max(ends.get(access.region, 0), access.end)
    for region, end in sorted(ends.items()):
        constant = layout.regions[region].constant
        if constant is not None:
            yield constant[:end]


def _counters(request: NpuRequest, operations: Sequence[Operation]) -> dict[int, int]:
    """The PMU events for which the cycle model has a value, by number, as in target `sim`."""
    words = len(request.commands) // WORD_BYTES
    # A port that lets no address through is one that the stream does not use.
    sram, ext = (PortTiming() if port.blocked else port for port in _port_timings(request))
    timing = estimate(
        network_work(network_traffic(operations, words, request.ports), request.macs),
        # Only to say that each port has its own adapter.
        MemoryMode.SHARED_SRAM,
        TimingProfile(sram=sram, ext=ext),
    )
    return {event.number: event.value for event in pmu_events(timing) if event.value is not None}


def _port_timings(request: NpuRequest) -> tuple[PortTiming, PortTiming]:
    first, second = map(_port_timing, request.timing, request.ports.bursts)
    return first, second


def _port_timing(registers: tuple[int, ...], burst: BurstBytes) -> PortTiming:
    """A timing adapter's registers as the model needs them, cut to the registers' widths."""
    adapter = TimingAdapter(*registers)
    return PortTiming(
        **{name: getattr(adapter, name) & OUTSTANDING_MAX for name in ("maxr", "maxw", "maxrw")},
        **{name: getattr(adapter, name) & LATENCY_MAX for name in ("rlatency", "wlatency")},
        **{
            name: getattr(adapter, name) & PERIOD_MAX for name in ("pulse_on", "pulse_off", "bwcap")
        },
        burst=burst,
    )


def _fault(fault: NpuFault, error: StreamError) -> NpuOutcome:
    return NpuOutcome(faults=fault, read_bytes=WORD_BYTES * error.word, explanation=str(error))


def _digest(*parts: bytes | Bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).data)
    return digest.digest()
