"""Toxicity: words and phrases that hurt, for a person to judge.

What it finds: threats, encouragement to self-harm, slurs by group, sexual content and insults, by a lexicon of our own
(English; a small set of German, Spanish and French) whose entries know contexts in which they are clean. A finding is
triage, not a verdict. With `model` (and the `sha256` of its weights) a local text classifier reads every message as well.
One finding a file and group of people is for information: rows that mention the group are flagged more or less often than
rows that mention none, beyond chance (Fisher's exact test, Holm over groups).
Why it matters: a model repeats the tone of its rows; and a filter that flags a group for being named takes it out of the
data.
Limits: lists see words, not intent: irony, codes, spelled-out letters and unlisted words are missed, and in-group speech,
fiction and history are flagged. In prompts, where the model does not learn to say them, hits are warnings at most.
Identity terms are English. The classifier's own errors are not known here.
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
"""Roles whose text the model learns to say; None is a text without turns."""


@dataclass(frozen=True)
class ToxicWords:
    """For each message start, end and entry of every hit, as numbers a space apart; null without one.

    A text column costs the engine a fifth of what a column of lists does.
    """

    id: ClassVar[str] = "toxic-words"
    version: ClassVar[str] = "1"
    of: ClassVar[Literal["rows", "parts"]] = "parts"
    columns: ClassVar[tuple[str, ...]] = ("text",)
    kind: ClassVar[pa.DataType] = pa.string()

    def values(self, *columns: pa.Array) -> pa.Array:
        texts = columns[0]
        lines = numpy.flatnonzero(numpy.asarray(compute.match_substring_regex(texts, toxic_gate())))
        read: list[str | None] = [None] * len(texts)
        for line in lines.tolist():
            hits = find_toxic_terms(texts[line].as_py())
            read[line] = " ".join(f"{start} {end} {entry}" for start, end, entry in hits) or None
        return pa.array(read, type=self.kind)


@dataclass(frozen=True)
class Mentions:
    """For each message a bit mask of the groups of people it mentions, by place in IDENTITIES."""

    id: ClassVar[str] = "mentions"
    version: ClassVar[str] = "1"
    of: ClassVar[Literal["rows", "parts"]] = "parts"
    columns: ClassVar[tuple[str, ...]] = ("text",)
    kind: ClassVar[pa.DataType] = pa.int64()

    def values(self, *columns: pa.Array) -> pa.Array:
        return mentioned_identities(columns[0])


@CHECKS.register
@dataclass(frozen=True)
class Toxicity:
    """One finding a row with every span, and the report on terms for groups of people.

    `model` is looked for below the first of `roots` that has it: the data root and the recipe's folder.
    """

    id: ClassVar[str] = "toxicity"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    turn: ClassVar[int] = ROW_PHASE

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
        rows = [self._row(corpus, row, spans.get(row, []), scores.get(row)) for row in flagged]
        return [*rows, *self._report(corpus, flagged)]

    def _spans(self, corpus: AuditTable) -> dict[int, list[tuple[Severity, Span]]]:
        """Hits by row, each with how grave it is where it stands."""
        hits = corpus.values(ToxicWords())
        lines = pa.array(numpy.flatnonzero(numpy.asarray(hits.is_valid())), type=pa.int64())
        some = corpus.parts.select(["row", "message", "role"]).take(lines).to_pylist()
        spans: dict[int, list[tuple[Severity, Span]]] = {}
        for part, numbers in zip(some, hits.take(lines).to_pylist(), strict=True):
            for start, end, entry in zip(*[map(int, numbers.split())] * 3, strict=True):
                severity: Severity = TOXIC_ENTRIES[entry].severity if part["role"] in TRAINED_ROLES else "warning"
                span = Span(message=part["message"], start=start, end=end, kind=TOXIC_ENTRIES[entry].kind)
                spans.setdefault(part["row"], []).append((severity, span))
        return spans

    def _scores(self, corpus: AuditTable) -> dict[int, float]:
        """The classifier's highest score by row, for rows at or above the threshold; none without a model."""
        if self.model is None:
            return {}
        folder = _resolve_model(self.roots or (Path(),), self.model)
        classifier = load_local_classifier(str(folder), sha256=self.sha256, labels=self.labels)
        parts = corpus.parts.filter(compute.fill_null(compute.not_equal(corpus.parts.column("role"), "system"), True))
        scores: dict[int, float] = {}
        for row, score in zip(
            parts.column("row").to_pylist(), _classifier_scores(classifier, parts.column("text")), strict=True
        ):
            if score >= self.threshold:
                scores[row] = max(score, scores.get(row, 0.0))
        return scores

    def _row(self, corpus: AuditTable, row: int, hits: list[tuple[Severity, Span]], score: float | None) -> Finding:
        counts = Counter(span.kind for _, span in hits)
        reasons = [f"{kind.replace(':', ' against ')} ({count})" for kind, count in sorted(counts.items())]
        reasons += [] if score is None else [f"the classifier says {score:.2f}"]
        severity: Severity = "error" if any(grave == "error" for grave, _ in hits) else "warning"
        spans = tuple(span for _, span in hits)
        reason = f"to be judged by a person, not a verdict: {', '.join(reasons)}"
        return corpus.finding(self, row, reason, severity=severity, spans=spans)

    def _report(self, corpus: AuditTable, flagged: Sequence[int]) -> Iterator[Finding]:
        """One finding a file and group whose rows are flagged at another rate than rows that mention no group."""
        masks = group_masks(corpus)
        toxic = numpy.isin(numpy.asarray(corpus.table.column("row")), numpy.array(flagged, dtype=numpy.int64))
        files = corpus.table.column("file").combine_chunks().dictionary_encode()
        codes = numpy.asarray(files.indices)
        for code, file in enumerate(files.dictionary.to_pylist()):
            here = codes == code
            for group, reason in self._groups(masks[here], toxic[here]):
                yield Finding(
                    rule=self.id,
                    severity="info",
                    action=self.default_action,
                    place=Place(row_id="", file=file, line=0),
                    reason=f"rows that mention {group} are flagged {reason}",
                )

    def _groups(self, masks: Masks, toxic: Marks) -> Iterator[tuple[str, str]]:
        """(group, how often it is flagged beside the rest) for groups set apart beyond chance."""
        none = masks == 0
        base = (int(toxic[none].sum()), int(none.sum()))
        named = [(masks >> bit) & 1 == 1 for bit in range(len(IDENTITIES))]
        counted = [
            (identity.id, (int(toxic[lines].sum()), int(lines.sum())))
            for identity, lines in zip(IDENTITIES, named, strict=True)
        ]
        counted = [one for one in counted if min(one[1][1], base[1]) >= self.mentions]
        for (group, counts), p in zip(
            counted, holm([_fisher_p_value(counts, base) for _, counts in counted]), strict=True
        ):
            if p < 1 - self.level:
                yield group, _compare_rates(counts, base, self.level)


