"""Whether a file holds sequences, and of which kind it is: without what it takes to read them."""

import re
from pathlib import Path

from oligolearn.data.textfile import TextFile

FASTA = (".fasta", ".fa", ".fna", ".faa", ".ffn", ".frn", ".fas", ".afa")
FASTQ = (".fastq", ".fq")
STOCKHOLM = (".sto", ".stk", ".stockholm")
TABLES = (".tsv", ".csv", ".txt")


def is_sequence_file(path: Path) -> bool:
    """Whether a file holds sequences: by the end of its name, or, for a table, a column ``sequence``."""
    kind = file_kind(path)
    if kind not in TABLES:
        return kind in FASTA + FASTQ + STOCKHOLM
    with TextFile(path) as text:
        header = table_header(text)[:100_000].decode("utf-8", "replace")
    return "sequence" in [name.strip().strip('"').lower() for name in re.split("[\t,;]", header)]


def table_header(text: TextFile) -> bytes:
    """First line of a table that is neither blank nor a comment (``# ...``, ``##...``), without the mark of ``#id``."""
    line: bytes | None = b""
    while line is not None and (not line.strip() or line.startswith((b"# ", b"##"))):
        line = text.line()
    return b"" if line is None else line.removeprefix(b"#")


def file_kind(path: Path) -> str:
    """End of a name without ``.gz``, in lower case."""
    return Path(path.name.lower().removesuffix(".gz")).suffix
