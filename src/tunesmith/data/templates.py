"""What a chat template does, found by trying it on one question: how a turn ends, how an answer is opened and closed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any, Final

from jinja2.exceptions import TemplateError

from tunesmith import process
from tunesmith.data.chat_templates import offered
from tunesmith.data.thoughts import FIELDS, OPEN
from tunesmith.errors import DataError

process.prepare()

from transformers import PreTrainedTokenizerBase  # noqa: E402
from transformers.utils.chat_template_utils import render_jinja_template  # noqa: E402

Turn = dict[str, Any]
Tools = tuple[dict[str, Any], ...]
Marks = list[tuple[int, int]]

TODAY: Final = date(2024, 7, 26)
"""The day that every template is told. Some write the current date (Llama 3.2, Granite 3, SmolLM3): the same row would be
other tokens tomorrow. This is the date that Llama's own templates fall back to."""

KNOWN_STOPS: Final = (
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

SYSTEM: Final[Turn] = {"role": "system", "content": "peng"}
QUESTION: Final[Turn] = {"role": "user", "content": "ping"}
ANSWER: Final[Turn] = {"role": "assistant", "content": "pong"}
THOUGHT: Final = "pling"

_CLOCK: Final = re.compile(r"""strftime_now\(\s*(["'])(.*?)\1\s*\)""")
_MARKER: Final = re.compile(r"<[|｜][^<>\s]{1,40}[|｜]>|\[/?[A-Z_]{2,20}\]|<</?[A-Z]{2,20}>>")
"""How the families spell their markers. In Llama 2, Zephyr and OLMo 2 they are plain text, which no list of tokens has."""

_MARK: Final = re.compile(r"\{%-?\s*generation\s*-?%\}")


NO_TEMPLATE: Final = "the tokenizer has no chat template"
GIVE_ONE: Final = (
    f"say `task: {{type: chat, chat_template: NAME}}` with {offered()} or a file beside the recipe; "
    "task: text needs none"
)


@dataclass(frozen=True)
class Habits:
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
def settled(template: str) -> str:
    """The template with `TODAY` in place of the clock; templates that do not look at it are left alone.

    Raises DataError when the format of the date is put together by the template itself.
    """
    made = _CLOCK.sub(lambda call: call[1] + TODAY.strftime(call[2]) + call[1], template)
    if "strftime_now(" in made:
        raise DataError("the chat template writes the current time", hint="write a fixed date into the template")
    return made


def template_of(tokenizer: PreTrainedTokenizerBase) -> str:
    """The tokenizer's template, `settled`. Raises DataError when it has none."""
    if not tokenizer.chat_template:
        raise DataError(NO_TEMPLATE, hint=GIVE_ONE)
    return settled(tokenizer.get_chat_template())


def write(tokenizer: PreTrainedTokenizerBase, turns: Sequence[Turn], *, ask: bool, tools: Tools = ()) -> str:
    """The template's text; `ask` opens the assistant's turn.

    Raises jinja2's TemplateError when the template refuses, also by failing on what a turn or a tool has; DataError when the
    tokenizer has no template.
    """
    template = template_of(tokenizer)
    given: dict[str, Any] = {"chat_template": template, "tools": list(tools) or None}
    try:
        return str(tokenizer.apply_chat_template(list(turns), tokenize=False, add_generation_prompt=ask, **given))
    except (TypeError, KeyError) as error:
        raise TemplateError(f"it fails on the conversation: {error}") from error


def write_marked(tokenizer: PreTrainedTokenizerBase, turns: Sequence[Turn], *, tools: Tools = ()) -> tuple[str, Marks]:
    """The text of a conversation and the runs of its characters that stand between the template's generation marks."""
    names: dict[str, Any] = {**tokenizer.special_tokens_map, "tools": list(tools) or None}
    template = template_of(tokenizer)
    # Declared to return the text alone; it returns lists of texts and of marks.
    made: Any = render_jinja_template([list(turns)], chat_template=template, return_assistant_tokens_mask=True, **names)
    (text,), (marks,) = made
    runs: Marks = []
    for start, end in (mark for mark in marks if mark[1] > mark[0]):
        goes_on = runs and runs[-1][1] == start
        runs.append((runs.pop()[0] if goes_on else start, end))
    return str(text), runs


def token_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of rendered text; the template has written the special tokens already, so the tokenizer adds none."""
    return list(tokenizer.encode(text, add_special_tokens=False))


def habits(tokenizer: PreTrainedTokenizerBase) -> Habits:
    """The habits of the tokenizer's template, tried once. Raises DataError when it cannot write a question and its answer."""
    return _habits(tokenizer, template_of(tokenizer)) if tokenizer.chat_template else _without_template(tokenizer)


@lru_cache(maxsize=8)
def _habits(tokenizer: PreTrainedTokenizerBase, template: str) -> Habits:
    try:
        question = write(tokenizer, [QUESTION], ask=True)
        text = write(tokenizer, [QUESTION, ANSWER], ask=False)
    except TemplateError as error:
        raise DataError(f"the chat template cannot write a question and its answer: {error}") from error
    if QUESTION["content"] not in question or ANSWER["content"] not in text:
        raise DataError("the chat template leaves out what is asked or what is answered")
    ids = token_ids(tokenizer, question)
    thought = _thought(tokenizer)
    within = thought.partition(THOUGHT)[2].partition(ANSWER["content"])[0]
    stops = _stops(tokenizer, text.rpartition(ANSWER["content"])[2]) - frozenset(token_ids(tokenizer, within))
    ends = tuple(tokenizer.convert_ids_to_tokens(sorted(stops)))
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    markers = _MARKER.findall(question + text + _under_system(tokenizer))
    controls = tuple(sorted(special | set(ends) | set(markers)))
    return Habits(
        stops=stops,
        ends=ends,
        controls=controls,
        heads=tuple(sorted({name[:2] for name in controls})),
        bos=tokenizer.bos_token_id,
        begins=ids[:1] == [tokenizer.bos_token_id],
        question=question,
        question_ids=tuple(ids),
        closing=question.rpartition(QUESTION["content"])[2],
        opening=_opening(tokenizer, question, text),
        marked=_MARK.search(template) is not None,
        places_thoughts=THOUGHT in thought,
        opens_thoughts=question.rstrip().endswith(OPEN),
    )


@lru_cache(maxsize=8)
def _without_template(tokenizer: PreTrainedTokenizerBase) -> Habits:
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    stops = frozenset({tokenizer.eos_token_id} - {None})
    ends = tuple(tokenizer.convert_ids_to_tokens(sorted(stops)))
    controls = tuple(sorted(special | set(ends)))
    heads = tuple(sorted({name[:2] for name in controls}))
    return Habits(stops, ends, controls, heads, tokenizer.bos_token_id, False, "", (), "", "", False, False, False)


def _opening(tokenizer: PreTrainedTokenizerBase, question: str, answered: str) -> str:
    if not answered.startswith(question):
        return ""
    words = answered[len(question) :].partition(ANSWER["content"])[0].strip()
    decoded = str(tokenizer.decode(token_ids(tokenizer, words), skip_special_tokens=True)) if words else ""
    return words if decoded.strip() == words else ""


def _thought(tokenizer: PreTrainedTokenizerBase) -> str:
    """A question and an answer with thoughts in a field; empty where the template refuses them."""
    try:
        return write(tokenizer, [QUESTION, {**ANSWER, **dict.fromkeys(FIELDS, THOUGHT)}], ask=False)
    except TemplateError:
        return ""


def _under_system(tokenizer: PreTrainedTokenizerBase) -> str:
    """A question under a system message; empty where the template takes none."""
    try:
        return write(tokenizer, [SYSTEM, QUESTION], ask=True)
    except TemplateError:
        return ""


def _stops(tokenizer: PreTrainedTokenizerBase, behind: str) -> frozenset[int]:
    """The end-of-sequence token, the token that the template writes first `behind` an answer, and the families' end tokens."""
    added = {token.content: (number, token.special) for number, token in tokenizer.added_tokens_decoder.items()}
    first = max((name for name in added if name and behind.lstrip().startswith(name)), key=len, default=None)
    names = {name for name in KNOWN_STOPS if name in added and added[name][1]} | ({first} if first else set())
    found = {added[name][0] for name in names} | {tokenizer.eos_token_id}
    return frozenset(found - {None})
