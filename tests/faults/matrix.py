"""The fault matrix: which process, which fault, at which moment of a run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["CASES", "SAMPLE", "Case", "Fault", "Moment", "Victim"]


class Victim(Enum):
    """A process of a run."""

    CONTROLLER = "controller"
    WORKER = "worker"
    BUILDER = "builder"
    VELA = "Vela"
    #: The reference interpreter.
    INTERPRETER = "interpreter"
    CPU_OPERATOR = "CPU operator"


class Fault(Enum):
    """What happens to it."""

    KILL = "SIGKILL"
    TERM = "SIGTERM"
    #: Stopped for a while, then continued.
    STOP = "SIGSTOP"
    #: It gets no more memory.
    MEMORY = "memory limit"
    #: No file takes another byte of it.
    DISK = "full disk"


class Moment(Enum):
    """When."""

    TRAIN = "train"
    COMPILE = "compile"
    MEASURE = "measure"
    REFERENCE = "reference"
    JUDGE = "judge"
    REPORT = "report"


@dataclass(frozen=True)
class Case:
    """One field of the matrix."""

    victim: Victim
    fault: Fault
    moment: Moment

    @property
    def id(self) -> str:
        """For people and for pytest: `worker-SIGKILL-measure`."""
        return f"{self.victim.value}-{self.fault.value}-{self.moment.value}".replace(" ", "_")


#: The moments at which each process is at work.
_AT_WORK = {
    Victim.CONTROLLER: tuple(Moment),
    Victim.WORKER: (
        Moment.TRAIN,
        Moment.COMPILE,
        Moment.MEASURE,
        Moment.REFERENCE,
        Moment.JUDGE,
    ),
    Victim.BUILDER: (Moment.TRAIN,),
    Victim.VELA: (Moment.COMPILE,),
    Victim.INTERPRETER: (Moment.REFERENCE,),
    Victim.CPU_OPERATOR: (Moment.MEASURE,),
}

CASES = tuple(
    Case(victim, fault, moment)
    for victim, moments in _AT_WORK.items()
    for moment in moments
    for fault in Fault
)

#: What CI tries: each process, each fault and each moment at least once.
SAMPLE = (
    Case(Victim.CONTROLLER, Fault.KILL, Moment.MEASURE),
    Case(Victim.CONTROLLER, Fault.TERM, Moment.COMPILE),
    Case(Victim.CONTROLLER, Fault.STOP, Moment.REPORT),
    Case(Victim.WORKER, Fault.KILL, Moment.JUDGE),
    Case(Victim.WORKER, Fault.MEMORY, Moment.MEASURE),
    Case(Victim.WORKER, Fault.DISK, Moment.REFERENCE),
    Case(Victim.BUILDER, Fault.KILL, Moment.TRAIN),
    Case(Victim.VELA, Fault.KILL, Moment.COMPILE),
    Case(Victim.INTERPRETER, Fault.KILL, Moment.REFERENCE),
    Case(Victim.CPU_OPERATOR, Fault.MEMORY, Moment.MEASURE),
)
