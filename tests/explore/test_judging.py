"""Bounds on paired differences."""

from __future__ import annotations

import numpy as np

from xbarc.explore.judging import highest_mean, surely_no_worse


def test_few_samples_that_agree_prove_nothing() -> None:
    same = np.ones((2, 64))
    assert not surely_no_worse(same).any()
    assert highest_mean(same[0], same[1]) > 0


def test_bounds_hold_for_the_rest_of_the_data() -> None:
    """Of many pairs cut at 64 samples, hardly any lead turns round on all of them."""
    rng = np.random.default_rng(0)
    wrong = claimed = broken = 0
    for _ in range(600):
        base = rng.random(2000) < 0.9
        flips = rng.random(2000) < rng.choice([0.02, 0.2, 0.6])
        other = np.where(flips, rng.random(2000) < rng.choice([0.3, 0.85]), base)
        right = np.array([base, other], dtype=np.float64)
        wins = surely_no_worse(right[:, :64])
        for lead, trail in ((0, 1), (1, 0)):
            if wins[lead, trail]:
                claimed += 1
                wrong += bool(right[lead].mean() < right[trail].mean())
        broken += bool(highest_mean(right[1, :64], right[0, :64]) < (right[1] - right[0]).mean())
    assert claimed > 60  # else the test says nothing
    assert wrong <= claimed // 100
    assert broken <= 6


def test_a_clear_lead_is_seen() -> None:
    right = np.zeros((2, 256))
    right[0, :200] = 1
    right[1, :100] = 1
    assert surely_no_worse(right).tolist() == [[False, True], [False, False]]
