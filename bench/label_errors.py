"""Label errors that were planted, found again: `python bench/label_errors.py --shared FOLDER`.

Labels of Banking77's training rows (77 classes) are flipped with a seeded generator: a share of all rows, to any other class
(`uniform`) or to one of the three classes whose rows are most alike (`confusable`, by the cosine of the classes' mean TF-IDF).
Beside the check `label-error` as the audit runs it stand cleanlab's `find_label_issues` on the same out-of-fold probabilities,
and cleanlab's `CleanLearning` as it comes, around a logistic regression on TF-IDF of words. Recall and precision (Wilson) of the
rows that are reported, and average precision of all rows by how improbable their label is, as our findings tell it (bootstrap
over the planted rows, whose ranks are held fixed). What was wrong before anything was planted counts against precision, for all
alike. Needs cleanlab 2.9.0.
"""

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final

import cleanlab
import numpy
from cleanlab.classification import CleanLearning
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from tunesmith.artifacts import Example, Row
from tunesmith.audit.checks.label_error import LabelError, likely_labels, out_of_fold_probabilities, tfidf_features
from tunesmith.audit.corpus_builder import build_corpus
from tunesmith.stats.bootstrap import Resampling, bootstrap_interval, paired_bootstrap
from tunesmith.stats.interval import Interval, NoInterval
from tunesmith.stats.wilson import wilson

SHARED: Final = Path(__file__).resolve().parents[2] / "shared" / "data"
NAME: Final = "banking77/train.csv"
ALIKE: Final = 3
"""Classes that a label is flipped to among the confusable ones."""
LEVEL: Final = 0.95
RESAMPLES: Final = 2000

Flags = NDArray[numpy.bool_]
Numbers = NDArray[numpy.int64]
Reals = NDArray[numpy.float64]


@dataclass(frozen=True)
class Told:
    """What a way says: the rows that it reports, and how suspect every row is."""

    name: str
    reported: Flags
    suspicion: Reals
    seconds: float


@dataclass(frozen=True)
class Figure:
    """A share with its 95% limits; the limits are None where no interval can be given."""

    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        limits = "-" if self.low is None or self.high is None else f"{self.low:.3f} to {self.high:.3f}"
        return f"{self.value:.3f} ({limits})"


def main() -> int:
    parser = argparse.ArgumentParser(prog="label_errors.py", description="planted label errors, found again")
    parser.add_argument("--shared", type=Path, default=SHARED, help="the folder with MANIFEST.tsv and the data sets")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.03, 0.10], help="shares of rows that are flipped")
    parser.add_argument("--kinds", nargs="+", default=["uniform", "confusable"], choices=["uniform", "confusable"])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rows", type=int, default=None, help="only so many rows, to see that it runs")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    texts, labels = banking77(options.shared, options.rows)
    matrix = tfidf_features(texts)
    print(f"{len(texts):,} rows, {labels.max() + 1} classes, cleanlab {cleanlab.__version__}")
    print(f"{'planted':<17} {'way':<42} {'recall':<24} {'precision':<24} {'average precision':<24} reported  seconds")
    results = []
    for kind in options.kinds:
        for rate in options.rates:
            rng = numpy.random.default_rng([options.seed, round(rate * 1000), kind == "confusable"])
            flipped = planted(labels, matrix, rate, kind=kind, rng=rng)
            told = list(ways(texts, matrix, flipped))
            results += [measured(f"{kind} {rate:.0%}", one, flipped != labels) for one in told]
            compared(told, flipped != labels)
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


