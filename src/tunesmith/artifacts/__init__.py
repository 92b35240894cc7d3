"""Values that stages pass to each other and store: immutable, content-addressed, versioned."""

from tunesmith.artifacts.base import Artifact, canonical_bytes, digest_of
from tunesmith.artifacts.dataset import Dataset
from tunesmith.artifacts.estimate import Comparison, Estimate, Evidence, Insufficient
from tunesmith.artifacts.example import (
    ContentPart,
    Example,
    Media,
    Message,
    Rights,
    Role,
    Row,
    SourceClass,
    Text,
    message,
)
from tunesmith.artifacts.finding import ACTION_WORDING, Action, Finding, Place, Severity, Span
from tunesmith.artifacts.lengths import Bin, Lengths
from tunesmith.artifacts.preview import (
    FixedMemory,
    RatePoint,
    RateSearch,
    RejectedRow,
    ShownRow,
    TrainPreview,
    WeightedText,
)
from tunesmith.artifacts.profile import Profile, SplitProfile
from tunesmith.artifacts.provenance import Provenance
from tunesmith.artifacts.report import (
    AuditReport,
    BaseOrigin,
    CurvePoint,
    EntityTypeScores,
    EvaluationReport,
    GateReport,
    ModelRef,
    ReleaseReport,
    Report,
    SourceSummary,
    SystemScores,
    TrainReport,
    WatchFinding,
)
from tunesmith.artifacts.score import Score
from tunesmith.artifacts.split_summary import SplitSummary
from tunesmith.artifacts.verdict import Outcome, Verdict

__all__ = [
    "ACTION_WORDING",
    "Action",
    "Artifact",
    "AuditReport",
    "BaseOrigin",
    "Bin",
    "Comparison",
    "CurvePoint",
    "Dataset",
    "Estimate",
    "EntityTypeScores",
    "EvaluationReport",
    "Evidence",
    "Example",
    "Finding",
    "FixedMemory",
    "GateReport",
    "Insufficient",
    "Lengths",
    "Media",
    "Message",
    "ModelRef",
    "Outcome",
    "ContentPart",
    "WeightedText",
    "Place",
    "Profile",
    "Provenance",
    "RatePoint",
    "RateSearch",
    "RejectedRow",
    "ReleaseReport",
    "Report",
    "Rights",
    "Role",
    "Row",
    "Score",
    "Severity",
    "ShownRow",
    "SourceClass",
    "SourceSummary",
    "Span",
    "SplitProfile",
    "SplitSummary",
    "SystemScores",
    "Text",
    "TrainPreview",
    "TrainReport",
    "Verdict",
    "WatchFinding",
    "canonical_bytes",
    "digest_of",
    "message",
]
