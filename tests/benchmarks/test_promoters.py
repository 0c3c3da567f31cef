"""A little of `benchmarks.promoters`: some promoters at once, some of them killed in the lock."""

import pytest

from tests.postgres import binaries


def judged(store: str) -> None:
    from benchmarks.promoters import Tally, play

    play(tally := Tally(), store, "promote", rounds=3, promoters=4, kills=0.5, seed=1)
    count = tally.count
    assert count["rounds"] == 3 and count["killed in the lock"] > 0
    assert not count["worse model ends champion"] + count["not linearizable"] + count["double promotions"] + count["faults of the ledger"]


@pytest.mark.slow
@pytest.mark.ci
def test_the_best_ends_champion_on_sqlite() -> None:
    judged("sqlite")


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.skipif(binaries() is None, reason="PostgreSQL is not installed here (initdb, pg_ctl)")
def test_the_best_ends_champion_on_postgresql() -> None:
    pytest.importorskip("psycopg")
    judged("postgres")
