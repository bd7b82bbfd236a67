"""Names of what `oligolearn.estimators.metrics` computes, for tables of results."""

METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "mcc", "log_loss", "ece")
NUMBER_METRICS = ("spearman", "pearson", "r2", "rmse")