def banking77(shared: Path, rows: int | None) -> tuple[list[str], Numbers]:
    """Texts and the numbers of their classes. The data set is read where it lies, never copied."""
    manifest = (shared / "MANIFEST.tsv").read_text(encoding="utf-8").splitlines()
    listed = {line.split("\t")[0] for line in manifest}
    if NAME not in listed or not (shared / NAME).is_file():
        raise SystemExit(f"{shared / NAME} is not there; name the folder with --shared")
    with open(shared / NAME, encoding="utf-8", newline="") as lines:
        read = [(line["text"], line["category"]) for line in csv.DictReader(lines)]
    if rows is not None:
        read = read[:: max(1, len(read) // rows)]
    _, numbers = numpy.unique([label for _, label in read], return_inverse=True)
    return [text for text, _ in read], numbers


def planted(labels: Numbers, matrix: Any, rate: float, *, kind: str, rng: numpy.random.Generator) -> Numbers:
    """The labels with a share of them flipped."""
    classes = int(labels.max()) + 1
    chosen = rng.choice(len(labels), size=round(rate * len(labels)), replace=False)
    made = labels.copy()
    if kind == "uniform":
        made[chosen] = (labels[chosen] + rng.integers(1, classes, size=len(chosen))) % classes
        return made
    means = numpy.asarray(numpy.vstack([matrix[labels == one].mean(axis=0) for one in range(classes)]))
    means /= numpy.linalg.norm(means, axis=1, keepdims=True)
    cosines = means @ means.T - 2 * numpy.eye(classes)
    alike = numpy.argsort(-cosines, axis=1, kind="stable")[:, :ALIKE]
    made[chosen] = alike[labels[chosen], rng.integers(0, ALIKE, size=len(chosen))]
    return made


def ways(texts: list[str], matrix: Any, labels: Numbers) -> Iterator[Told]:
    """Our check, cleanlab on our probabilities, cleanlab as it comes."""
    rows = [
        Row(row_id=f"{at:016x}", file="rows.csv", line=at + 1, example=Example(text=text, labels=(f"c{label:03d}",)))
        for at, (text, label) in enumerate(zip(texts, labels.tolist(), strict=True))
    ]
    corpus = build_corpus(rows, [])
    found = numpy.zeros(len(labels), dtype=bool)
    began = monotonic()
    check = LabelError()
    found[[finding.place.line - 1 for finding in check.examine(corpus)]] = True
    took = monotonic() - began
    chances = out_of_fold_probabilities(matrix, labels, folds=check.folds, seed=check.seed)
    assert numpy.array_equal(found, likely_labels(labels, chances) != labels)
    suspicion = 1 - chances[numpy.arange(len(labels)), labels]
    yield Told("ours: label-error", found, suspicion, took)
    for name, options in (
        ("cleanlab, same probabilities", {}),
        ("cleanlab, same, by confident learning", {"filter_by": "confident_learning"}),
    ):
        seconds, issues = timed(lambda given=options: find_label_issues(labels, chances, n_jobs=1, **given))
        yield Told(name, issues, 1 - get_label_quality_scores(labels, chances, method="self_confidence"), seconds)
    seconds, table = timed(lambda: _as_it_comes(texts, labels))
    yield Told(
        "cleanlab, CleanLearning, TF-IDF",
        table["is_label_issue"].to_numpy(),
        1 - table["label_quality"].to_numpy(),
        seconds,
    )


def _as_it_comes(texts: list[str], labels: Numbers) -> Any:
    """CleanLearning's own folds, filter and ranking."""
    matrix = TfidfVectorizer().fit_transform(texts)
    return CleanLearning(LogisticRegression(max_iter=1000), seed=0).find_label_issues(matrix, labels)


def measured(planted_as: str, told: Told, wrong: Flags) -> dict[str, Any]:
    """One line of the table, printed and returned."""
    hits, reported = int((told.reported & wrong).sum()), int(told.reported.sum())
    recall, precision = (
        _figure(wilson(hits, int(wrong.sum()), level=LEVEL)),
        _figure(wilson(hits, reported, level=LEVEL)),
    )
    ranked = _figure(bootstrap_interval(_mean, _precisions(told, wrong), how=_how(), rng=numpy.random.default_rng(0)))
    told_as = f"{planted_as:<17} {told.name:<42} {recall!s:<24} {precision!s:<24} {ranked!s:<24}"
    print(f"{told_as} {reported:>8,} {told.seconds:>8.1f}", flush=True)
    figures = {"recall": asdict(recall), "precision": asdict(precision), "average_precision": asdict(ranked)}
    return {"planted": planted_as, "way": told.name, **figures, "reported": reported, "seconds": told.seconds}


def compared(told: list[Told], wrong: Flags) -> None:
    """Our average precision less that of cleanlab as it comes, over the same planted rows."""
    found = paired_bootstrap(
        _mean,
        (_precisions(told[0], wrong), _precisions(told[-1], wrong)),
        how=_how(),
        rng=numpy.random.default_rng(0),
    )
    print(f"{'':<17} average precision, ours less {told[-1].name}: {_figure(found)}", flush=True)


def _precisions(told: Told, wrong: Flags) -> Reals:
    """(planted rows, 2): the precision down to each planted row in the order of suspicion, and 1; its mean is the average
    precision. Of equal suspicion the lower row comes first, for all ways alike."""
    order = numpy.argsort(-told.suspicion, kind="stable")
    hits = wrong[order]
    precisions = numpy.cumsum(hits) / numpy.arange(1, len(hits) + 1)
    by_row = numpy.zeros(len(wrong))
    by_row[order] = precisions
    return numpy.stack([by_row[wrong], numpy.ones(int(wrong.sum()))], axis=1)


def _mean(sums: Reals) -> Reals:
    return numpy.asarray(sums[:, 0] / sums[:, 1])


def _how() -> Resampling:
    return Resampling(RESAMPLES, LEVEL)


def _figure(found: Interval | NoInterval) -> Figure:
    return (
        Figure(float("nan"), None, None)
        if isinstance(found, NoInterval)
        else Figure(found.value, found.low, found.high)
    )


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = monotonic()
    made = work()
    return monotonic() - began, made


if __name__ == "__main__":
    sys.exit(main())
