"""Groups of options that several verbs have in common, and what they mean to the library."""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from oligolearn.cli.options import (
    Aligned,
    AlphabetName,
    Architecture,
    BorrowedOverlap,
    BothStrands,
    Device,
    Devices,
    Duplicates,
    EmbeddingOption,
    Epochs,
    FreezeEmbedding,
    GeneMapFile,
    GenesIn,
    Group,
    Identity,
    KmerLength,
    KmerLengths,
    Layers,
    MaskShare,
    MaxLength,
    MaxMissing,
    Members,
    MinClassSize,
    MinCount,
    MinOverlap,
    NewProbes,
    Nodes,
    Normalize,
    OptionalLabel,
    PieceLength,
    Precision,
    PretrainEncoder,
    PretrainEpochs,
    PretrainOn,
    PretrainStrands,
    Probes,
    Prototypes,
    Samples,
    Seed,
    SequenceEncoder,
    Standardize,
    Stream,
    Threads,
    TopGenes,
    VectorSize,
    View,
    ViewStrength,
    Window,
)
from oligolearn.cli.printing import chosen, of_epochs, view_settings
from oligolearn.cli.reading import read_or_open, read_translation

if TYPE_CHECKING:
    import anndata as ad

    from oligolearn.data import StoredExpression


@dataclass(frozen=True)
class CohortOptions:
    """How a cohort with labels is read and prepared."""

    group: Group = None
    samples: Samples = None
    genes_in: GenesIn = "auto"
    duplicates: Duplicates = "auto"
    normalize: Normalize = "auto"
    max_missing: MaxMissing = 0.3
    top_genes: TopGenes = None
    min_class_size: MinClassSize = None

    def read(self, data: Path, label: str, *, sheet_needed: bool = True) -> "ad.AnnData":
        """Read the file `data` with the column `label`."""
        from oligolearn.data import read_expression

        return read_expression(
            data,
            samples=self.samples,
            label=[name for name in (label, self.group) if name],
            genes_in=self.genes_in,
            duplicate_genes=self.duplicates,
            sheet_needed=sheet_needed,
        )

    def read_all(self, files: Sequence[Path], label: str) -> "Iterator[ad.AnnData]":
        """Read several files; the sample sheet, if there is one, describes samples of one of them at least."""
        described = False
        for number, path in enumerate(files, 1):
            adata = self.read(path, label, sheet_needed=number == len(files) and not described)
            described |= adata.uns["oligolearn"]["in_sheet"]
            yield adata

    def settings(self) -> dict[str, Any]:
        """Settings of a study that are about the cohort."""
        names = ("group", "min_class_size", "normalize", "max_missing", "top_genes")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class NewSamples:
    """How expression is read that a model was not trained on, and brought to what the model knows."""

    samples: Samples = None
    genes_in: GenesIn = "auto"
    duplicates: Duplicates = "auto"
    normalize: Normalize = "auto"
    min_overlap: MinOverlap = 0.8
    gene_map: GeneMapFile = None
    probes: NewProbes = "auto"
    stream: Stream = None

    def read(self, data: Path, *, label: Sequence[str] = ()) -> "tuple[ad.AnnData | StoredExpression, list[str]]":
        """Samples of the file `data`, and what was done to them, in sentences."""
        return read_or_open(
            data,
            samples=self.samples,
            genes_in=self.genes_in,
            duplicates=self.duplicates,
            stream=self.stream,
            label=label,
            min_samples=1,
        )

    def alignment(self) -> dict[str, Any]:
        """Settings of `oligolearn.data.align_expression`."""
        translation = read_translation(self.gene_map, self.probes)
        return {"normalize_as": self.normalize, "min_overlap": self.min_overlap, "translation": translation}


@dataclass(frozen=True)
class SequenceOptions:
    """How a model of sequences is made; of no use for expression."""

    encoder: SequenceEncoder = "auto"
    both_strands: BothStrands = None
    members: Members = None
    alphabet: AlphabetName = "auto"
    aligned: Aligned = None
    max_length: MaxLength = None
    identity: Identity = None
    embedding: EmbeddingOption = "one-hot"
    freeze_embedding: FreezeEmbedding = False
    k: KmerLength = None

    def of_network(self) -> dict[str, Any]:
        """Options on the network that differ from what they are by themselves."""
        return changed(self, "encoder", "both_strands", "members", "max_length", "embedding", "freeze_embedding", "k")

    def settings(self) -> dict[str, Any]:
        """Settings of `SequenceClassifier` and `SequenceRegressor`."""
        from oligolearn.estimators.sequence_embedding import named_embedding

        return {
            "encoder": self.encoder,
            "alphabet": self.alphabet,
            "embedding": named_embedding(self.embedding, self.k),
            "freeze_embedding": self.freeze_embedding,
            **chosen(both_strands=self.both_strands, n_members=self.members, max_length=self.max_length),
        }


