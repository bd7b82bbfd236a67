"""Counting: equal to a dict, to Jellyfish and KMC, and the same whatever blocks, threads and memory are."""

import gzip
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from oligolearn.kmers import Counter, codes_of, count_files, count_strings, counting, kmers, n_canonical, streaming
from oligolearn.kmers.streaming import pack_strings

KS = (1, 2, 3, 7, 8, 9, 11, 12, 13, 16, 21, 31)


def as_dict(counts: counting.Counts, k: int) -> dict[str, int]:
    assert np.all(counts.codes[1:] > counts.codes[:-1])
    return dict(zip(kmers(counts.codes, k).tolist(), counts.counts.tolist(), strict=True))


@pytest.mark.parametrize("canonical", [False, True])
@pytest.mark.parametrize("k", KS)
def test_counts_are_those_of_a_dict(sequences, slow_count, k, canonical):
    expected = slow_count(sequences, k, canonical=canonical)
    assert as_dict(count_strings(sequences, k, canonical=canonical), k) == expected
    often = {word: n for word, n in expected.items() if n >= 3}
    assert as_dict(count_strings(sequences, k, canonical=canonical, min_count=3), k) == often


@pytest.mark.parametrize("k", [3, 8, 12, 21])
def test_counts_do_not_depend_on_the_strand(sequences, k):
    turned = [s.upper()[::-1].translate(str.maketrans("ACGT", "TGCA")) for s in sequences]
    both = (count_strings(strand, k, canonical=True) for strand in (sequences, turned))
    for here, there in zip(*both, strict=True):
        np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize("k", [5, 12, 21])
def test_counts_do_not_depend_on_threads(sequences, k):
    one = count_strings(sequences * 3, k, canonical=True, threads=1)
    counter = Counter(k, canonical=True, threads=3)
    counter.add(pack_strings([sequence], k)[1] for sequence in sequences * 3)
    for here, there in zip(one, counter.all(), strict=True):
        np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize("k", [13, 15, 31])
def test_little_memory_means_more_passes_with_the_same_result(monkeypatch, slow_count, k):
    monkeypatch.setattr(counting, "_LEAST_MEMORY", 1)
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACGT"), 3000, p=(0.7, 0.1, 0.1, 0.1))), "A" * 2000]  # most begin alike
    counter = Counter(k, canonical=True, threads=2, memory=1 << 12)
    counter.add(pack_strings([text], k)[1] for text in texts)
    assert as_dict(counter.all(), k) == slow_count(texts, k, canonical=True)


def test_a_counter_of_one_byte_wraps_as_often_as_it_must():
    for k in (1, 8, 12):
        text = "A" * (70_000 + k - 1)
        assert as_dict(count_strings([text] * 2, k, canonical=True), k) == {"A" * k: 140_000}
        assert as_dict(count_strings([text, "T" * len(text)], k), k) == {"A" * k: 70_000, "T" * k: 70_000}


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 6])
def test_there_are_as_many_canonical_kmers_as_the_formula_says(k):
    letters = np.random.default_rng(0).choice(list("ACGT"), 60_000)
    assert len(count_strings(["".join(letters)], k, canonical=True).codes) == n_canonical(k)
    assert n_canonical(k) == (4**k + (4 ** (k // 2) if k % 2 == 0 else 0)) // 2


def test_codes_and_letters_are_inverse_and_sort_alike():
    words = sorted({"".join(word) for word in np.random.default_rng(0).choice(list("ACGT"), (50, 31))})
    codes = codes_of(words, 31)
    assert np.all(codes[1:] > codes[:-1])
    assert kmers(codes, 31).tolist() == words


@pytest.mark.parametrize(("settings", "message"), [
    ({"k": 0}, "1 to 31: found 0"), ({"k": 32}, "1 to 31: found 32"),
    ({"k": 5, "min_count": 0}, "found 0"), ({"k": 5, "threads": 0}, "found 0"),
])  # fmt: skip
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        count_strings(["ACGT"], **settings)


def test_blocks_of_any_size_give_the_same(monkeypatch, sequences, slow_count, tmp_path):
    path = tmp_path / "a.fa"
    path.write_text("".join(f">{i} ACGTACGTACGTACGT\n{s}\n" for i, s in enumerate(sequences)))
    for block in (7, 64, 1000):
        monkeypatch.setattr(streaming, "BLOCK", block)
        for k in (2, 11, 21):
            found = count_files([path], k, canonical=True, threads=1)
            assert as_dict(found, k) == slow_count(sequences, k, canonical=True)


@pytest.fixture
def genome(shared_data, tmp_path, request) -> Path:
    path = tmp_path / "genome.fna"
    path.write_bytes(gzip.decompress((shared_data / "sequence" / f"genome_{request.param}.fna.gz").read_bytes()))
    return path


def assert_same(listed: Path, ours: counting.Counts, k: int) -> None:
    """Compare with a file that has a k-mer, a tab and its count in each line."""
    text = np.frombuffer(listed.read_bytes(), np.uint8)
    ends = np.flatnonzero(text == ord("\n"))
    starts = np.concatenate([[0], ends[:-1] + 1])
    codes, counts = np.zeros(len(ends), np.uint64), np.zeros(len(ends), np.int64)
    for place in range(k):
        codes = codes * np.uint64(4) + np.searchsorted(list(b"ACGT"), text[starts + place]).astype(np.uint64)
    for place in range(k + 1, (ends - starts).max()):
        digits = starts + place < ends
        counts[digits] = 10 * counts[digits] + text[(starts + place)[digits]] - ord("0")
    order = np.argsort(codes)
    np.testing.assert_array_equal(codes[order], ours.codes)
    np.testing.assert_array_equal(counts[order], ours.counts)


@pytest.mark.slow
@pytest.mark.parametrize(("genome", "k"), [("salmonella_lt2", 8), ("ecoli_k12", 21)], indirect=["genome"])
def test_counts_of_a_genome_are_those_of_jellyfish(genome, tmp_path, k):
    if shutil.which("jellyfish") is None:
        pytest.skip("Jellyfish is not on this machine (Debian package jellyfish)")
    found, listed = tmp_path / "found.jf", tmp_path / "found.tsv"
    subprocess.run(["jellyfish", "count", "-m", str(k), "-C", "-s", "8M", "-t", "2", "-o", found, genome], check=True)
    subprocess.run(["jellyfish", "dump", "-c", "-t", "-o", listed, found], check=True)
    assert_same(listed, count_files([genome], k, canonical=True), k)


@pytest.mark.slow
@pytest.mark.parametrize("genome", ["salmonella_lt2"], indirect=True)
def test_counts_of_a_genome_are_those_of_kmc(genome, tmp_path):
    if shutil.which("kmc") is None or shutil.which("kmc_tools") is None:
        pytest.skip("KMC is not on this machine (Debian package kmc)")
    found, listed = tmp_path / "found", tmp_path / "found.tsv"
    options = ["-k31", "-ci1", "-cs4294967295", "-fm", "-t2", "-m4"]
    subprocess.run(["kmc", *options, genome, found, tmp_path], check=True, capture_output=True)
    subprocess.run(["kmc_tools", "transform", found, "dump", listed], check=True, capture_output=True)
    assert_same(listed, count_files([genome], 31, canonical=True), 31)
