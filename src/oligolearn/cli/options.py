"""Options that mean the same in every verb, declared once."""

from pathlib import Path
from typing import Annotated

import typer

_MATRIX = "Expression matrix: .h5ad, .zarr, .csv/.tsv/.txt(.gz), .parquet, .gct(.gz) or a GEO series matrix."
SEQUENCES = ".fasta/.fa/.fna/.faa, .fastq/.fq, .sto, or a .tsv/.csv with a column 'sequence' (all also .gz)"
_EITHER = f"{_MATRIX} Or sequences: {SEQUENCES}"

Data = Annotated[Path, typer.Argument(help=_MATRIX)]
DataOrSequences = Annotated[Path, typer.Argument(help=f"{_EITHER}.")]
AlphabetName = Annotated[str, typer.Option("--alphabet", help="Of sequences: auto, dna, rna or protein.")]
Aligned = Annotated[
    bool | None,
    typer.Option(
        "--aligned/--unaligned",
        help="Of sequences: whether a gap is a letter and every sequence as long as the others, or gaps are taken out. "
        "Default: an alignment where there are gaps.",
    ),
]
PretrainData = Annotated[list[Path], typer.Argument(help=f"{_EITHER}, in as many files as you like.")]
OptionalData = Annotated[Path | None, typer.Argument(help=f"{_EITHER}.")]
Samples = Annotated[
    Path | None,
    typer.Option(help="Sample sheet (CSV/TSV) joined by sample id: its columns can be used as label and group."),
]
Label = Annotated[str, typer.Option(help="Column that holds the label; empty cells are unlabelled samples.")]
LabelOrLabels = Annotated[
    str,
    typer.Option(
        "--label",
        help="Column that holds the label; empty cells are unlabelled samples. Of sequences also several columns of 0 "
        "and 1, with commas between, for labels that a sequence may have at once.",
    ),
]
Separator = Annotated[
    str | None,
    typer.Option(
        help="Of sequences: what stands between names where a cell of --label has those of several labels, such as ';'."
    ),
]
OptionalLabel = Annotated[str | None, typer.Option(help="Column that holds the label.")]
GenesIn = Annotated[str, typer.Option(help="Where the genes are: auto, rows or columns.")]
Duplicates = Annotated[
    str, typer.Option(help="Genes named twice: auto (counts summed, else averaged), sum, mean, refuse.")
]
Normalize = Annotated[
    str,
    typer.Option(
        help="What the values are: auto, counts (-> log2 CPM+1), linear (-> log2 x+1), log or none (left as they are)."
    ),
]
MaxMissing = Annotated[
    float, typer.Option(help="Largest share of missing values a gene may have; they become the training mean.")
]
MinClassSize = Annotated[
    int | None, typer.Option(help="Classes with fewer samples count as unlabelled; smallest accepted size.")
]
Group = Annotated[str | None, typer.Option(help="Column whose rows stay on one side of a split, such as patient.")]
TopGenes = Annotated[int | None, typer.Option(help="Keep the N genes with the largest training variance.")]
Seed = Annotated[int, typer.Option(help="Seed of every random draw.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Precision = Annotated[str, typer.Option(help="Of matrix products in training: 32, bf16, or auto: bf16 if in hardware.")]
Devices = Annotated[
    int | None, typer.Option(help="Processes that share each batch, on each machine; with GPUs one for each.", min=1)
]
Nodes = Annotated[int | None, typer.Option(help="Machines that share each batch; start the command on each.", min=1)]
Stream = Annotated[
    bool | None,
    typer.Option(
        "--stream/--no-stream",
        help="Leave .h5ad or .zarr on disk and read it in blocks. Default: if larger than a fifth of the memory.",
    ),
]
CheckpointMinutes = Annotated[
    float, typer.Option(help="Longest time between two savings of the state from which a killed training goes on.")
]
Threads = Annotated[
    int, typer.Option(help="Threads of each training; part of the study or tuning, they decide how sums round.")
]
Scheduler = Annotated[
    str | None, typer.Option(help="Dask scheduler (tcp://host:8786) whose workers do the work; they must see --out.")
]
Processes = Annotated[int | None, typer.Option(help="Processes; changes the time it takes, never the results.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bars: for logs.")]

ModelOut = Annotated[Path, typer.Option(help="Folder for the model.")]
Model = Annotated[Path, typer.Argument(help="Folder of a model.")]
MinOverlap = Annotated[float, typer.Option(help="Smallest share of the model's genes that the data must have.")]
Layers = Annotated[str, typer.Option(help="Units of the encoder's blocks, from input to output, comma-separated.")]
_ITS_OWN = "Default: the method's own, and as many steps at least as it needs"
PretrainEpochs = Annotated[int | None, typer.Option(help=f"Epochs of pretraining. {_ITS_OWN}.")]
Epochs = Annotated[int | None, typer.Option(help=f"Epochs of training. {_ITS_OWN}.")]
BatchSize = Annotated[int | None, typer.Option(help="Samples in a batch. Default: the method's own.")]
LearningRate = Annotated[float | None, typer.Option(help="Peak learning rate. Default: the method's own.")]
Prototypes = Annotated[int | None, typer.Option(help="SwAV's clusters. Default: three per class; `tune` searches.")]
View = Annotated[
    str | None,
    typer.Option(
        help="Random view that pretraining sees samples in: masked-mixup, mixup, swapping, masking, marginal, noise, "
        "latent, or a .gmt file, whose gene sets are hidden as wholes; or several one after the other, each with its "
        "strength: masking:0.3+noise:0.1. Default: the one that suits the method, masked-mixup where two views are "
        "compared."
    ),
]
ViewStrength = Annotated[
    float | None,
    typer.Option(
        help="How much a view changes a sample: the share of genes (masked-mixup, masking, marginal, swapping), the "
        "largest weight of the other sample (mixup), or a standard deviation (noise, latent)."
    ),
]
MaskShare = Annotated[float | None, typer.Option(help="Share of the genes hidden in each view.")]
PretrainOn = Annotated[
    list[Path] | None,
    typer.Option(
        help="Another cohort whose samples are pretrained on as well, genes found by name; give it again for more."
    ),
]
Standardize = Annotated[
    str,
    typer.Option(
        help="With --pretrain-on: each cohort by itself, or together with the means and deviations of all: each, "
        "together."
    ),
]
BorrowedOverlap = Annotated[
    float, typer.Option("--min-overlap", help="Smallest share of the genes that a cohort of --pretrain-on must have.")
]
GeneMapFile = Annotated[
    Path | None,
    typer.Option(
        "--gene-map",
        help="Table (CSV/TSV, two columns or more) that says which gene names stand for which, such as probes and "
        "symbols; the columns are found.",
    ),
]
Probes = Annotated[
    str,
    typer.Option(
        help="What stands for a gene that several columns measure: the one with the highest mean (max-mean) or "
        "variance (max-variance), or their mean; auto: max-mean, max-variance of centred values."
    ),
]
NewProbes = Annotated[
    str,
    typer.Option(
        "--probes",
        help="What stands for a gene where several columns measure it and the model knows none of them: mean, max-mean "
        "or max-variance (of the rows of this file); auto: mean.",
    ),
]

SequenceEncoder = Annotated[
    str,
    typer.Option(
        "--encoder",
        help="Of sequences: auto (the one that held-out sequences prefer), motif-cnn, multi-scale-cnn, residual-cnn, "
        "kmer-bag, recurrent, kmer-recurrent or transformer.",
    ),
]
EmbeddingOption = Annotated[
    str,
    typer.Option(
        "--embedding",
        help="What an encoder of sequences reads: one-hot (letters), kmer (vectors of k-mers, learned with it), or the "
        "folder of vectors that `pretrain --method word2vec` wrote.",
    ),
]
FreezeEmbedding = Annotated[
    bool, typer.Option("--freeze-embedding", help="Keep the vectors of that folder as they are.")
]
KmerLength = Annotated[
    int | None, typer.Option("--k", help="Letters of a k-mer. Default: 3, or the one that the folder has.", min=1)
]
PretrainEncoder = Annotated[
    str,
    typer.Option(
        "--encoder",
        help="Of sequences: motif-cnn (auto), residual-cnn, recurrent (auto for next-letter) or transformer; where two "
        "views are compared also multi-scale-cnn, kmer-bag and kmer-recurrent.",
    ),
]
PretrainStrands = Annotated[
    bool, typer.Option("--both-strands/--one-strand", help="Read the reverse complement of DNA with the same weights.")
]
PieceLength = Annotated[
    int | None,
    typer.Option(
        "--max-length", help="Longer sequences are cut into pieces of so many letters. Default: up to 2,000.", min=1
    ),
]
KmerLengths = Annotated[
    str | None,
    typer.Option(
        "--k", help="Letters of a k-mer, such as 3; with word2vec also 3-8, the length of each drawn. Default: 3."
    ),
]
VectorSize = Annotated[int | None, typer.Option("--dim", help="Numbers of the vector of a k-mer. Default: 50.", min=1)]
Architecture = Annotated[str | None, typer.Option(help="Of word2vec: cbow (the default) or skip-gram.")]
Window = Annotated[int | None, typer.Option(help="Of word2vec: k-mers on either side. Default: 12.", min=1)]
MinCount = Annotated[
    int | None, typer.Option(help="Of word2vec: fewest occurrences of a k-mer that gets a vector. Default: 5.", min=1)
]
BothStrands = Annotated[
    bool | None,
    typer.Option(
        "--both-strands/--one-strand", help="Read the reverse complement of DNA as well. Default: as auto finds."
    ),
]
Members = Annotated[
    int | None, typer.Option(help="Networks whose predictions are averaged, of sequences. Default: 3.", min=1)
]
MaxLength = Annotated[
    int | None, typer.Option(help="Letters that are read of each sequence. Default: up to 2,000.", min=1)
]
Identity = Annotated[
    float | None,
    typer.Option(help="Sequences alike to this share (such as 0.8) stay in one fold. Default: copies alone."),
]
