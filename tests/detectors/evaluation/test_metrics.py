"""Figures against values worked out by hand, and properties that must hold for any scores."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.evaluation.metrics import (
    auc,
    cllr,
    group_bootstrap,
    rate_above,
    reliability,
    roc,
    threshold_at,
)

FINITE = st.floats(-50, 50, allow_nan=False)
TRUTH = np.array([False, False, False, True, True])


def pair(draw_real, draw_generated):
    labels = np.array([False] * len(draw_real) + [True] * len(draw_generated))
    return labels, np.array([*draw_real, *draw_generated], float)


def test_auc_counts_pairs_and_halves_ties() -> None:
    assert auc(TRUTH, np.array([0.1, 0.2, 0.5, 0.4, 0.9])) == pytest.approx(5 / 6)
    assert auc(TRUTH, np.zeros(5)) == 0.5
    assert math.isnan(auc(np.array([True, True]), np.array([1.0, 2.0])))


@given(st.lists(FINITE, min_size=1, max_size=30), st.lists(FINITE, min_size=1, max_size=30))
def test_auc_is_the_area_under_the_roc(real: list[float], generated: list[float]) -> None:
    labels, scores = pair(real, generated)
    false, true = roc(labels, scores)
    assert np.trapezoid(true, false) == pytest.approx(auc(labels, scores), abs=1e-9)
    assert auc(labels, -scores) == pytest.approx(1 - auc(labels, scores), abs=1e-9)


@given(st.lists(FINITE, min_size=1, max_size=60), st.floats(0, 0.99))
def test_a_threshold_keeps_its_promise_on_the_pictures_it_was_fixed_on(real: list[float], rate: float) -> None:
    labels, scores = pair(real, [0.0])
    assert rate_above(scores[~labels], threshold_at(labels, scores, rate)) <= rate


def test_threshold_is_the_lowest_that_keeps_the_rate() -> None:
    labels, scores = pair(list(range(100)), [50.0])
    assert threshold_at(labels, scores, 0.05) == 94
    assert rate_above(scores[~labels], 94) == 0.05


def test_cllr_of_no_opinion_is_one_and_of_certainty_zero() -> None:
    assert cllr(TRUTH, np.zeros(5)) == pytest.approx(1.0)
    assert cllr(TRUTH, np.where(TRUTH, 40.0, -40.0)) == pytest.approx(0.0, abs=1e-9)
    assert cllr(TRUTH, np.where(TRUTH, -4.0, 4.0)) > 5


def test_reliability_weighs_both_classes_alike() -> None:
    labels = np.array([True] * 10 + [False] * 90)
    bins = reliability(labels, np.zeros(100))
    assert [(b.predicted, b.observed, b.pictures) for b in bins] == [(0.5, pytest.approx(0.5), 100)]


def test_bootstrap_draws_whole_groups() -> None:
    groups = ["a"] * 50 + ["b"] * 50
    values = np.array([0.0] * 50 + [1.0] * 50)
    low, high = group_bootstrap(groups, lambda drawn: float(values[drawn].mean()), seed=1)
    assert (low, high) == (0.0, 1.0)  # two sources can only say "anything between"
    single = group_bootstrap([str(i) for i in range(100)], lambda drawn: float(values[drawn].mean()), seed=1)
    assert 0.35 < single[0] < 0.5 < single[1] < 0.65
    assert single == group_bootstrap([str(i) for i in range(100)], lambda d: float(values[d].mean()), seed=1)
