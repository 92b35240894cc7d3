"""Label error: a label that the other rows speak against.

What it finds: rows of labelled text (or of the task `classify`) whose label a model trained on the other folds finds least
probable: as many as confident learning counts off the diagonal of the confident joint. Each finding names both labels with
their probabilities and, as the other row, the most similar one that bears the likely label and is not suspect itself.
Why it matters: wrong labels cap what a model can reach, and in held-out rows they turn the better model into the worse.
Limits: suspects, not proven errors: hard and rare ones are among them, and errors that follow a rule (a whole cluster under the
wrong label) are learned, not found. Texts are compared by words and runs of letters, not by meaning. The first label of a
row counts. Classes of fewer than `least` rows are passed over, and so are numbers to predict (`labels: score`). Of more than
`characters` characters, rows are sampled.
Reference: Northcutt, Jiang and Chuang 2021, Confident Learning, JAIR 70, arXiv:1911.00068; as cleanlab 2.9.0
`find_label_issues(filter_by="low_self_confidence")` on the same probabilities, less rows whose label is the most probable of all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, TypeAlias

import numpy
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute
from pydantic import Field

from tunesmith.artifacts import Action, Finding
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, FINAL_PHASE
from tunesmith.detect.patterns import PERSONAL, SECRETS, mask_hits

Numbers: TypeAlias = NDArray[numpy.int64]
Reals: TypeAlias = NDArray[numpy.float64]
MAX_CLASSES: Final = 1000
"""Classes at most: more labels than this are answers, not classes."""

MAX_TEXT_CHARACTERS: Final = 1000
"""Characters of a text that are read."""

MAX_CHARACTERS_TIMES_CLASSES: Final = 500_000_000
"""Characters times classes that are read at most, so that an audit ends: about 80 seconds on one core."""

THRESHOLD_SLACK: Final = 1e-6
"""What cleanlab 2.9.0 takes off a class's threshold before it compares."""


def labelled_rows(table: pa.Table, task: str, labels_are: str) -> pa.Table:
    """The lines of `table` that have a label, the first of several; for the task `classify` the completion of a row without.

    None where `labels_are` "score": a number to predict is no class.
    """
    if labels_are == "score":
        return table.slice(0, 0)
    labels = table.column("label")
    if task == "classify":
        labels = compute.coalesce(labels, table.column("completion"))
    lines = table.set_column(table.column_names.index("label"), "label", labels)
    return lines.filter(compute.fill_null(compute.greater(compute.utf8_length(labels), 0), False))


def quote_label(label: str) -> str:
    """A label as a finding may show it."""
    return repr(mask_hits(label[:200], (*PERSONAL, *SECRETS))[:60])


