"""A method chosen by the labels shown: which one, why, and by whose labels."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from oligolearn.estimators import SelfSupervisedEncoder
from oligolearn.study import METHODS
from oligolearn.study.choosing import Trial, _as_good, choose_and_fit, split_labels
from oligolearn.study.task import Fitted, Task
from oligolearn.training import DivergedError

N, N_SHOWN = 60, 30
RNG = np.random.default_rng(0)
Y = np.arange(N) % 2
X = (RNG.normal(size=(N, 5)) + 4 * Y[:, None]).astype(np.float32)


def task(seed: int = 0, groups: NDArray[np.integer] | None = None) -> Task:
    shown = np.random.default_rng(seed).permutation(N)[:N_SHOWN]
    return Task(X, np.arange(N), None, shown, Y[shown], seed, {}, None, groups)


class Always:
    """Gives the right class with a probability, and is wrong about the rows of a seen group of rows."""

    def __init__(self, right: float, wrong_rows: Sequence[int] = ()) -> None:
        self.classes_ = np.array([0, 1])
        self.right, self.wrong = right, set(wrong_rows)

    def predict_proba(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        truth = (x.mean(axis=1) > 2).astype(int)
        place = [int(np.flatnonzero((row == X).all(axis=1))[0]) for row in x]
        named = np.array([1 - t if p in self.wrong else t for t, p in zip(truth, place, strict=True)])
        chances = np.full((len(x), 2), 1 - self.right)
        chances[np.arange(len(x)), named] = self.right
        return chances


def fitting(model: Any, seen: list[Task] | None = None) -> Any:
    def fit(tasks: Sequence[Task]) -> list[Fitted]:
        if seen is not None:
            seen.extend(tasks)
        return [Fitted(model) for _ in tasks]

    return fit


def test_the_smallest_log_loss_is_chosen_and_the_reason_told() -> None:
    wrong = task().shown[:12].tolist()
    found = choose_and_fit([task()], {"poor": fitting(Always(0.9, wrong)), "good": fitting(Always(0.6))})[0]
    assert found.chosen == "good"
    assert found.why == (
        "log loss, cross-validated on the 30 labels shown: good 0.51 (100.0% right); not poor 0.98 (60.0% right)"
    )


def test_where_the_labels_cannot_tell_candidates_apart_it_is_the_mean_of_their_probabilities() -> None:
    wrong = task().shown[:1].tolist()
    fits = {"a": fitting(Always(0.85)), "b": fitting(Always(0.9, wrong)), "c": fitting(Always(0.9, range(N)))}
    found = choose_and_fit([task()], fits)[0]
    assert found.chosen == "a + b"
    assert found.why == (
        "log loss, cross-validated on the 30 labels shown: a 0.16 (100.0% right), b 0.18 (96.7% right), which these "
        "labels cannot tell apart, so their mean; not c 2.30 (0.0% right)"
    )
    assert not isinstance(found.model, DivergedError)
    np.testing.assert_array_equal(found.model.classes_, [0, 1])
    others = np.setdiff1d(np.arange(N), wrong)[:5]
    expected = np.where(np.eye(2)[Y[others]] == 1, 0.875, 0.125)
    np.testing.assert_allclose(found.model.predict_proba(X[others]), expected)


def test_a_candidate_counts_as_worse_from_a_lead_of_one_and_a_half_standard_errors_of_the_paired_difference() -> None:
    losses = np.full(30, 0.2)
    for n_wrong, same in ((2, True), (3, False)):
        other = losses.copy()
        other[:n_wrong] += 1
        lead, error = n_wrong / 30, np.std(other - losses, ddof=1) / np.sqrt(30)
        assert (lead <= 1.5 * error) == same
        found = _as_good({"a": Trial(np.ones(30), losses), "b": Trial(np.ones(30), other)})
        assert (found == ["a", "b"]) == same


@pytest.mark.parametrize("groups", [None, [0, 0, 1]], ids=["one label a class", "a group of one class"])
def test_where_no_label_can_be_held_out_all_candidates_are_averaged(groups) -> None:
    shown = np.array([0, 1, 2])
    labels = np.array([0, 1, 2] if groups is None else [0, 0, 1])
    few = Task(X, np.arange(N), None, shown, labels, 0, {}, None, None if groups is None else np.array(groups))
    found = choose_and_fit([few, task()], {"a": fitting(Always(0.6)), "b": fitting(Always(0.9))})
    assert [one.chosen for one in found] == ["a + b", "b"]
    assert found[0].why == "the 3 labels shown are too few, or of too few groups, to hold some out: the mean of all"
    alone = choose_and_fit([few], {"a": fitting(Always(0.6)), "b": fitting(Always(0.9))})
    assert alone[0].chosen == "a + b"


def test_log_loss_decides_also_where_fewer_rows_are_named_right() -> None:
    sure, unsure = Trial(np.array([1.0, 1, 1, 0]), np.full(4, 0.3)), Trial(np.ones(4), np.full(4, 0.6))
    assert _as_good({"unsure": unsure, "sure": sure}) == ["sure"]


def test_one_that_diverges_is_not_chosen() -> None:
    candidates = {"diverged": fitting(DivergedError("loss")), "poor": fitting(Always(0.6, range(0, N, 2)))}
    found = choose_and_fit([task()], candidates)[0]
    assert found.chosen == "poor"
    assert found.why.endswith("; not diverged (failed)")


def test_where_all_diverge_so_does_the_choice() -> None:
    found = choose_and_fit([task()], {"a": fitting(DivergedError("loss")), "b": fitting(DivergedError("loss"))})[0]
    assert isinstance(found.model, DivergedError)


def test_each_task_has_its_own_choice_in_its_own_place() -> None:
    first, second = task(0), task(1)
    only_first = sorted(set(first.shown) - set(second.shown))
    candidates = {"a": fitting(Always(0.9, only_first)), "b": fitting(Always(0.6))}
    found = choose_and_fit([first, second, first], candidates)
    assert [one.chosen for one in found] == ["b", "a", "b"]


def test_no_row_is_held_out_from_what_was_trained_on_it_and_no_other_row_is_seen() -> None:
    seen: list[Task] = []
    whole = task()
    choose_and_fit([whole], {"a": fitting(Always(0.9), seen)})
    *folds, last = seen
    assert np.array_equal(last.shown, whole.shown)
    assert all(set(fold.shown) < set(whole.shown) for fold in folds)
    for fold in folds:
        assert np.array_equal(fold.labels, Y[fold.shown])


def test_folds_hold_out_each_label_once_and_keep_groups_whole() -> None:
    groups = np.arange(N_SHOWN) // 3
    for kept, held in split_labels(task(groups=groups)):
        assert not set(groups[kept]) & set(groups[held])
        assert len(kept) + len(held) == N_SHOWN
    every = np.concatenate([held for _, held in split_labels(task())])
    counts = np.bincount(every, minlength=N_SHOWN)
    assert (counts == counts[0]).all()


@pytest.mark.filterwarnings("error")
def test_classes_with_one_label_do_not_stop_the_choice() -> None:
    few = task()._replace(shown=np.array([0, 1, 3, 5]), labels=Y[[0, 1, 3, 5]])
    assert choose_and_fit([few], {"a": fitting(Always(0.9))})[0].chosen == "a"


def test_the_network_from_scratch_is_not_given_the_pretrained_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    from oligolearn.study import fitting as fits

    given: list[object] = []

    def fit_networks(tasks: Sequence[Task], **_: Any) -> list[Fitted]:
        given.extend(one.pretrained for one in tasks)
        return [Fitted(Always(0.99)) for _ in tasks]

    monkeypatch.setattr(fits, "fit_networks", fit_networks)
    small: dict[str, Any] = {"encoder_options": {"hidden": (4,)}, "epochs": 1, "min_steps": 2, "device": "cpu"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoder = SelfSupervisedEncoder(random_state=0, **small).fit(X)
    settings = {**small, "transfer_layers": 1}
    METHODS["auto"].fit([task()._replace(pretrained=encoder, settings=settings)])
    n_folds = len(list(split_labels(task())))
    assert given == [*[None] * n_folds, *[encoder] * n_folds, None, encoder]


def test_a_pretraining_that_failed_leaves_the_other_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    from oligolearn.study import fitting as fits

    monkeypatch.setattr(fits, "fit_networks", lambda tasks: [Fitted(Always(0.99)) for _ in tasks])
    found = METHODS["auto"].fit([task()])[0]
    assert "simclr" not in found.chosen.split(" + ")
    assert found.why.endswith("simclr (failed)")
