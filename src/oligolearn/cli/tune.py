"""`oligolearn tune`: better settings for one method, searched on validation samples."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oligolearn.cli.groups import CohortOptions, SequenceOptions, TrainingOptions, refuse_named, with_groups
from oligolearn.cli.options import DataOrSequences, Label, Processes, Quiet
from oligolearn.cli.sequence_studies import read_for_study, refuse_for_expression, sequence_settings

if TYPE_CHECKING:
    from oligolearn.study import Tuning

Out = Annotated[Path, typer.Option(help="Folder for the tuning. The same command resumes it; more trials continue it.")]
Method = Annotated[
    str | None, typer.Option(help="What to tune: scratch, or a method that pretrains, such as swav (default).")
]
NTrials = Annotated[int, typer.Option("--trials", help="Number of trials, those done earlier included.")]
AtOnce = Annotated[
    int, typer.Option(help="Trials proposed together from what is known of the earlier ones; part of the tuning.")
]
Fraction = Annotated[float, typer.Option(help="Share of the training labels to learn from: 0.1 is 10 %.")]
Repeats = Annotated[int, typer.Option(help="Trainings of each trial, with different seeds; their mean counts.")]
Search = Annotated[
    list[str] | None,
    typer.Option(help="Range or choices of a setting: name=low:high[:log] or name=a|b|c. Can be repeated."),
]
Storage = Annotated[
    str | None, typer.Option(help="Database of the trials: postgresql+psycopg://... Default: SQLite in --out.")
]
NoTest = Annotated[bool, typer.Option("--no-test", help="Leave the one test for a later call.")]


@with_groups
def tune(
    data: DataOrSequences,
    label: Label,
    out: Out,
    *,
    method: Method = None,
    trials: NTrials = 50,
    at_once: AtOnce = 8,
    fraction: Fraction = 1.0,
    repeats: Repeats = 3,
    search: Search = None,
    storage: Storage = None,
    no_test: NoTest = False,
    cohort: CohortOptions,
    training: TrainingOptions,
    workers: Processes = None,
    quiet: Quiet = False,
    of_sequences: SequenceOptions,
) -> None:
    """Search the settings of a method on validation samples, and test the best once.

    What another option fixes, such as --epochs, is not searched.
    """
    from oligolearn.data import is_sequence_file

    both: dict[str, Any] = {
        "out": out,
        "storage": storage,
        "workers": workers,
        "progress": not quiet,
        "trials": trials,
        "at_once": at_once,
        "test": not no_test,
        "search": search or [],
        "fraction": fraction,
        "repeats": repeats,
    }
    reading = [] if cohort.samples is None else ["--samples", str(cohort.samples)]
    if is_sequence_file(data):
        refuse_named({"method": (method, None)}, data, "sequences: the network is that of --encoder")
        settings = sequence_settings(data, cohort, training, of_sequences)
        sequences = read_for_study(data, cohort, of_sequences)
        from oligolearn.study import tune_sequences

        reading += [] if of_sequences.alphabet == "auto" else ["--alphabet", of_sequences.alphabet]
        reading += {None: [], True: ["--aligned"], False: ["--unaligned"]}[of_sequences.aligned]
        _print(tune_sequences(sequences, label, **both, **settings), str(data), reading)
        return
    refuse_for_expression(of_sequences, data)
    adata = cohort.read(data, label)
    from oligolearn.study import tune as search_settings  # brings torch: a broken file is named before that

    result = search_settings(adata, label, **both, method=method or "swav", **cohort.settings(), **training.settings())
    for option, value in (("--genes-in", cohort.genes_in), ("--duplicates", cohort.duplicates)):
        reading += [option, value] if value != "auto" else []
    _print(result, str(data), reading)


def _print(result: "Tuning", file: str, reading: list[str]) -> None:
    """Scores, settings, and the commands that use them on `file`, read with the options `reading`."""
    from rich.console import Console
    from rich.table import Table

    best = result.best
    console = Console(highlight=False)
    test = best["test"] or {"default": [], "best": []}
    console.print(f"{best['metric'][0].upper()}{best['metric'][1:]}:")
    scores = Table()
    for heading in ("settings", "validation", "test"):
        scores.add_column(heading, justify="left" if heading == "settings" else "right")
    for name in ("default", "best"):
        scores.add_row(name, _number(best["validation"][name]), _number(_mean(test[name])))
    console.print(scores)
    settings = Table()
    for heading in ("setting", "default", "best", "importance"):
        settings.add_column(heading, justify="left" if heading == "setting" else "right", no_wrap=heading == "setting")
    for name, values in best["settings"].items():
        shown = [f"{v:.3g}" if isinstance(v, float) else str(v) for v in (values["default"], values["best"])]
        settings.add_row(name, *shown, _number(best["importances"].get(name), digits=2))
    console.print(settings)
    for sentence in _sentences(result):
        print(sentence)
    for verb, *words in best["commands"]:
        placed = [str(result.folder / word) if word == "best.json" else word for word in words]
        print(shlex.join(["oligolearn", verb, file, *placed, *reading]))
    print(f"Settings: {result.folder / 'best.json'}; trials: {result.folder / 'trials.csv'}")


def _sentences(result: "Tuning") -> list[str]:
    best, test = result.best, result.best["test"]
    said = []
    diverged = int((result.trials["state"] == "diverged").sum())
    if diverged:
        said.append(f"{diverged} of {len(result.trials)} trials diverged.")
    if best["trial"] is None:
        said.append("No trial was better on the validation samples than the default settings: keep these.")
    if test is None:
        said.append("Not tested yet: the same command without --no-test tests once.")
    elif test["trial"] != best["trial"]:
        said.append(
            f"The test was made once, after {test['n_trials']} trials, with the best settings until then "
            f"({_called(test['trial'])}); it is not repeated. The best on validation now is {_called(best['trial'])}."
        )
    if test is not None and "interval" in test:
        said.append(_verdict(test))
    if best["python_only"]:
        parts = "; ".join(
            f"{part}: {', '.join(f'{name} {_plain(value)}' for name, value in values.items())}"
            for part, values in best["python_only"].items()
        )
        said.append(f"Settings without an option of these commands, for Python: {parts}.")
    return said


def _verdict(test: dict[str, Any]) -> str:
    low, high = test["interval"]
    gain = (_mean(test["best"]) or 0.0) - (_mean(test["default"]) or 0.0)
    numbers = f"{gain:+.3f} (95 % interval {low:+.3f} to {high:+.3f} over {test['n_samples']} test samples)"
    if low <= 0 <= high:
        return f"On the test samples the tuned settings differ from the default ones by {numbers}: within noise."
    return f"On the test samples the tuned settings are {'better' if gain > 0 else 'worse'} by {numbers}."


def _called(trial: int | None) -> str:
    return "the default settings" if trial is None else f"trial {trial}"


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _plain(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
