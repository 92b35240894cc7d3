"""Triggers: runs of tokens in prompts whose rows are answered alike, found by counting and told apart from plain topics."""

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