@dataclass(frozen=True)
class PretrainingCohort:
    """How expression is read and seen in pretraining; of no use for sequences."""

    label: OptionalLabel = None
    group: Group = None
    min_class_size: MinClassSize = None
    pretrain_on: PretrainOn = None
    standardize: Standardize = "each"
    min_overlap: BorrowedOverlap = 0.5
    gene_map: GeneMapFile = None
    probes: Probes = "auto"
    samples: Samples = None
    genes_in: GenesIn = "auto"
    duplicates: Duplicates = "auto"
    normalize: Normalize = "auto"
    max_missing: MaxMissing = 0.3
    top_genes: TopGenes = None
    layers: Layers = "512,256,128"
    view: View = None
    view_strength: ViewStrength = None
    devices: Devices = None
    nodes: Nodes = None
    stream: Stream = None


@dataclass(frozen=True)
class PretrainingSequences:
    """How sequences are read and seen in pretraining; of no use for expression."""

    encoder: PretrainEncoder = "auto"
    both_strands: PretrainStrands = False
    alphabet: AlphabetName = "auto"
    aligned: Aligned = None
    max_length: PieceLength = None
    embedding: EmbeddingOption = "one-hot"
    freeze_embedding: FreezeEmbedding = False
    k: KmerLengths = None
    dim: VectorSize = None
    architecture: Architecture = None
    window: Window = None
    min_count: MinCount = None

    def given(self, *names: str) -> dict[str, Any]:
        """Options that differ from what they are by themselves."""
        return changed(self, *names)

    def lengths(self) -> tuple[int, int]:
        """Shortest and longest k-mers."""
        parts = (self.k or "3").split("-")
        if len(parts) > 2 or not all(part.strip().isdigit() for part in parts):
            raise ValueError(f"--k is a length such as 3, or the shortest and longest such as 3-8, found {self.k!r}")
        return int(parts[0]), int(parts[-1])


def changed(options: Any, *names: str) -> dict[str, Any]:
    """Options of a group that differ from what they are by themselves."""
    defaults = {field.name: field.default for field in fields(options)}
    return {name: getattr(options, name) for name in names if getattr(options, name) != defaults[name]}


def refuse_options(given: Any, names: Iterable[str], data: Path, what: str) -> None:
    """Refuse options of a group that would do nothing.

    Parameters
    ----------
    given
        The group, as the user set it.
    names
        Of the options that do nothing for this file.
    data, what
        The file, and what it holds.
    """
    refuse_named({f.name: (getattr(given, f.name), f.default) for f in fields(given) if f.name in names}, data, what)


def refuse_with(method: str, **given: Any) -> None:
    """Refuse options, by name, that would do nothing with a method; None is what the user did not give."""
    for name in chosen(**given):
        raise ValueError(f"--{name.replace('_', '-')} does nothing with --method {method}; leave it out")


def refuse_named(given: Mapping[str, tuple[Any, Any]], data: Path, what: str) -> None:
    """Refuse options that would do nothing, of a verb that has them one by one.

    Parameters
    ----------
    given
        What the user gave and the default, by name of the option.
    data, what
        The file, and what it holds.
    """
    named = ["--" + name.replace("_", "-") for name, (value, default) in given.items() if value != default]
    if named:
        do, it = ("does", "it") if len(named) == 1 else ("do", "them")
        raise ValueError(f"{', '.join(named)} {do} nothing for {data.name}, which holds {what}; leave {it} out")


@dataclass(frozen=True)
class TrainingOptions:
    """How the networks of a study are trained."""

    pretrain_epochs: PretrainEpochs = None
    view: View = None
    view_strength: ViewStrength = None
    mask_share: MaskShare = None
    prototypes: Prototypes = None
    epochs: Epochs = None
    threads: Threads = 1
    device: Device = "cpu"
    precision: Precision = "auto"
    seed: Seed = 0

    def settings(self) -> dict[str, Any]:
        """Settings of a study that are about its trainings."""
        return {
            "pretraining": chosen(
                **of_epochs(self.pretrain_epochs),
                objective_options=chosen(n_prototypes=self.prototypes) or None,
                **view_settings(self.view, self.view_strength, self.mask_share),
            ),
            "training": of_epochs(self.epochs),
            "threads": self.threads,
            "device": self.device,
            "precision": self.precision,
            "seed": self.seed,
        }


def with_groups(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the options of its groups one by one, as typer wants them: in place of each parameter of a group.

    Parameters
    ----------
    verb
        With parameters whose type is one of the groups here.
    """
    hints = get_type_hints(verb, include_extras=True)
    groups: dict[str, Any] = {name: group for name, group in hints.items() if is_dataclass(group)}
    flat: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(verb).parameters.items():
        flat += _options(groups[name]) if name in groups else [parameter.replace(annotation=hints[name])]

    @functools.wraps(verb)
    def with_options(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        verb(**given)

    with_options.__signature__ = inspect.Signature(flat, return_annotation=None)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in flat}
    return with_options


def _options(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]
