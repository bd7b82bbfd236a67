"""The data of a study of expression, as every worker sees them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from oligolearn.saving import Bundle
from oligolearn.study.design import Design, Draw, training_seed
from oligolearn.study.task import Predictor, Task

if TYPE_CHECKING:
    from oligolearn.estimators import SelfSupervisedEncoder, Share
    from oligolearn.training import DivergedError


class AnyCohort(Protocol):
    """The data of a study, of expression or of sequences, as every worker sees them."""

    @property
    def y(self) -> NDArray[np.integer]:
        """Class numbers, -1 where unlabelled."""

    @property
    def groups(self) -> NDArray[np.integer] | None:
        """Group numbers, or None."""

    def columns(self, design: Any, rows: NDArray[np.intp]) -> NDArray[np.intp] | None:
        """Numbers of the columns that a repeat with these pretraining rows uses; None for all."""

    def values(self, rows: NDArray[np.intp], genes: NDArray[np.intp] | None) -> Any:
        """Some rows, as a fitted method takes them."""

    def task(self, design: Any, draw: Draw, genes: NDArray[np.intp] | None, n_labels: int, encoder: Any) -> Any:
        """What a method may see with the labels of the first `n_labels` training rows."""

    def scores(self, model: Any, rows: NDArray[np.intp], genes: NDArray[np.intp] | None) -> dict[str, Any]:
        """How good the predictions of a fitted method are for some rows: what is kept of a run."""

    def pretrain(
        self, design: Any, drawn: Sequence[tuple[Draw, NDArray[np.intp] | None]], objective: str
    ) -> Sequence[Any]:
        """For each repeat an encoder, or the error of one that diverged."""

    def encoder(self, bundle: Bundle) -> Any:
        """The encoder that was pretrained."""

    def measured(
        self, rows: NDArray[np.intp], shown: NDArray[np.intp], genes: NDArray[np.intp] | None
    ) -> NDArray[np.floating]:
        """The rows `shown` as numbers without any encoder, scaled as `rows` are."""


class Cohort(NamedTuple):
    """The data of a study, as every worker sees them.

    Attributes
    ----------
    matrix
        File of the normalised expression, ``(n_samples, n_genes)``, float32; mapped, never copied.
    y
        Class numbers, -1 where unlabelled.
    groups
        Group numbers, or None.
    genes
        Names of the columns, for views that need them.
    n_borrowed
        Rows of other cohorts at the end of the matrix, which have no class and serve pretraining alone.
    borrowed_ready
        Whether these are standardised already, each cohort by itself.
    """

    matrix: Path
    y: NDArray[np.integer]
    groups: NDArray[np.integer] | None
    genes: tuple[str, ...] | None = None
    n_borrowed: int = 0
    borrowed_ready: bool = False

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.y.max()) + 1

    def pretraining_share(self, rows: NDArray[np.intp], genes: NDArray[np.intp] | None) -> "Share":
        """What is pretrained on: some rows of one's own, and all that are borrowed."""
        from oligolearn.estimators import Share

        n_own = len(self.y)
        borrowed = np.arange(n_own, n_own + self.n_borrowed)
        ready_from = n_own if self.n_borrowed and self.borrowed_ready else None
        return Share(np.concatenate([rows, borrowed]), genes=genes, borrowed_from=ready_from)

    def shown_labels(self, draw: Draw, n_labels: int) -> NDArray[np.float64]:
        """Labels of the rows for pretraining, NaN but for the first `n_labels` training rows."""
        shown = draw.order[:n_labels]
        y = np.full(len(draw.split.pretrain), np.nan)
        y[np.searchsorted(draw.split.pretrain, shown)] = self.y[shown]
        return y

    def expression(self) -> NDArray[np.float32]:
        """The matrix, mapped anew: a mapping that outlived its file would show the next study the data of this one."""
        matrix: NDArray[np.float32] = np.load(self.matrix, mmap_mode="c")  # torch wants to be able to write, never does
        return matrix

    def values(self, rows: NDArray[np.intp], genes: NDArray[np.intp] | None) -> NDArray[np.float32]:
        """Some rows of the matrix, ``(len(rows), n_genes)``; `genes` numbers columns, None for all."""
        X = self.expression()
        return X[rows] if genes is None else X[np.ix_(rows, genes)]

    def columns(self, design: Design, rows: NDArray[np.intp]) -> NDArray[np.intp] | None:
        """Numbers of the genes that a repeat with these pretraining rows uses; None for all."""
        return chosen_genes(self, rows, design.top_genes)

    def task(
        self,
        design: Design,
        draw: Draw,
        genes: NDArray[np.intp] | None,
        n_labels: int,
        encoder: "SelfSupervisedEncoder | None",
    ) -> Task:
        """What a method may see with the labels of the first `n_labels` training rows."""
        rows, shown = draw.split.pretrain, draw.order[:n_labels]
        places = np.searchsorted(rows, shown)  # training rows are pretraining rows, and these ascend
        seed = training_seed(draw.seed, n_labels)
        settings = {**design.hardware, **design.training}
        groups = None if self.groups is None else self.groups[shown]
        return Task(self.expression(), rows, genes, places, self.y[shown], seed, settings, encoder, groups)

    def scores(self, model: Predictor, rows: NDArray[np.intp], genes: NDArray[np.intp] | None) -> dict[str, Any]:
        """How good the predictions of a fitted method are for some rows."""
        from oligolearn.study.scores import class_scores

        return class_scores(self.y[rows], model.predict_proba(self.values(rows, genes)))

    def pretrain(
        self, design: Design, drawn: Sequence[tuple[Draw, NDArray[np.intp] | None]], objective: str
    ) -> "list[SelfSupervisedEncoder | DivergedError]":
        """For each repeat an encoder, or the error of one that diverged."""
        from oligolearn.study.fitting import pretrain

        return pretrain(
            objective,
            self.expression(),
            [self.pretraining_share(draw.split.pretrain, genes) for draw, genes in drawn],
            genes=self.genes,
            n_classes=self.n_classes,
            seeds=[draw.seed for draw, _ in drawn],
            settings={**design.hardware, **design.pretraining},
        )

    def encoder(self, bundle: Bundle) -> "SelfSupervisedEncoder":
        """The encoder that was pretrained."""
        from oligolearn.estimators import SelfSupervisedEncoder

        return SelfSupervisedEncoder.from_bundle(bundle)

    def measured(
        self, rows: NDArray[np.intp], shown: NDArray[np.intp], genes: NDArray[np.intp] | None
    ) -> NDArray[np.floating]:
        """The rows `shown` as numbers without any encoder, scaled as `rows` are."""
        from oligolearn.data import ExpressionScaler

        return ExpressionScaler().fit(self.values(rows, genes)).transform(self.values(shown, genes))


def chosen_genes(cohort: Cohort, rows: NDArray[np.intp], top_genes: int | None) -> NDArray[np.intp] | None:
    """Numbers of the `top_genes` genes that vary most in `rows`; None for all."""
    X = cohort.expression()
    if top_genes is None or top_genes >= X.shape[1]:
        return None
    from oligolearn.data import top_variance_genes

    return top_variance_genes(X[rows], top_genes)
