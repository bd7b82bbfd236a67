"""Reading: FASTA and FASTQ in every shape, and one clear line for what is neither."""

import gzip
import os
import threading
import tracemalloc

import numpy as np
import pytest

from oligolearn.kmers import count_files, kmers, streaming
from oligolearn.kmers.streaming import Packer, pack_file


def read(path, k=3):
    packer = Packer(k, named=True)
    blocks = list(pack_file(path, packer))
    return packer, blocks


def shapes(sequences: list[str]) -> dict[str, str]:
    """The same sequences as differently written files."""
    fasta = [f">r{i} of many\n{s}\n" for i, s in enumerate(sequences)]
    folded = [
        f">r{i} of many\n" + "".join(f"{s[j : j + 60]}\n" for j in range(0, len(s), 60))
        for i, s in enumerate(sequences)
    ]
    fastq = [f"@r{i} of many\n{s}\n+r{i}\n{'@' * len(s)}\n" for i, s in enumerate(sequences)]
    return {
        "one.fa": "".join(fasta),
        "folded.fna": "".join(folded),
        "windows.fa": "".join(folded).replace("\n", "\r\n"),
        "spaced.fa": "\n\n".join(["", *folded, ""]),
        "blanks.fa": "".join(folded).replace("\n", " \t\n"),
        "unended.fa": "".join([*folded, ">last\nGATTACA"]).removesuffix(">last\nGATTACA").rstrip("\n"),
        "reads.fq": "".join(fastq),
        "windows.fastq": "".join(fastq).replace("\n", "\r\n"),
        "unended.fq": "".join(fastq).rstrip("\n") + "\n" * (not sequences[-1]),
    }


@pytest.mark.parametrize("block", [17, 1 << 19])
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_may_be_written_in_many_ways(monkeypatch, sequences, slow_count, tmp_path, block, packed):
    monkeypatch.setattr(streaming, "BLOCK", block)
    some = sequences[:3] + sequences[-6:] if block == 17 else sequences
    for name, text in shapes(some).items():
        path = tmp_path / (name + ".gz" * packed)
        path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
        found = count_files([path], 11, threads=1)
        counts = dict(zip(kmers(found.codes, 11).tolist(), found.counts.tolist(), strict=True))
        assert counts == slow_count(some, 11), name
        packer, _ = read(path)
        assert packer.names == [f"r{i}" for i in range(len(some))], name
        assert packer.n_letters == sum(map(len, some)), name
        assert packer.n_empty == sum(not s for s in some), name


def test_each_run_is_of_its_record(tmp_path):
    path = tmp_path / "a.fa"
    path.write_text(">a\nACGTNNACG\n>b\nAC\n>c\n\n>d\nACGT\nACGT\n")
    packer, (block,) = read(path)
    assert block.records.tolist() == [0, 0, 3]
    assert np.diff(block.starts).tolist() == [4, 3, 8]
    assert packer.others == {"N": 2}
    assert block.n_windows == packer.n_windows == 2 + 1 + 6


READ = "@a\nACGT\n+\nIIII\n"
BAD = {
    "empty.fa": ("", "is empty"),
    "blank.fa": ("\n\n", "no text in it"),
    "table.tsv": ("id\tsequence\n1\tACGT\n", "neither FASTA"),
    "binary.fa": ("\0\1\2", "neither FASTA"),
    "protein.fa": (">p\nMKVLAAGIVGLCAKAYELPQ\n", "no DNA: .* and a protein has none"),
    "short.fq": (READ + "@b\nACGT\n+\nIII\n", "line 8: 3 qualities for 4 bases"),
    "swapped.fq": (READ + "@b\nACGT\nACGT\n+\nIIIIIIII\n", r"line 7: expected '\+'"),
    "unnamed.fq": (READ + "ACGT\n", "line 5: expected '@'"),
    "cut.fq": (READ + "@b\nACGT\n", "cut short: its last read ends with line 6"),
    "quality.fq": (READ + "@b\nACGT\n+\nII\x07I\n", "line 8: a byte that is no quality"),
    "half.fq": (READ + "@b\nACGT\n+\nII", "cut short"),
}


@pytest.mark.parametrize(("name", "message"), [(name, message) for name, (_, message) in BAD.items()])
def test_a_bad_file_is_named_in_one_line(tmp_path, name, message):
    path = tmp_path / name
    path.write_text(BAD[name][0])
    with pytest.raises(ValueError, match=message) as error:
        read(path)
    assert "\n" not in str(error.value)
    assert name in str(error.value)


def test_a_file_that_is_not_as_its_name_says(tmp_path):
    whole = gzip.compress(b">a\n" + b"ACGTTGCA" * 20_000)
    (tmp_path / "plain.fa.gz").write_text(">a\nACGT\n")
    (tmp_path / "cut.fa.gz").write_bytes(whole[:-20])
    (tmp_path / "hurt.fa.gz").write_bytes(whole[:60] + b"\xff\xff\xff\xff" + whole[64:])
    for name, message in (("plain", "is not gzip"), ("cut", "cut short"), ("hurt", "damaged")):
        with pytest.raises(ValueError, match=message):
            read(tmp_path / f"{name}.fa.gz")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read(tmp_path / "none.fa")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        read(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        b">r\nACGUacgu\nUUGN\n",
        b"\xef\xbb\xbf>r\nACGTacgt\nTTGN\n",
        b">r\rACGTacgt\rTTGN\r",
        b"; old\n>r\nACGTacgt\n;ACGTACGT\nTTGN\n",
    ],
    ids=["RNA", "byte order mark", "old line ends", "comments"],
)
def test_other_ways_to_write_the_same(tmp_path, text):
    path = tmp_path / "a.fa"
    path.write_bytes(b">r\nACGTACGTTTGN\n")
    wanted, (wanted_block,) = read(path)
    path.write_bytes(text)
    packer, (block,) = read(path)
    assert (packer.n_letters, packer.n_windows, packer.others) == (12, wanted.n_windows, {"N": 1})
    assert block.bases[:3].tolist() == wanted_block.bases[:3].tolist()


def test_what_comes_through_a_pipe_is_counted(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(gzip.compress(b">a\nACGTAC\n"),))
    writer.start()
    packer, _ = read(pipe)
    writer.join()
    assert packer.n_letters == 6


def test_letters_that_stand_for_several_are_no_protein(tmp_path):
    path = tmp_path / "a.fa"
    path.write_text(">a\nRYKMSWBDHVNX\nACGT\n")
    packer, (block,) = read(path)
    assert block.n_windows == 2
    assert packer.others == dict.fromkeys("YXWVSRNMKHDB", 1)


def test_memory_does_not_grow_with_the_length_of_a_line(tmp_path):
    path = tmp_path / "line.fa"
    with path.open("wb") as file:
        file.write(b">a\n")
        for _ in range(60):
            file.write(b"ACGTTGCA" * (1 << 16))
    tracemalloc.start()
    count_files([path], 8, threads=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 30 << 20
    assert peak < 16 << 20
