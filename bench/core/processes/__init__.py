"""Our own processes: started, bounded, kept to serve, and ended with everything they started."""

from bench.core.processes.running import (
    Bounds,
    Ended,
    TimedOutError,
    bound_memory,
    end_children,
    end_group,
    ended_words,
    guarded,
    memory_bound,
    memory_words,
    ran_out_of_memory,
    run_to_end,
    signal_name,
    wait_for_status,
)

__all__ = [
    "Bounds",
    "Ended",
    "TimedOutError",
    "bound_memory",
    "end_children",
    "end_group",
    "ended_words",
    "guarded",
    "memory_bound",
    "memory_words",
    "ran_out_of_memory",
    "run_to_end",
    "signal_name",
    "wait_for_status",
]
