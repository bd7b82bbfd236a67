"""How do I use it with cross_val_score, pipelines and labels that are partly missing?

NaN or None in `y` means "no label": such rows pretrain and are never tested. Cross-validation pretrains in each fold.
"""

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline

import oligolearn
from oligolearn import FineTunedClassifier, SelfSupervisedEncoder
from oligolearn.data import normalize

cohort = oligolearn.simulate_cohort(300, 300, seed=1)
X = normalize(cohort.X, "counts").X
y = cohort.obs["label"].astype(object).to_numpy()
y[60:] = None  # the first 60 samples have a label, the others none

# Folds over the labelled rows; the unlabelled ones are in the training part of each.
labelled = np.flatnonzero(pd.notna(y))
parts = StratifiedKFold(3, shuffle=True, random_state=0).split(labelled, y[labelled])
folds = [(np.setdiff1d(np.arange(len(y)), labelled[test]), labelled[test]) for _, test in parts]

encoder = SelfSupervisedEncoder(epochs=60, random_state=0)
scratch = FineTunedClassifier(random_state=0)
pretrained = FineTunedClassifier(pretrained=encoder, random_state=0)
for name, model in (("from scratch", scratch), ("pretrained", pretrained)):
    print(f"{name}: accuracy {cross_val_score(model, X, y, cv=folds).mean():.2f}")

# As a transformer the encoder stands in any pipeline: it learns without labels, the step after it with labels.
pipeline = make_pipeline(encoder, LogisticRegression(max_iter=1000))
score = cross_val_score(pipeline, X[labelled], y[labelled], cv=3).mean()
print(f"embedding of the labelled samples + logistic regression: accuracy {score:.2f}")
