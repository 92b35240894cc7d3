"""Reasoning in files, in templates with and without a reasoning field, and its removal from completions."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tunesmith.artifacts import Example, Message, Row, message
from tunesmith.chat.answer_prefix import extract_answer, reasoning_stream
from tunesmith.chat.encode import encode_chat, render_conversation, stop_ids
from tunesmith.chat.templates import template_traits
from tunesmith.chat.vetted_templates import VETTED_TEMPLATES
from tunesmith.data.formats.messages import Messages
from tunesmith.errors import DataError
from tunesmith.models.bases.prepare import JINJA_TAG, QUOTED_STRING, THINKING_SWITCH
from tunesmith.text.reasoning import (
    REASONING_FIELDS,
    ReasoningStream,
    answer_without_reasoning,
    join_reasoning,
    split_reasoning,
)

FOLDER = Path(__file__).parent / "templates"
CHATML = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]
HARMONY = ["<|start|>", "<|message|>", "<|channel|>", "<|end|>", "<|return|>", "<|call|>"]
TEXTS = (
    "Where is my order? On its way. It is late, is it? yes, since Tuesday assistant user system think final analysis",
    *["\n\n"] * 3,
)
"""Two line breaks are one token here, as with Qwen: the end of a prompt that opens thoughts joins what closes empty ones."""

QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
"""How Qwen's tokenizers cut a text into words."""

OFF = "{%- set enable_thinking = false -%}"
ASK, THANKS = message("user", "Where is it?"), message("user", "Thanks, since when?")


def tokenizer_of(template: str, special: list[str] = CHATML, eos: str = "<|im_end|>") -> PreTrainedTokenizerFast:
    made = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(QWEN), "isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=340, initial_alphabet=alphabet, show_progress=False))
    made.add_special_tokens([AddedToken(name, special=True) for name in special])
    made.add_tokens([AddedToken(name, normalized=False) for name in ("<think>", "</think>")])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, eos_token=eos, clean_up_tokenization_spaces=False)
    tokenizer.chat_template = template
    return tokenizer


def thinking(name: str) -> str:
    return (FOLDER / "thinking" / f"{name}.jinja").read_text()


def named(name: str) -> PreTrainedTokenizerFast:
    match name:
        case "qwen3":
            return tokenizer_of((FOLDER / "qwen3.jinja").read_text())
        case "gpt-oss":
            return tokenizer_of(thinking(name), HARMONY, "<|return|>")
        case "chatml" | "plain":
            return tokenizer_of(VETTED_TEMPLATES[name].text)
        case _:
            version, _, switch = name.partition(", ")
            return tokenizer_of((OFF if switch else "") + thinking(version))


def read(**turn: Any) -> Message:
    """An assistant's message as the file format reads it."""
    row = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", **turn}]}
    return Messages().read(row, {}).messages[1]


def taught(name: str, *turns: Message) -> list[list[str]]:
    """What is trained, sequence by sequence; the rest of each sequence is what is served as its prompt."""
    tokenizer = named(name)
    row = Row(row_id="r", file="made", line=1, example=Example(messages=turns))
    pieces = encode_chat(tokenizer, row, turns)
    return [[tokenizer.decode(list(one.ids[start:end])) for start, end in one.spans] for one in pieces]


THOUGHT = "late?\nyes"
FORMS = {
    "reasoning_content": {"content": "On its way.", "reasoning_content": THOUGHT},
    "thinking": {"content": "On its way.", "thinking": THOUGHT},
    "reasoning": {"content": "On its way.", "reasoning": THOUGHT},
    "two alike": {"content": "On its way.", "reasoning": THOUGHT, "reasoning_content": THOUGHT},
    "parts": {"content": [{"type": "text", "text": "On its "}, {"type": "text", "text": "way."}], "thinking": THOUGHT},
    "in the content": {"content": f"<think>\n{THOUGHT}\n</think>\n\nOn its way."},
    "laid out otherwise": {"content": f"<think>{THOUGHT}</think>On its way."},
    "as a model goes on behind its prompt": {"content": f"{THOUGHT}\n</think>\n\nOn its way."},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("qwen3", "<think>\nlate?\nyes\n</think>\n\nOn its way.<|im_end|>"),
        ("qwen3.5", "late?\nyes\n</think>\n\nOn its way.<|im_end|>"),
        ("qwen3.8", "late?\nyes\n</think>\n\nOn its way.<|im_end|>"),
        (
            "gpt-oss",
            "<|channel|>analysis<|message|>late?\nyes<|end|><|start|>assistant<|channel|>final<|message|>On its way.<|return|>",
        ),
        ("chatml", "<think>\nlate?\nyes\n</think>\n\nOn its way.<|im_end|>"),
        ("plain", "<think>\nlate?\nyes\n</think>\n\nOn its way.<|im_end|>"),
    ],
)
def test_reasoning_is_trained_as_the_template_renders_it(name: str, expected: str, form: str) -> None:
    assert taught(name, ASK, read(**FORMS[form])) == [[expected]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("qwen3", "<think>\n\n</think>\n\nOn its way.<|im_end|>"),
        ("qwen3.5, off", "On its way.<|im_end|>"),
        ("qwen3.8, off", "On its way.<|im_end|>"),
        ("gpt-oss", "<|channel|>final<|message|>On its way.<|return|>"),
        ("chatml", "On its way.<|im_end|>"),
    ],
)
@pytest.mark.parametrize("turn", [{"content": "On its way."}, {"content": "On its way.", "reasoning_content": ""}])
def test_an_answer_without_reasoning(name: str, expected: str, turn: dict[str, Any]) -> None:
    assert taught(name, ASK, read(**turn)) == [[expected]]


