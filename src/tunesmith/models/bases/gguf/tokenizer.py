"""The tokenizer of a GGUF file as tokenizer.json: byte-level BPE with the supported pre-tokenizers."""

from dataclasses import dataclass
from typing import Any, Final

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from tunesmith.errors import DataError
from tunesmith.models.bases.gguf.config import OTHER_FORMAT_HINT
from tunesmith.models.bases.gguf.header import Header

UNKNOWN, CONTROL, USER_DEFINED, UNUSED = 2, 3, 4, 5
"""Token types (`tokenizer.ggml.token_type`): unknown, control, user-defined, and unused rows."""

CONTRACTIONS: Final = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
WORDS: Final = r"[^\r\n\p{L}\p{N}]?\p{L}+"
OTHER_TEXT: Final = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


@dataclass(frozen=True)
class PreTokenizerSpec:
    """How a family splits text before BPE. `pattern` None is GPT-2's; `begins` is the default of add_bos_token."""

    pattern: str | None = None
    digits: bool = False
    composed: bool = False
    whole_words: bool = False
    begins: bool = False


PRE_TOKENIZERS: Final = {
    "gpt-2": PreTokenizerSpec(),
    "smollm": PreTokenizerSpec(digits=True),
    "llama-bpe": PreTokenizerSpec(
        rf"{CONTRACTIONS}|{WORDS}|\p{{N}}{{1,3}}|{OTHER_TEXT}", whole_words=True, begins=True
    ),
    "qwen2": PreTokenizerSpec(rf"{CONTRACTIONS}|{WORDS}|\p{{N}}|{OTHER_TEXT}", composed=True),
}
"""By `tokenizer.ggml.pre`, each as in the publisher's tokenizer.json."""


@dataclass(frozen=True)
class SpecialIds:
    """Ids of the special tokens, None for a missing one."""

    bos: int | None
    eos: int | None
    pad: int | None
    unknown: int | None


def read_special_ids(header: Header, where: str) -> SpecialIds:
    """The special token ids. Raises DataError if an id is out of range or there is no end token."""
    count = len(_read_tokens(header, where))

    def read_id(name: str) -> int | None:
        value = header.keys.get(f"tokenizer.ggml.{name}_token_id")
        if value is not None and (not isinstance(value, int) or not 0 <= value < count):
            raise DataError(
                f"tokenizer.ggml.{name}_token_id is {value!r}, but there are {count} tokens",
                where=where,
                hint=OTHER_FORMAT_HINT,
            )
        return value

    special = SpecialIds(read_id("bos"), read_id("eos"), read_id("padding"), read_id("unknown"))
    if special.eos is None:
        raise DataError(
            "the tokenizer has no end token (tokenizer.ggml.eos_token_id)", where=where, hint=OTHER_FORMAT_HINT
        )
    return special


def build_tokenizer(header: Header, where: str) -> Tokenizer:
    """Build the tokenizer. Raises DataError if the file has none, or an unsupported or inconsistent one."""
    tokens, kinds = _read_tokens(header, where), header.keys.get("tokenizer.ggml.token_type")
    spec = _pre_tokenizer_spec(header, where)
    merges = header.keys.get("tokenizer.ggml.merges")
    if not isinstance(kinds, list) or len(kinds) != len(tokens) or not isinstance(merges, list):
        raise DataError("the tokenizer has no token types or no merges", where=where, hint=OTHER_FORMAT_HINT)
    rows = header.tensors["token_embd.weight"].shape[0]
    if len(tokens) > rows:
        raise DataError(
            f"{len(tokens)} tokens, but the embeddings have {rows} rows", where=where, hint=OTHER_FORMAT_HINT
        )
    vocabulary = {token: number for number, token in enumerate(tokens) if kinds[number] != UNUSED}
    if len(vocabulary) != sum(kind != UNUSED for kind in kinds):
        raise DataError("the tokenizer has a duplicate token", where=where, hint=OTHER_FORMAT_HINT)
    pairs = [_merge_pair(merge, vocabulary, where) for merge in merges]
    model = models.BPE(vocab=vocabulary, merges=pairs, ignore_merges=spec.whole_words)
    tokenizer = Tokenizer(model)
    if spec.composed:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = _pre_tokenizer(spec)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = _post_processor(header, spec, tokens, where)
    tokenizer.add_special_tokens(_added_tokens(tokens, kinds, (UNKNOWN, CONTROL)))
    tokenizer.add_tokens(_added_tokens(tokens, kinds, (USER_DEFINED,)))
    return tokenizer


