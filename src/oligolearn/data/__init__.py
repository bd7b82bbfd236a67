"""Files to arrays: expression matrices with what is known about their samples."""

from oligolearn.data.alignment import Aligned, align_expression
from oligolearn.data.cohort_design import BatchEffect, ClassEffect, Subjects, Transcriptome
from oligolearn.data.expression import read_expression
from oligolearn.data.genes import check_missing, merge_duplicate_genes
from oligolearn.data.inspection import inspect_expression, sample_warnings
from oligolearn.data.other_cohorts import Borrowed, OwnCohort, borrow_rows
from oligolearn.data.preparation import (
    Labels,
    Prepared,
    check_class_groups,
    check_class_sizes,
    class_labels,
    group_numbers,
    prepare_expression,
)
from oligolearn.data.quantiles import QuantileScaler
from oligolearn.data.samples import label_of
from oligolearn.data.scaling import ExpressionScaler, top_variance_genes
from oligolearn.data.simulate import simulate_cohort
from oligolearn.data.splits import Split, label_counts, label_order, redraw_validation, split_rows
from oligolearn.data.stored import StoredExpression, open_expression
from oligolearn.data.stream import ExpressionStream, align_stream, prepare_stream
from oligolearn.data.units import Normalized, guess_units, normalize

__all__ = [
    "Aligned",
    "BatchEffect",
    "Borrowed",
    "ClassEffect",
    "ExpressionScaler",
    "ExpressionStream",
    "Labels",
    "Normalized",
    "OwnCohort",
    "Prepared",
    "QuantileScaler",
    "Split",
    "StoredExpression",
    "Subjects",
    "Transcriptome",
    "align_expression",
    "align_stream",
    "borrow_rows",
    "check_class_groups",
    "check_class_sizes",
    "check_missing",
    "class_labels",
    "group_numbers",
    "guess_units",
    "inspect_expression",
    "label_counts",
    "label_of",
    "label_order",
    "merge_duplicate_genes",
    "normalize",
    "open_expression",
    "prepare_expression",
    "prepare_stream",
    "read_expression",
    "redraw_validation",
    "sample_warnings",
    "simulate_cohort",
    "split_rows",
    "top_variance_genes",
]
