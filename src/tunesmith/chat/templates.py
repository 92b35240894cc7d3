"""Chat templates: rendering, and the traits of a template, found by rendering one question and its answer."""

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
"""The date that every template sees. Some write the current date (Llama 3.2, Granite 3, SmolLM3), so the same row would have
other tokens tomorrow. This is the default date of Llama's own templates."""

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
"""End tokens of known model families. They count only where they are special tokens: `</s>` in Gemma is HTML."""

PROBE_SYSTEM: Final[TemplateMessage] = {"role": "system", "content": "peng"}
PROBE_QUESTION: Final[TemplateMessage] = {"role": "user", "content": "ping"}
PROBE_ANSWER: Final[TemplateMessage] = {"role": "assistant", "content": "pong"}
PROBE_REASONING: Final = "pling"

_STRFTIME_NOW: Final = re.compile(r"""strftime_now\(\s*(["'])(.*?)\1\s*\)""")
_MARKER_PATTERN: Final = re.compile(r"<[|｜][^<>\s]{1,40}[|｜]>|\[/?[A-Z_]{2,20}\]|<</?[A-Z]{2,20}>>")
"""Spelling of turn markers. In Llama 2, Zephyr and OLMo 2 they are plain text and in no list of tokens."""

_GENERATION_BLOCK: Final = re.compile(r"\{%-?\s*generation\s*-?%\}")


NO_TEMPLATE: Final = "the tokenizer has no chat template"
TEMPLATE_HINT: Final = (
    f"set `task: {{type: chat, chat_template: NAME}}` with {template_names()}, or a Jinja file next to the recipe; "
    "`task: text` needs no template"
)


@dataclass(frozen=True)
class TemplateTraits:
    """What a tokenizer's template does in every conversation. Without a template, the prompt is empty, and the end and control
    tokens are the tokenizer's end token and special tokens.

    - `stop_ids` end a turn; `end_tokens` are their text.
    - `control_tokens` are markers that no message may contain; `control_prefixes` are their first two characters.
    - `writes_bos`: every conversation begins with the start token `bos_id`.
    - `prompt` and `prompt_ids` are one rendered question; `prompt_suffix` is its text after the user's words.
    - `answer_prefix`: text that the template puts before an answer, such as Qwen3's empty reasoning block. Empty where it puts
      none, or only special tokens, which no decoded text has.
    - `has_generation_marks`: answers stand between `{% generation %}` marks.
    - `has_reasoning_field`: the template renders reasoning from a field of the message.
    - `prompt_opens_reasoning`: the prompt ends inside a reasoning block, which the model continues.
    """

    stop_ids: frozenset[int]
    end_tokens: tuple[str, ...]
    control_tokens: tuple[str, ...] = field(repr=False)
    control_prefixes: tuple[str, ...]
    bos_id: int | None
    writes_bos: bool
    prompt: str
    prompt_ids: tuple[int, ...]
    prompt_suffix: str
    answer_prefix: str
    has_generation_marks: bool
    has_reasoning_field: bool
    prompt_opens_reasoning: bool


@lru_cache(maxsize=32)
def freeze_date(template: str) -> str:
    """The template with TEMPLATE_DATE in place of `strftime_now(...)`.

    Raises DataError when the template computes the date format itself.
    """
    frozen = _STRFTIME_NOW.sub(lambda call: call[1] + TEMPLATE_DATE.strftime(call[2]) + call[1], template)
    if "strftime_now(" in frozen:
        raise DataError("the chat template writes the current time", hint="write a fixed date into the template")
    return frozen


def require_template(tokenizer: PreTrainedTokenizerBase) -> str:
    """The tokenizer's template with a fixed date. Raises DataError when it has none."""
    if not tokenizer.chat_template:
        raise DataError(NO_TEMPLATE, hint=TEMPLATE_HINT)
    return freeze_date(tokenizer.get_chat_template())


def apply_template(
    tokenizer: PreTrainedTokenizerBase,
    turns: Sequence[TemplateMessage],
    *,
    add_generation_prompt: bool,
    tools: ToolDefinitions = (),
) -> str:
    """The rendered text; `add_generation_prompt` opens the assistant's turn.

    Raises jinja2's TemplateError when the template refuses the conversation or fails on a message or tool, and DataError when
    the tokenizer has no template.
    """
    template = require_template(tokenizer)
    options: dict[str, Any] = {"chat_template": template, "tools": list(tools) or None}
    try:
        return str(
            tokenizer.apply_chat_template(
                list(turns), tokenize=False, add_generation_prompt=add_generation_prompt, **options
            )
        )
    except (TypeError, KeyError) as error:
        raise TemplateError(f"it fails on the conversation: {error}") from error


