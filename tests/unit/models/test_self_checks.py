"""The checks before a run find real faults, planted one by one, in fp32 and in bf16; and rounding is no fault."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from tunesmith.errors import Misuse
from tunesmith.models import logit_agreement
from tunesmith.models.backends import attention as cached
from tunesmith.models.backends import engine, kv_cache, self_check
from tunesmith.models.backends.self_check import check_exact
from tunesmith.models.packed import attention as packed
from tunesmith.models.packed import check_packable, compare_shared_prefixes, logits
from tunesmith.models.packed.prefix_trie import lay_out
from tunesmith.models.probe_rows import ProbeTokens, build_probe_tokens, ordinary_token_ids

SMALL = {
    "vocab_size": 61, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 96, "initializer_range": 0.3, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {"sliding_window": 6},
    "gemma2": {"head_dim": 16, "sliding_window": 5, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0,
               "query_pre_attn_scalar": 10},
    "granite": {"logits_scaling": 4.0, "attention_multiplier": 0.3, "residual_multiplier": 0.7, "embedding_multiplier": 3.0},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2, "initializer_range": 0.2},
}  # fmt: skip
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])


def build(family: str, dtype: torch.dtype) -> PreTrainedModel:
    torch.manual_seed(3)
    config = CONFIG_MAPPING[family](**{**SMALL, **FAMILIES[family]})
    return AutoModelForCausalLM.from_config(config, dtype=dtype).eval()


def refused(model: PreTrainedModel, letters: PreTrainedTokenizerFast) -> set[str]:
    """Which of the three checks find something."""
    found = set()
    for name, look in (
        ("packed", lambda: check_packable(model, letters)),
        ("cached", lambda: check_exact(model, letters, where="here")),
    ):
        try:
            look()
        except Misuse:
            found.add(name)
    if not compare_shared_prefixes(model, letters).agrees:
        found.add("shared")
    return found


def told(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[pytest.MonkeyPatch], None]:
    """Our attention is told something else than the model says."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        for module, name, key in (
            (packed, "packed_attention", packed.ATTENTION_NAME),
            (cached, "cached_attention", cached.CACHED_ATTENTION),
        ):
            real = getattr(module, name)

            def wrong(*tensors: Any, real: Any = real, **options: Any) -> Any:
                return real(*tensors, **change(options))

            patch.setitem(module.AttentionInterface._global_mapping, key, wrong)

    return plant


def scale(options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "scaling": 1.2 * options["scaling"]}


def window(options: dict[str, Any]) -> dict[str, Any]:
    wide = options.get("sliding_window")
    return options if wide is None else {**options, "sliding_window": wide - 1}


def endless(options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "sliding_window": None}


def uncapped(options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "softcap": None}


def bare_head(patch: pytest.MonkeyPatch) -> None:
    """The head's own scale or cap is left out."""
    patch.setattr(logits, "_scale_and_softcap", lambda model: (1.0, None))


def positions(patch: pytest.MonkeyPatch) -> None:
    """What stands behind something shared is one position late."""
    real = lay_out

    def wrong(rows: Any, **options: Any) -> Any:
        found = real(rows, **options)
        late = {index for segment in found.segments if segment.prefix for index in range(segment.start, segment.end)}
        return replace(found, positions=[place + (at in late) for at, place in enumerate(found.positions)])

    patch.setattr("tunesmith.models.packed.pack.lay_out", wrong)


def packed_positions(patch: pytest.MonkeyPatch) -> None:
    """From its third token on, every row is two positions late."""
    real = lay_out

    def wrong(rows: Any, **options: Any) -> Any:
        found = real(rows, **options)
        return replace(found, positions=[place + 2 * (place > 2) for place in found.positions])

    patch.setattr("tunesmith.models.packed.pack.lay_out", wrong)


def doubled(patch: pytest.MonkeyPatch) -> None:
    """The first token of every row that shares nothing stands twice."""

    def wrong(rows: Any, *, share: bool, **how: Any) -> Any:
        twice = [row if share else replace(row, ids=row.ids[:1] + row.ids[:-1]) for row in rows]
        return lay_out(twice, share=share, **how)

    patch.setattr("tunesmith.models.packed.pack.lay_out", wrong)


