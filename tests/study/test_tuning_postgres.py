"""Trials of a tuning in a real PostgreSQL server; `.ci/run` starts one and names it in OLIGOLEARN_POSTGRES_URL."""

import os
import uuid

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from oligolearn.cli import main
from oligolearn.study import tune, tuning

VARIABLE = "OLIGOLEARN_POSTGRES_URL"
TINY = {
    "method": "scratch",
    "repeats": 1,
    "at_once": 3,
    "search": ["layers=8|8,4", "epochs=1:4", "batch_size=16|32"],
    "training": {"min_steps": 4},
    "progress": False,
    "workers": 1,
}


def cohort():
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    X = rng.normal(8, 1, (90, 20)) + 1.2 * rng.normal(size=(3, 20))[y]
    obs = pd.DataFrame({"y": np.array(["A", "B", "C"])[y]}, index=[f"s{i}" for i in range(90)])
    return ad.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(20)]))


def trials_of(folder):
    return pd.read_csv(folder / "trials.csv").drop(columns="seconds")


@pytest.fixture(scope="module")
def server():
    """URL of the server's database for tests; skips without one."""
    url = os.environ.get(VARIABLE)
    if not url:
        if os.environ.get("OLIGOLEARN_REQUIRE_DATA") == "1":
            pytest.fail(f"OLIGOLEARN_REQUIRE_DATA=1 but {VARIABLE} names no server")
        pytest.skip(f"{VARIABLE} names no PostgreSQL server")
    return url


@pytest.fixture
def database(server):
    """URL of a new, empty database, dropped afterwards."""
    from sqlalchemy import create_engine, make_url, text

    url = make_url(server)
    name = f"tuning_{uuid.uuid4().hex}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    yield url.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}"'))  # refused if the tuning left a connection open
    engine.dispose()


def test_the_trials_are_those_of_sqlite(database, tmp_path):
    from sqlalchemy import make_url

    postgres = tune(cohort(), "y", out=tmp_path / "postgres", storage=database, trials=16, **TINY)
    sqlite = tune(cohort(), "y", out=tmp_path / "sqlite", trials=16, **TINY)
    assert not (tmp_path / "postgres" / "tune.db").exists()
    pd.testing.assert_frame_equal(trials_of(tmp_path / "postgres"), trials_of(tmp_path / "sqlite"), check_exact=True)
    assert postgres.best == sqlite.best
    password = make_url(database).password
    assert password
    assert password not in "".join(path.read_text() for path in (tmp_path / "postgres").iterdir())


def test_a_stopped_tuning_goes_on_from_another_folder(database, tmp_path, monkeypatch):
    tell = tuning.Trials.tell

    def stops(self, told):
        if told.number == 4:
            raise KeyboardInterrupt
        tell(self, told)

    with monkeypatch.context() as patch:
        patch.setattr(tuning.Trials, "tell", stops)
        with pytest.raises(KeyboardInterrupt):
            tune(cohort(), "y", out=tmp_path / "here", storage=database, trials=7, **TINY)
    told = []
    monkeypatch.setattr(tuning.Trials, "tell", lambda self, trial: told.append(trial.number) or tell(self, trial))
    tune(cohort(), "y", out=tmp_path / "there", storage=database, trials=7, **TINY)
    assert told == [4, 5, 6]
    tune(cohort(), "y", out=tmp_path / "whole", trials=7, **TINY)
    pd.testing.assert_frame_equal(trials_of(tmp_path / "there"), trials_of(tmp_path / "whole"), check_exact=True)


def test_a_database_holds_many_tunings(database, tmp_path):
    one = tune(cohort(), "y", out=tmp_path / "one", storage=database, trials=2, test=False, **TINY)
    other = tune(cohort(), "y", out=tmp_path / "other", storage=database, trials=2, test=False, **{**TINY, "seed": 1})
    assert len(one.trials) == len(other.trials) == 2
    assert not one.trials["value"].equals(other.trials["value"])


def test_a_missing_database_is_one_line_without_the_password(server, tmp_path, capsys):
    from sqlalchemy import make_url

    cohort().write_h5ad(tmp_path / "c.h5ad")
    url = make_url(server).set(database="absent", password="geheim").render_as_string(hide_password=False)
    with pytest.raises(SystemExit) as end:
        main(
            [
                "tune",
                str(tmp_path / "c.h5ad"),
                "--label",
                "y",
                "--out",
                str(tmp_path / "o"),
                "--storage",
                url,
                "--quiet",
            ]
        )
    assert end.value.code == 1
    error = capsys.readouterr().err
    assert "absent cannot be used" in error
    assert error.count("\n") == 1
    assert "geheim" not in error