@CHECKS.register
@dataclass(frozen=True)
class LabelError:
    """Looks last, at the rows of both splits that are left."""

    id: ClassVar[str] = "label-error"
    version: ClassVar[str] = "2"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    turn: ClassVar[int] = FINAL_PHASE

    folds: Annotated[int, Field(ge=2, le=20)] = 5
    least: Annotated[int, Field(ge=2)] = 5
    characters: Annotated[int, Field(ge=10_000)] = 12_000_000
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    task: str = "chat"
    labels_are: str = "single"

    def examine(self, corpus: AuditTable) -> list[Finding]:
        lines = self._read(labelled_rows(corpus.table, self.task, self.labels_are))
        names, labels = numpy.unique(lines.column("label").to_numpy(), return_inverse=True)
        if not 2 <= len(names) <= MAX_CLASSES:
            return []
        matrix = tfidf_features(lines.column("prompt").to_pylist())
        chances = out_of_fold_probabilities(matrix, labels, folds=min(self.folds, self.least), seed=self.seed)
        guess = likely_labels(labels, chances)
        rows = lines.column("row").to_pylist()
        return [
            corpus.finding(
                self,
                rows[line],
                f"labelled {quote_label(names[labels[line]])} ({chances[line, labels[line]]:.0%}), "
                f"likely {quote_label(names[guess[line]])} ({chances[line, guess[line]]:.0%})",
                other=None if other is None else rows[other],
                similarity=None if other is None else round(similarity, 4),
            )
            for line, other, similarity in nearest_examples(matrix, labels, guess)
        ]

    def _read(self, lines: pa.Table) -> pa.Table:
        """Rows of classes that are large enough; of too many characters those with the lowest digests."""
        counts = lines.group_by("label").aggregate([("row", "count")])
        large = counts.filter(compute.greater_equal(counts.column("row_count"), self.least)).column("label")
        room = min(self.characters, MAX_CHARACTERS_TIMES_CLASSES // max(len(large), 1))
        lines = lines.filter(compute.is_in(lines.column("label"), value_set=large.combine_chunks()))
        lengths = (
            compute.min_element_wise(compute.utf8_length(lines.column("prompt")), MAX_TEXT_CHARACTERS)
            .cast(pa.int64())
            .to_numpy()
        )
        if lengths.sum() <= room:
            return lines
        order = numpy.asarray(compute.sort_indices(lines.column("digest")))
        fits = order[numpy.cumsum(lengths[order]) <= room]
        kept = lines.take(pa.array(numpy.sort(fits)))
        return self._read(kept) if kept.num_rows < lines.num_rows else kept


def tfidf_features(texts: list[str]) -> Any:
    """Rows of TF-IDF over words, pairs of words and runs of 3 to 5 letters, each row of length 1 (CSR, float32)."""
    from scipy.sparse import csr_matrix, hstack
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    cut = [text[:MAX_TEXT_CHARACTERS] for text in texts]
    shared: dict[str, Any] = {"sublinear_tf": True, "dtype": numpy.float32, "min_df": 2}
    makers = [
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", **shared),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), **shared),
    ]
    made = []
    for maker in makers:
        try:
            made.append(maker.fit_transform(cut))
        except ValueError:  # no word, or no run of letters, stands in two texts
            made.append(csr_matrix((len(cut), 1), dtype=numpy.float32))
    return normalize(hstack(made).tocsr(), copy=False)


def out_of_fold_probabilities(matrix: Any, labels: Numbers, *, folds: int, seed: int) -> Reals:
    """(n, K): each row's class probabilities from a model of the other folds; every class is in every fold.

    One linear model a class under logistic loss (five passes of stochastic gradient descent), softmax over their scores.
    """
    from sklearn.linear_model import SGDClassifier
    from sklearn.model_selection import StratifiedKFold

    chances = numpy.zeros((len(labels), int(labels.max()) + 1))
    for train, held in StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels):
        model = SGDClassifier(loss="log_loss", alpha=1e-5, max_iter=5, tol=None, random_state=seed)
        scores = model.fit(matrix[train], labels[train]).decision_function(matrix[held])
        if scores.ndim == 1:
            scores = numpy.stack([-scores / 2, scores / 2], axis=1)
        grown = numpy.exp(scores - scores.max(axis=1, keepdims=True))
        chances[held] = grown / grown.sum(axis=1, keepdims=True)
    return chances


def likely_labels(labels: Numbers, chances: Reals) -> Numbers:
    """Each row's likely class: the most probable one for the rows whose label is least probable, the label for all others.

    There are as many of them as lie off the diagonal of the confident joint. Those rows themselves are another choice: of
    flipped labels of Banking77 they held 66 to 72%, the rows of the least probable labels 77 to 92% (bench/label_errors.py).
    """
    own = chances[numpy.arange(len(labels)), labels]
    suspects = numpy.argsort(own, kind="stable")[: int((confident_joint_labels(labels, chances) != labels).sum())]
    guess = labels.copy()
    guess[suspects] = chances[suspects].argmax(axis=1)
    return guess


def confident_joint_labels(labels: Numbers, chances: Reals) -> Numbers:
    """Each row's class in the confident joint; its label where it counts for none.

    A class's threshold is the mean probability that rows with its label have of it. A row counts for a class at or above its
    threshold, for the most probable of all classes when there are several; a row whose most probable class is its label is
    left alone.
    """
    own = chances[numpy.arange(len(labels)), labels]
    sizes = numpy.bincount(labels, minlength=chances.shape[1])
    means = numpy.bincount(labels, weights=own, minlength=chances.shape[1]) / numpy.maximum(sizes, 1)
    reached = chances >= numpy.maximum(means, 2 * THRESHOLD_SLACK) - THRESHOLD_SLACK
    number, most = reached.sum(axis=1), chances.argmax(axis=1)
    guess = numpy.where(number > 1, most, reached.argmax(axis=1))
    return numpy.where((number > 0) & (most != labels), guess, labels)


def nearest_examples(matrix: Any, labels: Numbers, guess: Numbers) -> Iterator[tuple[int, int | None, float]]:
    """(suspect line, most similar line that bears its likely label and is no suspect, cosine), class by class."""
    suspect = guess != labels
    for name in numpy.unique(guess[suspect]):
        lines = numpy.flatnonzero(suspect & (guess == name))
        good = numpy.flatnonzero(~suspect & (labels == name))
        for line in lines.tolist():
            if not len(good):
                yield line, None, 0.0
                continue
            cosines = (matrix[good] @ matrix[line].T).toarray().ravel()
            yield line, int(good[cosines.argmax()]), float(cosines.max())
