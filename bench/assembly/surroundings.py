"""Of what and with which tools a run is made, asked of git, the CI system and the environment."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from bench import __version__
from bench.core.ci import ci_branch, ci_job_address
from bench.core.git import GitError, read_work_tree
from bench.core.versions import installed_version
from bench.records.run import CiJob, Revision, Surroundings

__all__ = ["image_of", "read_surroundings"]

#: The distributions whose versions a run's figures may depend on.
_TOOLS = (
    *("ethos-u-vela", "tensorflow", "tf-keras", "tensorflow-model-optimization", "numpy"),
    *("tflite-micro", "ai-edge-litert"),
)


def read_surroundings(config_path: Path, environment: Mapping[str, str]) -> Surroundings:
    """What surrounds a run of the configuration at `config_path`; what is missing has a reason."""
    tools = {"ethos-u55-bench": __version__}
    absent = {}
    for name in _TOOLS:
        try:
            tools[name] = installed_version(name)
        except PackageNotFoundError:
            absent[name] = "not installed"
    address = ci_job_address(environment)
    return Surroundings(
        revision=_revision(config_path.resolve().parent, environment),
        ci_job=CiJob(address=address, absent="" if address else "no CI system is known here"),
        tools=tools,
        tools_absent=absent,
    )


def image_of(environment: Mapping[str, str]) -> str:
    """The container image that everything runs in, if the environment names it.

    Inside a container nothing else says so. GitLab sets `CI_JOB_IMAGE`.
    """
    return environment.get("BENCH_IMAGE") or environment.get("CI_JOB_IMAGE", "")


def _revision(directory: Path, environment: Mapping[str, str]) -> Revision:
    """The revision of the directory's work tree. A run without one is a run all the same."""
    try:
        found = read_work_tree(directory, environment)
    except GitError as error:
        return Revision(absent=error.what)
    return Revision(
        commit=found.commit,
        # A CI system checks out a commit, and only its variables name the branch.
        branch=found.branch or ci_branch(environment),
        dirty=found.dirty,
        absent="" if found.commit else "there is no commit yet",
    )
