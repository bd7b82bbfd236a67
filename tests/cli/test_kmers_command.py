"""The command `kmers`, from outside."""

import os
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from oligolearn.cli import main


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "a.fa"
    path.write_text(">one of two\nACGTNACG\nTT\n>two\naaaaa\n")
    return path


def test_a_table_of_kmers_and_counts(fasta, capsys):
    out = fasta.with_name("o.tsv")
    assert run("kmers", fasta, "--k", 3, "--canonical", "--out", out) == 0
    assert out.read_text() == "kmer\tcount\nAAA\t3\nAAC\t1\nACG\t4\n"
    said = capsys.readouterr().out
    assert "a.fa: 2 records, 15 letters, 8 windows; windows with other letters are skipped: 'N' 1" in said
    assert said.endswith("o.tsv: 3 canonical 3-mers\n")
    assert run("kmers", fasta, "--k", 3, "--min-count", 2, "--out", out, "--threads", 1) == 0
    assert out.read_text() == "kmer\tcount\nAAA\t3\nACG\t2\nCGT\t2\n"


def test_long_counts_and_long_kmers_are_written_whole(tmp_path):
    path, out = tmp_path / "a.fa", tmp_path / "o.tsv"
    path.write_text(">a\n" + "T" * 100_030 + "\n")
    for k in (1, 4, 6, 13, 31):
        assert run("kmers", path, "--k", k, "--canonical", "--out", out) == 0
        assert out.read_text() == f"kmer\tcount\n{'A' * k}\t{100_031 - k}\n"


def test_arrays_hold_what_the_table_holds(fasta):
    from oligolearn.kmers import kmers

    other = fasta.with_name("b.fa")
    other.write_bytes(fasta.read_bytes())
    for k in (3, 4):
        for out in ("o.tsv", "o.npz"):
            assert run("kmers", fasta, other, "--k", k, "--out", fasta.with_name(out)) == 0
        table = pd.read_csv(fasta.with_name("o.tsv"), sep="\t")
        with np.load(fasta.with_name("o.npz")) as arrays:
            assert kmers(arrays["codes"], int(arrays["k"])).tolist() == table.kmer.tolist()
            assert arrays["counts"].tolist() == table["count"].tolist()
            assert not arrays["canonical"]


def test_a_row_for_each_record_or_file(fasta):
    other, out = fasta.with_name("b.fa"), fasta.with_name("o.h5ad")
    other.write_text(">three\nACGTC\n>none\n\n")
    assert run("kmers", fasta, other, "--k", 3, "--per", "record", "--out", out) == 0
    table = ad.read_h5ad(out).to_df()
    assert table.index.tolist() == ["one", "two", "three", "none"]
    assert table.columns.tolist() == ["AAA", "ACG", "CGT", "GTC", "GTT"]
    assert table.to_numpy().tolist() == [[0, 2, 2, 0, 1], [3, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]]
    assert run("kmers", fasta, other, "--k", 3, "--per", "file", "--min-count", 3, "--out", out) == 0
    table = ad.read_h5ad(out).to_df()
    assert table.index.tolist() == ["a.fa", "b.fa"]
    assert table.to_dict("list") == {"AAA": [3, 0], "ACG": [2, 1], "CGT": [2, 1]}


def test_a_record_that_is_longer_than_a_block_is_one_row(fasta, monkeypatch, tmp_path):
    from oligolearn.kmers import streaming

    monkeypatch.setattr(streaming, "BLOCK", 7)
    out = tmp_path / "o.h5ad"
    assert run("kmers", fasta, "--k", 3, "--canonical", "--per", "record", "--out", out) == 0
    assert ad.read_h5ad(out).to_df().to_dict("list") == {"AAA": [0, 3], "AAC": [1, 0], "ACG": [4, 0]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--k", "0"], "found 0"),
        (["--k", "32"], "found 32"),
        (["--k", "9"], "no record of a.fa has 9 letters A, C, G, T in a row"),
        (["--k", "3", "--min-count", "0"], "found 0"),
        (["--k", "3", "--threads", "0"], "found 0"),
        (["--k", "3", "--memory", "0"], "--memory is a number of GiB above 0"),
        (["--k", "3", "--memory", "1e300"], "--memory is a number of GiB above 0"),
        (["--k", "3", "--memory", "1e-6"], "1 MiB or more"),
        (["--k", "3", "--per", "record", "--min-count", "1000", "--out", "o.h5ad"], "no k-mer occurs 1,000 times"),
        (["--k", "3", "--out", "o.csv"], "ends in .tsv or .npz"),
        (["--k", "3", "--out", "nowhere/o.tsv"], "not a folder"),
        (["--k", "3", "--per", "record"], "ends in .h5ad"),
        (["--k", "3", "--per", "sample"], "sample"),
        (["a.fa", "--k", "3", "--per", "record", "--out", "o.h5ad"], "a.fa is given twice"),
    ],
)
def test_a_mistake_is_one_line(fasta, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(fasta.parent)
    where = [] if "--out" in arguments else ["--out", "o.tsv"]
    assert run("kmers", fasta.name, *arguments, *where) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert message in said
    assert [path.name for path in fasta.parent.iterdir()] == ["a.fa"]


@pytest.mark.slow
def test_kernels_are_kept_where_the_installation_can_not_be_written_to(fasta, tmp_path):
    """What numba compiles goes to the user's cache folder, or nowhere; both work."""
    source = Path(sys.modules["oligolearn"].__file__ or "").parent
    installed = tmp_path / "lib" / "oligolearn"
    installed.mkdir(parents=True)
    for name in ("__init__.py", "__main__.py", "machine.py", "writing.py", "rare_collection.py", "cli", "kmers"):
        (installed / name).symlink_to(source / name)
    (installed / "kmers").unlink()
    (installed / "kmers").mkdir()
    for module in (source / "kmers").glob("*.py"):
        (installed / "kmers" / module.name).write_bytes(module.read_bytes())
    (installed / "kmers" / "__pycache__").write_text("a file: no folder can be made here")
    for home in ("home", None):
        cache = tmp_path / "home"
        where = str(cache) if home else str(installed / "kmers" / "__pycache__" / "none")
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "lib"), "HOME": where, "XDG_CACHE_HOME": where}
        environment.pop("NUMBA_CACHE_DIR", None)
        command = [sys.executable, "-m", "oligolearn", "kmers", fasta, "--k", "3", "--out", tmp_path / "o.tsv"]
        ended = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        assert ended.returncode == 0, ended.stderr
        assert (tmp_path / "o.tsv").read_text().startswith("kmer\tcount\nAAA\t3\n")
    assert list((tmp_path / "home").rglob("*.nbi"))


def test_without_a_name_the_counts_lie_here(fasta, monkeypatch, capsys):
    monkeypatch.chdir(fasta.parent)
    assert run("kmers", fasta.name, "--k", "3", "--canonical") == 0
    assert (fasta.parent / "a.canonical-3-mers.tsv").read_text().startswith("kmer\tcount\n")
    assert "a.canonical-3-mers.tsv: " in capsys.readouterr().out


def test_what_headers_say_is_kept_beside_the_counts_of_records(tmp_path):
    (tmp_path / "r.fa").write_text(">s0 label=a, split=train\nACGTT\n>s1 label=b, split=test\nACGGG\n")
    assert run("kmers", tmp_path / "r.fa", "--k", "2", "--per", "record", "--out", tmp_path / "r.h5ad") == 0
    obs = ad.read_h5ad(tmp_path / "r.h5ad").obs
    assert obs["label"].tolist() == ["a", "b"]
    assert obs["split"].tolist() == ["train", "test"]
