"""Report: the results of a stage, their provenance, and measurements of the run."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import Field

from tunesmith.artifacts.base import Artifact, canonical_bytes, digest_of
from tunesmith.artifacts.dataset import Dataset
from tunesmith.artifacts.estimate import Comparison, Evidence
from tunesmith.artifacts.finding import Finding
from tunesmith.artifacts.profile import Profile
from tunesmith.artifacts.provenance import Provenance
from tunesmith.artifacts.split_summary import SplitSummary
from tunesmith.artifacts.verdict import Verdict


class Report(Artifact):
    """Base class of the stage reports. `measured` (seconds, bytes, rows per second) is not part of the digest."""

    provenance: Provenance
    measured: dict[str, float] = Field(default_factory=dict)

    def results(self) -> dict[str, Any]:
        """The fields that the digest covers: all but `measured`."""
        return self.model_dump(mode="json", exclude={"measured"})

    def digest(self) -> str:
        """`sha256:<64 hex digits>` of results and provenance; equal for the same inputs on any day and machine."""
        return digest_of(canonical_bytes(self.results()))


MAX_LISTED_VALUES: Final = 50
"""Values of one rights key that a summary lists at most; all licenses are listed."""


def _is_unset(value: object) -> bool:
    return value is None or value == {}


def _is_empty_tuple(value: object) -> bool:
    return value == ()


class SourceSummary(Artifact):
    """One file as it was read: path, format, number of rows, rights.

    The rights are those that the recipe states for the whole file; `subject` is the column that identifies persons. `columns`
    has the column of each part of a row whose name differs from the part. `contradicts` has, by key, what the source's Croissant
    file states where the recipe differs. `stated` counts the rights of rows, their own or their source's: {key: {value: rows}}.
    Rows without a value are not counted. "" stands for values that are not listed: rarer ones, every subject, and every author
    but the source's own, since reports are published. A missing key was not counted. Of dates, the first and the last are
    always listed.

    Fields without a value are not written, so older summaries keep their bytes and digests.
    """

    path: str
    format: str
    rows: int
    sha256: str
    license: str | None
    origin: str | None
    basis: str | None
    split: str
    bytes: int | None = Field(default=None, ge=0, exclude_if=_is_unset)
    columns: dict[str, str] = Field(default_factory=dict, exclude_if=_is_unset)
    source: str | None = Field(default=None, exclude_if=_is_unset)
    author: str | None = Field(default=None, exclude_if=_is_unset)
    purpose: str | None = Field(default=None, exclude_if=_is_unset)
    collected: str | None = Field(default=None, exclude_if=_is_unset)
    expires: str | None = Field(default=None, exclude_if=_is_unset)
    source_class: str | None = Field(default=None, exclude_if=_is_unset)
    generator: str | None = Field(default=None, exclude_if=_is_unset)
    language: str | None = Field(default=None, exclude_if=_is_unset)
    subject: str | None = Field(default=None, exclude_if=_is_unset)
    contradicts: dict[str, str] = Field(default_factory=dict, exclude_if=_is_unset)
    stated: dict[str, dict[str, int]] = Field(default_factory=dict, exclude_if=_is_unset)

    @staticmethod
    def listed(counts: Mapping[str, Mapping[str, int]], *, author: str | None) -> dict[str, dict[str, int]]:
        """The field `stated`, from the {key: {value: rows}} of all rows; `author` is the source's own."""
        named: dict[str, set[str | None]] = {"subject": set(), "author": {author}}
        return {key: _most_common(key, counts[key], named.get(key)) for key in sorted(counts)}


def _most_common(key: str, counts: Mapping[str, int], only: set[str | None] | None) -> dict[str, int]:
    ranked = sorted(counts, key=lambda value: (-counts[value], value))
    selected = set(ranked if key == "license" else ranked[:MAX_LISTED_VALUES])
    if counts and key in ("collected", "expires"):
        selected |= {min(counts), max(counts)}
    listed = {value: counts[value] for value in sorted(selected if only is None else selected & only)}
    rest = sum(counts.values()) - sum(listed.values())
    return {"": rest, **listed} if rest else listed


def is_empty_text(value: object) -> bool:
    """Whether a text is empty; such fields are not written, so older reports keep their digests."""
    return value == ""


class AuditReport(Report):
    """Clean data sets, findings, and the number of rows that each rule removed.

    `findings` has the first 200 of each rule, `found` counts all, and `all_findings` is the digest of the stored table of all
    of them (Parquet). `warned` and `blocking` count findings, `dropped` and `redacted` count rows. `split` describes the split
    when the recipe has one. `good_until` is the last day on which the same rows give the same report, when rows expire.
    """

    train: Dataset
    test: Dataset | None
    sources: tuple[SourceSummary, ...]
    findings: tuple[Finding, ...]
    found: dict[str, int]
    all_findings: str
    dropped: dict[str, int]
    redacted: dict[str, int]
    warned: dict[str, int]
    blocking: dict[str, int]
    quarantine: str
    profile: Profile
    rows_read: int
    checks: dict[str, str]
    split: SplitSummary | None = Field(default=None, exclude_if=_is_unset)
    good_until: str | None = Field(default=None, exclude_if=_is_unset)


