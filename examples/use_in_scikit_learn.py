"""How do I use it with cross_val_score, pipelines and labels that are partly missing?

NaN or None in `y` means "no label": such rows pretrain and are never tested. Cross-validation pretrains in each fold.
"""

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline

import oligolearn
from oligolearn import FineTunedClassifier, SelfSupervisedEncoder
from oligolearn.data import normalize
from oligolearn.data.simulate import ClassEffect

cohort = oligolearn.simulate_cohort(300, 400, classes=ClassEffect(log2_fold_change=1.5), seed=1)
X = normalize(cohort.X, "counts").X
y = cohort.obs["label"].astype(object).to_numpy()
y[24:] = None  # the first 24 samples have a label, the others none

# Folds over the labelled rows; the unlabelled ones are in the training part of each.
labelled = np.flatnonzero(pd.notna(y))
parts = StratifiedKFold(3, shuffle=True, random_state=0).split(labelled, y[labelled])
folds = [(np.setdiff1d(np.arange(len(y)), labelled[test]), labelled[test]) for _, test in parts]

encoder = SelfSupervisedEncoder(view_options={"share": 0.4}, epochs=60, random_state=0)
scratch = FineTunedClassifier(random_state=0)
pretrained = FineTunedClassifier(pretrained=encoder, random_state=0)
for name, model in (("from scratch", scratch), ("pretrained", pretrained)):
    print(f"{name}: accuracy {cross_val_score(model, X, y, cv=folds).mean():.2f}")

# Fitted once, without labels, and frozen, the encoder is a step of any pipeline.
pipeline = make_pipeline(FrozenEstimator(encoder.fit(X)), LogisticRegression(max_iter=1000))
score = cross_val_score(pipeline, X[labelled], y[labelled], cv=3).mean()
print(f"logistic regression on the embedding: accuracy {score:.2f}")
