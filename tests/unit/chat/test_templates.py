"""Chat templates like those of seventeen model families: what is trained, what is served, and where the start token is.

The templates in `templates/` are written for these tests. Each has the turn markers and traits of its family: how it renders a
system message, how it rewrites earlier turns, what it strips, and whether template, tokenizer or both write the start token.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from tunesmith.artifacts import Example, Message, Row, message
from tunesmith.chat.answer_prefix import strip_answer_prefix
from tunesmith.chat.encode import EncodedSequence, encode_chat, prompt_ids, render_conversation, stop_ids, token_ids
from tunesmith.chat.templates import freeze_date, template_traits
from tunesmith.errors import DataError

FOLDER = Path(__file__).parent / "templates"
ROW = Row(row_id="00000000000000aa", file="made.jsonl", line=3, example=Example(text="x"))
TEXTS = ("Where is my order? It was due on Tuesday.", "queue: delivery 24", "You sort the mail.", "thank you", "é☂ 09")

SYSTEM = message("system", "You sort the mail.")
ASK = message("user", "Where is my order?")
ANSWER = message("assistant", "queue: delivery 24")
THANKS = message("user", "thank you")
BYE = message("assistant", "Tuesday")
ONE = (ASK, ANSWER)
TWO = (ASK, ANSWER, THANKS, BYE)
U, A, S = (turn.text for turn in (ASK, ANSWER, SYSTEM))


@dataclass(frozen=True)
class Family:
    """An entry of `templates/families.yaml`, which says what the fields are."""

    name: str
    special: list[str]
    bos: str | None
    eos: str
    end: str
    asked: str
    answered: str
    system: str | None
    taught: list[list[str]]
    plain: list[str] = field(default_factory=list)
    pieces: bool = False
    adds_bos: bool = False
    rstrip: bool = False


FAMILIES = [Family(**entry) for entry in yaml.safe_load((FOLDER / "families.yaml").read_text())]
BY_NAME = {family.name: family for family in FAMILIES}


def chatml(role: str, text: str) -> str:
    return f"<|im_start|>{role}\n{text}<|im_end|>\n"


def build(family: Family) -> PreTrainedTokenizerFast:
    """A small tokenizer: byte-level pieces, or for `pieces` words with a mark for the space, as SentencePiece makes them."""
    made = Tokenizer(models.BPE(unk_token="<unk>" if family.pieces else None))
    if family.pieces:
        made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
        alphabet = [chr(code) for code in (10, *range(33, 127))]
    else:
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=360,
        special_tokens=["<unk>"] if family.pieces else [],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    made.train_from_iterator(TEXTS, trainer)
    made.add_special_tokens(
        [AddedToken(name, special=True, rstrip=family.rstrip and name != "<s>") for name in family.special]
    )
    made.add_tokens([AddedToken(name, normalized=False) for name in family.plain])
    if family.adds_bos:
        start = (family.bos, made.token_to_id(family.bos))
        made.post_processor = processors.TemplateProcessing(single=f"{family.bos}:0 $A:0", special_tokens=[start])
    names: dict[str, Any] = {"bos_token": family.bos} if family.bos else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token=family.eos, clean_up_tokenization_spaces=False, **names
    )


@lru_cache(maxsize=32)
def ready(name: str) -> PreTrainedTokenizerFast:
    return with_template(name, lambda own: own)


def with_template(name: str, change: Callable[[str], str]) -> PreTrainedTokenizerFast:
    """The family's tokenizer with its template as `change` leaves it."""
    tokenizer = build(BY_NAME[name])
    tokenizer.chat_template = change((FOLDER / f"{name}.jinja").read_text())
    return tokenizer


def taught(tokenizer: PreTrainedTokenizerFast, pieces: list[EncodedSequence]) -> list[list[str]]:
    return [[tokenizer.decode(list(row.ids[start:end])).strip() for start, end in row.spans] for row in pieces]


def turns_of(messages: tuple[Message, ...]) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.text} for turn in messages]


each = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