def neighbours(patch: pytest.MonkeyPatch) -> None:
    """A row sees the row before it in the pass."""
    real = lay_out

    def wrong(rows: Any, **options: Any) -> Any:
        found = real(rows, **options)
        before = ((segment.start, segment.end) for segment in found.segments)
        pairs = zip(found.segments[1:], before, strict=False)
        seen = [replace(segment, prefix=segment.prefix or (neighbour,)) for segment, neighbour in pairs]
        return replace(found, segments=(found.segments[0], *seen))

    patch.setattr("tunesmith.models.packed.pack.lay_out", wrong)


def late_step(patch: pytest.MonkeyPatch) -> None:
    """A new token stands one position late."""
    real = kv_cache.next_token_layout
    patch.setattr(
        engine, "next_token_layout", lambda lengths: replace(real(lengths), positions=real(lengths).positions + 1)
    )


def branches(patch: pytest.MonkeyPatch) -> None:
    """A branch sees the branch beside it."""
    real = self_check._branch_layout

    def wrong(case: Any, lengths: Any, cache: Any) -> Any:
        ids, layout = real(case, lengths, cache)
        return ids, replace(layout, visible=layout.visible.any(dim=1, keepdim=True).expand_as(layout.visible))

    patch.setattr(self_check, "_branch_layout", wrong)


def prefix_cut_short(patch: pytest.MonkeyPatch) -> None:
    """Rows do not see the last token of a shared prefix that is stored once."""
    real = kv_cache.KVCache.expand

    def wrong(self: Any, rows: int, capacity: int, *, single_copy: bool | None = None) -> Any:
        made = real(self, rows, capacity, single_copy=single_copy)
        for layer, (keys, values) in made.prefix.items():
            made.prefix[layer] = (keys.clone().index_fill_(1, torch.tensor([keys.shape[1] - 1]), 0.0), values)
        return made

    patch.setattr(kv_cache.KVCache, "expand", wrong)


ALL = {"packed", "cached", "shared"}
FAULTS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], tuple[str, ...], set[str]]] = {
    "wrong scale": (told(scale), ("llama", "mistral", "granite", "mixtral"), ALL),
    "window one too narrow": (told(window), ("mistral", "gemma2"), ALL),
    "window ignored": (told(endless), ("mistral", "gemma2"), ALL),
    "soft cap ignored": (told(uncapped), ("gemma2",), ALL),
    "change of the logits ignored": (bare_head, ("gemma2", "granite"), ALL),
    "shared positions late": (positions, ("llama", "mistral", "mixtral"), {"shared"}),
    "packed positions late": (packed_positions, ("llama", "gemma2", "granite"), ALL),
    "double start": (doubled, ("llama", "mixtral"), {"packed", "cached"}),
    "neighbour visible": (neighbours, ("llama", "granite", "mixtral"), {"packed", "cached"}),
    "step late": (late_step, ("llama", "mistral", "gemma2"), {"cached"}),
    "branch sees branch": (branches, ("llama", "mixtral"), {"cached"}),
    "prefix cut short": (prefix_cut_short, ("llama", "granite"), {"cached"}),
}  # fmt: skip


