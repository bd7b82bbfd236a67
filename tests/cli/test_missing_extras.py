"""Without an extra, a command that needs it says in one line which to install."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from oligolearn.cli import main
from oligolearn.cli.printing import epoch_bar


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("extras") / "c.h5ad")
    with pytest.raises(SystemExit):
        main(["simulate", path, "--n-samples", "90", "--n-genes", "60", "--n-classes", "2", "--seed", "1"])
    return path


@pytest.mark.parametrize(
    ("missing", "extra", "command"),
    [
        ("optuna", "search", ["tune", "--label", "label"]),
        ("distributed", "distributed", ["study", "--label", "label", "--scheduler", "tcp://127.0.0.1:1"]),
        ("lightning_fabric", "distributed", ["pretrain", "--devices", "2", "--device", "cpu"]),
    ],
)
def test_one_line_names_the_extra(
    cohort: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    missing: str,
    extra: str,
    command: list[str],
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SystemExit) as ended:
        main([*command, cohort, "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    assert said.endswith(f"pip install 'oligolearn[{extra}]'\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("code", "use"),
    [
        (2, "from oligolearn.cli import main; main(['kmers', 'a.fa', '--k', '2', '--out', 'o.tsv'])"),
        (1, "from oligolearn.kmers import Words, count_strings; count_strings(['ACGT'], 2)"),
    ],
)
def test_without_numba_only_what_counts_kmers_stops(tmp_path: Path, code: int, use: str) -> None:
    (tmp_path / "a.fa").write_text(">a\nACGT\n")
    program = f"import sys; sys.modules['numba'] = None; {use}"
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert ended.returncode == code
    assert ended.stderr.endswith("numba, which is not installed: pip install 'oligolearn[sequences]'\n")
    assert not (tmp_path / "o.tsv").exists()


def test_word2vec_names_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    (tmp_path / "a.fa").write_text(">a\nACGTACGT\n")
    with pytest.raises(SystemExit) as ended:
        main(["pretrain", str(tmp_path / "a.fa"), "--method", "word2vec", "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith("gensim, which is not installed: pip install 'oligolearn[sequences]'\n")
    assert not (tmp_path / "out").exists()


def test_a_bar_that_moved_stays_beside_the_error(capsys: pytest.CaptureFixture[str]) -> None:
    def diverge() -> None:
        with epoch_bar("training", shown=True) as tell:
            assert tell is not None
            tell(2, 5, 0.5)
            raise ValueError("the loss became nan")

    with pytest.raises(ValueError, match="the loss"):
        diverge()
    assert "40%" in capsys.readouterr().err


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"oligolearn {version('oligolearn')}\n"