@each
def test_prompt_and_conversation_are_rendered_as_in_the_family(family: Family) -> None:
    tokenizer = ready(family.name)
    assert render_conversation(tokenizer, (ASK,), add_generation_prompt=True) == family.asked
    assert render_conversation(tokenizer, ONE, add_generation_prompt=False) == family.asked + family.answered


@each
def test_the_answer_and_its_end_of_turn_are_trained(family: Family) -> None:
    tokenizer = ready(family.name)
    pieces = encode_chat(tokenizer, ROW, ONE)
    assert taught(tokenizer, pieces) == [[family.taught[0][0]]]
    ((start, end),) = pieces[0].spans
    assert tokenizer.convert_ids_to_tokens(pieces[0].ids[end - 1]) == family.end
    assert pieces[0].ids[end - 1] in stop_ids(tokenizer)
    assert not stop_ids(tokenizer) & set(pieces[0].ids[start : end - 1])


@each
def test_both_answers_of_two_rounds_are_trained(family: Family) -> None:
    tokenizer = ready(family.name)
    pieces = encode_chat(tokenizer, ROW, TWO)
    assert taught(tokenizer, pieces) == family.taught
    assert {row.row_id for row in pieces} == {ROW.row_id}
    prompts = [prompt_ids(tokenizer, TWO[:1]), prompt_ids(tokenizer, TWO[:3])]
    spans = [(row, start) for row in pieces for start, _ in row.spans]
    assert [list(row.ids[:start]) for row, start in spans] == prompts


@each
def test_training_serving_and_transformers_have_the_same_prompt_ids(family: Family) -> None:
    tokenizer = ready(family.name)
    for prompt in (TWO[:1], TWO[:3]):
        theirs = tokenizer.apply_chat_template(
            turns_of(prompt), chat_template=freeze_date(tokenizer.chat_template), add_generation_prompt=True
        )
        assert prompt_ids(tokenizer, prompt) == theirs["input_ids"]


@each
def test_the_start_token_is_written_once_at_the_start_or_never(family: Family) -> None:
    tokenizer = ready(family.name)
    (row,) = encode_chat(tokenizer, ROW, ONE)
    writes = family.bos is not None and family.asked.startswith(family.bos)
    assert (row.ids[0] == tokenizer.bos_token_id) == writes
    if family.bos not in (None, "<|im_start|>", family.end):
        assert row.ids.count(tokenizer.bos_token_id) == writes
    if family.adds_bos:
        trap = tokenizer.encode(render_conversation(tokenizer, ONE, add_generation_prompt=False))
        assert trap[:2].count(tokenizer.bos_token_id) == 1 + writes


@each
def test_a_system_message_is_rendered_merged_or_refused(family: Family) -> None:
    tokenizer = ready(family.name)
    if family.system is None:
        with pytest.raises(
            DataError, match="row 00000000000000aa: the chat template refuses the conversation"
        ) as error:
            encode_chat(tokenizer, ROW, (SYSTEM, *ONE))
        assert error.value.where == "made.jsonl:3"
        assert "put the instruction into the user's message" in error.value.hint
        return
    assert render_conversation(tokenizer, (SYSTEM, ASK), add_generation_prompt=True) == family.system
    (row,) = encode_chat(tokenizer, ROW, (SYSTEM, *ONE))
    assert taught(tokenizer, [row]) == [[family.taught[0][0]]]
    assert list(row.ids[: row.spans[0][0]]) == prompt_ids(tokenizer, (SYSTEM, ASK))


WORDS = st.text(alphabet="ab \n\t<|>/[]é☂09'\"\\{}%", max_size=12)


