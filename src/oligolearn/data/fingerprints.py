"""Short texts that tell one set of values from another."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_KEPT = 4096  # hashes of rows: of a million 2,000 others find 8


def fingerprint(*arrays: NDArray[Any]) -> str:
    """Text of 16 digits that changes with any of the values.

    >>> fingerprint(np.arange(3)) == fingerprint(np.arange(3)), fingerprint(np.arange(3)) == fingerprint(np.arange(4))
    (True, False)
    """
    digest = hashlib.sha256()
    for values in arrays:
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()[:16]


def sample_of_rows(rows: Iterable[NDArray[Any]]) -> dict[str, Any]:
    """Describe rows so that `share_seen` can tell later which others were among them, JSON-able.

    Of many rows those with the smallest hashes are kept, which are the same whatever else there is.
    """
    hashes = np.unique(_hashes(rows))
    return {"of_rows": hashes[:_KEPT].astype(">u8").tobytes().hex(), "all": len(hashes) <= _KEPT}


def share_seen(sample: Mapping[str, Any], rows: Iterable[NDArray[Any]]) -> float:
    """Share of `rows` that were among those described by `sample_of_rows`; of few rows among very many, a guess.

    >>> seen = sample_of_rows([np.array([1, 2]), np.array([3])])
    >>> share_seen(seen, [np.array([3]), np.array([4])])
    0.5
    """
    kept = np.frombuffer(bytes.fromhex(sample["of_rows"]), ">u8").astype(np.uint64)
    hashes = _hashes(rows)
    told = hashes if sample["all"] else hashes[hashes <= kept.max()]
    return float(np.isin(told, kept).mean()) if len(told) else 0.0


def _hashes(rows: Iterable[NDArray[Any]]) -> NDArray[np.uint64]:
    digests = b"".join(hashlib.blake2b(np.ascontiguousarray(row).data, digest_size=8).digest() for row in rows)
    return np.frombuffer(digests, np.uint64)
