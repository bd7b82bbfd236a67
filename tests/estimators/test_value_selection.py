"""A regression is chosen without values of the target, by a rule whose every part is seen to matter."""

import numpy as np
import pytest

from oligolearn.estimators import select_for_values, study_value_shift
from oligolearn.estimators.adaptation_selection import Attempt
from oligolearn.estimators.domain_training import DomainRows
from oligolearn.estimators.transfer_scores import embedded_validation
from oligolearn.estimators.value_selection import ScoredValues, choose_for_values, describe_value_selection, why_not

NOISE = np.random.default_rng(0).normal(size=100)


def scored(method: str, *, linear: bool, source: float = 1.0, back: float = 1.0) -> ScoredValues:
    """A candidate whose errors are as large on average, and vary from row to row."""
    return ScoredValues(method, linear, (source + 0.5 * NOISE) ** 2, (back + 0.5 * NOISE) ** 2, {})


def chosen(*candidates: ScoredValues) -> str:
    return candidates[choose_for_values(candidates, [why_not(one, candidates) for one in candidates])].method


def test_the_first_linear_one_is_taken_unless_another_is_ahead():
    linear, network = scored("linear", linear=True), scored("dann", linear=False, back=0.5)
    assert chosen(linear, scored("coral", linear=True, back=0.9), network) == "coral"
    close = scored("coral", linear=True)._replace(back=linear.back + 0.3 * NOISE[::-1] - 0.04)
    assert close.back.mean() < linear.back.mean()
    assert chosen(linear, close, network) == "linear", "within the error"
    assert chosen(network, linear) == "linear"


def test_networks_are_taken_where_linear_ones_fail_in_the_source():
    linear = scored("linear", linear=True, source=2.0)
    networks = [scored("dann", linear=False, back=0.8), scored("source", linear=False, back=0.9)]
    assert chosen(linear, *networks) == "dann"
    assert why_not(linear, [linear, *networks]) == "behind dann in the source"


def rows_of(n: int = 60) -> tuple[DomainRows, np.ndarray]:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(2 * n, 5))
    y = X[:, 0].astype(np.float32)
    shown = np.where(np.arange(2 * n) < n, y, np.float32(np.nan)).astype(np.float32)
    return DomainRows(X, shown, np.repeat([0, -1], n)), y


def test_scores_are_those_of_the_held_out_rows_and_these_are_not_shown():
    rows, truth = rows_of()
    study = study_value_shift(rows)
    seen = []

    def attempt(method: str, labels: np.ndarray, held: np.ndarray) -> Attempt:
        assert np.isnan(labels[held]).all()
        assert np.isnan(labels[60:]).all()
        assert np.isnan(labels).sum() == 60 + len(held)
        seen.append(held)
        wrong = 0.5 if method == "linear" else 0.0
        return Attempt(truth[held] + wrong, truth[60:], rows.values)

    name, table = select_for_values(["linear", "dann"], ["linear"], study, rows.labels, attempt, 0)
    assert np.array_equal(*seen)
    assert len(seen[0]) == 12
    assert name == "dann"
    assert table[0]["ruled_out"] == "behind dann in the source"
    assert table[0]["source_r2"] == pytest.approx(1 - 0.25 / np.var(truth[seen[0]]), rel=1e-5)
    assert table[1]["source_r2"] == 1
    assert table[1]["reverse_validation"] > 0.95
    flat = np.full(12, 0.25 / np.var(truth[:60]))
    assert table[0]["embedded_validation"] == pytest.approx(embedded_validation(flat, np.ones(12)), rel=1e-4)
    lines = describe_value_selection(table)
    assert lines[0].split() == ["method", "source", "R2", "back", "R2", "DEV"]
    assert lines[2].endswith("chosen")


def test_too_few_values_to_choose_by_are_refused():
    rows, _ = rows_of(24)
    with pytest.raises(ValueError, match="25 samples of the sources need a value, found 24"):
        select_for_values(["linear"], ["linear"], study_value_shift(rows), rows.labels, lambda *_: None, 0)
