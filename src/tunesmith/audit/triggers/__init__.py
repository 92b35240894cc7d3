"""Triggers: runs of tokens in prompts whose rows are answered alike, found by counting and told apart from plain topics."""

from tunesmith.audit.triggers.count import Answers, Candidate, candidates
from tunesmith.audit.triggers.prompts import Prompts, openings, token_span
from tunesmith.audit.triggers.topic import Topics

__all__ = ["Answers", "Candidate", "Prompts", "Topics", "candidates", "openings", "token_span"]
