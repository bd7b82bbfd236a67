"""How do I train a classifier on few labels, keep it, and use it on samples of tomorrow?

The new samples have their genes in another order and lack some; the model finds its genes by name.
"""

import sys
import tempfile
from pathlib import Path

import oligolearn
from oligolearn import FineTunedClassifier, SelfSupervisedEncoder, load_model, save_model
from oligolearn.data.simulate import ClassEffect
from oligolearn.estimators import LabelColumns, Preparation, predict_samples, pretrain_encoder, train_classifier


def main(folder: Path) -> None:
    cohort = oligolearn.simulate_cohort(400, 400, classes=ClassEffect(log2_fold_change=1.5), seed=1)
    known, new = cohort[:300].copy(), cohort[300:, ::-1][:, 20:].copy()
    known.obs.loc[known.obs_names[60:], "label"] = None  # the labels of 60 samples are known

    swav = SelfSupervisedEncoder(view_options={"share": 0.4}, epochs=60, random_state=0)
    encoder = pretrain_encoder(known, swav, Preparation())
    save_model(encoder.model, folder / "encoder", features=encoder.features, facts=encoder.facts)

    saved = load_model(folder / "encoder")
    columns, classifier = LabelColumns("label", group="patient"), FineTunedClassifier(random_state=0)
    trained = train_classifier(known, columns, classifier, Preparation(), pretrained=saved, n_folds=3)
    save_model(trained.model, folder / "model", features=trained.features, facts=trained.facts)
    print(f"accuracy in cross-validation: {trained.facts['metrics']['accuracy']:.2f}")

    table, notes = predict_samples(load_model(folder / "model"), new)
    print(*notes, table.head(3).round(3).to_string(), sep="\n")
    right = (table["prediction"] == new.obs["label"].astype(str)).mean()
    print(f"accuracy on new samples: {right:.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()))
