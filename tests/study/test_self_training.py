"""Self-training as a method of a study: after any objective, from one pretraining, compared with its teacher."""

from collections import Counter
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from oligolearn.pretext import OBJECTIVES
from oligolearn.study import METHODS, fitting, label_efficiency
from oligolearn.study.design import Design
from oligolearn.study.search_space import settings_of

QUICK = {"pretraining": {"epochs": 3, "min_steps": 6}, "training": {"epochs": 2, "min_steps": 4}}


def cohort() -> ad.AnnData:
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    X = rng.normal(8, 1, (90, 30)) + 1.5 * rng.normal(size=(3, 30))[y]
    obs = pd.DataFrame({"y": np.array(["A", "B", "C"])[y]}, index=[f"s{i}" for i in range(90)])
    return ad.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(30)]))


def test_every_objective_can_be_followed_by_self_training() -> None:
    for objective in OBJECTIVES:
        method = METHODS[f"{objective}+self-trained"]
        assert (method.objective, method.teacher) == (objective, objective)
        assert METHODS[objective].title in method.title
    assert METHODS["self-trained"].objective is None
    assert METHODS["self-trained"].teacher == "scratch"
    titles = [METHODS[name].title for name in (*METHODS, *(f"{one}+self-trained" for one in OBJECTIVES))]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(
    "name", ["+self-trained", "logistic+self-trained", "swav+", "self-trained+swav", "swav+lasso", "frozen", "+frozen"]
)
def test_other_combinations_are_refused(name: str) -> None:
    assert name not in METHODS
    with pytest.raises(ValueError, match=r"with \+self-trained, \+frozen, \+whitened behind it; found scratch, "):
        Design("y", methods=("scratch", name), fractions=(0.5,))


def test_what_cannot_be_tuned_says_so() -> None:
    with pytest.raises(ValueError, match=r"to be tuned, found 'swav\+self-trained'"):
        settings_of("swav+self-trained")


def test_one_pretraining_serves_both_and_students_are_compared_with_their_teachers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretrained: Counter[str] = Counter()
    original = fitting.pretrain

    def pretrain(method: str, *arguments: Any, **options: Any) -> Any:
        pretrained[method] += len(arguments[1])
        return original(method, *arguments, **options)

    monkeypatch.setattr(fitting, "pretrain", pretrain)
    methods = ("logistic", "scratch", "self-trained", "swav", "swav+self-trained")
    found = label_efficiency(
        cohort(),
        "y",
        out=tmp_path / "out",
        methods=methods,
        fractions=(0.3,),
        repeats=3,
        workers=1,
        progress=False,
        **QUICK,
    )
    assert pretrained == {"swav": 3}
    assert Counter(found.results["method"]) == dict.fromkeys(methods, 3)
    runs = found.results.set_index(["method", "repeat"])
    for repeat in range(3):
        assert len({runs.loc[(method, repeat), "seed"] for method in methods}) == 1
    compared = {(row["method"], row["baseline"]) for row in found.summary["comparisons"]}
    assert {("self-trained", "scratch"), ("swav+self-trained", "swav"), ("swav+self-trained", "scratch")} <= compared
    assert ("swav", "swav+self-trained") not in compared
    assert [one["name"] for one in found.summary["embeddings"]] == ["input", "swav"]
    assert "self-training: temperature" in found.summary["settings"]
    assert "SwAV pretraining, self-trained" in (found.folder / "report.html").read_text()
