"""`oligolearn inspect`: what to know about a data set before learning from it."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from oligolearn.cli.groups import refuse_named
from oligolearn.cli.options import (
    Aligned,
    AlphabetName,
    DataOrSequences,
    Duplicates,
    GenesIn,
    OptionalLabel,
    Samples,
    Separator,
)

Group = Annotated[str | None, typer.Option(help="Column whose rows a split keeps together, such as patient.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
LISTED = 5  # entries of a kind printed; --json has more
_MOST_CLASSES = 100


def inspect(
    data: DataOrSequences,
    label: OptionalLabel = None,
    samples: Samples = None,
    group: Group = None,
    separator: Separator = None,
    alphabet: AlphabetName = "auto",
    aligned: Aligned = None,
    genes_in: GenesIn = "auto",
    duplicates: Duplicates = "auto",
    as_json: Json = False,
) -> None:
    """Show size, units, gaps, classes, repeated samples, shared patients, and columns that explain the label."""
    from oligolearn.data import is_sequence_file, read_expression
    from oligolearn.data.inspection import inspect_expression

    if is_sequence_file(data):
        given = {"genes_in": (genes_in, "auto"), "duplicates": (duplicates, "auto")}
        refuse_named(given, data, "sequences")
        from oligolearn.data import inspect_sequences, read_sequences

        sequences = read_sequences(data, alphabet=alphabet, aligned=aligned, samples=samples)
        found = inspect_sequences(sequences, data, label, group, separator=separator)
        print(json.dumps(found, indent=2) if as_json else "\n".join(_sequence_lines(found)))
        return
    of_sequences = {"separator": (separator, None), "alphabet": (alphabet, "auto"), "aligned": (aligned, None)}
    refuse_named(of_sequences, data, "expression")
    named = [name for name in (label, group) if name is not None]
    adata = read_expression(data, samples=samples, label=named, genes_in=genes_in, duplicate_genes=duplicates)
    summary = inspect_expression(adata, label, group)
    print(json.dumps(summary, indent=2) if as_json else "\n".join(_lines(summary)))


def _lines(summary: dict[str, Any]) -> Iterator[str]:
    yield f"{summary['file']}: {summary['n_samples']:,} samples x {summary['n_genes']:,} genes ({summary['format']})"
    yield from (f"  {note}" for note in summary["notes"])
    yield f"Gene names: {summary['gene_names']}"
    yield f"Columns: {', '.join(summary['columns']) or 'none'}"
    yield f"Units: {summary['units']['why']}"
    yield _missing(summary["missing"])
    constant = summary["constant_genes"]
    names = ", ".join(constant["first"])
    yield f"Constant genes: {constant['n']:,}" + (f" ({names}{', ...' if constant['n'] > 5 else ''})" if names else "")
    yield from _label(summary["label"])
    yield from _repeated(summary["duplicates"])
    for shared in summary["patients"]:
        yield (
            f"Rows sharing a {shared['column']}: {shared['n_rows']:,} ({shared['n_shared']:,} of "
            f"{shared['n_patients']:,} have several rows, {shared['n_with_different_labels']:,} with different labels)"
        )
    yield from _associations(summary["associations"])
    yield "Warnings:" if summary["warnings"] else "Warnings: none"
    yield from (f"  - {warning}" for warning in summary["warnings"])


def _sequence_lines(summary: dict[str, Any]) -> Iterator[str]:
    kind = " of an alignment" if summary["aligned"] else ""
    yield f"{summary['file']}: {summary['n_sequences']:,} sequences{kind} ({summary['alphabet']})"
    yield from (f"  {note}" for note in summary["notes"])
    yield f"Columns: {', '.join(summary['columns']) or 'none'}"
    length = summary["length"]
    yield f"Length: {length['shortest']:,.0f} to {length['longest']:,.0f}, median {length['median']:,.0f}"
    ambiguous = summary["ambiguous"]
    yield f"Ambiguous letters: {ambiguous['share']:.3%}, in {ambiguous['n_sequences']:,} sequences"
    yield f"Copies: {summary['copies']['n_sequences']:,}, of {summary['copies']['n_groups']:,} different sequences"
    yield from _label(summary["label"])
    if group := summary["group"]:
        yield f"Group {group['column']}: {group['n_groups']:,} values, {group['n_without']:,} sequences without one"
    yield "Warnings:" if summary["warnings"] else "Warnings: none"
    yield from (f"  - {warning}" for warning in summary["warnings"])


def _missing(missing: dict[str, Any]) -> str:
    if not missing["n_values"]:
        return "Missing values: none"
    worst = ", ".join(f"{one['gene']} {one['share']:.1%}" for one in missing["worst"])
    gaps = f"{missing['n_values']:,} ({missing['share']:.2%}) in {missing['n_genes']:,} genes"
    return f"Missing values: {gaps} (worst: {worst})"


def _label(label: dict[str, Any] | None) -> Iterator[str]:
    if label is None:
        return
    if "numbers" in label:
        spread = ", ".join(f"{name} {value:.4g}" for name, value in label["numbers"].items())
        yield f"Label {label['column']}: numbers, {label['n_unlabelled']:,} samples without; {spread}"
        return
    classes = label["classes"]
    if "known" in label:
        yield f"Labels {label['column']}: {len(classes)} at once, {label['n_unlabelled']:,} sequences without any known"
        yield from (f"  {name}: {count:,} of {label['known'][name]:,}" for name, count in classes.items())
        return
    yield f"Label {label['column']}: {len(classes)} classes, {label['n_unlabelled']:,} samples without a label"
    total = sum(classes.values())
    shown = list(classes.items())[:_MOST_CLASSES]
    yield from (f"  {name}: {count:,} ({count / total:.1%})" for name, count in shown)
    if len(classes) > len(shown):
        yield f"  and {len(classes) - len(shown):,} more (--json has all)"


def _repeated(duplicates: dict[str, Any]) -> Iterator[str]:
    yield (
        f"Repeated samples: {duplicates['n_exact_samples']:,} in {duplicates['n_exact_groups']:,} groups of exact "
        f"copies, {duplicates['n_near_pairs']:,} pairs nearly equal"
    )
    for one in duplicates["exact"][:LISTED]:
        more = one["n_samples"] - LISTED
        yield (
            f"  equal: {', '.join(one['samples'][:LISTED])}"
            + (f" and {more:,} more" if more > 0 else "")
            + _differing(one)
        )
    for one in duplicates["near"][:LISTED]:
        yield f"  correlation {one['correlation']:.5f}: {', '.join(one['samples'])}" + _differing(one)


def _differing(one: dict[str, Any]) -> str:
    return " (labels differ)" if one["labels_differ"] else ""


def _associations(associations: list[dict[str, Any]]) -> Iterator[str]:
    if associations:
        yield "Association of the label with other columns:"
    for one in associations:
        pure = f", {one['n_pure']} of {one['n_classes']} classes have one value" if one["n_pure"] else ""
        yield f"  {one['column']}: {one['measure']} {one['value']:.2f}, p = {one['p_value']:.2g}{pure}"
