"""Prompt injection: instructions to a model hidden in texts that it reads, and requests against its system prompt."""

from tunesmith.detect.injection.rule import SEVERE_KINDS
from tunesmith.detect.injection.scan import Injection, find_injections, scan_injections
from tunesmith.detect.injection.system_prompt_attacks import find_system_prompt_attacks, scan_system_prompt_attacks

__all__ = [
    "SEVERE_KINDS",
    "Injection",
    "find_system_prompt_attacks",
    "find_injections",
    "scan_injections",
    "scan_system_prompt_attacks",
]
