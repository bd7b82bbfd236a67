"""`python -m oligolearn.kmers` compiles the loops that count k-mers, so that the first command need not."""

import tempfile
from pathlib import Path

from oligolearn.kmers.counting import Counter
from oligolearn.kmers.files import add_files, write_tsv
from oligolearn.kmers.profiles import count_sequences
from oligolearn.kmers.words import Words
from oligolearn.kmers.workers import Workers

_SEQUENCE = "ACGTTGCATGTCGCATGATGCATGAGAGCT"

with tempfile.TemporaryDirectory() as folder:
    for name, text in (("a.fa", f">a\n{_SEQUENCE}\n"), ("a.fq", f"@a\n{_SEQUENCE}\n+\n{_SEQUENCE}\n")):
        (Path(folder) / name).write_text(text, encoding="ascii")
        for k in (8, 12, 21):
            counter = Counter(k, canonical=True)
            add_files(counter, [Path(folder) / name], k)
            write_tsv(Path(folder) / "a.tsv", counter.pieces(), k)
count_sequences([_SEQUENCE], Words(6), Workers())