@each
@settings(max_examples=10, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(words=st.tuples(WORDS, WORDS, WORDS, WORDS))
def test_any_row_is_encoded_correctly_or_rejected(family: Family, words: tuple[str, ...]) -> None:
    tokenizer = ready(family.name)
    roles = ("user", "assistant", "user", "assistant")
    talk = tuple(message(role, text) for role, text in zip(roles, words, strict=True))
    try:
        pieces = encode_chat(tokenizer, ROW, talk)
    except DataError as error:
        assert error.what.startswith("row 00000000000000aa: ")
        return
    spans = [(row, *span) for row in pieces for span in row.spans]
    assert [list(row.ids[:start]) for row, start, _ in spans] == [prompt_ids(tokenizer, talk[:n]) for n in (1, 3)]
    for row, start, end in spans:
        assert [token in stop_ids(tokenizer) for token in row.ids[start:end]] == [False] * (end - start - 1) + [True]
        assert row.ids[:2].count(tokenizer.bos_token_id) < 2


def test_sequences_of_a_rewritten_conversation_share_their_prefix() -> None:
    """Qwen3 writes the last answer with its thoughts and the same answer without them once it lies in the past."""
    tokenizer = ready("qwen3")
    thought = message("assistant", "<think>\nlate?\n</think>\n\nTuesday")
    first, second = encode_chat(tokenizer, ROW, (ASK, thought, THANKS, BYE))
    asked, opened = chatml("user", U), "<|im_start|>assistant\n"
    assert tokenizer.decode(list(first.ids)) == f"{asked}{opened}<think>\nlate?\n</think>\n\nTuesday<|im_end|>"
    past = asked + chatml("assistant", "Tuesday") + chatml("user", "thank you")
    assert tokenizer.decode(list(second.ids)) == f"{past}{opened}<think>\n\n</think>\n\nTuesday<|im_end|>"
    assert (len(first.spans), len(second.spans), first.first_token, second.first_token) == (1, 1, 0, 0)


@pytest.mark.parametrize("family", sorted(BY_NAME))
def test_the_answer_prefix_of_a_family(family: str) -> None:
    """Qwen3 writes an empty reasoning block; no other family writes visible text."""
    tokenizer = ready(family)
    assert template_traits(tokenizer).answer_prefix == {"qwen3": "<think>\n\n</think>"}.get(family, "")
    (row,) = encode_chat(tokenizer, ROW, ONE)
    ((start, end),) = row.spans
    written = tokenizer.decode(list(row.ids[start:end]), skip_special_tokens=True)
    assert strip_answer_prefix(tokenizer, written).removesuffix(BY_NAME[family].end).strip() == A


def test_a_conversation_that_ends_with_a_question_trains_its_answers() -> None:
    tokenizer = ready("qwen3")
    (row,) = encode_chat(tokenizer, ROW, (*ONE, THANKS))
    assert taught(tokenizer, [row]) == [[f"<think>\n\n</think>\n\n{A}<|im_end|>"]]


def test_the_system_message_that_mistral_moves_is_where_serving_renders_it() -> None:
    tokenizer = ready("mistral-v3")
    assert S not in render_conversation(tokenizer, (SYSTEM, *ONE), add_generation_prompt=False)
    rows = encode_chat(tokenizer, ROW, (SYSTEM, *TWO))
    assert [tokenizer.decode(list(row.ids)) for row in rows] == [
        tokenizer.decode(token_ids(tokenizer, text))
        for text in (
            f"<s>[INST] {S}\n\n{U}[/INST] {A}</s>",
            f"<s>[INST] {U}[/INST] {A}</s>[INST] {S}\n\nthank you[/INST] Tuesday</s>",
        )
    ]
    assert taught(tokenizer, rows) == [[f"{A}</s>"], ["Tuesday</s>"]]


def test_an_answer_is_not_appended_to_a_prompt_with_another_suffix() -> None:
    close = "turn.content + ('[/INST] Sorted:' if loop.last and system is defined else '[/INST]')"
    tokenizer = with_template("mistral-v3", swap("turn.content + '[/INST]'", close))
    assert len(encode_chat(tokenizer, ROW, ONE)) == 1
    with pytest.raises(DataError, match="are not a prefix of the conversation's"):
        encode_chat(tokenizer, ROW, (SYSTEM, *ONE))


def test_reasoning_may_have_another_layout() -> None:
    tokenizer = ready("qwen3")
    thought = message("assistant", "<think>late?\nyes</think>Tuesday")
    assert taught(tokenizer, encode_chat(tokenizer, ROW, (ASK, thought))) == [
        ["<think>\nlate?\nyes\n</think>\n\nTuesday<|im_end|>"]
    ]


def test_a_prompt_that_opens_reasoning_which_the_answer_drops_is_rejected() -> None:
    """DeepSeek R1: nothing that could be trained would follow the prompt that is served."""
    tokenizer = with_template("deepseek-v3", lambda own: (FOLDER / "deepseek-r1.jinja").read_text())
    for text in (A, f"late?\n</think>\n\n{A}"):
        with pytest.raises(DataError, match="are not a prefix of the conversation's") as error:
            encode_chat(tokenizer, ROW, (ASK, message("assistant", text)))
        assert error.value.hint == "the chat template rewrites earlier turns"


def test_the_generation_marks_of_smollm3_include_text_that_is_never_generated() -> None:
    tokenizer = ready("smollm3")
    made = tokenizer.apply_chat_template(
        turns_of(ONE),
        chat_template=freeze_date(tokenizer.chat_template),
        return_assistant_tokens_mask=True,
    )
    marked = [token for token, mark in zip(made["input_ids"], made["assistant_masks"], strict=True) if mark]
    assert tokenizer.decode(marked) == f"<|im_start|>assistant\n{A}<|im_end|>\n"
    silent = (message("system", "You sort the mail. /no_think"), *ONE)
    rows = encode_chat(tokenizer, ROW, silent)
    assert taught(tokenizer, rows) == [[f"{A}<|im_end|>"]]
    assert render_conversation(tokenizer, silent[:2], add_generation_prompt=True).endswith(
        "<|im_start|>assistant\n<think>\n\n</think>\n"
    )


@pytest.mark.parametrize("name", ["llama3.2", "smollm3", "granite3"])
def test_the_current_date_is_not_used(name: str) -> None:
    own = (FOLDER / f"{name}.jinja").read_text()
    assert "strftime_now(" in own
    assert "strftime_now(" not in freeze_date(own)
    assert freeze_date(freeze_date(own)) == freeze_date(own)
    assert "26" in render_conversation(ready(name), (ASK,), add_generation_prompt=True)
    with pytest.raises(DataError, match="writes the current time"):
        freeze_date("{% set form = '%d' %}{{ strftime_now(form) }}")


MARK, UNMARK = "{%- generation -%}", "{%- endgeneration -%}"


def swap(old: str, new: str) -> Callable[[str], str]:
    def change(own: str) -> str:
        assert old in own
        return own.replace(old, new)

    return change


LATE = (
    "{% for m in messages %}{% if loop.first %}{{ '<|im_start|>user\n' + m.content + '<|im_end|>\n' }}"
    "{% elif m.role == 'assistant' %}{% generation %}"
    "{{ '<|im_start|>assistant\n' + m.content + '<|im_end|>\n' + ('' if loop.last else '<|im_start|>user\n') }}"
    "{% endgeneration %}{% else %}{{ m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""Its marks run on into the turn behind the answer."""


@pytest.mark.parametrize(
    ("name", "change", "what"),
    [
        ("llama3.2", lambda own: "{{- bos_token -}}" + own, "begins with two start tokens"),
        ("gemma3", swap("turn.content | trim", "bos_token + turn.content"), "a start token stands inside a turn"),
        ("gemma3", swap("{{- bos_token -}}", "{{- bos_token if messages | length < 3 -}}"), "has no start token"),
        ("deepseek-v3", swap("{{- bos_token -}}", "{{- bos_token if messages | length > 2 -}}"), "begins with a start"),
        ("qwen2.5", swap("+ '<|im_end|>\\n'", "+ '\\n'"), "does not end in an end-of-turn token"),
        ("qwen2.5", lambda own: own + "{{- '' if add_generation_prompt else 'bye' -}}", "writes 'bye' behind the end"),
        ("qwen2.5", swap("turn['content']", "turn['content'].replace('delivery', '')"), "a part of the answer"),
        ("qwen2.5", swap("turn['content']", "turn['content'].replace('order', '')"), "message 1, of the role user"),
        ("smollm3", swap("+ '<|im_end|>\\n' -}}\n        " + UNMARK, f"-}}}}{UNMARK}{{{{- '<|im_end|>\\n' -}}}}"), "leave out"),
        ("smollm3", lambda own: MARK + own + UNMARK, "take in more than an answer"),
        ("smollm3", swap("+ turn.content + '<|im_end|>", f"-}}}}{MARK}{{{{- turn.content -}}}}{UNMARK}{{{{- '<|im_end|>"),
         "take in more than the answers"),
        ("qwen2.5", lambda own: LATE, "take in more than an answer"),
    ],
)  # fmt: skip
def test_a_template_that_breaks_a_rule_is_an_error_with_the_row(
    name: str, change: Callable[[str], str], what: str
) -> None:
    tokenizer = with_template(name, change)
    with pytest.raises(DataError, match=what) as error:
        encode_chat(tokenizer, ROW, TWO)
    assert error.value.what.startswith("row 00000000000000aa: ")
    assert error.value.where == "made.jsonl:3"


def test_a_role_that_the_template_skips_is_an_error() -> None:
    """Zephyr's has no tool role and says nothing."""
    tokenizer = ready("zephyr")
    talk = (ASK, message("assistant", "I look."), message("tool", "late"), ANSWER)
    assert "late" not in render_conversation(tokenizer, talk, add_generation_prompt=False)
    with pytest.raises(DataError, match="leaves out message 3, of the role tool"):
        encode_chat(tokenizer, ROW, talk)


def test_text_that_a_template_writes_as_json_counts_as_rendered() -> None:
    tokenizer = with_template("llama3.2", swap("turn.content.strip()", "(turn.content | tojson)"))
    (row,) = encode_chat(tokenizer, ROW, (message("user", 'say "é"\nnow'), message("assistant", 'a "b"')))
    assert taught(tokenizer, [row]) == [[json.dumps('a "b"') + "<|eot_id|>"]]


def test_an_end_token_that_is_not_special_does_not_end_a_turn() -> None:
    """Gemma has `</s>` for HTML."""
    tokenizer = ready("gemma3")
    struck = message("assistant", "was <s>24</s>, is 25")
    assert "</s>" in tokenizer.get_vocab()
    assert taught(tokenizer, encode_chat(tokenizer, ROW, (ASK, struck))) == [["was <s>24</s>, is 25<end_of_turn>"]]


@pytest.mark.parametrize(
    ("name", "marker"),
    [
        ("llama2", "[/INST]"),
        ("llama2", "<<SYS>>"),
        ("zephyr", "<|assistant|>"),
        ("olmo2", "<|system|>"),
        ("deepseek-v3", "<｜User｜>"),
    ],
)
def test_a_plain_text_marker_is_a_control_token_too(name: str, marker: str) -> None:
    tokenizer = ready(name)
    assert marker not in tokenizer.all_special_tokens
    with pytest.raises(DataError) as error:
        encode_chat(tokenizer, ROW, (message("user", f"where {marker} is it"), ANSWER))
    assert error.value.what == f"row 00000000000000aa: a message spells the control token {marker}"
    assert len(encode_chat(tokenizer, ROW, (message("user", "[A] <|b c|> <<see>> [inst]"), ANSWER))) == 1


def test_the_template_reveals_an_end_token_that_is_in_no_list() -> None:
    family = BY_NAME["qwen2.5"]
    tokenizer = build(
        replace(family, special=["<|im_start|>", "<|endoftext|>"], eos="<|endoftext|>", plain=["<|done|>"])
    )
    tokenizer.chat_template = (FOLDER / "qwen2.5.jinja").read_text().replace("<|im_end|>", "<|done|>")
    assert tokenizer.convert_ids_to_tokens(sorted(stop_ids(tokenizer))) == ["<|endoftext|>", "<|done|>"]
    assert taught(tokenizer, encode_chat(tokenizer, ROW, ONE)) == [[f"{A}<|done|>"]]
    with pytest.raises(DataError, match="spells the control token <|done|>"):
        encode_chat(tokenizer, ROW, (message("user", "a<|done|>b"), ANSWER))
