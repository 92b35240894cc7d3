"""Label error: a label that the other rows contradict.

What it finds: rows of labelled text (or of the task `classify`) whose label is least probable under a model trained on the
other folds: as many rows as confident learning counts off the diagonal of the confident joint. Each finding names both labels
with their probabilities and, as the other row, the most similar row that has the likely label and is not a suspect itself.
Why it matters: wrong labels limit what a model can reach, and in held-out rows they can make the better model look worse.
Limits: findings are suspects, not proven errors: hard and rare rows are among them, and systematic errors (a whole cluster
under the wrong label) are learned rather than found. Texts are compared by words and character n-grams, not by meaning. Only
the first label of a row counts. Classes with fewer than `least` rows are skipped, and so are numeric targets
(`labels: score`). Above `characters` characters in total, rows are sampled.
Reference: Northcutt, Jiang and Chuang 2021, Confident Learning, JAIR 70, arXiv:1911.00068; same as cleanlab 2.9.0
`find_label_issues(filter_by="low_self_confidence")` on the same probabilities, except rows whose label is the most probable one.
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
"""Maximum number of classes; beyond this, labels are treated as free answers."""

MAX_TEXT_CHARACTERS: Final = 1000
"""Maximum number of characters read of a text."""

MAX_CHARACTERS_TIMES_CLASSES: Final = 500_000_000
"""Maximum product of characters and classes, which bounds the run time to about 80 seconds on one core."""

THRESHOLD_SLACK: Final = 1e-6
"""Tolerance that cleanlab 2.9.0 subtracts from a class's threshold before comparing."""


def labelled_rows(table: pa.Table, task: str, labels_are: str) -> pa.Table:
    """The rows that have a label (the first of several); for the task `classify`, the completion counts as one.

    Empty if `labels_are` is "score", since a numeric target is not a class.
    """
    if labels_are == "score":
        return table.slice(0, 0)
    labels = table.column("label")
    if task == "classify":
        labels = compute.coalesce(labels, table.column("completion"))
    lines = table.set_column(table.column_names.index("label"), "label", labels)
    return lines.filter(compute.fill_null(compute.greater(compute.utf8_length(labels), 0), False))


def quote_label(label: str) -> str:
    """A label quoted for a finding, with personal data and secrets masked."""
    return repr(mask_hits(label[:200], (*PERSONAL, *SECRETS))[:60])


@CHECKS.register
@dataclass(frozen=True)
class LabelError:
    """Runs in the final phase, on the remaining rows of both splits."""

    id: ClassVar[str] = "label-error"
    version: ClassVar[str] = "2"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    phase: ClassVar[int] = FINAL_PHASE

    folds: Annotated[int, Field(ge=2, le=20)] = 5
    least: Annotated[int, Field(ge=2)] = 5
    characters: Annotated[int, Field(ge=10_000)] = 12_000_000
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    task: str = "chat"
    labels_are: str = "single"

    def examine(self, corpus: AuditTable) -> list[Finding]:
        lines = self._select_rows(labelled_rows(corpus.rows, self.task, self.labels_are))
        names, labels = numpy.unique(lines.column("label").to_numpy(), return_inverse=True)
        if not 2 <= len(names) <= MAX_CLASSES:
            return []
        matrix = tfidf_features(lines.column("prompt").to_pylist())
        probabilities = out_of_fold_probabilities(matrix, labels, folds=min(self.folds, self.least), seed=self.seed)
        likely = likely_labels(labels, probabilities)
        rows = lines.column("row").to_pylist()
        return [
            corpus.finding(
                self,
                rows[line],
                f"labelled {quote_label(names[labels[line]])} ({probabilities[line, labels[line]]:.0%}), "
                f"likely {quote_label(names[likely[line]])} ({probabilities[line, likely[line]]:.0%})",
                other=None if other is None else rows[other],
                similarity=None if other is None else round(similarity, 4),
            )
            for line, other, similarity in nearest_examples(matrix, labels, likely)
        ]

    def _select_rows(self, lines: pa.Table) -> pa.Table:
        """Rows of classes that are large enough; if they have too many characters, a sample by lowest digest."""
        counts = lines.group_by("label").aggregate([("row", "count")])
        large = counts.filter(compute.greater_equal(counts.column("row_count"), self.least)).column("label")
        budget = min(self.characters, MAX_CHARACTERS_TIMES_CLASSES // max(len(large), 1))
        lines = lines.filter(compute.is_in(lines.column("label"), value_set=large.combine_chunks()))
        lengths = (
            compute.min_element_wise(compute.utf8_length(lines.column("prompt")), MAX_TEXT_CHARACTERS)
            .cast(pa.int64())
            .to_numpy()
        )
        if lengths.sum() <= budget:
            return lines
        order = numpy.asarray(compute.sort_indices(lines.column("digest")))
        fits = order[numpy.cumsum(lengths[order]) <= budget]
        sample = lines.take(pa.array(numpy.sort(fits)))
        return self._select_rows(sample) if sample.num_rows < lines.num_rows else sample


def tfidf_features(texts: list[str]) -> Any:
    """TF-IDF of word 1- and 2-grams and character 3- to 5-grams, L2-normalized, shape (texts, features), CSR float32."""
    from scipy.sparse import csr_matrix, hstack
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    truncated = [text[:MAX_TEXT_CHARACTERS] for text in texts]
    shared: dict[str, Any] = {"sublinear_tf": True, "dtype": numpy.float32, "min_df": 2}
    vectorizers = [
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", **shared),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), **shared),
    ]
    matrices = []
    for vectorizer in vectorizers:
        try:
            matrices.append(vectorizer.fit_transform(truncated))
        except ValueError:  # no word or character n-gram occurs in two texts
            matrices.append(csr_matrix((len(truncated), 1), dtype=numpy.float32))
    return normalize(hstack(matrices).tocsr(), copy=False)


def out_of_fold_probabilities(matrix: Any, labels: Numbers, *, folds: int, seed: int) -> Reals:
    """Class probabilities of each row from a model of the other folds, shape (rows, classes); folds are stratified.

    One linear model per class with logistic loss (five epochs of SGD), and a softmax over their scores.
    """
    from sklearn.linear_model import SGDClassifier
    from sklearn.model_selection import StratifiedKFold

    probabilities = numpy.zeros((len(labels), int(labels.max()) + 1))
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels):
        model = SGDClassifier(loss="log_loss", alpha=1e-5, max_iter=5, tol=None, random_state=seed)
        scores = model.fit(matrix[train], labels[train]).decision_function(matrix[test])
        if scores.ndim == 1:
            scores = numpy.stack([-scores / 2, scores / 2], axis=1)
        exponentials = numpy.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities[test] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities


