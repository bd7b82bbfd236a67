"""`oligolearn simulate` as a user meets it."""

import inspect
import re
from dataclasses import fields

import anndata as ad
import pytest
import typer
from typer.testing import CliRunner

from oligolearn.cli.simulate import simulate
from oligolearn.data.simulate import BatchEffect, ClassEffect, Subjects, Transcriptome, simulate_cohort

app = typer.Typer()
app.command()(simulate)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_every_option_reaches_its_setting(tmp_path):
    path = tmp_path / "cohort.h5ad"
    values = {
        "reads_per_gene": 300.0,
        "library_sd": 0.11,
        "abundance_sd": 1.1,
        "dispersion": 0.2,
        "n_modules": 3,
        "share_in_modules": 0.6,
        "module_sd": 0.45,
        "n_classes": 3,
        "log2_fold_change": 1.5,
        "share_modules": 0.4,
        "share_genes": 0.05,
        "imbalance": 1.5,
        "unlabelled": 0.25,
        "keep_truth": True,
        "n_batches": 4,
        "location": 0.3,
        "scale": 0.15,
        "confounding": 0.7,
        "samples_per_patient": 1.7,
        "patient_sd": 0.35,
        "share_cell_lines": 0.2,
        "cell_line_shift": 0.9,
    }
    options = ["--n-samples", 60, "--n-genes", 50, "--seed", 4]
    for name, value in values.items():
        prefix = "batch-" if name in ("location", "scale", "confounding") else ""
        options += [f"--{prefix}{name.replace('_', '-')}", *([] if value is True else [value])]
    answer = run(path, *options)
    assert answer.exit_code == 0, answer.output
    made = [
        kind(**{f.name: values[f.name] for f in fields(kind)})
        for kind in (Transcriptome, ClassEffect, BatchEffect, Subjects)
    ]
    names = ("transcriptome", "classes", "batches", "subjects")
    expected = simulate_cohort(60, 50, **dict(zip(names, made, strict=True)), seed=4)
    found = ad.read_h5ad(path)
    assert found.X.tobytes() == expected.X.tobytes()
    assert set(found.obs) == {"label", "patient", "batch", "sample_kind", "true_label"}
    assert "15 unlabelled" in answer.output
    assert "simulated, 60 samples x 50 genes" in answer.output


def test_defaults_are_those_of_the_library():
    # Written out in the command so that --help need not import the library
    of_options = {name: p.default for name, p in inspect.signature(simulate).parameters.items()}
    for kind, prefix in ((Transcriptome, ""), (ClassEffect, ""), (BatchEffect, "batch_"), (Subjects, "")):
        for field in fields(kind):
            name = field.name if field.name in of_options else prefix + field.name
            assert of_options[name] == field.default, name
    of_function = inspect.signature(simulate_cohort).parameters
    assert all(of_options[name] == of_function[name].default for name in ("n_samples", "n_genes", "seed"))


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("cohort.h5ad", ["--n-classes", "9", "--n-samples", "8"], ValueError, "`n_classes` is 9 but `n_samples` is 8"),
        ("cohort.h5ad", ["--share-genes", "2"], ValueError, "`share_genes` is 2.0 but must lie between 0 and 1"),
        ("cohort.csv", [], ValueError, r"\.h5ad"),
        ("nowhere/cohort.h5ad", [], FileNotFoundError, "nowhere"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing_behind(tmp_path, name, options, error, message):
    answer = run(tmp_path / name, "--n-genes", 20, "--n-samples", 20, *options)
    assert isinstance(answer.exception, error)
    assert re.search(message, str(answer.exception))
    assert "\n" not in str(answer.exception)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_replaced_whole(tmp_path):
    path = tmp_path / "cohort.h5ad"
    path.write_text("something else")
    assert run(path, "--n-genes", 20, "--n-samples", 20).exit_code == 0
    assert ad.read_h5ad(path).shape == (20, 20)
    assert list(tmp_path.iterdir()) == [path]