def group_masks(corpus: AuditTable) -> Masks:
    """For each line of the table the groups of people that its messages mention; system turns are not read."""
    rows, parts = numpy.asarray(corpus.table.column("row")), corpus.parts
    said = numpy.asarray(compute.fill_null(compute.not_equal(parts.column("role"), "system"), True))
    masks: Masks = numpy.zeros(int(rows.max(initial=-1)) + 1, dtype=numpy.int64)
    numpy.bitwise_or.at(masks, numpy.asarray(parts.column("row"))[said], numpy.asarray(corpus.values(Mentions()))[said])
    found: Masks = masks[rows]
    return found


def _resolve_model(roots: Sequence[Path], path: str) -> Path:
    """The path below the first root where it leads to something, else below the last."""
    return next((root / path for root in roots if (root / path).exists()), roots[-1] / path)


def _classifier_scores(classifier: ToxicityClassifier, texts: pa.ChunkedArray, batch: int = 32) -> Iterable[float]:
    for start in range(0, len(texts), batch):
        yield from classifier.scores(texts.slice(start, batch).to_pylist())


def _fisher_p_value(one: tuple[int, int], other: tuple[int, int]) -> float:
    table = [[one[0], one[1] - one[0]], [other[0], other[1] - other[0]]]
    return min(1.0, float(fisher_exact(table).pvalue))


def _compare_rates(one: tuple[int, int], base: tuple[int, int], level: float) -> str:
    """Both rates with their intervals, and the ratio of the two."""
    ratio = "" if base[0] == 0 else f"{one[0] / one[1] / (base[0] / base[1]):.1f} times as often as"
    ratio = ratio or "while none is of"
    return f"{_rate_with_interval(one, level)}, {ratio} those that mention no group, {_rate_with_interval(base, level)}"


def _rate_with_interval(counts: tuple[int, int], level: float) -> str:
    made = wilson(*counts, level=level)
    shown = f" [{made.low:.1%}, {made.high:.1%}]" if isinstance(made, Interval) else ""
    return f"{counts[0]} of {counts[1]}{shown}"
