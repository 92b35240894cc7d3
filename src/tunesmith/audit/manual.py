"""The manual page of a check, read from the docstring of its module."""

import inspect
import re
import sys
from dataclasses import dataclass
from functools import cache
from typing import Final

from tunesmith.audit.check import check_class, check_ids

SECTIONS: Final = {
    "What it finds": "finds",
    "Why it matters": "matters",
    "What to do": "advice",
    "Limits": "limits",
    "Reference": "reference",
}
_HEADING: Final = re.compile(rf"^({'|'.join(SECTIONS)}): ", re.MULTILINE)


@dataclass(frozen=True)
class Manual:
    """`title` is what the page begins with, `text` the whole page; a section that is not there is empty.

    "What to do" is a section that a page may have.
    """

    title: str
    text: str = ""
    finds: str = ""
    matters: str = ""
    advice: str = ""
    limits: str = ""
    reference: str = ""


@cache
def manual(rule: str) -> Manual:
    """The page of a rule; one that is no check (no training row is left) has its name for a title and nothing else."""
    if rule not in check_ids():
        return Manual(rule.replace("-", " ").capitalize())
    text = inspect.cleandoc(sys.modules[check_class(rule).__module__].__doc__ or "")
    title, _, body = text.partition("\n")
    parts = _HEADING.split(body)
    sections = {SECTIONS[name]: " ".join(said.split()) for name, said in zip(parts[1::2], parts[2::2], strict=True)}
    return Manual(title=title.rstrip("."), text=text, **sections)