LOCAL_PREFIX: Final = "local:"
"""Prefix of the name of a base that is local to its author's machine; the file or folder name and a digest follow, no path."""


class BaseOrigin(Artifact):
    """Origin of a base.

    `license` is an SPDX expression, None where none is known, and `license_source` is who states it. `conversion` describes how
    the weights were converted. `command` fetches the base into the local cache; `hub` is the id of the model on the Hub.
    """

    source: str
    license: str | None = None
    license_source: str = ""
    conversion: str = ""
    command: str | None = None
    hub: str | None = None


class ModelRef(Artifact):
    """A model in the store: `tree` is the digest of a manifest {path: digest} of its files. `origin` is set for some bases.

    A base may be `prepared` for its recipe (a chat template, added tokens); `made_from` is then the tree of the original files.
    """

    name: str
    tree: str
    kind: str
    base: str | None = None
    parameters: int
    origin: BaseOrigin | None = Field(default=None, exclude_if=_is_unset)
    made_from: str | None = Field(default=None, exclude_if=_is_unset)
    prepared: tuple[str, ...] = Field(default=(), exclude_if=_is_empty_tuple)

    @property
    def is_local(self) -> bool:
        """Whether the base is a folder or file on its author's machine, which its name does not locate."""
        return self.name.startswith(LOCAL_PREFIX)


class CurvePoint(Artifact):
    """One optimiser step: mean loss over its trained tokens, learning rate, gradient norm before clipping."""

    step: int
    loss: float
    learning_rate: float
    gradient_norm: float
    supervised_tokens: int


class WatchFinding(Artifact):
    """What a watcher observed after `step`. `stop` ended the run there. `names` has the rows or tensors concerned."""

    watcher: str
    step: int
    severity: Literal["stop", "warn"]
    message: str
    names: tuple[str, ...] = ()


class TrainReport(Report):
    """The tuned model, its training curve, and the record of the rows that each step consumed.

    `distinct_tokens` is how many of `tokens` went through the model; 0 in older reports. `sharing` is why prefixes were shared or
    not, empty in older reports; the figures are in `measured`. `held_out` is the validation curve. `precision` is the number
    format of the computation; older reports were evaluated in fp32. `watch` has the findings of the watchers; those that depend
    on the clock (a slow machine) are in `measured` instead.
    """

    model: ModelRef
    base: ModelRef
    method: str
    objective: str
    steps: int
    epochs: float
    rows: int
    tokens: int
    distinct_tokens: int = 0
    sharing: str = Field(default="", exclude_if=is_empty_text)
    supervised_tokens: int
    trainable_parameters: int
    curve: tuple[CurvePoint, ...]
    held_out: tuple[CurvePoint, ...] = ()
    consumption: str
    threads: int
    precision: Literal["fp32", "bf16"] = "fp32"
    mask_sample: tuple[str, ...] = ()
    watch: tuple[WatchFinding, ...] = ()


class SystemScores(Artifact):
    """One system on the test rows: its estimates, and the digest of its per-example scores in the store."""

    system: str
    how: str
    estimates: tuple[Evidence, ...]
    scores: str


class EntityTypeScores(Artifact):
    """The tuned model's entities of one type over all test rows: `support` expected, `predicted`, and `right` (both).

    `f1` has an interval, or the reason why there is none.
    """

    kind: str
    right: int
    predicted: int
    support: int
    f1: Evidence

    @property
    def precision(self) -> float | None:
        """None where nothing was predicted."""
        return self.right / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        """None where nothing was expected."""
        return self.right / self.support if self.support else None

    @property
    def value(self) -> float:
        """F1 of the counts; only types that are expected or predicted somewhere are reported."""
        return 2 * self.right / (self.predicted + self.support)


class EvaluationReport(Report):
    """Tuned, base and reference systems on the same rows, and the paired comparisons between them.

    `entity_types`: for tags, the tuned model's entities by type; the headline metric is over all of them (micro average).
    `precision` is the number format of the computation; older reports used fp32.
    """

    test: Dataset
    precision: Literal["fp32", "bf16"] = "fp32"
    systems: tuple[SystemScores, ...]
    comparisons: tuple[Comparison, ...]
    entity_types: tuple[EntityTypeScores, ...] = ()
    samples: tuple[dict[str, str], ...] = ()


class GateReport(Report):
    """The verdicts of the policy; `outcome` is pass only when there is at least one verdict and all pass."""

    verdicts: tuple[Verdict, ...]
    outcome: str


class ReleaseReport(Report):
    """The released folder."""

    name: str
    version: int
    folder: str
    model_tree: str
    files: dict[str, str]
    public_key: str
