"""Chat template: rows that a chat template cannot render, or that contain its markers as text.

What it finds: messages that contain a chat template marker, such as `<|im_start|>` or `[INST]` (`marker`), including the base
model's own markers when the recipe names a base; two consecutive user or assistant turns; a system message after other turns;
a conversation that starts with the assistant. With the recipe's base, also every conversation shape that its template rejects
or from which it drops a message, tool or tool call; and rows where no token is trained, the answer has no end token, the start
token is doubled, or the prompt's tokens are not a prefix of the conversation's tokens.
Why it matters: a marker inside a message can open a turn in another role, and the model learns whatever layout it is trained on.
Limits: with a base, one conversation is tried for each order of roles, calls and weights, then rows that begin or end with
white space, are empty or contain reasoning, and `sample` other rows; when one of the first `sample` rows of a group fails, all
its rows are tried. Texts without messages are only searched for markers, and not for the base's own markers when they are
trained as plain text. Markers that are ordinary text, such as `### Response:` or `</s>`, are reported only when they belong to
the base, and markers in tool calls and tools only when there is a base.
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
"""Markers of known model families that cannot be ordinary text. Valid for both RE2 and Python."""

SPECIAL_TEXTS: Final = r"^\s|\s$|^$|</?think>|/(?:no_)?think\b|/system_override\b"
"""Texts that templates strip, drop or interpret."""

REPEATED_ROLES: Final = (("user", "user"), ("assistant", "assistant"))
MAX_LISTED_ROLES: Final = 12
"""Maximum number of roles listed in a reason."""


@CHECKS.register
@dataclass(frozen=True)
class ChatTemplate:
    """One finding per row with all its problems. `reader` renders rows as the recipe's base does."""

    id: ClassVar[str] = "chat-template"
    version: ClassVar[str] = "2"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    phase: ClassVar[int] = ROW_PHASE

    sample: Annotated[int, Field(ge=1)] = 100
    reader: ReaderField = None

    def examine(self, corpus: AuditTable) -> list[Finding]:
        spans = self._markers(corpus)
        reasons: dict[int, list[str]] = {}
        for row, markers in spans.items():
            names = dict.fromkeys(kind for _, kind in markers)
            reasons[row] = [f"a message spells {', '.join(names)}, a marker of a chat template"]
        for row, reason in self._conversation_problems(corpus, frozenset(spans)):
            reasons.setdefault(row, []).append(reason)
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
        """Spans and texts of the markers in the messages, by row."""
        pattern = (
            "|".join([TEMPLATE_MARKERS, *map(re.escape, self.reader.controls)]) if self.reader else TEMPLATE_MARKERS
        )
        messages = corpus.messages
        if self.reader is not None and self.reader.cuts_texts:
            messages = messages.filter(compute.is_valid(messages.column("role")))
        messages = messages.filter(compute.match_substring_regex(messages.column("text"), pattern))
        markers: dict[int, list[tuple[Span, str]]] = {}
        for message in messages.select(["row", "message", "text"]).to_pylist():
            for hit in re.finditer(pattern, message["text"]):
                span = Span(message=message["message"], start=hit.start(), end=hit.end(), kind="marker")
                markers.setdefault(message["row"], []).append((span, hit[0]))
        return markers

    def _conversation_problems(self, corpus: AuditTable, with_markers: frozenset[int]) -> Iterator[tuple[int, str]]:
        """(row, reason) for wrong turn orders and for conversations that the base cannot render."""
        special = _rows_with_special_texts(corpus) if self.reader else np.zeros(0, dtype=np.bool_)
        for shape in conversation_shapes(corpus):
            reason = None if shape.texts else _role_order_problem(shape.roles)
            if reason is not None:
                yield from ((row, reason) for row in shape.rows.tolist())
            elif self.reader is not None and not (shape.texts and self.reader.cuts_texts):
                yield from self._rendering_problems(corpus, shape, self.reader, special, with_markers)

    def _rendering_problems(
        self,
        corpus: AuditTable,
        shape: ConversationShape,
        reader: Reader,
        special: npt.NDArray[np.bool_],
        with_markers: frozenset[int],
    ) -> Iterator[tuple[int, str]]:
        """(row, reason) for rows that cannot be trained; rows with markers are already reported.

        A shape's placeholder words represent any message but not a label, so plain texts are tried themselves.
        """
        problem = "" if shape.has_tools or shape.texts else reader.read(shape.shape).problem
        if problem:
            yield from ((row, f"{_role_names(shape.roles)}: {problem}") for row in shape.rows.tolist())
            return
        for rows in (shape.rows[special[shape.rows]], shape.rows[~special[shape.rows]]):
            tried = [row for row in rows.tolist() if row not in with_markers]
            step = max(1, len(tried) // self.sample)
            problems = {row: reader.read(row_example(corpus, row)).problem for row in tried[::step][: self.sample]}
            if any(problems.values()):
                problems = {row: reader.read(row_example(corpus, row)).problem for row in tried}
            yield from ((row, reason) for row, reason in problems.items() if reason)


def _role_order_problem(roles: tuple[Role, ...]) -> str | None:
    """The problem with the order of roles that any template would have, or None."""
    late_system = next(
        (number for number, role in enumerate(roles) if role == "system" and set(roles[:number]) - {"system"}), None
    )
    if late_system is not None:
        return f"message {late_system + 1} is a system message behind other turns"
    turns = [role for role in roles if role != "system"]
    if turns[:1] == ["assistant"]:
        return "the assistant speaks first"
    repeated = next((pair for pair in enumerate(pairwise(roles), 2) if pair[1] in REPEATED_ROLES), None)
    return None if repeated is None else f"messages {repeated[0] - 1} and {repeated[0]} are both the {repeated[1][0]}'s"


def _rows_with_special_texts(corpus: AuditTable) -> npt.NDArray[np.bool_]:
    """Mask by row number: rows with a text that templates strip, drop or interpret."""
    special = np.zeros(corpus.signals.rows.num_rows, dtype=np.bool_)
    for table, name in ((corpus.messages, "text"), (corpus.rows, "completion")):
        texts = compute.fill_null(table.column(name), "x")
        special[np.asarray(table.column("row").filter(compute.match_substring_regex(texts, SPECIAL_TEXTS)))] = True
    return special


def _role_names(roles: tuple[Role, ...]) -> str:
    return ", ".join(roles[:MAX_LISTED_ROLES]) + (", ..." if len(roles) > MAX_LISTED_ROLES else "")
