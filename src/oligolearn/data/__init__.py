"""Files to arrays: expression matrices and sequences, with what is known about their samples."""

from typing import TYPE_CHECKING

from oligolearn.on_first_use import importer

if TYPE_CHECKING:
    from oligolearn.data.alignment import Aligned, align_expression
    from oligolearn.data.alphabets import DNA, PROTEIN, RNA, Alphabet
    from oligolearn.data.cohort_design import BatchEffect, ClassEffect, Subjects, Transcriptome
    from oligolearn.data.expression import read_expression
    from oligolearn.data.gene_map import GeneMap, read_gene_map
    from oligolearn.data.genes import check_missing, merge_duplicate_genes
    from oligolearn.data.identifiers import Naming, gene_key, naming_of
    from oligolearn.data.inspection import inspect_expression, sample_warnings
    from oligolearn.data.matching import Gathered, GeneMatch, Translation, gather_genes, match_genes, measured_by
    from oligolearn.data.multi_label import SeveralLabels, large_labels, several_labels, values_of_label
    from oligolearn.data.other_cohorts import Borrowed, OwnCohort, borrow_rows
    from oligolearn.data.preparation import (
        Labels,
        Prepared,
        check_class_groups,
        check_class_sizes,
        class_labels,
        group_numbers,
        number_classes,
        prepare_expression,
    )
    from oligolearn.data.quantiles import QuantileScaler
    from oligolearn.data.samples import is_number, label_of, numbers_of, parse_numbers
    from oligolearn.data.scaling import ExpressionScaler, top_variance_genes
    from oligolearn.data.sequence_files import read_sequence_files
    from oligolearn.data.sequence_groups import cluster_sequences, leak_free_groups
    from oligolearn.data.sequence_inspection import inspect_sequences
    from oligolearn.data.sequence_kinds import is_sequence_file
    from oligolearn.data.sequence_pieces import cut_into_pieces
    from oligolearn.data.sequences import PaddingRule, Sequences, encode_sequences, read_sequences
    from oligolearn.data.shuffling import shuffle_dinucleotides
    from oligolearn.data.simulate import simulate_cohort
    from oligolearn.data.splits import Split, label_counts, label_order, redraw_validation, split_rows
    from oligolearn.data.stored import StoredExpression, open_expression
    from oligolearn.data.stream import ExpressionStream, align_stream, prepare_stream
    from oligolearn.data.units import Normalized, guess_units, normalize

__all__ = [
    "DNA",
    "PROTEIN",
    "RNA",
    "Aligned",
    "Alphabet",
    "BatchEffect",
    "Borrowed",
    "ClassEffect",
    "ExpressionScaler",
    "ExpressionStream",
    "Gathered",
    "GeneMap",
    "GeneMatch",
    "Labels",
    "Naming",
    "Normalized",
    "OwnCohort",
    "PaddingRule",
    "Prepared",
    "QuantileScaler",
    "Sequences",
    "SeveralLabels",
    "Split",
    "StoredExpression",
    "Subjects",
    "Transcriptome",
    "Translation",
    "align_expression",
    "align_stream",
    "borrow_rows",
    "check_class_groups",
    "check_class_sizes",
    "check_missing",
    "class_labels",
    "cluster_sequences",
    "cut_into_pieces",
    "encode_sequences",
    "gather_genes",
    "gene_key",
    "group_numbers",
    "guess_units",
    "inspect_expression",
    "inspect_sequences",
    "is_number",
    "is_sequence_file",
    "label_counts",
    "label_of",
    "label_order",
    "large_labels",
    "leak_free_groups",
    "match_genes",
    "measured_by",
    "merge_duplicate_genes",
    "naming_of",
    "normalize",
    "number_classes",
    "numbers_of",
    "open_expression",
    "parse_numbers",
    "prepare_expression",
    "prepare_stream",
    "read_expression",
    "read_gene_map",
    "read_sequence_files",
    "read_sequences",
    "redraw_validation",
    "sample_warnings",
    "several_labels",
    "shuffle_dinucleotides",
    "simulate_cohort",
    "split_rows",
    "top_variance_genes",
    "values_of_label",
]

_HOMES = {
    "alignment": ("Aligned", "align_expression"),
    "alphabets": ("DNA", "PROTEIN", "RNA", "Alphabet"),
    "cohort_design": ("BatchEffect", "ClassEffect", "Subjects", "Transcriptome"),
    "expression": ("read_expression",),
    "gene_map": ("GeneMap", "read_gene_map"),
    "genes": ("check_missing", "merge_duplicate_genes"),
    "identifiers": ("Naming", "gene_key", "naming_of"),
    "inspection": ("inspect_expression", "sample_warnings"),
    "matching": ("Gathered", "GeneMatch", "Translation", "gather_genes", "match_genes", "measured_by"),
    "other_cohorts": ("Borrowed", "OwnCohort", "borrow_rows"),
    "preparation": (
        "Labels",
        "Prepared",
        "check_class_groups",
        "check_class_sizes",
        "class_labels",
        "group_numbers",
        "number_classes",
        "prepare_expression",
    ),
    "quantiles": ("QuantileScaler",),
    "samples": ("is_number", "label_of", "numbers_of", "parse_numbers"),
    "scaling": ("ExpressionScaler", "top_variance_genes"),
    "sequence_files": ("read_sequence_files",),
    "sequence_groups": ("cluster_sequences", "leak_free_groups"),
    "sequence_inspection": ("inspect_sequences",),
    "sequence_pieces": ("cut_into_pieces",),
    "sequence_kinds": ("is_sequence_file",),
    "sequences": ("PaddingRule", "Sequences", "encode_sequences", "read_sequences"),
    "multi_label": ("SeveralLabels", "large_labels", "several_labels", "values_of_label"),
    "shuffling": ("shuffle_dinucleotides",),
    "simulate": ("simulate_cohort",),
    "splits": ("Split", "label_counts", "label_order", "redraw_validation", "split_rows"),
    "stored": ("StoredExpression", "open_expression"),
    "stream": ("ExpressionStream", "align_stream", "prepare_stream"),
    "units": ("Normalized", "guess_units", "normalize"),
}

__getattr__ = importer(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