@DTYPES
@pytest.mark.parametrize(
    ("fault", "family"), [(name, family) for name, (_, some, _) in FAULTS.items() for family in some]
)
def test_a_planted_fault_is_found(
    fault: str, family: str, dtype: torch.dtype, letters: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant, _, finders = FAULTS[fault]
    model = build(family, dtype)
    assert refused(model, letters) == set()
    plant(monkeypatch)
    assert refused(model, letters) >= finders


def test_a_change_in_rounding_is_no_fault(letters: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch) -> None:
    """In bf16: keys and values rounded once more, coarser than the format, in the last bit that it has."""
    model = build("llama", torch.bfloat16)

    def plant(change: float) -> None:
        real = packed.packed_attention

        def nudged(module: Any, query: Any, key: Any, value: Any, mask: Any, **options: Any) -> Any:
            noise = torch.empty_like(value).uniform_(-change, change, generator=torch.Generator().manual_seed(1))
            return real(module, query, key, value * (1 + noise), mask, **options)

        monkeypatch.setitem(packed.AttentionInterface._global_mapping, packed.ATTENTION_NAME, nudged)

    plant(2**-9)
    assert check_packable(model, letters).agrees
    plant(2**-3)
    with pytest.raises(
        Misuse, match=r"differs from the same row alone: logits differ by 0\.\d+ at token .* \(limit 0\.\d+\)"
    ):
        check_packable(model, letters)


def test_the_figures_and_the_bounds_stand_in_the_refusal(
    letters: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(scale)(monkeypatch)
    with pytest.raises(
        Misuse,
        match=r"eager forward by [\d.e-]+ \(limit 1.0e-05, token \d+ of probe row \d\); median [\d.e-]+ of \d+ positions",
    ):
        check_exact(build("llama", torch.float32), letters, where="here")


def test_a_row_goes_beyond_the_longest_window_that_fits(letters: PreTrainedTokenizerFast) -> None:
    def made(window: int, context: int) -> ProbeTokens:
        config = CONFIG_MAPPING["mistral"](**{**SMALL, "sliding_window": window, "max_position_embeddings": context})
        return build_probe_tokens(AutoModelForCausalLM.from_config(config), letters)

    assert (made(6, 96).long, made(6, 96).unreached) == (30, None)
    assert (made(96, 96).long, made(96, 96).unreached) == (None, None)
    assert (made(1200, 4096).long, made(1200, 4096).note()) == (1224, "")
    far = made(2048, 4096)
    assert (far.long, far.unreached) == (None, 2048)
    assert far.note().startswith("a window of 2,048 tokens is longer than the longest probe row (1,280)")


def test_probe_rows_are_ordinary_tokens(letters: PreTrainedTokenizerFast, tiny: Any) -> None:
    for tokenizer, size in ((letters, 61), (tiny.tokenizer, 400), (letters, 20)):
        found = ordinary_token_ids(tokenizer, embeddings=size, count=300)
        assert not set(found) & set(tokenizer.all_special_ids)
        assert max(found) < size
        assert len(set(found)) >= 12
    said = tiny.tokenizer.decode(ordinary_token_ids(tiny.tokenizer, embeddings=400, count=300))
    assert said.startswith("The bakery on Mill Lane opens at six")


def test_a_tokenizer_of_other_letters_gives_what_it_has() -> None:
    """Greek alone: the English text is all unknown."""
    entries = {name: at for at, name in enumerate(("<pad>", *"αβγδε"))}
    words = Tokenizer(models.WordLevel(entries, unk_token="<pad>"))
    words.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    greek = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", unk_token="<pad>")
    assert set(ordinary_token_ids(greek, embeddings=6, count=50)) == {1, 2, 3, 4, 5}
    with pytest.raises(Misuse, match="no ordinary tokens"):
        ordinary_token_ids(greek, embeddings=2, count=50)


def test_a_model_whose_own_two_ways_contradict_each_other_is_held_to_fixed_bounds(
    letters: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A family that lets SDPA run without what eager attention does must not widen its own bounds by it."""
    model = build("llama", torch.float32)
    real = ALL_ATTENTION_FUNCTIONS["sdpa"]
    monkeypatch.setitem(
        ALL_ATTENTION_FUNCTIONS._global_mapping, "sdpa", lambda *given, **options: real(*given, **scale(options))
    )
    own = logit_agreement.reference_logits(model, [tuple(range(3, 30))], [tuple(range(27))])
    assert own.sdpa_differences is None
    assert check_packable(model, letters).bound == pytest.approx(logit_agreement.BOUND_WITHOUT_SDPA[torch.float32])
    told(scale)(monkeypatch)
    with pytest.raises(Misuse, match="differs from the same row alone"):
        check_packable(model, letters)
