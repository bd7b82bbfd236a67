"""A saved model gives the same numbers in another process; a damaged one is reported in words."""

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from oligolearn.estimators import (
    CollapseWarning,
    FineTunedClassifier,
    SelfSupervisedEncoder,
    load_model,
    save_model,
    versions,
)

GENES = [f"g{i}" for i in range(20)]
ELSEWHERE = """
import sys
import numpy as np
from oligolearn.estimators import FineTunedClassifier, load_model
model = load_model(sys.argv[1]).model
X = np.load(sys.argv[2])
np.save(sys.argv[3], model.predict_proba(X) if isinstance(model, FineTunedClassifier) else model.transform(X))
"""


@pytest.fixture(scope="module")
def encoder(cohort: Any, small: dict[str, Any]) -> SelfSupervisedEncoder:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        return SelfSupervisedEncoder(random_state=0, **small).fit(cohort.X)


@pytest.fixture(scope="module")
def classifier(cohort: Any, small: dict[str, Any], encoder: SelfSupervisedEncoder) -> FineTunedClassifier:
    names = np.array(["é <b>", "b", "c"], dtype=object)[cohort.y]
    return FineTunedClassifier(encoder, random_state=0, **small).fit(cohort.X, names)


def computed_elsewhere(path: Path, X: Any, folder: Path) -> Any:
    np.save(folder / "X.npy", X)
    command = [sys.executable, "-c", ELSEWHERE, path, folder / "X.npy", folder / "out.npy"]
    subprocess.run(command, check=True, capture_output=True)
    return np.load(folder / "out.npy")


def test_another_process_gives_the_same_probabilities_in_any_batch(
    cohort: Any, classifier: FineTunedClassifier, tmp_path: Path
) -> None:
    save_model(classifier, tmp_path / "model", features=GENES)
    here = classifier.predict_proba(cohort.X)
    assert np.array_equal(computed_elsewhere(tmp_path / "model", cohort.X, tmp_path), here)
    assert np.array_equal(load_model(tmp_path / "model").model.predict_proba(cohort.X[3:5]), here[3:5])


def test_another_process_gives_the_same_embedding(cohort: Any, encoder: SelfSupervisedEncoder, tmp_path: Path) -> None:
    save_model(encoder, tmp_path / "model", features=GENES)
    assert np.array_equal(computed_elsewhere(tmp_path / "model", cohort.X, tmp_path), encoder.transform(cohort.X))


def test_a_loaded_classifier_knows_its_classes_and_embeds(
    cohort: Any, classifier: FineTunedClassifier, tmp_path: Path
) -> None:
    save_model(classifier, tmp_path / "model", features=GENES)
    loaded = load_model(tmp_path / "model").model
    assert isinstance(loaded, FineTunedClassifier)
    assert loaded.classes_.tolist() == ["b", "c", "é <b>"]
    assert np.array_equal(loaded.predict(cohort.X), classifier.predict(cohort.X))
    assert np.array_equal(loaded.embed(cohort.X), classifier.embed(cohort.X))


@pytest.mark.parametrize("y", [[3, 7], [0.0, 1.0], [True, False]], ids=str)
def test_classes_of_any_type_come_back(cohort: Any, small: dict[str, Any], tmp_path: Path, y: list[Any]) -> None:
    model = FineTunedClassifier(random_state=0, **small).fit(cohort.X, np.array(y)[np.arange(90) % 2])
    save_model(model, tmp_path / "model", features=GENES)
    loaded = load_model(tmp_path / "model").model
    assert loaded.classes_.tolist() == sorted(y)
    assert loaded.classes_.dtype.kind == np.array(y).dtype.kind


def test_the_description_says_what_a_reader_needs(classifier: FineTunedClassifier, tmp_path: Path) -> None:
    save_model(classifier, tmp_path / "model", features=GENES, facts={"units": "log", "metrics": {"accuracy": 0.5}})
    description = load_model(tmp_path / "model").description
    assert description["features"] == GENES
    assert description["units"] == "log"
    assert description["metrics"] == {"accuracy": 0.5}
    assert description["versions"] == versions()
    assert description["architecture"] == {"name": "mlp", "options": {"hidden": [16, 8]}}
    assert description["training"]["losses"] == classifier.history_.losses
    text = (tmp_path / "model" / "model.json").read_text(encoding="utf-8")
    assert str(tmp_path) not in text, "no path of this machine is kept"


