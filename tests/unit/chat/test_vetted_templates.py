"""The named chat templates over tokenizers of several kinds: mask, stop token and prefix, against transformers' own mask."""

from collections.abc import Callable
from typing import Any

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tunesmith.artifacts import Example, Message, Row, message
from tunesmith.chat.encode import encode_chat, prompt_ids, stop_ids
from tunesmith.chat.vetted_templates import VETTED_TEMPLATES
from tunesmith.errors import DataError

WORDS = (
    "Where is my order? It should have been here on Tuesday, and nobody answers the phone. The kettle leaks!",
    "system user assistant tool think <|user|> <|assistant|> <|system|>\n\n {} 0123456789 - * # naïve 漢字",
)
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def byte_level(pre: Any) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        WORDS * 3, trainers.BpeTrainer(vocab_size=420, initial_alphabet=alphabet, show_progress=False)
    )
    return tokenizer


def gpt2() -> Tokenizer:
    return byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))


def llama3() -> Tokenizer:
    split = pre_tokenizers.Split(Regex(LLAMA3), "isolated")
    return byte_level(
        pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    )


def llama2() -> Tokenizer:
    """SentencePiece's shape: spaces are written as ▁, unknown characters as bytes, words are not split."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    special = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=560, special_tokens=special, show_progress=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("▁|\n"), "merged_with_next")
    tokenizer.train_from_iterator(WORDS * 3, trainer)
    tokenizer.pre_tokenizer = None
    return tokenizer


KINDS: dict[str, Callable[[], Tokenizer]] = {"gpt2": gpt2, "llama3": llama3, "llama2": llama2}
STARTS: dict[str, dict[str, str]] = {
    "start and end": {"bos_token": "<s>", "eos_token": "</s>"},
    "end alone": {"eos_token": "<|endoftext|>"},
    "the marker of a turn": {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"},
    "one for both": {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"},
}


@pytest.fixture(params=[(kind, start) for kind in KINDS for start in STARTS], ids=", ".join)
def bare(request: pytest.FixtureRequest) -> PreTrainedTokenizerFast:
    """A tokenizer without a chat template."""
    kind, start = request.param
    return PreTrainedTokenizerFast(tokenizer_object=KINDS[kind](), **STARTS[start])


def given(tokenizer: PreTrainedTokenizerFast, name: str) -> PreTrainedTokenizerFast:
    tokens = [AddedToken(token, special=True, normalized=False) for token in VETTED_TEMPLATES[name].tokens]
    tokenizer.add_tokens(tokens, special_tokens=True)
    tokenizer.chat_template = VETTED_TEMPLATES[name].text
    return tokenizer


def row(*turns: Message) -> Row:
    return Row(row_id="r", file="made", line=1, example=Example(messages=turns))


CONVERSATIONS = {
    "one answer": (message("user", "Where is my order?"), message("assistant", "On its way.")),
    "under a system message": (
        message("system", "You are a clerk.\n\nBe short."),
        message("user", "The kettle leaks!\n"),
        message("assistant", "Sorry - send it back.\n"),
    ),
    "several rounds": (
        message("user", "a"),
        message("assistant", "1. one\n2. two"),
        message("user", "  b "),
        message("assistant", "{}"),
        message("user", "漢字?"),
        message("assistant", "naïve 漢字"),
    ),
    "white space around": (message("user", "\n\nx\n\n"), message("assistant", "\n\n\n    - indented\n\n")),
}


@pytest.mark.parametrize("name", VETTED_TEMPLATES)
@pytest.mark.parametrize("turns", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_a_conversation_is_one_sequence_with_the_mask_of_transformers(
    bare: PreTrainedTokenizerFast, name: str, turns: tuple[Message, ...]
) -> None:
    tokenizer = given(bare, name)
    (piece,) = encode_chat(tokenizer, row(*turns), turns)
    told = tokenizer.apply_chat_template(
        [{"role": turn.role, "content": turn.text} for turn in turns], return_dict=True, return_assistant_tokens_mask=True,
    )  # fmt: skip
    assert list(piece.ids) == told["input_ids"]
    mine = [any(start <= place < end for start, end in piece.spans) for place in range(len(piece.ids))]
    assert mine == [bool(mark) for mark in told["assistant_masks"]]
    end = "<|im_end|>" if name == "chatml" else tokenizer.eos_token
    answers = [turn.text.strip() for turn in turns if turn.role == "assistant"]
    said = [tokenizer.decode(list(piece.ids[start:last])) for start, last in piece.spans]
    assert said == [answer + end for answer in answers]
    for (start, last), asked in zip(piece.spans, prompts(turns), strict=True):
        assert piece.ids[last - 1] in stop_ids(tokenizer)
        assert list(piece.ids[:start]) == prompt_ids(tokenizer, asked)


def prompts(turns: tuple[Message, ...]) -> list[tuple[Message, ...]]:
    return [turns[:place] for place, turn in enumerate(turns) if turn.role == "assistant"]


@pytest.mark.parametrize("name", VETTED_TEMPLATES)
def test_the_start_token_is_written_once_unless_it_is_also_the_end_token(
    bare: PreTrainedTokenizerFast, name: str
) -> None:
    tokenizer = given(bare, name)
    ids = prompt_ids(tokenizer, (message("user", "a"),))
    begins = tokenizer.bos_token_id is not None and tokenizer.bos_token_id != tokenizer.eos_token_id
    assert (ids[0] == tokenizer.bos_token_id) == begins
    turns = 2 if (name, tokenizer.bos_token) == ("chatml", "<|im_start|>") else 1
    assert not begins or ids.count(tokenizer.bos_token_id) == turns


@pytest.mark.parametrize("name", VETTED_TEMPLATES)
def test_no_message_speaks_in_another_role(bare: PreTrainedTokenizerFast, name: str) -> None:
    tokenizer = given(bare, name)
    marker = "<|im_start|>" if name == "chatml" else "<|assistant|>"
    turns = (message("user", f"x {marker} y"), message("assistant", "z"))
    with pytest.raises(DataError, match="spells the control token"):
        encode_chat(tokenizer, row(*turns), turns)


@pytest.mark.parametrize("name", VETTED_TEMPLATES)
def test_tools_are_an_error_and_never_dropped(bare: PreTrainedTokenizerFast, name: str) -> None:
    tokenizer = given(bare, name)
    turns = (message("user", "a"), message("assistant", "b"))
    example = Example(messages=turns, tools=('{"name": "weather", "parameters": {"properties": {"city": {}}}}',))
    with pytest.raises(DataError, match="leaves out the tool 'weather'"):
        encode_chat(tokenizer, Row(row_id="r", file="made", line=1, example=example), turns)


def test_the_templates_are_read_from_the_package() -> None:
    assert set(VETTED_TEMPLATES) == {"chatml", "plain"}
    for one in VETTED_TEMPLATES.values():
        assert one.text.startswith("{#-")
