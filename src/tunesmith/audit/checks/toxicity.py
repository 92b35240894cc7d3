"""Toxicity: harmful words and phrases, for a person to review.

What it finds: threats, encouragement of self-harm, slurs by group, sexual content and insults, using a lexicon of our own
(English, with a small set of German, Spanish and French) whose entries list contexts in which they are harmless. A finding is
triage, not a verdict. With `model` (and the `sha256` of its weights) a local text classifier also reads every message. For
information, one finding per file and group of people: rows that mention the group are flagged more or less often than rows that
mention none, beyond chance (Fisher's exact test, Holm-corrected over groups).
Why it matters: a model repeats the tone of its rows, and a filter that flags every mention of a group removes that group from
the data.
Limits: lexicons see words, not intent: irony, coded language, spaced-out spelling and unlisted words are missed, and in-group
speech, fiction and history are flagged. In prompts, which the model does not learn to produce, hits are at most warnings.
Identity terms are English. The classifier's own error rates are not measured here.
Reference: Dixon et al. 2018, Measuring and mitigating unintended bias in text classification, AIES; Röttger et al. 2021,
HateCheck, arXiv:2012.15606.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

import numpy
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute
from pydantic import Field
from scipy.stats import fisher_exact

from tunesmith.artifacts import Action, Finding, Place, Severity, Span
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, ROW_PHASE
from tunesmith.detect.lexicons import IDENTITIES, TOXIC_ENTRIES, find_toxic_terms, mentioned_identities, toxic_gate
from tunesmith.detect.lexicons.classifier import ToxicityClassifier, load_local_classifier
from tunesmith.stats.interval import Interval
from tunesmith.stats.multiplicity import holm
from tunesmith.stats.wilson import wilson

Masks: TypeAlias = NDArray[numpy.int64]
Marks: TypeAlias = NDArray[numpy.bool_]
TRAINED_ROLES: Final = ("assistant", None)
"""Roles whose text the model learns to produce; None is a text without turns."""


@dataclass(frozen=True)
class ToxicWords:
    """Start, end and lexicon entry of every hit of a message, as numbers separated by spaces; null without any.

    A text column costs the engine a fifth of a list column.
    """

    id: ClassVar[str] = "toxic-words"
    version: ClassVar[str] = "1"
    of: ClassVar[Literal["rows", "messages"]] = "messages"
    columns: ClassVar[tuple[str, ...]] = ("text",)
    kind: ClassVar[pa.DataType] = pa.string()

    def values(self, *columns: pa.Array) -> pa.Array:
        texts = columns[0]
        lines = numpy.flatnonzero(numpy.asarray(compute.match_substring_regex(texts, toxic_gate())))
        encoded: list[str | None] = [None] * len(texts)
        for line in lines.tolist():
            hits = find_toxic_terms(texts[line].as_py())
            encoded[line] = " ".join(f"{start} {end} {entry}" for start, end, entry in hits) or None
        return pa.array(encoded, type=self.kind)


@dataclass(frozen=True)
class Mentions:
    """Bit mask of the groups of people that a message mentions, by position in IDENTITIES."""

    id: ClassVar[str] = "mentions"
    version: ClassVar[str] = "1"
    of: ClassVar[Literal["rows", "messages"]] = "messages"
    columns: ClassVar[tuple[str, ...]] = ("text",)
    kind: ClassVar[pa.DataType] = pa.int64()

    def values(self, *columns: pa.Array) -> pa.Array:
        return mentioned_identities(columns[0])


@CHECKS.register
@dataclass(frozen=True)
class Toxicity:
    """One finding per row with all spans, and the comparison of groups of people.

    `model` is looked up in `roots`, in order: the data root, then the recipe's folder.
    """

    id: ClassVar[str] = "toxicity"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    phase: ClassVar[int] = ROW_PHASE

    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    mentions: Annotated[int, Field(ge=5)] = 20
    model: str | None = None
    sha256: str | None = None
    labels: tuple[str, ...] = ("toxic", "toxicity", "hate", "offensive")
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    roots: tuple[Path, ...] = field(default=(), repr=False)

    def examine(self, corpus: AuditTable) -> list[Finding]:
        spans, scores = self._spans(corpus), self._scores(corpus)
        flagged = sorted({*spans, *scores})
        rows = [self._row_finding(corpus, row, spans.get(row, []), scores.get(row)) for row in flagged]
        return [*rows, *self._group_findings(corpus, flagged)]

    def _spans(self, corpus: AuditTable) -> dict[int, list[tuple[Severity, Span]]]:
        """Hits by row with their severities, which depend on the message's role."""
        hits = corpus.values(ToxicWords())
        lines = pa.array(numpy.flatnonzero(numpy.asarray(hits.is_valid())), type=pa.int64())
        messages = corpus.messages.select(["row", "message", "role"]).take(lines).to_pylist()
        spans: dict[int, list[tuple[Severity, Span]]] = {}
        for message, numbers in zip(messages, hits.take(lines).to_pylist(), strict=True):
            for start, end, entry in zip(*[map(int, numbers.split())] * 3, strict=True):
                severity: Severity = TOXIC_ENTRIES[entry].severity if message["role"] in TRAINED_ROLES else "warning"
                span = Span(message=message["message"], start=start, end=end, kind=TOXIC_ENTRIES[entry].kind)
                spans.setdefault(message["row"], []).append((severity, span))
        return spans

    def _scores(self, corpus: AuditTable) -> dict[int, float]:
        """The classifier's highest score of each row at or above the threshold; empty without a model."""
        if self.model is None:
            return {}
        folder = _resolve_model(self.roots or (Path(),), self.model)
        classifier = load_local_classifier(str(folder), sha256=self.sha256, labels=self.labels)
        parts = corpus.messages.filter(
            compute.fill_null(compute.not_equal(corpus.messages.column("role"), "system"), True)
        )
        scores: dict[int, float] = {}
        for row, score in zip(
            parts.column("row").to_pylist(), _classifier_scores(classifier, parts.column("text")), strict=True
        ):
            if score >= self.threshold:
                scores[row] = max(score, scores.get(row, 0.0))
        return scores

    def _row_finding(
        self, corpus: AuditTable, row: int, hits: list[tuple[Severity, Span]], score: float | None
    ) -> Finding:
        counts = Counter(span.kind for _, span in hits)
        reasons = [f"{kind.replace(':', ' against ')} ({count})" for kind, count in sorted(counts.items())]
        reasons += [] if score is None else [f"the classifier says {score:.2f}"]
        severity: Severity = "error" if any(grave == "error" for grave, _ in hits) else "warning"
        spans = tuple(span for _, span in hits)
        reason = f"to be judged by a person, not a verdict: {', '.join(reasons)}"
        return corpus.finding(self, row, reason, severity=severity, spans=spans)

    def _group_findings(self, corpus: AuditTable, flagged: Sequence[int]) -> Iterator[Finding]:
        """One finding per file and group whose rows are flagged at a different rate than rows that mention no group."""
        masks = group_masks(corpus)
        toxic = numpy.isin(numpy.asarray(corpus.rows.column("row")), numpy.array(flagged, dtype=numpy.int64))
        files = corpus.rows.column("file").combine_chunks().dictionary_encode()
        codes = numpy.asarray(files.indices)
        for code, file in enumerate(files.dictionary.to_pylist()):
            in_file = codes == code
            for group, reason in self._group_differences(masks[in_file], toxic[in_file]):
                yield Finding(
                    rule=self.id,
                    severity="info",
                    action=self.default_action,
                    place=Place(row_id="", file=file, line=0),
                    reason=f"rows that mention {group} are flagged {reason}",
                )

    def _group_differences(self, masks: Masks, toxic: Marks) -> Iterator[tuple[str, str]]:
        """(group, comparison of rates) for groups that differ from rows without a group beyond chance."""
        no_group = masks == 0
        base = (int(toxic[no_group].sum()), int(no_group.sum()))
        mentioning = [(masks >> bit) & 1 == 1 for bit in range(len(IDENTITIES))]
        counts_by_group = [
            (identity.id, (int(toxic[lines].sum()), int(lines.sum())))
            for identity, lines in zip(IDENTITIES, mentioning, strict=True)
        ]
        counts_by_group = [entry for entry in counts_by_group if min(entry[1][1], base[1]) >= self.mentions]
        for (group, counts), p_value in zip(
            counts_by_group, holm([_fisher_p_value(counts, base) for _, counts in counts_by_group]), strict=True
        ):
            if p_value < 1 - self.level:
                yield group, _compare_rates(counts, base, self.level)


