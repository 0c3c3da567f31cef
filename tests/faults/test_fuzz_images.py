"""Real images spoilt at random: nothing takes the scan down or makes it hang, and what it lets through can be read.

A few hundred cases by default; 100,000 by

    pytest -m slow tests/faults/test_fuzz_images.py

A case that fails is made again by `tests.faults.mutations.mutated(CASE)`.
"""

from collections import Counter

import pytest

from components.data.scan import cores
from components.data.workers import Failure, work
from tests.faults.mutations import BATCH

TRY = "tests.faults.mutations:try_batch"


def run(first: int, last: int) -> Counter[str]:
    """Try the cases; a batch that ends its process is tried again one by one, to name the case."""
    batches = [f"{start}:{min(start + BATCH, last)}" for start in range(first, last, BATCH)]
    codes: Counter[str] = Counter()
    wrong, singles = [], []
    for index, answer in work(TRY, batches, cores()):
        if isinstance(answer, Failure):
            start, stop = map(int, batches[index].split(":"))
            singles += [f"{case}:{case + 1}" for case in range(start, stop)]
        else:
            codes += answer[0]
            wrong += answer[1]
    for index, answer in work(TRY, singles, cores()):
        wrong += [f"case {singles[index]}: {answer.found}"] if isinstance(answer, Failure) else answer[1]
    assert not wrong, wrong[:20]
    return codes


def test_a_few_hundred_cases() -> None:
    codes = run(0, 600)
    assert {"truncated", "damaged", "nothing", "trailing-data"} <= set(codes)


@pytest.mark.slow
def test_100_000_cases() -> None:
    codes = run(0, 100_000)
    assert len(codes) >= 15
