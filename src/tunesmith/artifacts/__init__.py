"""The nouns that travel between stages: immutable, content-addressed, versioned."""

from tunesmith.artifacts.base import Artifact, canonical_bytes, digest_of
from tunesmith.artifacts.dataset import Dataset
from tunesmith.artifacts.estimate import Comparison, Estimate, Evidence, Insufficient
from tunesmith.artifacts.example import Example, Media, Message, Part, Rights, Role, Row, Text, message
from tunesmith.artifacts.finding import Action, Finding, Place, Severity, Span
from tunesmith.artifacts.provenance import Provenance
from tunesmith.artifacts.report import (
    AuditReport,
    CurvePoint,
    EvaluationReport,
    GateReport,
    ModelRef,
    ReleaseReport,
    Report,
    SourceSummary,
    SystemScores,
    TrainReport,
)
from tunesmith.artifacts.score import Score
from tunesmith.artifacts.verdict import Outcome, Verdict

__all__ = [
    "Action",
    "Artifact",
    "AuditReport",
    "Comparison",
    "CurvePoint",
    "Dataset",
    "Estimate",
    "EvaluationReport",
    "Evidence",
    "Example",
    "Finding",
    "GateReport",
    "Insufficient",
    "Media",
    "Message",
    "ModelRef",
    "Outcome",
    "Part",
    "Place",
    "Provenance",
    "ReleaseReport",
    "Report",
    "Rights",
    "Role",
    "Row",
    "Score",
    "Severity",
    "SourceSummary",
    "Span",
    "SystemScores",
    "Text",
    "TrainReport",
    "Verdict",
    "canonical_bytes",
    "digest_of",
    "message",
]
