"""The CI job of a run, from the variables of GitHub, GitLab and Jenkins."""

from __future__ import annotations

import pytest

from bench.core.ci import ci_branch, ci_job_address

GITHUB = {
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "me/networks",
    "GITHUB_RUN_ID": "123",
    "GITHUB_REF_NAME": "7/merge",
    "GITHUB_HEAD_REF": "smaller-kernels",
}
GITLAB = {"CI_JOB_URL": "https://gitlab.local/me/networks/-/jobs/9", "CI_COMMIT_BRANCH": "main"}
JENKINS = {"BUILD_URL": "https://jenkins.local/job/networks/5/", "GIT_BRANCH": "origin/feature/x"}


@pytest.mark.parametrize(
    ("environment", "address", "branch"),
    [
        (GITHUB, "https://github.com/me/networks/actions/runs/123", "smaller-kernels"),
        (GITLAB, GITLAB["CI_JOB_URL"], "main"),
        (JENKINS, JENKINS["BUILD_URL"], "feature/x"),
        ({}, "", ""),
        ({"CI": "true"}, "", ""),
        ({**GITHUB, "GITHUB_RUN_ID": ""}, "", "smaller-kernels"),
    ],
)
def test_address_and_branch(environment: dict[str, str], address: str, branch: str) -> None:
    assert (ci_job_address(environment), ci_branch(environment)) == (address, branch)


def test_a_tag_is_no_branch() -> None:
    tag = GITHUB | {"GITHUB_REF_TYPE": "tag", "GITHUB_HEAD_REF": "", "GITHUB_REF_NAME": "v1"}
    assert ci_branch(tag) == ""


@pytest.mark.parametrize(
    "environment",
    [
        {"BUILD_URL": "https://user:SECRET@jenkins.local/job/5/?token=SECRET#SECRET"},
        {"CI_JOB_URL": "http://job-token:SECRET@gitlab.local/-/jobs/9"},
        GITHUB | {"GITHUB_SERVER_URL": "https://SECRET@github.com"},
    ],
)
def test_credentials_are_never_told(environment: dict[str, str]) -> None:
    address = ci_job_address(environment)
    assert address.startswith("http")
    assert "SECRET" not in address


@pytest.mark.parametrize("address", ["javascript:alert(1)", "file:///etc/passwd", "[", "jobs/5"])
def test_what_is_no_address_of_the_web_is_none(address: str) -> None:
    assert ci_job_address({"BUILD_URL": address}) == ""
