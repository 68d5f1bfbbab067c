"""The CI job that this process is part of, as GitHub, GitLab and Jenkins tell it.

Their variables are described in "Variables" (GitHub Actions), "Predefined CI/CD variables
reference" (GitLab) and "Using environment variables" (Jenkins Pipeline, and its multibranch
plugin).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from bench.core.address import shown

__all__ = ["ci_branch", "ci_job_address"]

#: The branch of a job: that of a pull or merge request first, because its checkout is a merge of
#: it. Jenkins gives GIT_BRANCH with the name of the remote.
_BRANCHES = (
    *("GITHUB_HEAD_REF", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CHANGE_BRANCH"),
    *("GITHUB_REF_NAME", "CI_COMMIT_BRANCH", "BRANCH_NAME", "GIT_BRANCH"),
)


def ci_job_address(environment: Mapping[str, str]) -> str:
    """Where the job can be looked at, without credentials; empty if no CI system is known."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run = (environment.get(name, "") for name in names)
    candidates = (
        f"{server}/{repository}/actions/runs/{run}" if server and repository and run else "",
        environment.get("CI_JOB_URL", ""),
        environment.get("BUILD_URL", ""),
    )
    return next((shown(address) for address in candidates if _is_of_the_web(address)), "")


def _is_of_the_web(address: str) -> bool:
    try:
        return urlsplit(address).scheme in ("http", "https")
    except ValueError:
        return False


def ci_branch(environment: Mapping[str, str]) -> str:
    """The branch that the job is for; empty if no CI system is known, or for a tag's job."""
    if environment.get("GITHUB_REF_TYPE") == "tag":
        return ""
    found = ((name, environment.get(name, "")) for name in _BRANCHES)
    name, branch = next(((name, branch) for name, branch in found if branch), ("", ""))
    return branch.removeprefix("origin/") if name == "GIT_BRANCH" else branch
