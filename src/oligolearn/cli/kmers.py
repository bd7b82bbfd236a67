"""`oligolearn kmers`: the k-mers of genomes and reads, and how often each occurs."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from oligolearn.cli.options import Quiet


class Per(StrEnum):
    """What a row of the result is."""

    TOTAL = "total"
    FILE = "file"
    RECORD = "record"


Files = Annotated[list[Path], typer.Argument(help="FASTA or FASTQ, gzipped or not.")]
K = Annotated[int, typer.Option("--k", help="Length of the k-mers, 1 to 31.")]
Canonical = Annotated[
    bool,
    typer.Option("--canonical", help="Count a k-mer and its reverse complement as the one first in the alphabet."),
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="File to write: .tsv (k-mer, count) or .npz (codes, counts); .h5ad with --per file or record. Default: "
        "FILE.K-mers.tsv or .h5ad here."
    ),
]
PerOption = Annotated[
    Per, typer.Option("--per", help="Counts of all files together, or a table with a row for each file or record.")
]
MinCount = Annotated[int, typer.Option(help="Leave out k-mers that occur less often in all.")]
Threads = Annotated[int | None, typer.Option(help="Default: one for each processor. The result does not depend on it.")]
Memory = Annotated[float, typer.Option(help="GiB that a pass over k-mers of more than 12 letters may take.")]

_MOST_MEMORY = 2.0**30  # GiB
_SOON = 2.0  # seconds after which a bar is shown


def kmers(
    files: Files,
    k: K,
    out: Out = None,
    canonical: Canonical = False,
    per: PerOption = Per.TOTAL,
    min_count: MinCount = 1,
    threads: Threads = None,
    memory: Memory = 2.0,
    quiet: Quiet = False,
) -> None:
    """Count the k-mers of genomes or reads; windows with a letter other than A, C, G, T are skipped."""
    from oligolearn.kmers import Counter, Words
    from oligolearn.kmers.files import add_files, count_apart, write_h5ad, write_npz, write_tsv
    from oligolearn.writing import check_folder

    if not 0 < memory < _MOST_MEMORY:
        raise ValueError(f"--memory is a number of GiB above 0, found {memory}")
    if min_count < 1:
        raise ValueError(f"--min-count must be at least 1, found {min_count}")
    words = Words(k, canonical)
    endings = [".tsv", ".npz"] if per is Per.TOTAL else [".h5ad"]
    if out is None:
        of = files[0].name.removesuffix(".gz").rpartition(".")[0] if len(files) == 1 else f"{len(files)}-files"
        out = Path(f"{of or files[0].name}.{'canonical-' if canonical else ''}{k}-mers{endings[0]}")
    if out.suffix not in endings:
        raise ValueError(f"with --per {per}, --out takes a name that ends in {' or '.join(endings)}, found {out.name}")
    check_folder(out)
    kind = f"canonical {k}-mers" if canonical else f"{k}-mers"
    n_bytes = int(memory * (1 << 30))
    with late_bar(shown=not quiet) as tell:
        if per is Per.TOTAL:
            counter = Counter(k, canonical=canonical, min_count=min_count, threads=threads, memory=n_bytes)
            notes = add_files(counter, files, k, tell)
            if out.suffix == ".tsv":
                found = f"{write_tsv(out, counter.pieces(tell), k, threads):,} {kind}"
            else:
                counts = counter.all(tell)
                write_npz(out, counts, k, canonical=canonical)
                found = f"{len(counts.codes):,} {kind}"
        else:
            records = per is Per.RECORD
            table = count_apart(
                files, words, records=records, min_count=min_count, threads=threads, memory=n_bytes, tell=tell
            )
            write_h5ad(out, table)
            notes, found = table.notes, f"{len(table.names):,} {per}s x {len(table.kmers):,} {kind}"
    for note in [*notes, f"{out}: {found}"]:
        print(note)


@contextmanager
def late_bar(*, shown: bool) -> Iterator[Callable[[float, float, str], None] | None]:
    """Yield a function of ``(work done, all work, what is done)`` that shows a bar once two seconds have passed."""
    if not shown:
        yield None
        return
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"))
    began = time.monotonic()
    bar = Progress(*columns, console=Console(stderr=True))
    task = bar.add_task("")

    def tell(done: float, total: float, what: str) -> None:
        if time.monotonic() - began > _SOON:
            bar.start()
            bar.update(task, completed=done, total=total, description=what)

    try:
        yield tell
    finally:
        if bar.live.is_started:
            bar.stop()
