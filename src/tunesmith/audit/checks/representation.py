"""Representation: which groups of people the rows mention, and what is associated with them.

What it finds: in the training rows, fields (gender, religion, age, ethnicity) in which one group has more than `most` of at
least 50 mentions; labels at least `times` as frequent in rows that mention a group as in rows that do not, beyond chance
(Fisher's exact test, one-sided, Holm-corrected over all pairs); and the same for conversations that are refused, or whose
answers contain words of the toxicity lexicon. A pair's finding is at its first row.
Why it matters: from such counts a model learns that a label belongs to a group, or that a group must not be mentioned.
Limits: English terms, counted once per row. A mention is not an opinion, and an association may be what the labels mean.
Groups with fewer than `mentions` rows are skipped. Pronouns and names are not counted.
Reference: Fisher 1922; Holm 1979; Sheng et al. 2019, The Woman Worked as a Babysitter, arXiv:1909.01326; Monroe et al. 2008.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

import numpy
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute
from pydantic import Field
from scipy.stats import hypergeom

from tunesmith.artifacts import Action, Finding, Place
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, FINAL_PHASE
from tunesmith.audit.checks.label_error import labelled_rows, quote_label
from tunesmith.audit.checks.toxicity import ToxicWords, group_masks
from tunesmith.detect.lexicons import IDENTITIES, starts_with_refusal
from tunesmith.stats.multiplicity import holm

Marks: TypeAlias = NDArray[numpy.bool_]
IDENTITY_FIELDS: Final = ("gender", "religion", "age", "ethnicity")
"""Fields whose groups are compared with each other; in other fields the majority group is usually not named."""

MIN_FIELD_MENTIONS: Final = 50
MAX_LABELS: Final = 1000
"""Maximum number of labels examined, most frequent first; rarer ones carry no evidence."""


@dataclass(frozen=True)
class Refusals:
    """Whether a completion refuses the request."""

    id: ClassVar[str] = "refusals"
    version: ClassVar[str] = "1"
    of: ClassVar[Literal["rows", "messages"]] = "rows"
    columns: ClassVar[tuple[str, ...]] = ("completion",)
    kind: ClassVar[pa.DataType] = pa.bool_()

    def values(self, *columns: pa.Array) -> pa.Array:
        return starts_with_refusal(compute.fill_null(columns[0], ""))


@dataclass(frozen=True)
class _GroupOutcome:
    """A group (bit number) and an outcome: rows with both, with the group, with the outcome, in all; first row with both."""

    group: int
    outcome: str
    both: int
    named: int
    total: int
    rows: int
    first: int

    def times(self) -> float:
        """Frequency of the outcome with the group relative to without it; infinite if it occurs only with the group."""
        elsewhere = (self.total - self.both) / max(self.rows - self.named, 1)
        return self.both / self.named / elsewhere if elsewhere else numpy.inf


@CHECKS.register
@dataclass(frozen=True)
class Representation:
    """Runs in the final phase, on the remaining training rows."""

    id: ClassVar[str] = "representation"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "warn")
    phase: ClassVar[int] = FINAL_PHASE

    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    mentions: Annotated[int, Field(ge=5)] = 20
    most: Annotated[float, Field(gt=0.5, lt=1)] = 0.8
    times: Annotated[float, Field(ge=1)] = 1.5
    task: str = "chat"
    labels_are: str = "single"

    def examine(self, corpus: AuditTable) -> list[Finding]:
        rows = _rows_with_marks(corpus)
        train = rows.filter(compute.equal(rows.column("split"), "train"))
        if not compute.any(compute.not_equal(train.column("mask"), 0)).as_py():
            return []
        lines = labelled_rows(train, self.task, self.labels_are)
        conversations = train.filter(
            compute.invert(compute.is_in(train.column("row"), value_set=lines.column("row").combine_chunks()))
        )
        pairs = [
            *self._pairs(lines, _label_outcomes(lines)),
            *self._pairs(conversations, _answer_outcomes(conversations)),
        ]
        return [*self._field_findings(train), *self._association_findings(corpus, pairs)]

    def _field_findings(self, train: pa.Table) -> Iterator[Finding]:
        """One finding per field in which one group dominates."""
        masks = train.column("mask").to_numpy()
        for name in IDENTITY_FIELDS:
            bits = [bit for bit, identity in enumerate(IDENTITIES) if identity.id.startswith(f"{name}:")]
            counts = {IDENTITIES[bit].id.partition(":")[2]: int(((masks >> bit) & 1).sum()) for bit in bits}
            total, largest = sum(counts.values()), max(counts, key=lambda group: counts[group])
            if total >= MIN_FIELD_MENTIONS and counts[largest] > self.most * total:
                first = int(numpy.flatnonzero(masks & sum(1 << bit for bit in bits))[0])
                group_counts = ", ".join(f"{group} {count}" for group, count in counts.items())
                reason = (
                    f"{name}: {counts[largest] / total:.0%} of the mentions are of {largest} (rows: {group_counts})"
                )
                place = Place(row_id="", file=train.column("file")[first].as_py(), line=0)
                yield Finding(rule=self.id, severity="info", action=self.default_action, place=place, reason=reason)

    def _pairs(self, lines: pa.Table, outcomes: Mapping[str, Marks]) -> Iterator[_GroupOutcome]:
        """Every group with enough mentions, paired with every outcome."""
        masks, rows = lines.column("mask").to_numpy(), lines.column("row").to_numpy()
        for group in range(len(IDENTITIES)):
            named = (masks >> group) & 1 == 1
            if named.sum() < self.mentions:
                continue
            for outcome, marks in outcomes.items():
                both = numpy.flatnonzero(named & marks)
                first = int(rows[both[0]]) if len(both) else -1
                yield _GroupOutcome(group, outcome, len(both), int(named.sum()), int(marks.sum()), len(rows), first)

    def _association_findings(self, corpus: AuditTable, pairs: list[_GroupOutcome]) -> Iterator[Finding]:
        if not pairs:
            return
        columns = numpy.array([(pair.both - 1, pair.rows, pair.total, pair.named) for pair in pairs]).T
        p_values = numpy.clip(hypergeom.sf(*columns), 0.0, 1.0)
        for pair, p_value in zip(pairs, holm(p_values.tolist()), strict=True):
            if p_value < 1 - self.level and pair.both > 0 and pair.times() >= self.times:
                times = (
                    f"{pair.times():.1f} times as often as elsewhere"
                    if numpy.isfinite(pair.times())
                    else "and nowhere else"
                )
                reason = (
                    f"{pair.outcome}: on {pair.both} of the {pair.named} rows that mention {IDENTITIES[pair.group].id}, {times} "
                    f"({pair.total - pair.both} of {pair.rows - pair.named})"
                )
                yield corpus.finding(self, pair.first, reason, severity="info")


def _rows_with_marks(corpus: AuditTable) -> pa.Table:
    """The rows with `mask` (groups mentioned), `refused` and `toxic` (an answer contains words of the lexicon)."""
    parts, rows = corpus.messages, numpy.asarray(corpus.rows.column("row"))
    toxic = numpy.zeros(int(rows.max(initial=-1)) + 1, dtype=bool)
    hits = numpy.asarray(corpus.values(ToxicWords()).is_valid())
    answers = numpy.asarray(compute.fill_null(compute.equal(parts.column("role"), "assistant"), False))
    toxic[numpy.asarray(parts.column("row"))[hits & answers]] = True
    table = corpus.rows.select(["row", "split", "file", "label", "completion"])
    table = table.append_column("mask", pa.array(group_masks(corpus))).append_column("toxic", pa.array(toxic[rows]))
    return table.append_column("refused", corpus.values(Refusals()))


def _label_outcomes(lines: pa.Table) -> dict[str, Marks]:
    coded = lines.column("label").combine_chunks().dictionary_encode()
    codes, labels = numpy.asarray(coded.indices), coded.dictionary.to_pylist()
    counts = numpy.bincount(codes, minlength=len(labels))
    common = sorted(range(len(labels)), key=lambda code: (-counts[code], labels[code]))[:MAX_LABELS]
    return {f"the label {quote_label(labels[code])}": codes == code for code in common} if len(labels) > 1 else {}


def _answer_outcomes(talk: pa.Table) -> dict[str, Marks]:
    names = {"answers that refuse": "refused", "answers with toxic words": "toxic"}
    return {name: numpy.asarray(talk.column(column)).astype(bool) for name, column in names.items()}
