"""What a chat template does, found by trying it on one question: how a turn ends, how an answer is opened and closed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any, Final

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase
from transformers.utils.chat_template_utils import render_jinja_template

from tunesmith.chat.vetted_templates import template_names
from tunesmith.errors import DataError
from tunesmith.text.reasoning import OPEN_TAG, REASONING_FIELDS

TemplateMessage = dict[str, Any]
ToolDefinitions = tuple[dict[str, Any], ...]
GenerationMarks = list[tuple[int, int]]

TEMPLATE_DATE: Final = date(2024, 7, 26)
"""The day that every template is told. Some write the current date (Llama 3.2, Granite 3, SmolLM3): the same row would be
other tokens tomorrow. This is the date that Llama's own templates fall back to."""

KNOWN_END_TOKENS: Final = (
    "</s>",
    "<eos>",
    "<end_of_turn>",
    "<|call|>",
    "<|end|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<|eom_id|>",
    "<|eot|>",
    "<|eot_id|>",
    "<|im_end|>",
    "<｜end▁of▁sentence｜>",
)
"""End tokens of the families. They count where the tokenizer has them as special tokens: `</s>` in Gemma is HTML."""

PROBE_SYSTEM: Final[TemplateMessage] = {"role": "system", "content": "peng"}
PROBE_QUESTION: Final[TemplateMessage] = {"role": "user", "content": "ping"}
PROBE_ANSWER: Final[TemplateMessage] = {"role": "assistant", "content": "pong"}
PROBE_REASONING: Final = "pling"

_STRFTIME_NOW: Final = re.compile(r"""strftime_now\(\s*(["'])(.*?)\1\s*\)""")
_MARKER_PATTERN: Final = re.compile(r"<[|｜][^<>\s]{1,40}[|｜]>|\[/?[A-Z_]{2,20}\]|<</?[A-Z]{2,20}>>")
"""How the families spell their markers. In Llama 2, Zephyr and OLMo 2 they are plain text, which no list of tokens has."""

_GENERATION_BLOCK: Final = re.compile(r"\{%-?\s*generation\s*-?%\}")


NO_TEMPLATE: Final = "the tokenizer has no chat template"
TEMPLATE_HINT: Final = (
    f"say `task: {{type: chat, chat_template: NAME}}` with {template_names()} or a file beside the recipe; "
    "task: text needs none"
)


@dataclass(frozen=True)
class TemplateTraits:
    """What holds for every conversation that a tokenizer's template writes. Without a template there is no question, and stops
    and controls are the tokenizer's own end token and special tokens.

    `stops` are ids that end a turn, `ends` their spelling. `controls` are the markers no message may spell, `heads` their first
    characters. `begins`: the start token `bos` is written first. `question` is a question put to the model, as text and as
    ids; `closing` all of its text that follows the user's words. `opening`: words that the template itself puts in front of an
    answer, as Qwen3 puts an empty thought; empty where it puts none, or special tokens, which no decoded text has. `marked`:
    answers stand between `{% generation %}` marks. `places_thoughts`: the template has a place of its own for thoughts in a
    field. `opens_thoughts`: the prompt ends within thoughts, which the model goes on with.
    """

    stops: frozenset[int]
    ends: tuple[str, ...]
    controls: tuple[str, ...] = field(repr=False)
    heads: tuple[str, ...]
    bos: int | None
    begins: bool
    question: str
    question_ids: tuple[int, ...]
    closing: str
    opening: str
    marked: bool
    places_thoughts: bool
    opens_thoughts: bool


@lru_cache(maxsize=32)
def freeze_date(template: str) -> str:
    """The template with `TODAY` in place of the clock; templates that do not look at it are left alone.

    Raises DataError when the format of the date is put together by the template itself.
    """
    made = _STRFTIME_NOW.sub(lambda call: call[1] + TEMPLATE_DATE.strftime(call[2]) + call[1], template)
    if "strftime_now(" in made:
        raise DataError("the chat template writes the current time", hint="write a fixed date into the template")
    return made


def require_template(tokenizer: PreTrainedTokenizerBase) -> str:
    """The tokenizer's template, `settled`. Raises DataError when it has none."""
    if not tokenizer.chat_template:
        raise DataError(NO_TEMPLATE, hint=TEMPLATE_HINT)
    return freeze_date(tokenizer.get_chat_template())


def render_template(
    tokenizer: PreTrainedTokenizerBase, turns: Sequence[TemplateMessage], *, ask: bool, tools: ToolDefinitions = ()
) -> str:
    """The template's text; `ask` opens the assistant's turn.

    Raises jinja2's TemplateError when the template refuses, also by failing on what a turn or a tool has; DataError when the
    tokenizer has no template.
    """
    template = require_template(tokenizer)
    given: dict[str, Any] = {"chat_template": template, "tools": list(tools) or None}
    try:
        return str(tokenizer.apply_chat_template(list(turns), tokenize=False, add_generation_prompt=ask, **given))
    except (TypeError, KeyError) as error:
        raise TemplateError(f"it fails on the conversation: {error}") from error