def likely_labels(labels: Numbers, probabilities: Reals) -> Numbers:
    """Likely class of each row: the most probable class for the rows with the least probable labels, else the row's label.

    The number of such rows is the off-diagonal count of the confident joint. Taking the off-diagonal rows themselves finds
    less: 66 to 72% of flipped Banking77 labels against 77 to 92% for the least probable labels (bench/label_errors.py).
    """
    label_probability = probabilities[numpy.arange(len(labels)), labels]
    suspects = numpy.argsort(label_probability, kind="stable")[
        : int((confident_joint_labels(labels, probabilities) != labels).sum())
    ]
    likely = labels.copy()
    likely[suspects] = probabilities[suspects].argmax(axis=1)
    return likely


def confident_joint_labels(labels: Numbers, probabilities: Reals) -> Numbers:
    """Class of each row in the confident joint; its label if it counts for no class.

    A class's threshold is the mean probability of that class over the rows labelled with it. A row counts for a class if its
    probability reaches the threshold; if several do, for the most probable class. A row whose most probable class is its label
    keeps it.
    """
    label_probability = probabilities[numpy.arange(len(labels)), labels]
    sizes = numpy.bincount(labels, minlength=probabilities.shape[1])
    means = numpy.bincount(labels, weights=label_probability, minlength=probabilities.shape[1]) / numpy.maximum(
        sizes, 1
    )
    reached = probabilities >= numpy.maximum(means, 2 * THRESHOLD_SLACK) - THRESHOLD_SLACK
    reached_count, most_probable = reached.sum(axis=1), probabilities.argmax(axis=1)
    labels_in_joint = numpy.where(reached_count > 1, most_probable, reached.argmax(axis=1))
    return numpy.where((reached_count > 0) & (most_probable != labels), labels_in_joint, labels)


def nearest_examples(matrix: Any, labels: Numbers, likely: Numbers) -> Iterator[tuple[int, int | None, float]]:
    """(suspect, most similar row with the suspect's likely label that is no suspect or None, cosine), class by class."""
    suspect = likely != labels
    for label in numpy.unique(likely[suspect]):
        lines = numpy.flatnonzero(suspect & (likely == label))
        candidates = numpy.flatnonzero(~suspect & (labels == label))
        for line in lines.tolist():
            if not len(candidates):
                yield line, None, 0.0
                continue
            cosines = (matrix[candidates] @ matrix[line].T).toarray().ravel()
            yield line, int(candidates[cosines.argmax()]), float(cosines.max())
