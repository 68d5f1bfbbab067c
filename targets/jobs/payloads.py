"""What each kind of frame carries. Numbers are plain; events are PMU event numbers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

__all__ = [
    "Data",
    "End",
    "ErrorAnswer",
    "Hello",
    "JobStart",
    "Npu",
    "OutputEnd",
    "Pass",
    "Payload",
    "Result",
    "Timing",
    "parse_payload",
]


class _Payload(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Hello(_Payload):
    """The firmware introduces itself: its version, the job format it reads, its security state."""

    kind: Literal["hello"]
    firmware: str
    format: int
    secure: bool
    cpuid: int


class Npu(_Payload):
    """The NPU's ID and CONFIG registers, and its MACs per cycle."""

    kind: Literal["npu"]
    id: int
    config: int
    macs: int


class JobStart(_Payload):
    """A job begins."""

    kind: Literal["job"]
    job: int
    name: str
    macs: int


class Timing(_Payload):
    """A timing adapter was programmed; `registers` as read back, in `TimingAdapter.words` order."""

    kind: Literal["timing"]
    job: int
    port: int
    version: int
    registers: tuple[int, ...]


class Pass(_Payload):
    """One run of the NPU: `cycles` of the cycle counter, and up to four (event, count)."""

    kind: Literal["pass"]
    job: int
    repetition: int
    #: Which four of the events.
    number: int = Field(alias="pass")
    status: int
    cycles: int
    #: Counters that overflowed: bit n = event counter n, bit 31 = cycle counter.
    overflow: int
    #: Over all outputs, one after the other.
    outputs_crc32: int
    events: tuple[tuple[int, int], ...]


class Data(_Payload):
    """Bytes of an output."""

    kind: Literal["data"]
    job: int
    output: int
    at: int
    base64: str


class OutputEnd(_Payload):
    """An output is complete; `sent` of its `bytes` were sent."""

    kind: Literal["output"]
    job: int
    output: int
    bytes: int
    sent: int
    crc32: int


class Result(_Payload):
    """A job's end. `stable`: every pass gave the same cycles and outputs."""

    kind: Literal["result"]
    job: int
    ok: bool
    stable: bool


class End(_Payload):
    """The last frame; `frames` counts all frames, including this one."""

    kind: Literal["end"]
    jobs: int
    failed: int
    frames: int


class ErrorAnswer(_Payload):
    """Something went wrong on the device; the fields depend on `code`."""

    kind: Literal["error"]
    code: Literal[
        "bad_crc",
        "bad_format",
        "bad_job",
        "bad_length",
        "macs_mismatch",
        "memory",
        "no_job",
        "no_npu",
        "npu_access",
        "npu_fault",
        "npu_reset",
        "processor_fault",
        "timing_adapter",
        "watchdog",
    ]
    #: None if the error does not belong to a job.
    job: int | None = None
    field: str | None = None
    expected: int | None = None
    found: int | None = None
    npu_macs: int | None = None
    job_macs: int | None = None
    status: int | None = None
    qread: int | None = None
    faults: tuple[str, ...] = ()
    port: int | None = None
    channel: str | None = None
    megacycles: int | None = None
    protection: int | None = None
    version: int | None = None
    registers: tuple[int, ...] = ()
    arena: int | None = None
    flash: int | None = None
    cfsr: int | None = None
    hfsr: int | None = None
    address: int | None = None

    @property
    def sentence(self) -> str:
        """What happened, in words, with all its numbers."""
        return _SENTENCES[self.code].format(**_readable(self))


_SENTENCES = {
    "bad_crc": "the job image arrived damaged: CRC-32 {expected:08X} stated, {found:08X} found",
    "bad_format": "the firmware reads job format {expected}, the image has format {found}",
    "bad_job": "the firmware refuses the job image: field '{field}' of job {job}",
    "bad_length": "the job image states an impossible length of {found} bytes",
    "macs_mismatch": "the NPU has {npu_macs} MACs/cc, the model was compiled for {job_macs}",
    "memory": "memory does not keep what is written (arena {arena:#x}, flash copy {flash:#x})",
    "no_job": "the firmware found no job image at its address",
    "no_npu": "there is no NPU: its ID register reads 0",
    "npu_access": "the NPU is in protection state {protection}, which is not the firmware's",
    "npu_fault": "the NPU stopped at byte {qread} of the command stream: {faults}"
    " (STATUS {status:#010x}, port {port}, channel {channel})",
    "npu_reset": "the NPU does not come out of reset (STATUS {status:#010x})",
    "processor_fault": "the processor faulted (CFSR {cfsr:#x}, HFSR {hfsr:#x}, at {address:#x})",
    "timing_adapter": "the timing adapter of port {port} has version {version:#x}, not"
    " {expected:#x}, or did not keep its values (read back: {registers})",
    "watchdog": "the NPU did not finish within {megacycles} million processor cycles"
    " (STATUS {status:#010x}, at byte {qread} of the command stream)",
}


class _Unknown:
    """Stands for a number that was not sent, whatever its format."""

    def __format__(self, specification: str) -> str:
        return "?"


def _readable(error: ErrorAnswer) -> dict[str, object]:
    values = {key: _Unknown() if value is None else value for key, value in error}
    values["faults"] = ", ".join(error.faults)
    return values


Payload = Annotated[
    Hello | Npu | JobStart | Timing | Pass | Data | OutputEnd | Result | End | ErrorAnswer,
    Field(discriminator="kind"),
]
_ADAPTER: TypeAdapter[Payload] = TypeAdapter(Payload)


def parse_payload(payload: str) -> Payload:
    """A frame's JSON text. Raises pydantic's ValidationError (a ValueError)."""
    return _ADAPTER.validate_json(payload)