def render_with_marks(
    tokenizer: PreTrainedTokenizerBase, turns: Sequence[TemplateMessage], *, tools: ToolDefinitions = ()
) -> tuple[str, GenerationMarks]:
    """The text of a conversation, and the [start, end) character ranges between the template's generation marks."""
    names: dict[str, Any] = {**tokenizer.special_tokens_map, "tools": list(tools) or None}
    template = require_template(tokenizer)
    # Its annotation says str, but with this option it returns a list of texts and a list of marks.
    rendered: Any = render_jinja_template(
        [list(turns)], chat_template=template, return_assistant_tokens_mask=True, **names
    )
    (text,), (marks,) = rendered
    runs: GenerationMarks = []
    for start, end in (mark for mark in marks if mark[1] > mark[0]):
        goes_on = runs and runs[-1][1] == start
        runs.append((runs.pop()[0] if goes_on else start, end))
    return str(text), runs


def token_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of rendered text; the template has written the special tokens, so the tokenizer adds none."""
    return list(tokenizer.encode(text, add_special_tokens=False))


def template_traits(tokenizer: PreTrainedTokenizerBase) -> TemplateTraits:
    """The traits of the tokenizer's template, cached. Raises DataError when it cannot render a question and its answer."""
    return (
        _probe_template(tokenizer, require_template(tokenizer))
        if tokenizer.chat_template
        else _traits_without_template(tokenizer)
    )


@lru_cache(maxsize=8)
def _probe_template(tokenizer: PreTrainedTokenizerBase, template: str) -> TemplateTraits:
    try:
        question = apply_template(tokenizer, [PROBE_QUESTION], add_generation_prompt=True)
        text = apply_template(tokenizer, [PROBE_QUESTION, PROBE_ANSWER], add_generation_prompt=False)
    except TemplateError as error:
        raise DataError(f"the chat template cannot write a question and its answer: {error}") from error
    if PROBE_QUESTION["content"] not in question or PROBE_ANSWER["content"] not in text:
        raise DataError("the chat template leaves out what is asked or what is answered")
    ids = token_ids(tokenizer, question)
    reasoning = _render_reasoning(tokenizer)
    within = reasoning.partition(PROBE_REASONING)[2].partition(PROBE_ANSWER["content"])[0]
    stops = _stop_ids(tokenizer, text.rpartition(PROBE_ANSWER["content"])[2]) - frozenset(token_ids(tokenizer, within))
    ends = tuple(tokenizer.convert_ids_to_tokens(sorted(stops)))
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    markers = _MARKER_PATTERN.findall(question + text + _render_system_message(tokenizer))
    controls = tuple(sorted(special | set(ends) | set(markers)))
    return TemplateTraits(
        stop_ids=stops,
        end_tokens=ends,
        control_tokens=controls,
        control_prefixes=tuple(sorted({name[:2] for name in controls})),
        bos_id=tokenizer.bos_token_id,
        writes_bos=ids[:1] == [tokenizer.bos_token_id],
        prompt=question,
        prompt_ids=tuple(ids),
        prompt_suffix=question.rpartition(PROBE_QUESTION["content"])[2],
        answer_prefix=_answer_prefix(tokenizer, question, text),
        has_generation_marks=_GENERATION_BLOCK.search(template) is not None,
        has_reasoning_field=PROBE_REASONING in reasoning,
        prompt_opens_reasoning=question.rstrip().endswith(OPEN_TAG),
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
    """A rendered question and an answer with reasoning in a field; empty where the template refuses it."""
    try:
        return apply_template(
            tokenizer,
            [PROBE_QUESTION, {**PROBE_ANSWER, **dict.fromkeys(REASONING_FIELDS, PROBE_REASONING)}],
            add_generation_prompt=False,
        )
    except TemplateError:
        return ""


def _render_system_message(tokenizer: PreTrainedTokenizerBase) -> str:
    """A rendered question after a system message; empty where the template refuses one."""
    try:
        return apply_template(tokenizer, [PROBE_SYSTEM, PROBE_QUESTION], add_generation_prompt=True)
    except TemplateError:
        return ""


def _stop_ids(tokenizer: PreTrainedTokenizerBase, after: str) -> frozenset[int]:
    """The end-of-sequence token, the first token that the template writes after an answer, and end tokens of known families."""
    added = {token.content: (number, token.special) for number, token in tokenizer.added_tokens_decoder.items()}
    first = max((name for name in added if name and after.lstrip().startswith(name)), key=len, default=None)
    names = {name for name in KNOWN_END_TOKENS if name in added and added[name][1]} | ({first} if first else set())
    ids = {added[name][0] for name in names} | {tokenizer.eos_token_id}
    return frozenset(ids - {None})
