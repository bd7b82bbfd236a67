"""`oligolearn pretrain` on sequences: an encoder without labels, or vectors of k-mers from genomes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oligolearn.cli.groups import PretrainingSequences, refuse_with
from oligolearn.cli.kmers import late_bar
from oligolearn.cli.printing import chosen, pretraining_bar, print_notes

_OF_WORD2VEC = ("architecture", "window", "min_count")
_OF_ENCODERS = ("encoder", "both_strands", "alphabet", "aligned", "max_length", "embedding", "freeze_embedding")


def learn_kmers(
    files: list[Path], out: Path, options: PretrainingSequences, settings: dict[str, Any], *, quiet: bool
) -> None:
    """Learn vectors of k-mers by word2vec from files, which are read anew for each epoch."""
    from oligolearn.estimators import KmerWord2Vec, save_model

    refuse_with("word2vec", **options.given(*_OF_ENCODERS))
    low, high = options.lengths()
    own = options.given("dim", *_OF_WORD2VEC)
    model = KmerWord2Vec(low if low == high else (low, high), **own, **settings)
    if settings["checkpoint"].exists():
        print(f"Going on from {settings['checkpoint']}.")
    with late_bar(shown=not quiet) as tell:
        model.fit_files(files, tell)
    save_model(model, out, facts={"training_data": {"files": [file.name for file in files]}})
    settings["checkpoint"].unlink(missing_ok=True)
    for k, counts in model.counts_.items():
        print(f"{int((counts > 0).sum()):,} of {len(counts):,} {k}-mers have a vector, of {int(counts.sum()):,} read.")
    first, last = model.losses_[0], model.losses_[-1]
    print(f"{model.architecture}: mean loss of a k-mer {first:.4f} in the first epoch, {last:.4f} in the last.")
    print(f"Embedding: {out}")


def pretrain_sequence_encoder(
    files: list[Path],
    out: Path,
    options: PretrainingSequences,
    settings: dict[str, Any],
    *,
    mask_share: float | None,
    prototypes: int | None,
    quiet: bool,
) -> None:
    """Pretrain an encoder on the sequences of one file or several."""
    from oligolearn.data import read_sequence_files
    from oligolearn.estimators import SelfSupervisedSequenceEncoder, save_model
    from oligolearn.estimators.sequence_embedding import named_embedding

    method = settings["objective"]
    refuse_with(method, **options.given(*_OF_WORD2VEC))
    if method != "masked-letters":
        refuse_with(method, mask_share=mask_share)
    if method != "swav":
        refuse_with(method, prototypes=prototypes)
    low, high = options.lengths()
    if low != high:
        raise ValueError(f"--k {options.k} is of --method word2vec; an encoder reads k-mers of one length")
    sequences = read_sequence_files(files, alphabet=options.alphabet, aligned=options.aligned)
    print_notes(sequences.notes)
    if settings["checkpoint"].exists():
        print(f"Going on from {settings['checkpoint']}.")
    with pretraining_bar("pretraining", shown=not quiet) as bar:
        model = SelfSupervisedSequenceEncoder(
            encoder=options.encoder,
            both_strands=options.both_strands,
            max_length=options.max_length,
            embedding=named_embedding(options.embedding, low if options.k else None, options.dim),
            freeze_embedding=options.freeze_embedding,
            view_options=chosen(share=mask_share),
            objective_options=chosen(n_prototypes=prototypes),
            on_epoch=bar.tell,
            on_watch=bar.watch,
            **settings,
        ).fit(sequences)
    names = [file.name for file in files]
    save_model(model, out, facts={"training_data": {"file": names[0]} if len(names) == 1 else {"files": names}})
    settings["checkpoint"].unlink(missing_ok=True)
    print_notes(_summary(model.pretraining_))
    print(f"Encoder: {model.recipe_.encoder}")
    print(f"Model: {out}")


def _summary(pretraining: Mapping[str, Any]) -> list[str]:
    """What was done, and how good the encoder may be, in sentences."""
    losses, quality = pretraining["losses"], pretraining["quality"]
    guessing = pretraining["guessing"]
    chance = "" if guessing is None else f" (guessing: {guessing:.4f})"
    n, pieces = pretraining["n_sequences"], pretraining["n_samples"]
    cut = f", cut into {pieces:,} pieces" if pieces != n else ""
    alpha = "unknown" if quality["alpha_req"] is None else f"{quality['alpha_req']:.4g}"
    used = (
        f", {quality['prototypes_in_use']:.4g} of {quality['prototypes']:.0f} prototypes in use"
        if "prototypes" in quality
        else ""
    )
    return [
        f"{pretraining['objective']}: {n:,} sequences{cut}, in batches of {pretraining['batch_size']} or more, "
        f"{pretraining['epochs']:,} epochs; loss {losses[0]:.4f} in the first, {losses[-1]:.4f} in the last{chance}",
        f"Without labels: RankMe {quality['rank_me']:.4g} and effective rank {quality['effective_rank']:.4g} of "
        f"{quality['dimensions']:.0f}, alpha-ReQ {alpha}{used}.",
    ]
