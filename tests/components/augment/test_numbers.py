"""Numbers that depend on seed, epoch and key alone, spread evenly and independent of one another."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from components.augment.numbers import uniforms


@given(seed=st.integers(0, 2**32), epoch=st.integers(0, 10**6), keys=st.lists(st.integers(0, 2**60 - 1), min_size=1, max_size=20))
def test_each_key_has_its_own_numbers_whoever_is_asked_for_beside_it(seed, epoch, keys):
    together = uniforms(seed, epoch, np.array(keys), 5)
    assert together.shape == (len(keys), 5) and (together >= 0).all() and (together < 1).all()
    alone = uniforms(seed, epoch, np.array(keys[-1:]), 7)
    assert (alone[0, :5] == together[-1]).all()


def test_numbers_are_uniform_over_keys_epochs_seeds_and_places():
    keys = np.arange(20_000)
    for numbers in (
        uniforms(0, 0, keys, 1)[:, 0],
        uniforms(0, 0, keys * 2**40, 1)[:, 0],
        np.concatenate([uniforms(0, epoch, np.array([5]), 1)[:, 0] for epoch in range(1500)]),
        np.concatenate([uniforms(seed, 0, np.array([5]), 1)[:, 0] for seed in range(1500)]),
        uniforms(0, 0, np.array([5]), 20_000)[0],
    ):
        assert stats.kstest(numbers, "uniform").pvalue > 1e-3


def test_neighbours_tell_nothing_of_each_other():
    keys = np.arange(20_000)
    numbers = uniforms(3, 1, keys, 4)
    others = [uniforms(3, 2, keys, 4)[:, 0], uniforms(4, 1, keys, 4)[:, 0], np.roll(numbers[:, 0], 1), *numbers.T[1:]]
    for other in others:
        assert abs(np.corrcoef(numbers[:, 0], other)[0, 1]) < 0.03  # the standard deviation is 0.007
