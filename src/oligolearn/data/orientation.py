"""Telling genes from samples: which side of a table is which, and by what evidence."""

import re
from collections.abc import Collection, Sequence

import numpy as np

from oligolearn.data.table import Table

GENE = re.compile(
    "|".join(
        [
            r"ENS[A-Z]{0,5}[GTP]\d{6,}(\.\d+)?",  # Ensembl
            r"[A-Za-z0-9./-]+(_[a-z])?_at|ILMN_\d+|A_\d+_P\d+|cg\d{8}",  # probes: Affymetrix, Illumina, Agilent
            r"[NX][MR]_\d+(\.\d+)?|LOC\d+",  # RefSeq, unnamed loci
            r"(hsa|mmu|rno)-(mir|let|miR|lin)-?\S+",  # miRBase
            r"([gG]ene|GENE|[pP]robe)[ _.-]?\d+|[gGXV]\d+",  # anonymous
            r"(?!S\d)[A-Z][A-Z0-9]{1,9}(-[A-Z0-9]{1,4})?|C\d+orf\d+|[A-Z][a-z]{2,6}\d{1,3}[a-z]?",  # symbols
        ]
    )
)
SAMPLE = re.compile(
    r"GSM\d+|(SRR|ERR|DRR|SRX|SAMN|SAMEA)\d+|TCGA-\S+|GTEX-\S+"
    r"|(sample|patient|donor|subject|case|control|cell|s|p)[ _.-]?\d+",
    re.ASCII | re.IGNORECASE,
)
GENE_CORNER = re.compile(
    r"(gene|probe|ensembl|ensg|symbol|hgnc|entrez|transcript|mirna|id_ref|feature|target_id)", re.I
)
SAMPLE_CORNER = re.compile(r"(sample|patient|subject|donor|barcode|case|individual|cell|gsm|run|submitter)", re.I)
EXAMINED = 500  # names per side: patterns need no more


def find_genes(table: Table, sheet_ids: Collection[str], labels: Collection[str]) -> tuple[str, str]:
    """Say where the genes are, "rows" or "columns", and why, as the end of a sentence.

    The kinds of evidence are tried from the strongest to the weakest: a sample sheet's ids, a label's place, the header
    of the column of names, what the names look like, columns of repeated text (labels) or of unique text (gene
    descriptions), and at last the shape: there are usually more genes than samples.
    """
    for evidence in (_by_sheet(table, sheet_ids), _by_label(table, labels), _by_corner(table), _by_names(table)):
        if evidence is not None:
            return evidence
    return _by_text(table) or _by_shape(table)


def _by_sheet(table: Table, sheet_ids: Collection[str]) -> tuple[str, str] | None:
    in_rows, in_columns = (len(set(names) & set(sheet_ids)) for names in (table.rows, table.columns))
    if in_rows == in_columns:
        return None
    side = "columns" if in_rows > in_columns else "rows"
    return side, f"the sample sheet names the {'rows' if side == 'columns' else 'columns'}"


def _by_label(table: Table, labels: Collection[str]) -> tuple[str, str] | None:
    for label in labels:
        if label in table.row_info or label in table.columns:
            return "columns", f"{label!r} is a column"
        if label in table.column_info or label in table.rows:
            return "rows", f"{label!r} is a row"
    return None


def _by_corner(table: Table) -> tuple[str, str] | None:
    if GENE_CORNER.match(table.corner):
        return "rows", f"the column of names is headed {table.corner!r}"
    if SAMPLE_CORNER.match(table.corner):
        return "columns", f"the column of names is headed {table.corner!r}"
    return None


def _by_names(table: Table) -> tuple[str, str] | None:
    rows, columns = _gene_likeness(table.rows), _gene_likeness(table.columns)
    if abs(rows - columns) < 0.3:
        return None
    side = "rows" if rows > columns else "columns"
    names = table.rows if side == "rows" else table.columns
    return side, f"the names in the {side} look like genes ({names[0]!r}, {names[-1]!r})"


def _by_text(table: Table) -> tuple[str, str] | None:
    if len(table.column_info.columns):
        return "rows", "rows of text describe the samples"
    repeated = [len(column.dropna()) > 1.5 * column.nunique() for _, column in table.row_info.items()]
    if any(repeated):
        return "columns", "columns of repeated text describe the samples"
    return None


def _by_shape(table: Table) -> tuple[str, str]:
    n_rows, n_columns = table.values.shape
    side = "rows" if n_rows > n_columns else "columns"
    return side, f"only by the shape, {n_rows:,} x {n_columns:,}: say --genes-in if that is wrong"


def _gene_likeness(names: Sequence[str]) -> float:
    """Share of names that look like genes minus the share that look like samples."""
    chosen = [names[i] for i in np.unique(np.linspace(0, len(names) - 1, EXAMINED).astype(int))]
    return sum(_looks(name) for name in chosen) / len(chosen)


def _looks(name: str) -> int:
    if SAMPLE.fullmatch(name):
        return -1
    return int(GENE.fullmatch(name) is not None)