def render_with_marks(
    tokenizer: PreTrainedTokenizerBase, turns: Sequence[TemplateMessage], *, tools: ToolDefinitions = ()
) -> tuple[str, GenerationMarks]:
    """The text of a conversation and the runs of its characters that stand between the template's generation marks."""
    names: dict[str, Any] = {**tokenizer.special_tokens_map, "tools": list(tools) or None}
    template = require_template(tokenizer)
    # Declared to return the text alone; it returns lists of texts and of marks.
    made: Any = render_jinja_template([list(turns)], chat_template=template, return_assistant_tokens_mask=True, **names)
    (text,), (marks,) = made
    runs: GenerationMarks = []
    for start, end in (mark for mark in marks if mark[1] > mark[0]):
        goes_on = runs and runs[-1][1] == start
        runs.append((runs.pop()[0] if goes_on else start, end))
    return str(text), runs


def token_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of rendered text; the template has written the special tokens already, so the tokenizer adds none."""
    return list(tokenizer.encode(text, add_special_tokens=False))


def template_traits(tokenizer: PreTrainedTokenizerBase) -> TemplateTraits:
    """The habits of the tokenizer's template, tried once. Raises DataError when it cannot write a question and its answer."""
    return (
        _probe_template(tokenizer, require_template(tokenizer))
        if tokenizer.chat_template
        else _traits_without_template(tokenizer)
    )


@lru_cache(maxsize=8)
def _probe_template(tokenizer: PreTrainedTokenizerBase, template: str) -> TemplateTraits:
    try:
        question = render_template(tokenizer, [PROBE_QUESTION], ask=True)
        text = render_template(tokenizer, [PROBE_QUESTION, PROBE_ANSWER], ask=False)
    except TemplateError as error:
        raise DataError(f"the chat template cannot write a question and its answer: {error}") from error
    if PROBE_QUESTION["content"] not in question or PROBE_ANSWER["content"] not in text:
        raise DataError("the chat template leaves out what is asked or what is answered")
    ids = token_ids(tokenizer, question)
    thought = _render_reasoning(tokenizer)
    within = thought.partition(PROBE_REASONING)[2].partition(PROBE_ANSWER["content"])[0]
    stops = _stop_ids(tokenizer, text.rpartition(PROBE_ANSWER["content"])[2]) - frozenset(token_ids(tokenizer, within))
    ends = tuple(tokenizer.convert_ids_to_tokens(sorted(stops)))
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    markers = _MARKER_PATTERN.findall(question + text + _render_system_message(tokenizer))
    controls = tuple(sorted(special | set(ends) | set(markers)))
    return TemplateTraits(
        stops=stops,
        ends=ends,
        controls=controls,
        heads=tuple(sorted({name[:2] for name in controls})),
        bos=tokenizer.bos_token_id,
        begins=ids[:1] == [tokenizer.bos_token_id],
        question=question,
        question_ids=tuple(ids),
        closing=question.rpartition(PROBE_QUESTION["content"])[2],
        opening=_answer_prefix(tokenizer, question, text),
        marked=_GENERATION_BLOCK.search(template) is not None,
        places_thoughts=PROBE_REASONING in thought,
        opens_thoughts=question.rstrip().endswith(OPEN_TAG),
    )


@lru_cache(maxsize=8)
def _traits_without_template(tokenizer: PreTrainedTokenizerBase) -> TemplateTraits:
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    stops = frozenset({tokenizer.eos_token_id} - {None})
    ends = tuple(tokenizer.convert_ids_to_tokens(sorted(stops)))
    controls = tuple(sorted(special | set(ends)))
    heads = tuple(sorted({name[:2] for name in controls}))
    return TemplateTraits(
        stops, ends, controls, heads, tokenizer.bos_token_id, False, "", (), "", "", False, False, False
    )


def _answer_prefix(tokenizer: PreTrainedTokenizerBase, question: str, answered: str) -> str:
    if not answered.startswith(question):
        return ""
    words = answered[len(question) :].partition(PROBE_ANSWER["content"])[0].strip()
    decoded = str(tokenizer.decode(token_ids(tokenizer, words), skip_special_tokens=True)) if words else ""
    return words if decoded.strip() == words else ""


def _render_reasoning(tokenizer: PreTrainedTokenizerBase) -> str:
    """A question and an answer with thoughts in a field; empty where the template refuses them."""
    try:
        return render_template(
            tokenizer, [PROBE_QUESTION, {**PROBE_ANSWER, **dict.fromkeys(REASONING_FIELDS, PROBE_REASONING)}], ask=False
        )
    except TemplateError:
        return ""


def _render_system_message(tokenizer: PreTrainedTokenizerBase) -> str:
    """A question under a system message; empty where the template takes none."""
    try:
        return render_template(tokenizer, [PROBE_SYSTEM, PROBE_QUESTION], ask=True)
    except TemplateError:
        return ""


def _stop_ids(tokenizer: PreTrainedTokenizerBase, behind: str) -> frozenset[int]:
    """The end-of-sequence token, the token that the template writes first `behind` an answer, and the families' end tokens."""
    added = {token.content: (number, token.special) for number, token in tokenizer.added_tokens_decoder.items()}
    first = max((name for name in added if name and behind.lstrip().startswith(name)), key=len, default=None)
    names = {name for name in KNOWN_END_TOKENS if name in added and added[name][1]} | ({first} if first else set())
    found = {added[name][0] for name in names} | {tokenizer.eos_token_id}
    return frozenset(found - {None})
