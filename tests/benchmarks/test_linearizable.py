"""The checker of histories, against histories judged by hand."""

import math

import pytest

from benchmarks.linearizable import Op, order


def op(invoked: float, returned: float, reads: object, writes: object = None) -> Op:
    return Op("p", invoked, returned, True, reads, writes is not None, writes)


def died(invoked: float, writes: object) -> Op:
    return Op("d", invoked, math.inf, has_written=True, writes=writes)


LINEARIZABLE = {
    "nothing happened": [],
    "one after the other": [op(0, 1, "a", "b"), op(2, 3, "b", "c"), op(4, 5, "c")],
    "at once, in the other order": [op(0, 9, "b", "c"), op(1, 8, "a", "b")],
    "a read that overlaps a write sees the old value": [op(0, 9, "a", "b"), op(1, 2, "a")],
    "a read that overlaps a write sees the new value": [op(0, 9, "a", "b"), op(1, 2, "b")],
    "one that died took effect, later": [died(0, "b"), op(1, 2, "a"), op(3, 4, "b")],
    "one that died took no effect": [died(0, "b"), op(1, 2, "a"), op(3, 4, "a")],
    "two who died, one took effect": [died(0, "b"), died(0, "c"), op(1, 2, "c", "d"), op(3, 4, "d")],
}
NOT = {
    "reads what nobody wrote": [op(0, 1, "z")],
    "a stale read": [op(0, 1, "a", "b"), op(2, 3, "a")],
    "two replaced the same value": [op(0, 9, "a", "b"), op(0, 9, "a", "c")],
    "a lost update": [op(0, 1, "a", "b"), op(2, 3, "b", "c"), op(4, 5, "b")],
    "new, then old": [op(0, 9, "a", "b"), op(1, 2, "b"), op(3, 4, "a")],
    "one that died took effect before it began": [op(0, 1, "b"), died(2, "b")],
    "one that died took effect twice": [died(0, "b"), op(1, 2, "b", "c"), op(3, 4, "b")],
}


@pytest.mark.parametrize("name", LINEARIZABLE)
def test_histories_that_some_order_explains(name: str) -> None:
    history = LINEARIZABLE[name]
    found = order(history, "a")
    assert found is not None
    value = "a"
    for one in found:
        assert not one.has_read or one.reads == value
        value = one.writes if one.has_written else value  # type: ignore[assignment]
    assert all(one in found for one in history if one.returned < math.inf)
    for index, one in enumerate(found):
        assert not any(later.returned < one.invoked for later in found[index:])


@pytest.mark.parametrize("name", NOT)
def test_histories_that_no_order_explains(name: str) -> None:
    assert order(NOT[name], "a") is None


def test_many_at_once_are_judged_quickly() -> None:
    """32 overlapping, in a chain that only one order explains; and the same with one read that none does."""
    chain = [op(0, 100, number, number + 1) for number in range(32)]
    assert order(chain[::-1], 0) is not None
    assert order([*chain[::-1], op(101, 102, 5)], 0) is None
