"""A search for motifs as one JSON-able dictionary: what its report is drawn from."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from oligolearn.data import Sequences
from oligolearn.estimators import SequenceClassifier
from oligolearn.explain.attention import AttentionMaps
from oligolearn.explain.filters import SequenceModel
from oligolearn.explain.finding import FoundMotif, FoundMotifs, toward_name
from oligolearn.explain.motif import Motif

SCHEMA = 1
_EXAMPLE_LETTERS = 60  # of the attention map that is shown in full


def summarise(
    found: FoundMotifs, model: SequenceModel, sequences: Sequences, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Put what `find_motifs` found in a dictionary.

    Parameters
    ----------
    found
        The search.
    model, sequences
        What was searched.
    facts
        ``data``, ``settings``, ``versions``, ``command`` and ``has_labels``, as the report tells them.
    """
    names = [str(name) for name in model.classes_] if isinstance(model, SequenceClassifier) else []
    return {
        "kind": "motifs",
        "schema": SCHEMA,
        "by": found.by,
        "classes": names,
        "letters": model.recipes_[0].alphabet.letters,
        "motifs": [_motif(one, model) for one in found.motifs],
        "spacings": [
            {
                **{name: value for name, value in one._asdict().items() if name != "distances"},
                "toward": toward_name(model, one.toward) if names else "",
                "distances": one.distances.tolist(),
            }
            for one in found.spacings
        ],
        "sequences": _sequences(found, model, sequences),
        "attention": None if found.attention is None else _attention(found.attention, found, sequences),
        "notes": found.notes,
        **facts,
    }


def _motif(one: FoundMotif, model: SequenceModel) -> dict[str, Any]:
    trimmed = one.motif.trimmed()
    match = None
    if one.match is not None:
        target = one.match.target
        if one.match.strand == "-":
            target = target.other_strand(model.recipes_[0].alphabet)
        match = {**_letters(target), **{key: getattr(one.match, key) for key in ("p", "q", "offset", "strand")}}
    return {
        **_letters(trimmed),
        "consensus": trimmed.consensus,
        "n_sites": one.motif.n_sites,
        "information": float(trimmed.information.sum()),
        "effect": one.effect.loss,
        "effect_error": one.effect.error,
        "auroc_drop": one.effect.auroc,
        "toward": toward_name(model, one.effect.toward),
        "share": one.enrichment.share,
        "share_in_shuffles": one.enrichment.share_in_shuffles,
        "enrichment_q": one.enrichment.q,
        "copy_of": one.copy_of,
        "match": match,
    }


def _letters(motif: Motif) -> dict[str, Any]:
    return {
        "name": motif.name,
        "other_name": motif.other_name,
        "letters": motif.letters,
        "probabilities": motif.probabilities.round(4).tolist(),
    }


def _sequences(found: FoundMotifs, model: SequenceModel, sequences: Sequences) -> list[dict[str, Any]]:
    ids = sequences.ids
    explained = [""] * len(found.rows)
    if isinstance(model, SequenceClassifier):
        of_two = len(model.classes_) == 2  # of which the second is explained, whatever is predicted
        p = model.predict_proba(sequences.take(found.rows))
        explained = [str(model.classes_[1 if of_two else row.argmax()]) for row in p]
    shown = []
    for i, row in enumerate(found.rows):
        n = int((found.explained.codes[i] > 0).sum())
        shown.append(
            {
                "id": ids[row],
                "text": sequences.alphabet.decode(found.explained.codes[i, :n]),
                "scores": found.explained.scores[i, :n].round(5).tolist(),
                "output": float(found.explained.outputs[i]),
                "class": explained[i],
            }
        )
    return shown


def _attention(maps: AttentionMaps, found: FoundMotifs, sequences: Sequences) -> dict[str, Any]:
    length = min(maps.example.shape[-1], _EXAMPLE_LETTERS)
    text = sequences.alphabet.decode(found.explained.codes[maps.row])
    return {
        "distances": maps.distances.tolist(),
        "by_distance": np.round(maps.by_distance, 6).tolist(),
        "example": np.round(maps.example[..., :length, :length], 4).tolist(),
        "id": sequences.ids[int(found.rows[maps.row])],
        "text": text[:length],
    }
