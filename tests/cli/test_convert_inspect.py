"""The commands `convert` and `inspect`, from outside."""

import json

import numpy as np
import pandas as pd
import pytest

from oligolearn.cli import main
from oligolearn.data import read_expression

TABLE = "id,TP53,MYC,y\na,1.5,2,ER+\nb,3,,ER-\nc,5,6.5,ER+\n"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(TABLE)
    return path


def run(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return stopped.value.code


def test_convert_states_what_it_did_and_reads_back_identical(table, capsys):
    out = table.with_name("t.h5ad")
    (table.with_name("sheet.csv")).write_text("sample,stage\na,II\nc,III\n")
    assert run("convert", table, out, "--samples", table.with_name("sheet.csv")) == 0
    printed = capsys.readouterr().out
    assert "Genes are in columns" in printed
    assert "describes 2 of 3 samples" in printed
    assert "3 samples x 2 genes; columns: y, stage" in printed
    adata = read_expression(out)
    np.testing.assert_array_equal(adata.X, [[1.5, 2], [3, np.nan], [5, 6.5]])
    pd.testing.assert_frame_equal(adata.obs, read_expression(table, samples=table.with_name("sheet.csv")).obs)


def test_convert_does_not_overwrite_what_it_reads(table, capsys):
    out = table.with_name("t.h5ad")
    run("convert", table, out)
    before = out.read_bytes()
    capsys.readouterr()
    assert run("convert", out, out) == 2
    assert "is the file to read" in capsys.readouterr().err
    assert out.read_bytes() == before


@pytest.mark.parametrize("out", ["t.csv.out", "nowhere/t.h5ad"])
def test_convert_refuses_a_bad_place(table, out, capsys):
    assert run("convert", table, table.parent / out) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_inspect_prints_words_and_json(table, capsys):
    assert run("inspect", table, "--label", "y") == 0
    text = capsys.readouterr().out
    assert "3 samples x 2 genes (csv)" in text
    assert "Label y: 2 classes, 0 samples without a label" in text
    assert "MYC 33.3%" in text
    assert run("inspect", table, "--label", "y", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["label"]["classes"] == {"ER+": 2, "ER-": 1}
    assert summary["missing"]["n_values"] == 1


def test_inspect_lists_the_columns_when_the_label_is_wrong(table, capsys):
    assert run("inspect", table, "--label", "nope") == 2
    assert "the columns are: y" in capsys.readouterr().err
