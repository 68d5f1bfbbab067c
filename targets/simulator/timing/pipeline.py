"""How operations follow one another through the engines.

An operation starts when the previous one has ended and the engines have filled again
(`Assumptions.restart`). Where two may be under way (`Assumptions.under_way`), BLOCKDEP decides
(Vela: `CalcBlockDep`): block j may start while at most BLOCKDEP - j blocks of the previous
operation are unfinished. `stages` describes how the blocks of one operation pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from targets.simulator.timing.results import Span, Waits
from targets.simulator.timing.stages import DoubleBuffered, Ports, Stages
from targets.simulator.timing.work import BlockWork

__all__ = ["BlockPipeline", "Passage"]


@dataclass(frozen=True)
class Passage:
    """How an operation passed."""

    #: When each block's write was acknowledged.
    done: list[float]
    #: First stage of the first block.
    start: float
    waits: Waits
    spans: tuple[Span, ...]


class BlockPipeline:
    """The engines during one estimate; remembers when each of them is free."""

    def __init__(self, ports: Ports, restart: float, start: float = 0.0) -> None:
        """`start` is when the NPU starts, with all engines free."""
        self._ports = ports
        self._restart = restart
        self._mac, self._output = DoubleBuffered(start, start), DoubleBuffered(start, start)
        #: When each block of the previous operation was done.
        self._previous: Sequence[float] = ()

    def run(self, work: BlockWork, *, issued: float, blockdep: int) -> Passage:
        """Pass the blocks of an operation that was issued at `issued` through the pipeline.

        `blockdep` is how many blocks of the previous operation may be unfinished; 0: none.
        """
        stages = Stages(work, self._ports, self._mac, self._output, issued)
        allowed = self._allowed(work.count, blockdep)
        done = [stages.block(index, time) for index, time in enumerate(allowed)]
        self._previous = done
        return Passage(done, stages.start, stages.waits(), stages.spans(done[-1]))

    def _allowed(self, count: int, blockdep: int) -> list[float]:
        """When the previous operation lets each of `count` blocks start."""
        ends = self._previous
        if not ends:
            return [0.0] * count
        # The blocks that may start before all of its blocks are finished; the others wait.
        needed = [len(ends) - blockdep + block for block in range(min(blockdep, count))]
        early = [ends[blocks - 1] + self._restart if blocks > 0 else 0.0 for blocks in needed]
        return early + [ends[-1] + self._restart] * (count - len(early))
