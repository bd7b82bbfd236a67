"""The folder of a study: what was asked, and every run as soon as it is finished."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oligolearn.estimators.metric_names import METRICS, NUMBER_METRICS
from oligolearn.saving import write_json
from oligolearn.study.design import Run
from oligolearn.study.sequence_numbers import NUMBERS
from oligolearn.writing import differences, whole_file

COLUMNS = ("repeat", "fraction", "n_labels", "method", *METRICS, "seconds", "seed")
NUMBER_COLUMNS = (*COLUMNS[:4], *NUMBER_METRICS, *COLUMNS[-2:])  # where labels are numbers


class Store:
    """A folder with `study.json` (what was asked), `runs.jsonl` (a line per finished run) and `work/`.

    A run is written to the disk before the next one is taken up. The last line may be torn when the machine stops in
    the middle of it: it is then left out, and that run is done again.

    Parameters
    ----------
    folder
        Made if it is not there.
    what, file
        What the folder holds, in a word, and the file that says what was asked.
    """

    def __init__(self, folder: str | os.PathLike[str], *, what: str = "study", file: str = "study.json") -> None:
        self.folder = Path(folder)
        self.work = self.folder / "work"
        self._what = what
        self._asked = self.folder / file
        self._runs = self.folder / "runs.jsonl"
        self._embeddings = self.folder / "embeddings.json"

    def open(self, asked: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        """Start the study `asked`, or go on with it where it is the one that the folder holds.

        Parameters
        ----------
        asked
            What decides the results: design and data. Compared when a study is resumed.
        about
            Anything else worth keeping, such as the description of the data.

        Raises
        ------
        ValueError
            If the folder holds another study; says what differs.
        FileExistsError
            If the folder holds something else.
        """
        asked = json.loads(json.dumps(asked))
        if self._asked.exists():
            self._check_same(asked)
            self._cut_torn_line()
            self._note_changes(json.loads(json.dumps(about)))
        elif self.folder.exists() and any(self.folder.iterdir()):
            raise FileExistsError(f"{self.folder} exists and is not a {self._what}; choose another --out or empty it")
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._asked.exists():
            write_json(self._asked, {"asked": asked, "about": about})

    def _check_same(self, asked: Mapping[str, Any]) -> None:
        differ = differences(self.describe()["asked"], asked)
        if differ:
            raise ValueError(
                f"{self.folder} holds another {self._what}: {differ}; repeat its command to go "
                "on with it, or choose another --out"
            )

    def _note_changes(self, about: Mapping[str, Any]) -> None:
        """Keep a warning where what goes on is not quite what began: other versions, or defaults that have changed."""
        description = self.describe()
        before, n_runs = description["about"], len(self.runs())
        parts = [part for part in ("versions", "settings") if part in before and part in about]
        changed = "; ".join(filter(None, (differences(before[part], about[part]) for part in parts)))
        if changed and n_runs < about.get("n_runs", n_runs):
            warning = (
                f"after {n_runs:,} runs this {self._what} went on with other versions or settings than it began with "
                f"({changed}): its numbers may not be those of either"
            )
            before |= {part: about[part] for part in parts}
            before["warnings"] = [*(before.get("warnings") or []), warning]
            write_json(self._asked, description)

    def _cut_torn_line(self) -> None:
        if self._runs.exists():
            text = self._runs.read_bytes()
            whole = text[: text.rfind(b"\n") + 1]
            if len(whole) < len(text):
                with self._runs.open("r+b") as file:
                    file.truncate(len(whole))

    def describe(self) -> dict[str, Any]:
        """What `open` was given when the study started: ``{"asked": ..., "about": ...}``.

        Raises
        ------
        FileNotFoundError
            If the folder holds no study.
        """
        if not self._asked.exists():
            raise FileNotFoundError(f"{self.folder} holds no {self._what}: expected {self._asked.name} in it")
        description: dict[str, Any] = _parsed(self._asked, self._asked.read_text(encoding="utf-8"))
        if not {"asked", "about"} <= description.keys():
            raise ValueError(f"{self._asked} does not describe a {self._what}; use another --out")
        return description

    def replicas(self) -> int:
        """How many networks the study trains together: as it was when the study started, whoever goes on with it."""
        return int(self.describe()["about"].get("replicas", 1))

    def add(self, run: Run, outcome: Mapping[str, Any]) -> None:
        """Write a finished run to the disk."""
        line = json.dumps({**run._asdict(), **outcome}, allow_nan=False)
        with self._runs.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())

    def runs(self) -> list[dict[str, Any]]:
        """Finished runs, in the order of the plan and not of their ends."""
        if not self._runs.exists():
            return []
        lines = self._runs.read_text(encoding="utf-8").split("\n")[:-1]
        found = {_place(run): run for run in (_parsed(self._runs, line) for line in lines)}
        order = {name: i for i, name in enumerate(self.describe()["asked"]["methods"])}
        return sorted(found.values(), key=lambda run: (run["repeat"], run["fraction"], order[run["method"]]))

    def finished(self) -> set[Run]:
        """Places of the finished runs."""
        return {_place(run) for run in self.runs()}

    def results(self) -> pd.DataFrame:
        """Table of the runs that succeeded, with the columns of `results.csv`."""
        columns = NUMBER_COLUMNS if self.describe()["asked"].get("target") == NUMBERS else COLUMNS
        return pd.DataFrame([run for run in self.runs() if "error" not in run], columns=list(columns))

    def embeddings(self) -> list[dict[str, Any]]:
        """Maps of the samples that `keep_embeddings` was given."""
        if not self._embeddings.exists():
            return []
        maps: list[dict[str, Any]] = _parsed(self._embeddings, self._embeddings.read_text(encoding="utf-8"))[
            "embeddings"
        ]
        return maps

    def keep_embeddings(self, maps: list[dict[str, Any]]) -> None:
        """Write maps of the samples to the disk."""
        write_json(self._embeddings, {"embeddings": maps})

    def keep_matrix(self, X: NDArray[Any], name: str = "matrix") -> Path:
        """Lay the matrix, or another array, where worker processes map it into their memory."""
        path = (self.work / f"{name}.npy").resolve()  # a worker may have started in another folder
        if not path.exists():
            self.work.mkdir(exist_ok=True)
            with whole_file(path) as temporary:
                np.save(temporary, X)
        return path

    def clear_work(self) -> None:
        """Remove what only unfinished runs need."""
        shutil.rmtree(self.work, ignore_errors=True)


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is damaged ({error}); restore it, or start again in another --out") from None
    if not isinstance(parsed, dict):
        raise ValueError(f"{path} is damaged: expected JSON objects; restore it, or start again in another --out")
    return parsed


def _place(run: Mapping[str, Any]) -> Run:
    return Run(run["repeat"], run["fraction"], run["n_labels"], run["method"])
