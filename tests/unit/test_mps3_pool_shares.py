"""Who gets which jobs in a pool: every job is answered once, or given up with a reason."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import BenchError, TargetError, TargetUnavailableError
from targets.ethos_u55.accelerators import Accelerator
from targets.mps3.errors import BoardUnavailableError
from targets.mps3.pool.shares import Shares, Task

M128, M256, M64 = Accelerator.U55_128, Accelerator.U55_256, Accelerator.U55_64
POOL = {"left": M128, "right": M128, "big": M256}


def tasks(*macs: Accelerator) -> dict[int, Task]:
    return {number: Task(one) for number, one in enumerate(macs)}


def gone(text: str) -> BenchError:
    return BoardUnavailableError(text, cure="repair it")


def visited(shares: Shares, *names: str) -> None:
    for name in names:
        shares.visit(name)


def test_jobs_go_where_they_fit_and_siblings_share_them() -> None:
    shares = Shares(POOL, tasks(M128, M256, M128, M128, M128))
    assert shares.to_visit() == ["left", "right", "big"]
    visited(shares, "left", "right", "big")
    assert shares.take("left") == [0, 2]
    assert shares.take("big") == [1]
    assert shares.take("right") == [3, 4]
    assert shares.take("left") == []


def test_a_board_without_work_is_not_visited() -> None:
    assert Shares(POOL, tasks(M256)).to_visit() == ["big"]


def test_a_board_that_does_not_come_keeps_nothing_waiting() -> None:
    shares = Shares(POOL, tasks(*[M128] * 8))
    visited(shares, "left", "right")
    for number in shares.take("left"):
        shares.done("left", number)
    assert shares.take("left") == [4, 5, 6, 7]
    assert shares.in_vain() == [], "the left board may still fail"
    for number in shares.has("left"):
        shares.done("left", number)
    assert shares.in_vain() == ["right"]


def test_shares_are_of_equal_cost() -> None:
    costs = [100, 1, 1, 98]
    shares = Shares(POOL, {number: Task(M128, cost) for number, cost in enumerate(costs)})
    visited(shares, "left", "right")
    assert shares.take("left") == [0]
    assert shares.take("right") == [1, 2, 3]


def test_what_a_lost_board_has_not_answered_goes_to_its_sibling_in_order() -> None:
    shares = Shares(POOL, tasks(*[M128] * 6))
    visited(shares, "left", "right")
    assert shares.take("left") == [0, 1, 2]
    assert shares.take("right") == [3, 4, 5]
    shares.done("left", 0)
    assert shares.lost("left", gone("it burns")) == 2
    for number in (3, 4, 5):
        shares.done("right", number)
    assert shares.take("right") == [1, 2]
    assert shares.hopeless() == []


def test_a_sibling_that_had_ended_is_visited_again() -> None:
    shares = Shares(POOL, tasks(*[M128] * 2))
    visited(shares, "left", "right")
    shares.take("left")
    (number,) = shares.take("right")
    shares.done("right", number)
    shares.ended("right")
    assert shares.to_visit() == []
    shares.lost("left", gone("it burns"))
    assert shares.to_visit() == ["right"]


def test_what_no_board_fits_is_given_up_with_what_the_pool_has() -> None:
    shares = Shares(POOL, tasks(M64, M256))
    ((number, error),) = shares.hopeless()
    assert number == 0
    assert isinstance(error, TargetUnavailableError)
    assert error.what == (
        "no board of the pool has 64 MACs/cc; it has: left 128, right 128, big 256"
    )
    assert shares.any_left, "the other job can be done"


def test_when_all_siblings_are_lost_each_reason_is_named() -> None:
    shares = Shares(POOL, tasks(M128, M256))
    shares.lost("left", gone("it burns"))
    assert shares.hopeless() == []
    shares.lost("right", gone("it is in quarantine"))
    ((number, error),) = shares.hopeless()
    assert number == 0
    assert isinstance(error, TargetUnavailableError)
    assert "left: it burns" in error.what
    assert "right: it is in quarantine" in error.what
    assert error.cure == "repair it"
    assert not shares.hopeless()


def test_a_run_may_not_pass_without_cells_that_a_crash_has_cost() -> None:
    shares = Shares(POOL, tasks(M128))
    shares.lost("left", gone("it is in use"))
    shares.lost("right", TargetError("its process ended with SIGSEGV"))
    ((_, error),) = shares.hopeless()
    assert isinstance(error, TargetError)
    assert not isinstance(error, TargetUnavailableError)


@given(st.data())
def test_whatever_happens_every_job_has_one_end(data: st.DataObject) -> None:
    macs = st.sampled_from([M64, M128, M256])
    boards = {f"b{n}": one for n, one in enumerate(data.draw(st.lists(macs, max_size=4)))}
    jobs = {
        number: Task(one, data.draw(st.integers(1, 50)))
        for number, one in enumerate(data.draw(st.lists(macs, max_size=8)))
    }
    shares = Shares(boards, jobs)
    on_the_way: set[str] = set()
    ours: set[str] = set()
    ended: list[int] = []
    while shares.any_left or on_the_way or ours:
        ended += [number for number, _ in shares.hopeless()]
        for name in shares.to_visit():
            shares.visit(name)
            on_the_way.add(name)
        for name in shares.in_vain():
            shares.ended(name)
            on_the_way.discard(name)
        if not on_the_way and not ours:
            continue
        name = data.draw(st.sampled_from(sorted(on_the_way | ours)))
        has = shares.has(name)
        if data.draw(st.integers(0, 4)) == 0:
            shares.lost(name, gone("lost"))
            on_the_way.discard(name)
            ours.discard(name)
        elif has:
            number = data.draw(st.sampled_from(has))
            assert jobs[number].macs == boards[name]
            shares.done(name, number)
            ended.append(number)
        else:
            on_the_way.discard(name)
            ours.add(name)
            if not shares.take(name):
                shares.ended(name)
                ours.discard(name)
    assert sorted(ended) == list(jobs)
