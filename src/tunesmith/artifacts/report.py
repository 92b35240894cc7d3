"""Report: what a stage found, what it was made from, and what was measured on the way."""

from typing import Any, Literal

from pydantic import Field

from tunesmith.artifacts.base import Artifact, canonical_bytes, digest_of
from tunesmith.artifacts.dataset import Dataset
from tunesmith.artifacts.estimate import Comparison, Evidence
from tunesmith.artifacts.finding import Finding
from tunesmith.artifacts.provenance import Provenance
from tunesmith.artifacts.verdict import Verdict


class Report(Artifact):
    """Base of the stage reports. `measured` (seconds, bytes, rows a second) is outside the digest."""

    provenance: Provenance
    measured: dict[str, float] = Field(default_factory=dict)

    def results(self) -> dict[str, Any]:
        """Everything the digest covers: all fields but `measured`."""
        return self.model_dump(mode="json", exclude={"measured"})

    def digest(self) -> str:
        """`sha256:<64 hex>` over results and provenance; equal for the same inputs on any day and machine."""
        return digest_of(canonical_bytes(self.results()))


class SourceSummary(Artifact):
    """One file as it was read: where, which format, how many rows, under which rights."""

    path: str
    format: str
    rows: int
    sha256: str
    license: str | None
    origin: str | None
    basis: str | None
    split: str


class AuditReport(Report):
    """Clean data sets, findings, and how many rows each rule took out."""

    train: Dataset
    test: Dataset | None
    sources: tuple[SourceSummary, ...]
    findings: tuple[Finding, ...]
    dropped: dict[str, int]
    redacted: dict[str, int]
    warned: dict[str, int]
    quarantine: str
    rows_read: int
    checks: dict[str, str]


class ModelRef(Artifact):
    """A model in the store: `tree` is the digest of a manifest {path: digest} of its files."""

    name: str
    tree: str
    kind: str
    base: str | None = None
    parameters: int


class CurvePoint(Artifact):
    """One optimiser step: mean loss over its supervised tokens, learning rate, gradient norm before clipping."""

    step: int
    loss: float
    learning_rate: float
    gradient_norm: float
    supervised_tokens: int


class WatchFinding(Artifact):
    """What a watcher saw after `step`. `stop` ended the run there. `names` has the rows or tensors that it is about."""

    watcher: str
    step: int
    severity: Literal["stop", "warn"]
    message: str
    names: tuple[str, ...] = ()


class TrainReport(Report):
    """The model, how it was reached, and the record of the rows that each step consumed.

    `distinct_tokens` is how many of `tokens` went through the trunk; 0 in reports from before it was counted. `watch` has
    what the watchers saw; what depends on the clock (a slow machine) is in `measured` instead.
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
    supervised_tokens: int
    trainable_parameters: int
    curve: tuple[CurvePoint, ...]
    held_out: tuple[CurvePoint, ...] = ()
    consumption: str
    threads: int
    mask_sample: tuple[str, ...] = ()
    watch: tuple[WatchFinding, ...] = ()


class SystemScores(Artifact):
    """One system on the test rows: its estimates, and the digest of its per-example scores in the store."""

    system: str
    how: str
    estimates: tuple[Evidence, ...]
    scores: str


class EvaluationReport(Report):
    """Tuned, base and reference systems on the same rows, and the paired comparisons between them."""

    test: Dataset
    systems: tuple[SystemScores, ...]
    comparisons: tuple[Comparison, ...]
    samples: tuple[dict[str, str], ...] = ()


class GateReport(Report):
    """The policy's verdicts; `outcome` is pass only when there is at least one verdict and all of them pass."""

    verdicts: tuple[Verdict, ...]
    outcome: str


class ReleaseReport(Report):
    """The folder that leaves the house."""

    name: str
    version: int
    folder: str
    model_tree: str
    files: dict[str, str]
    public_key: str
