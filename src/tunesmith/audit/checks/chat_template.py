"""Chat template: rows that a chat template cannot write, or that speak its markers themselves.

What it finds: messages that spell a marker of a chat template, such as `<|im_start|>` or `[INST]` (`marker`), the base's own
ones included where there is a base; two turns of the user or of the assistant in a row; a system message behind other turns;
an assistant that speaks first. With the recipe's base also every kind of conversation that its template refuses or leaves a
message, a tool or a tool call out of, and rows in which no token is trained, the answer lacks its end, the start token is
doubled, or the prompt's tokens do not begin the conversation's.
Why it matters: a marker in a text opens a turn in another role, for whoever writes it; and a wrong layout is what the model
learns.
Limits: with a base, one conversation of each order of roles, calls and weights is tried, then rows that begin or end in white
space, are empty or think aloud, and `sample` others; all rows of a sort are tried once one of its first `sample` fails. Texts
without messages are only searched for markers, and where they are trained as texts not even for those of the base. Markers that
are ordinary text, such as `### Response:` or `</s>`, are reported of the base alone, and those in calls and tools only with one.
Reference: OpenAI's ChatML; the chat templates of Llama 2 and 3, Gemma, Mistral, Phi, DeepSeek and Qwen; Jiang et al. 2025,
ChatBug, arXiv:2406.12935.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, ClassVar, Final

import numpy as np
import numpy.typing as npt
from pyarrow import compute
from pydantic import Field

from tunesmith.artifacts import Action, Finding, Role, Span
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, ROW_PHASE
from tunesmith.audit.conversations import ConversationShape, conversation_shapes, row_example
from tunesmith.models.reader_protocol import Reader, ReaderField

TEMPLATE_MARKERS: Final = (
    r"<\|(?:im_start|im_end|im_sep|eot_id|eom_id|eot|start_header_id|end_header_id|begin_of_text|end_of_text|endoftext|"
    r"startoftext|start_of_role|end_of_role|system|user|assistant|tool|end|begin|endofprompt|python_tag|"
    r"(?:START|END)_OF_TURN_TOKEN|(?:SYSTEM|USER|CHATBOT)_TOKEN)\|>|<(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>|"
    r"\[/?(?:AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|SYSTEM_PROMPT)\]|<｜[^<>\s]{1,40}｜>"
)
"""Markers of the families that are nothing else in any text; RE2 and Python read it alike."""

SPECIAL_TEXTS: Final = r"^\s|\s$|^$|</?think>|/(?:no_)?think\b|/system_override\b"
"""Texts that templates strip, leave out, or act upon."""

REPEATED_ROLES: Final = (("user", "user"), ("assistant", "assistant"))
MAX_LISTED_ROLES: Final = 12
"""Roles of a conversation that a reason lists."""


@CHECKS.register
@dataclass(frozen=True)
class ChatTemplate:
    """One finding a row, with all that is wrong. `reader` is the recipe's base."""

    id: ClassVar[str] = "chat-template"
    version: ClassVar[str] = "2"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    turn: ClassVar[int] = ROW_PHASE

    sample: Annotated[int, Field(ge=1)] = 100
    reader: ReaderField = None

    def examine(self, corpus: AuditTable) -> list[Finding]:
        spans = self._markers(corpus)
        reasons: dict[int, list[str]] = {}
        for row, found in spans.items():
            names = dict.fromkeys(kind for _, kind in found)
            reasons[row] = [f"a message spells {', '.join(names)}, a marker of a chat template"]
        for row, why in self._layouts(corpus, frozenset(spans)):
            reasons.setdefault(row, []).append(why)
        return [
            corpus.finding(
                self,
                row,
                "; ".join(reasons[row]),
                severity="error",
                spans=tuple(span for span, _ in spans.get(row, ())),
            )
            for row in sorted(reasons)
        ]

    def _markers(self, corpus: AuditTable) -> dict[int, list[tuple[Span, str]]]:
        """Markers in the messages, by row."""
        pattern = (
            "|".join([TEMPLATE_MARKERS, *map(re.escape, self.reader.controls)]) if self.reader else TEMPLATE_MARKERS
        )
        parts = corpus.parts
        if self.reader is not None and self.reader.cuts_texts:
            parts = parts.filter(compute.is_valid(parts.column("role")))
        parts = parts.filter(compute.match_substring_regex(parts.column("text"), pattern))
        found: dict[int, list[tuple[Span, str]]] = {}
        for part in parts.select(["row", "message", "text"]).to_pylist():
            for hit in re.finditer(pattern, part["text"]):
                span = Span(message=part["message"], start=hit.start(), end=hit.end(), kind="marker")
                found.setdefault(part["row"], []).append((span, hit[0]))
        return found

    def _layouts(self, corpus: AuditTable, spelled: frozenset[int]) -> Iterator[tuple[int, str]]:
        """(row, why) of what is wrong with the order of turns, and with what the base makes of them."""
        tricky = _rows_with_special_texts(corpus) if self.reader else np.zeros(0, dtype=np.bool_)
        for kind in conversation_shapes(corpus):
            why = None if kind.texts else _role_order_problem(kind.roles)
            if why is not None:
                yield from ((row, why) for row in kind.rows.tolist())
            elif self.reader is not None and not (kind.texts and self.reader.cuts_texts):
                yield from self._read(corpus, kind, self.reader, tricky, spelled)

    def _read(
        self,
        corpus: AuditTable,
        kind: ConversationShape,
        reader: Reader,
        tricky: npt.NDArray[np.bool_],
        spelled: frozenset[int],
    ) -> Iterator[tuple[int, str]]:
        """(row, why) of rows that cannot be trained; those that spell a marker are told already.

        The words of a shape stand for any words, not for a label: texts are tried as they are.
        """
        problem = "" if kind.tooled or kind.texts else reader.read(kind.shape).problem
        if problem:
            yield from ((row, f"{_role_names(kind.roles)}: {problem}") for row in kind.rows.tolist())
            return
        for rows in (kind.rows[tricky[kind.rows]], kind.rows[~tricky[kind.rows]]):
            tried = [row for row in rows.tolist() if row not in spelled]
            step = max(1, len(tried) // self.sample)
            problems = {row: reader.read(row_example(corpus, row)).problem for row in tried[::step][: self.sample]}
            if any(problems.values()):
                problems = {row: reader.read(row_example(corpus, row)).problem for row in tried}
            yield from ((row, why) for row, why in problems.items() if why)


def _role_order_problem(roles: tuple[Role, ...]) -> str | None:
    """What is wrong with the order of turns, whatever the template."""
    behind = next((at for at, role in enumerate(roles) if role == "system" and set(roles[:at]) - {"system"}), None)
    if behind is not None:
        return f"message {behind + 1} is a system message behind other turns"
    said = [role for role in roles if role != "system"]
    if said[:1] == ["assistant"]:
        return "the assistant speaks first"
    twice = next((pair for pair in enumerate(pairwise(roles), 2) if pair[1] in REPEATED_ROLES), None)
    return None if twice is None else f"messages {twice[0] - 1} and {twice[0]} are both the {twice[1][0]}'s"


def _rows_with_special_texts(corpus: AuditTable) -> npt.NDArray[np.bool_]:
    """By number of the row whether one of its texts is one that templates treat in their own way."""
    found = np.zeros(corpus.signals.table.num_rows, dtype=np.bool_)
    for table, name in ((corpus.parts, "text"), (corpus.table, "completion")):
        texts = compute.fill_null(table.column(name), "x")
        found[np.asarray(table.column("row").filter(compute.match_substring_regex(texts, SPECIAL_TEXTS)))] = True
    return found


def _role_names(roles: tuple[Role, ...]) -> str:
    return ", ".join(roles[:MAX_LISTED_ROLES]) + (", ..." if len(roles) > MAX_LISTED_ROLES else "")
