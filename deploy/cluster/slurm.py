"""A cluster of Slurm jobs (dask-jobqueue), and a bench that uses it.

    pip install "ethos-u55-bench[cluster]" dask-jobqueue
    python slurm.py --workers 20 --partition short -- --bench-config=bench.toml

Each worker is a job of one core. What stands after `--` goes to `bench run`. Slurm ends the jobs
with this program, and the exit status is that of the bench.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys

from dask_jobqueue.slurm import SLURMCluster

#: What makes a worker of Dask one of the bench; the second name is that of an installed bench.
_JOINING = "bench.cluster.joining"


def joining() -> str:
    """The name of that module here."""
    installed = importlib.util.find_spec("ethos_u55_bench") is not None
    return f"ethos_u55_bench.{_JOINING}" if installed else _JOINING


def make_cluster(partition: str | None, memory: str, walltime: str) -> SLURMCluster:
    """A cluster without workers yet."""
    return SLURMCluster(
        queue=partition,
        cores=1,
        processes=1,
        memory=memory,
        walltime=walltime,
        # The bench bounds the memory of the processes that do its work.
        worker_extra_args=["--preload", joining(), "--memory-limit", "0", "--no-dashboard"],
        scheduler_options={"dashboard": False, "allowed_failures": 0},
    )


def main() -> int:
    """Start the cluster, run the bench, end the cluster."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--partition")
    parser.add_argument("--memory", default="8 GB", help="of a job, for training too")
    parser.add_argument("--walltime", default="02:00:00", help="of a job")
    parser.add_argument("run", nargs="*", metavar="-- OPTIONS", help="for `bench run`")
    options = parser.parse_args()
    with make_cluster(options.partition, options.memory, options.walltime) as cluster:
        cluster.scale(jobs=options.workers)
        command = ["bench", "run", "--cluster", cluster.scheduler_address, *options.run]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
