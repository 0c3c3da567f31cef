"""Times as people write them, and a phase's share of what is done."""

import pytest

from components.errors import UsageError
from components.train.budget import Span, seconds


@pytest.mark.parametrize(("text", "found"), [("90s", 90), ("10min", 600), ("2h", 7200), ("1.5 min", 90), (" 3s ", 3)])
def test_a_budget_is_a_time(text, found):
    assert seconds(text) == found


@pytest.mark.parametrize("text", ["", "10", "0s", "-3s", "10 m", "ten min", "1h30min", "nans"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(UsageError, match="expected a time such as 90s, 10min or 2h"):
        seconds(text)


@pytest.mark.parametrize(("now", "done"), [(0, 0), (10, 0), (15, 0.25), (30, 1), (99, 1)])
def test_a_span_knows_how_much_of_it_is_done(now, done):
    assert Span(10, 30, 0.0).done(now) == done