def tokenizer_config(special: SpecialIds, header: Header, positions: int) -> dict[str, Any]:
    """tokenizer_config.json: loads tokenizer.json unchanged and names its special tokens."""
    tokens = header.keys["tokenizer.ggml.tokens"]
    pad = special.eos if special.pad is None else special.pad
    named = {"bos_token": special.bos, "eos_token": special.eos, "pad_token": pad, "unk_token": special.unknown}
    return {
        "backend": "tokenizers",
        "clean_up_tokenization_spaces": False,
        "model_max_length": positions,
        "tokenizer_class": "TokenizersBackend",
        **{name: tokens[number] for name, number in named.items() if number is not None},
    }


def _read_tokens(header: Header, where: str) -> list[str]:
    tokens = header.keys.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, list) or not tokens or not all(isinstance(token, str) for token in tokens):
        raise DataError("the file has no tokenizer", where=where, hint=OTHER_FORMAT_HINT)
    return tokens


def _pre_tokenizer_spec(header: Header, where: str) -> PreTokenizerSpec:
    model, pre = header.keys.get("tokenizer.ggml.model"), header.keys.get("tokenizer.ggml.pre")
    if model != "gpt2":
        what = f"the GGUF tokenizer type {model!r} is not supported (supported: 'gpt2', byte-level BPE)"
        raise DataError(what, where=where, hint=OTHER_FORMAT_HINT)
    if pre not in PRE_TOKENIZERS:
        supported = ", ".join(PRE_TOKENIZERS)
        raise DataError(
            f"the pre-tokenizer {pre!r} is not supported (supported: {supported})", where=where, hint=OTHER_FORMAT_HINT
        )
    return PRE_TOKENIZERS[pre]


def _pre_tokenizer(spec: PreTokenizerSpec) -> Any:
    if spec.pattern is not None:
        split = pre_tokenizers.Split(Regex(spec.pattern), behavior="isolated")
        return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    words = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), words]) if spec.digits else words


def _post_processor(header: Header, spec: PreTokenizerSpec, tokens: list[str], where: str) -> Any:
    begin = read_special_ids(header, where).bos
    if not header.keys.get("tokenizer.ggml.add_bos_token", spec.begins) or begin is None:
        return processors.ByteLevel(trim_offsets=False)
    name = tokens[begin]
    return processors.TemplateProcessing(
        single=f"{name} $A", pair=f"{name} $A {name}:1 $B:1", special_tokens=[(name, begin)]
    )


def _merge_pair(merge: Any, vocabulary: dict[str, int], where: str) -> tuple[str, str]:
    left, gap, right = str(merge).partition(" ")
    if not gap or not {left, right, left + right} <= vocabulary.keys():
        what = f"the merges do not fit the tokens: {str(merge)[:60]!r} is not two tokens that form a third"
        raise DataError(what, where=where, hint=OTHER_FORMAT_HINT)
    return left, right


def _added_tokens(tokens: list[str], kinds: list[int], kinds_to_add: tuple[int, ...]) -> list[AddedToken]:
    special = CONTROL in kinds_to_add
    return [
        AddedToken(token, special=special, normalized=False)
        for token, kind in zip(tokens, kinds, strict=True)
        if kind in kinds_to_add
    ]
