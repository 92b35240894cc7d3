"""Trigger candidates: token runs in prompts whose rows get the same answer, separated from ordinary topics."""

from tunesmith.audit.triggers.count import RowOpenings, TriggerCandidate, find_candidates
from tunesmith.audit.triggers.prompts import PromptTokens, answer_openings, token_span
from tunesmith.audit.triggers.topic import PromptTopics

__all__ = [
    "RowOpenings",
    "TriggerCandidate",
    "PromptTokens",
    "PromptTopics",
    "find_candidates",
    "answer_openings",
    "token_span",
]
