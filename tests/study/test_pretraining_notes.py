"""What a study's report says of its pretrainings: collapse with the fix, derived settings, label-free quality."""

from typing import Any

from oligolearn.study.methods import METHODS
from oligolearn.study.summary import _pretrainings, diagnoses

PLATEAU = "collapse: the loss {} stays at its plateau 3.401; let views change less, or train longer"


def run(method: str, repeat: int, *diagnosis: str, rank: float = 4.0) -> dict[str, Any]:
    return {
        "method": method,
        "repeat": repeat,
        "diagnosis": list(diagnosis),
        "quality": {"effective_rank": rank, "rank_me": rank, "alpha_req": None, "neighbour_stability": 0.5},
        "objective_options": {"n_prototypes": 15, "queue_length": 0, "version": None},
        "n_samples": 630,
    }


def test_each_kind_of_collapse_is_said_once_with_its_repeats_an_example_and_the_fix() -> None:
    runs = [
        run("swav", 0, PLATEAU.format("3.398")),
        run("swav", 0, PLATEAU.format("3.398")),  # another number of labels, the same encoder
        run("swav", 1, PLATEAU.format("3.399"), "queue: it was never full (40 of 50); shorten it"),
        run("swav", 2),
        run("simclr", 0),
    ]
    first, second = diagnoses(runs, {name: one.title for name, one in METHODS.items()}, " (--view-strength)")
    assert first.startswith(
        "SwAV pretraining: collapse in 2 of 3 repeats (the loss 3.398 stays at its plateau 3.401): let views"
    )
    assert "--view-strength" in first
    assert second.startswith("SwAV pretraining: queue in 1 of 3 repeats (it was never full (40 of 50)): shorten it")


def test_settings_and_quality_are_means_over_repeats_and_leave_out_what_is_unknown() -> None:
    runs = [run("swav", 0, rank=4.0), run("swav", 0, rank=4.0), run("swav", 1, rank=7.0), {"method": "scratch"}]
    found = _pretrainings(runs, METHODS)
    assert found == {
        "SwAV pretraining: settings": "n_prototypes 15, queue_length 0, version None; from 630 samples",
        "SwAV pretraining: embedding": "effective rank 5.5, RankMe 5.5, neighbourhood stability 0.5",
    }