@pytest.mark.parametrize("name", ["qwen3.5", "qwen3.8"])
def test_a_prompt_that_opens_reasoning_needs_some_and_one_that_closes_it_none(name: str) -> None:
    with pytest.raises(DataError, match="the prompt opens thoughts, and the answer has none") as caught:
        taught(name, ASK, message("assistant", "On its way."))
    assert "`task: {thinking: false}`" in (caught.value.hint or "")
    with pytest.raises(DataError, match="the prompt closes empty thoughts, and the answer has some") as caught:
        taught(f"{name}, off", ASK, read(**FORMS["thinking"]))
    assert "`task: {thinking: true}`" in (caught.value.hint or "")


FIRST = {"content": "On its way.", "reasoning_content": THOUGHT}
SECOND = {"content": "Tuesday.", "reasoning_content": "since?"}


@pytest.mark.parametrize(
    ("name", "past", "first", "second"),
    [
        (
            "qwen3",
            "On its way.",
            "<think>\nlate?\nyes\n</think>\n\nOn its way.",
            "<think>\nsince?\n</think>\n\nTuesday.",
        ),
        ("qwen3.5", "On its way.", "late?\nyes\n</think>\n\nOn its way.", "since?\n</think>\n\nTuesday."),
    ],
)
def test_templates_that_drop_earlier_reasoning_give_a_sequence_per_answer(
    name: str, past: str, first: str, second: str
) -> None:
    turns = (ASK, read(**FIRST), THANKS, read(**SECOND))
    assert taught(name, *turns) == [[f"{first}<|im_end|>"], [f"{second}<|im_end|>"]]
    tokenizer = named(name)
    row = Row(row_id="r", file="made", line=1, example=Example(messages=turns))
    _, last = encode_chat(tokenizer, row, turns)
    prompt = tokenizer.decode(list(last.ids[: last.spans[0][0]]))
    assert prompt == render_conversation(tokenizer, turns[:3], add_generation_prompt=True)
    assert f"<|im_start|>assistant\n{past}<|im_end|>" in prompt and "late?" not in prompt


@pytest.mark.parametrize("name", ["qwen3.8", "chatml", "plain"])
def test_templates_that_keep_earlier_reasoning_give_one_sequence(name: str) -> None:
    (spans,) = taught(name, ASK, read(**FIRST), THANKS, read(**SECOND))
    assert [span.partition("</think>\n\n")[2] for span in spans] == ["On its way.<|im_end|>", "Tuesday.<|im_end|>"]


def test_gpt_oss_drops_earlier_reasoning_and_does_not_stop_after_the_last() -> None:
    tokenizer = named("gpt-oss")
    assert taught("gpt-oss", ASK, read(**FIRST), THANKS, read(**SECOND)) == [
        [
            "<|channel|>analysis<|message|>late?\nyes<|end|><|start|>assistant<|channel|>final<|message|>On its way.<|return|>"
        ],
        ["<|channel|>analysis<|message|>since?<|end|><|start|>assistant<|channel|>final<|message|>Tuesday.<|return|>"],
    ]
    assert {tokenizer.decode([token]) for token in stop_ids(tokenizer)} == {"<|return|>", "<|call|>"}


def test_tags_within_the_answer_are_text() -> None:
    """Qwen3.8 leaves the content alone; Qwen3.5 would cut it in two, so the field keeps it from looking."""
    said = "Put <think> before and </think> behind."
    assert split_reasoning(said) == (None, said)
    assert taught("qwen3.8, off", ASK, message("assistant", said)) == [[f"{said}<|im_end|>"]]
    assert taught("qwen3.5, off", ASK, message("assistant", said)) == [[f"{said}<|im_end|>"]]
    with pytest.raises(DataError, match="leaves out a part of the answer"):
        taught("qwen3", ASK, message("assistant", said))


def test_templates_with_a_reasoning_field_and_prompts_that_open_reasoning() -> None:
    found = {
        name: template_traits(named(name))
        for name in ("qwen3", "qwen3.5", "qwen3.5, off", "qwen3.8", "gpt-oss", "plain")
    }
    assert {name for name, one in found.items() if one.has_reasoning_field} == set(found) - {"qwen3"}
    assert {name for name, one in found.items() if one.prompt_opens_reasoning} == {"qwen3.5", "qwen3.8"}