def group_masks(corpus: AuditTable) -> Masks:
    """For each row, the bit mask of groups that its messages mention; system turns are ignored."""
    rows, messages = numpy.asarray(corpus.rows.column("row")), corpus.messages
    not_system = numpy.asarray(compute.fill_null(compute.not_equal(messages.column("role"), "system"), True))
    masks: Masks = numpy.zeros(int(rows.max(initial=-1)) + 1, dtype=numpy.int64)
    numpy.bitwise_or.at(
        masks, numpy.asarray(messages.column("row"))[not_system], numpy.asarray(corpus.values(Mentions()))[not_system]
    )
    row_masks: Masks = masks[rows]
    return row_masks


def _resolve_model(roots: Sequence[Path], path: str) -> Path:
    """The path under the first root where it exists, otherwise under the last root."""
    return next((root / path for root in roots if (root / path).exists()), roots[-1] / path)


def _classifier_scores(classifier: ToxicityClassifier, texts: pa.ChunkedArray, batch: int = 32) -> Iterable[float]:
    for start in range(0, len(texts), batch):
        yield from classifier.scores(texts.slice(start, batch).to_pylist())


def _fisher_p_value(counts: tuple[int, int], base: tuple[int, int]) -> float:
    table = [[counts[0], counts[1] - counts[0]], [base[0], base[1] - base[0]]]
    return min(1.0, float(fisher_exact(table).pvalue))


def _compare_rates(counts: tuple[int, int], base: tuple[int, int], level: float) -> str:
    """Both rates with their intervals, and their ratio."""
    ratio = "" if base[0] == 0 else f"{counts[0] / counts[1] / (base[0] / base[1]):.1f} times as often as"
    ratio = ratio or "while none is of"
    return (
        f"{_rate_with_interval(counts, level)}, {ratio} those that mention no group, {_rate_with_interval(base, level)}"
    )


def _rate_with_interval(counts: tuple[int, int], level: float) -> str:
    interval = wilson(*counts, level=level)
    bounds = f" [{interval.low:.1%}, {interval.high:.1%}]" if isinstance(interval, Interval) else ""
    return f"{counts[0]} of {counts[1]}{bounds}"
