"""What worker processes do for a study: they train and test groups of runs, pretrain encoders, and draw maps."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oligolearn.estimators import SelfSupervisedEncoder
from oligolearn.saving import Bundle, load_bundle
from oligolearn.study.cohort import AnyCohort
from oligolearn.study.design import AnyDesign, Draw, Run
from oligolearn.study.embedding import map_samples, sample_rows
from oligolearn.study.execute import Pretrained
from oligolearn.study.task import Fitted
from oligolearn.training import DivergedError, threads


def drawn_rows(design: AnyDesign, cohort: AnyCohort, repeat: int) -> tuple[Draw, NDArray[np.intp] | None]:
    """The rows of a repeat, and its genes where not all are used."""
    draw = design.draw(cohort.y, cohort.groups, repeat)
    return draw, cohort.columns(design, draw.split.pretrain)


def pretrain(design: AnyDesign, cohort: AnyCohort, repeats: Sequence[int], objective: str) -> list[Pretrained]:
    """Pretrain the encoders of some repeats."""
    with threads(design.threads):
        drawn = [drawn_rows(design, cohort, repeat) for repeat in repeats]
        started = time.perf_counter()
        models = cohort.pretrain(design, drawn, objective)
    seconds = (time.perf_counter() - started) / len(repeats)
    bundles = [_bundle(model, seconds) for model in models]
    return [Pretrained(repeat, objective, bundle) for repeat, bundle in zip(repeats, bundles, strict=True)]


def _bundle(model: SelfSupervisedEncoder | DivergedError, seconds: float) -> Bundle:
    if isinstance(model, DivergedError):
        return Bundle({"error": f"pretraining: {model}"}, {})
    bundle = model.to_bundle()
    return Bundle({**bundle.description, "seconds": seconds}, bundle.weights)


def task_of(design: AnyDesign, cohort: AnyCohort, run: Run, encoder: Any) -> Any:
    """What the method of a run may see."""
    draw, genes = drawn_rows(design, cohort, run.repeat)
    return cohort.task(design, draw, genes, run.n_labels, encoder)


def carry_out(
    design: AnyDesign, cohort: AnyCohort, runs: Sequence[Run], encoders: Sequence[Path] = ()
) -> list[tuple[Run, dict[str, Any]]]:
    """Train and test a group of runs; a training that diverges is an outcome as well."""
    bundles: list[Bundle | None] = [None] * len(runs)
    if encoders:
        bundles = [load_bundle(path) for path in encoders]
    failed = {
        run: {"error": bundle.description["error"]}
        for run, bundle in zip(runs, bundles, strict=True)
        if bundle is not None and "error" in bundle.description and design.known[run.method].needs_encoder
    }
    with threads(design.threads):
        started = time.perf_counter()
        able = [(run, bundle) for run, bundle in zip(runs, bundles, strict=True) if run not in failed]
        sources = [None if not (bundle and bundle.weights) else cohort.encoder(bundle) for _, bundle in able]
        tasks = [task_of(design, cohort, run, source) for (run, _), source in zip(able, sources, strict=True)]
        fitted = design.known[runs[0].method].fit(tasks) if tasks else []
        found = {
            run: _tested(design, cohort, run, one, bundle) for (run, bundle), one in zip(able, fitted, strict=True)
        }
        seconds = (time.perf_counter() - started) / len(runs)
    for (run, _), task in zip(able, tasks, strict=True):
        if "error" not in found[run]:
            found[run] |= {"seconds": round(seconds, 3), "seed": task.seed}
    return [(run, (failed | found)[run]) for run in runs]


def _tested(design: AnyDesign, cohort: AnyCohort, run: Run, fitted: Fitted, bundle: Bundle | None) -> dict[str, Any]:
    """Scores of a run on its test rows."""
    if isinstance(fitted.model, DivergedError):
        return {"error": str(fitted.model)}
    draw, genes = drawn_rows(design, cohort, run.repeat)
    rows = getattr(draw.split, design.judged_on)
    return {
        **cohort.scores(fitted.model, rows, genes),
        **_of_pretraining(bundle),
        "trained": fitted.how,
        **({"chosen": fitted.chosen, "why": fitted.why} if fitted.chosen else {}),
    }


def _of_pretraining(bundle: Bundle | None) -> dict[str, Any]:
    """What a run keeps of how its encoder was pretrained."""
    if bundle is None:
        return {"diagnosis": []}
    if "error" in bundle.description:
        return {"diagnosis": [bundle.description["error"]]}
    told = bundle.description["pretraining"]
    return {name: told[name] for name in ("diagnosis", "quality", "objective_options", "n_samples") if name in told}


def embed(design: AnyDesign, cohort: AnyCohort, method: str | None, encoder: Path | None) -> dict[str, Any]:
    """Map the samples of the first repeat, as measured or as a pretrained encoder sees them."""
    with threads(design.threads):
        draw, genes = drawn_rows(design, cohort, 0)
        rows = sample_rows(draw.split)
        if encoder is None:
            seen = cohort.measured(draw.split.pretrain, rows, genes)
        else:
            seen = cohort.encoder(load_bundle(encoder)).transform(cohort.values(rows, genes))
        held_out = np.isin(rows, draw.split.test)
        return map_samples(seen, rows, held_out, name=method or "input", seed=design.seed)