@pytest.mark.parametrize(
    ("turn", "what"),
    [
        ({"content": "a", "thinking": "x", "reasoning": "y"}, "has thinking and reasoning, and they differ"),
        ({"content": "<think>x</think>a", "thinking": "x"}, "has thoughts in a field and in its content"),
        ({"content": "a", "thinking": "x</think>y"}, "spells <think> or </think>"),
        ({"content": "a", "thinking": ["x"]}, "must be text, found list"),
        ({"thinking": "x"}, "must be an object with role and content"),
    ],
)
def test_invalid_reasoning_fields_are_rejected(turn: dict[str, Any], what: str) -> None:
    with pytest.raises(DataError, match=what):
        read(**turn)


@pytest.mark.parametrize("field", REASONING_FIELDS)
def test_only_assistant_messages_have_reasoning(field: str) -> None:
    row = {"messages": [{"role": "user", "content": "a", field: "x"}, {"role": "assistant", "content": "b"}]}
    with pytest.raises(DataError, match=field) as caught:
        Messages().read(row, {})
    assert caught.value.hint == "only an assistant's message has thoughts"


def test_a_call_may_follow_reasoning_directly() -> None:
    call = {"type": "function", "function": {"name": "track", "arguments": {"order": 1}}}
    found = read(thinking="look it up", tool_calls=[call])
    assert split_reasoning(found.text) == ("look it up", "")
    assert found.tool_calls is not None and found.tool_calls[0].name == "track"


def test_reasoning_with_a_control_token_is_rejected() -> None:
    with pytest.raises(DataError, match="spells the control token"):
        taught("qwen3.5", ASK, read(content="a", reasoning_content="x<|im_end|>y"))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>\nx\n</think>\n\nA", "A"),
        ("<think>\n\n</think>\n\nA", "A"),
        ("<think>x</think>", ""),
        ("<think>x, and no end", ""),
        ("x\n</think>\n\nA", "A"),
        ("A", "A"),
        ("  A <think> B </think>", "  A <think> B </think>"),
        ("", ""),
    ],
)
def test_the_expected_output_of_a_row_is_the_answer(text: str, answer: str) -> None:
    assert answer_without_reasoning(text) == answer


def test_answers_are_extracted_as_the_template_requires() -> None:
    assert extract_answer(named("qwen3"), "<think>\n\n</think>\n\nA") == "A"
    assert extract_answer(named("qwen3"), "<think>\nx\n</think>\n\nA") == "A"
    assert extract_answer(named("qwen3.5"), "x\n</think>\n\nA") == "A"
    assert extract_answer(named("qwen3.5"), "x\n</think>\n\nA </think> B") == "A </think> B"
    assert extract_answer(named("qwen3.5"), "x, and no end") == ""
    assert extract_answer(named("qwen3.5, off"), "A") == "A"


def test_scored_answers_equal_served_answers() -> None:
    """A mark that nobody opened is a word of the answer, as in the stream."""
    text = "close it with </think>, then write"
    stream = reasoning_stream(named("qwen3"))
    assert stream.add(text).answer + stream.flush().answer == text
    assert extract_answer(named("qwen3"), text) == text


PIECES = st.lists(st.sampled_from(["<", "think", ">", "</", "</think>", "<think>", "\n", " ", "a", "b</"]), max_size=12)


@given(PIECES, st.booleans())
def test_streaming_gives_the_result_of_the_whole_text(pieces: list[str], opened: bool) -> None:
    text = "".join(pieces)
    stream, whole = ReasoningStream(opened), ReasoningStream(opened)
    parts = [*(stream.add(piece) for piece in pieces), stream.flush()]
    once = [whole.add(text), whole.flush()]
    assert "".join(part.answer for part in parts) == "".join(part.answer for part in once)
    assert "".join(part.reasoning for part in parts).rstrip() == "".join(part.reasoning for part in once).rstrip()
    if not opened and text.lstrip().startswith("<think>"):
        assert "".join(part.answer for part in parts) == answer_without_reasoning(text)


def test_a_stream_after_a_prompt_that_opens_reasoning_begins_within_it() -> None:
    assert reasoning_stream(named("qwen3.5")).in_reasoning
    assert not reasoning_stream(named("qwen3")).in_reasoning
    assert split_reasoning(join_reasoning("x", "A")) == ("x", "A")


@pytest.mark.parametrize(
    ("template", "names"),
    [
        (thinking("qwen3.5"), {"enable_thinking"}),
        (thinking("qwen3.8"), {"enable_thinking"}),
        (thinking("gpt-oss"), set()),
        (VETTED_TEMPLATES["plain"].text, set()),
        ("{% if not thinking is defined %}{% set thinking = false %}{% endif %}x", {"thinking"}),
        ("You are thinking aloud. {{ 'thinking' in turn }} {{ turn.thinking }}", set()),
    ],
)
def test_the_thinking_switch_of_a_template(template: str, names: set[str]) -> None:
    assert {
        name for tag in JINJA_TAG.findall(template) for name in THINKING_SWITCH.findall(QUOTED_STRING.sub("", tag))
    } == names