def test_a_bundle_holds_no_pickle(classifier: FineTunedClassifier, tmp_path: Path) -> None:
    save_model(classifier, tmp_path / "model", features=GENES)
    files = sorted((tmp_path / "model").iterdir())
    assert [file.name for file in files] == ["model.json", "weights.safetensors"]
    assert all(not file.read_bytes().startswith((b"\x80", b"PK")) for file in files)


def test_a_name_for_each_gene_is_needed(classifier: FineTunedClassifier, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the model has 20 features, found 19 names"):
        save_model(classifier, tmp_path / "model", features=GENES[:-1])
    assert not (tmp_path / "model").exists()


def damaged(classifier: FineTunedClassifier, path: Path, **changes: Any) -> Path:
    """Save a model and change its description; None removes an entry."""
    save_model(classifier, path, features=GENES)
    description = json.loads((path / "model.json").read_text(encoding="utf-8"))
    description = {name: value for name, value in {**description, **changes}.items() if value is not None}
    (path / "model.json").write_text(json.dumps(description), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "survival"}, "kind 'survival'; this version reads encoder, classifier"),
        ({"kind": None}, "kind None"),
        ({"scaling": None}, "is damaged"),
        ({"scaling": {"mean": [1.0]}}, "is damaged"),
        ({"classes": None}, "is damaged"),
        ({"classes": ["a", "b"]}, "is damaged"),
        ({"architecture": None}, "is damaged"),
        ({"architecture": {"name": "mlp", "options": {"hidden": [16, 9]}}}, "is damaged"),
        ({"architecture": {"name": "mlp", "options": {"depth": 3}}}, "is damaged"),
        ({"architecture": {"name": "resnet", "options": {}}}, "unknown encoder 'resnet'"),
    ],
)
def test_a_damaged_description_is_reported(
    classifier: FineTunedClassifier, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load_model(damaged(classifier, tmp_path / "model", **changes))


def test_missing_and_additional_weights_are_reported(classifier: FineTunedClassifier, tmp_path: Path) -> None:
    save_model(classifier, tmp_path / "model", features=GENES)
    file = tmp_path / "model" / "weights.safetensors"
    weights = load_file(file)
    without = {name: value for name, value in weights.items() if name != "head.bias"}
    for changed in (without, {**weights, "tail.bias": np.zeros(3)}):
        save_file(changed, file)
        with pytest.raises(ValueError, match="is damaged"):
            load_model(tmp_path / "model")


def test_the_architecture_cannot_name_code_to_run(classifier: FineTunedClassifier, tmp_path: Path) -> None:
    path = damaged(classifier, tmp_path / "model", architecture={"name": "os.system", "options": {"hidden": "ls"}})
    with pytest.raises(ValueError, match=r"unknown encoder 'os\.system'"):
        load_model(path)


def test_an_encoder_can_be_taken_from_a_classifier(
    cohort: Any, classifier: FineTunedClassifier, small: dict[str, Any], tmp_path: Path
) -> None:
    save_model(classifier, tmp_path / "model", features=GENES)
    model = FineTunedClassifier(tmp_path / "model", random_state=0, frozen_layers=None, **small).fit(cohort.X, cohort.y)
    assert np.array_equal(model.embed(cohort.X), classifier.embed(cohort.X))


def test_a_loaded_model_can_be_saved_again(
    cohort: Any, classifier: FineTunedClassifier, encoder: SelfSupervisedEncoder, tmp_path: Path
) -> None:
    for number, model in enumerate((classifier, encoder)):
        save_model(model, tmp_path / f"{number}", features=GENES)
        save_model(load_model(tmp_path / f"{number}").model, tmp_path / f"{number} again", features=GENES)
        for file in ("model.json", "weights.safetensors"):
            first, second = ((tmp_path / name / file).read_bytes() for name in (f"{number}", f"{number} again"))
            assert first == second
