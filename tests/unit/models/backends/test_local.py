"""Contract of the local decoder; parity with transformers is in tests/parity/models."""

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from tunesmith.errors import DataError, Misuse
from tunesmith.models.backends import engine
from tunesmith.models.backends.engine import Engine
from tunesmith.models.backends.label_scores import choose, label_completions
from tunesmith.models.backends.label_trie import Choice, LabelSearch, build_trie
from tunesmith.models.backends.sampling import Sampling, sample_token
from tunesmith.models.backends.self_check import check_exact


def test_an_empty_and_a_full_prompt_are_refused(tiny):
    with pytest.raises(DataError, match="prompt 1 is empty"):
        tiny.generate([[5], []], max_new_tokens=2)
    with pytest.raises(DataError, match="prompt 0 has 256 tokens; the context holds 256"):
        tiny.generate([[5] * 256], max_new_tokens=2)
    with pytest.raises(DataError, match=r"row 0 has 250 \+ 7 tokens"):
        tiny.logprobs([[5] * 250], [[6] * 7])


def test_completions_end_with_the_context(tiny):
    long, short = [5] * 250, [6, 7]
    found = tiny.generate([long, short], max_new_tokens=20, batch=2)
    assert len(found[0]) <= 6
    assert found == [tiny.generate([prompt], max_new_tokens=20)[0] for prompt in (long, short)]


def test_nothing_asked_is_nothing_answered(tiny):
    assert tiny.generate([], max_new_tokens=5) == []
    assert tiny.generate([[5]], max_new_tokens=0) == [[]]
    assert tiny.logprobs([], []) == []
    assert tiny.choose([], [[5]]) == []


def test_every_prompt_is_reported(tiny):
    seen = []
    tiny.generate([[5, number] for number in range(10, 17)], max_new_tokens=2, batch=3, report=seen.append)
    assert sum(seen) == 7 and max(seen) <= 3
    seen.clear()
    tiny.choose([[5, number] for number in range(10, 17)], [[9], [8]], batch=4, report=seen.append)
    assert seen == [4, 3]


def test_the_stream_is_the_greedy_completion(tiny):
    prompt = [5, 80, 120, 33]
    (whole,) = tiny.generate([prompt], max_new_tokens=30)
    streamed = list(tiny.stream(prompt, max_new_tokens=30))
    assert [token for token in streamed if token not in tiny.stops] == whole
    cut = frozenset({whole[4]})
    assert list(tiny.stream(prompt, max_new_tokens=30, stop_ids=cut)) == whole[: whole.index(whole[4]) + 1]


def test_sampling_draws_from_the_nucleus():
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()

    def drawn(sampling):
        generator = torch.Generator().manual_seed(3)
        return {sample_token(logits, sampling, generator) for _ in range(400)}

    assert drawn(Sampling(temperature=0)) == {0}
    assert drawn(Sampling(temperature=1, top_p=0.5)) == {0}
    assert drawn(Sampling(temperature=1, top_p=0.79)) == {0, 1}
    assert drawn(Sampling(temperature=1, top_p=0.9)) == {0, 1, 2}
    assert drawn(Sampling(temperature=1)) == {0, 1, 2, 3}


def test_sampling_follows_the_probabilities():
    logits = torch.tensor([0.6, 0.4]).log()
    generator = torch.Generator().manual_seed(1)
    share = sum(sample_token(logits, Sampling(temperature=1), generator) == 0 for _ in range(4000)) / 4000
    # Five standard errors of a share of 0.6 in 4,000 draws.
    assert share == pytest.approx(0.6, abs=0.039)


def test_labels_as_completions(tiny):
    end = tiny.tokenizer.eos_token_id
    options = label_completions(tiny.tokenizer, ["card arrival", "exchange rate"])
    assert [tiny.tokenizer.decode(option[:-1]) for option in options] == ["card arrival", "exchange rate"]
    assert {option[-1] for option in options} == {end}


def test_a_trie_shares_what_options_begin_with():
    trie = build_trie([[1, 2, 3], [1, 2, 4], [5]])
    assert [(node.token, node.depth, node.option) for node in trie[1:]] == [
        (1, 1, None),
        (2, 2, None),
        (3, 3, 0),
        (4, 3, 1),
        (5, 1, 2),
    ]
    for options in ([], [[]], [[1, 2], [1, 2]]):
        with pytest.raises(Misuse):
            build_trie(options)


def test_a_label_that_does_not_fit_is_refused(tiny):
    with pytest.raises(DataError, match="no room for a label of 7"):
        tiny.choose([[5] * 250], [[6] * 7])


@pytest.fixture
def tokens(monkeypatch):
    """Tokens of each forward through the trunk."""
    counts = []
    forward = Engine.forward

    def counted(self, ids, layout, cache):
        counts.append(int(layout.present.sum()))
        return forward(self, ids, layout, cache)

    monkeypatch.setattr(Engine, "forward", counted)
    return counts


def test_a_shared_prefix_is_run_once(tiny, tokens):
    shared = list(range(20, 70))
    tiny.generate([[*shared, number] for number in range(100, 108)], max_new_tokens=1, batch=4)
    assert tokens == [50, 4, 4]
    tokens.clear()
    tiny.choose([[*shared, number] for number in range(100, 108)], [[9], [8]], batch=4)
    assert tokens == [50, 4, 4]


def test_no_token_is_spent_on_padding(tiny, tokens):
    tiny.generate([[5, 6, 7, 8], [9], [8, 7]], max_new_tokens=1)
    assert tokens == [7]


def test_long_prompts_are_prefilled_in_chunks(tiny, tokens, monkeypatch):
    prompts = [list(range(20, 20 + length)) for length in (100, 7, 64, 33)]
    whole = tiny.generate(prompts, max_new_tokens=4)
    tokens.clear()
    monkeypatch.setattr(engine, "MAX_TOKENS_PER_FORWARD", 4 * 32)
    assert tiny.generate(prompts, max_new_tokens=4) == whole
    # Columns 0 to 31 of all four, then of those that are longer.
    assert tokens[:4] == [103, 65, 32, 4]


def test_a_long_shared_prefix_is_stored_once(tiny):
    shared = [20 + place % 50 for place in range(150)]
    (rows,) = Engine(tiny.model).prefill([[*shared, 7, 8], [*shared, 9]], batch=2, new_tokens=10)
    assert rows.cache.prefix_length == 150
    (keys, _), (prefix, _) = rows.cache.layers[0], rows.cache.prefix[0]
    assert (keys.shape[:3], prefix.shape[:2]) == ((2, 2, 12), (2, 150))


def gains_of(trie):
    """A log-probability for every node, drawn once; the choice that follows from them; and the nodes that had to be run."""
    generator = torch.Generator().manual_seed(len(trie))
    gains = (torch.rand(len(trie), generator=generator).log() * 2).tolist()
    sums = [0.0] * len(trie)
    for place, node in enumerate(trie[1:], start=1):
        sums[place] = sums[node.parent] + gains[place]
    best = max(sums[place] for place, node in enumerate(trie) if node.option is not None)
    inner = [place for place, node in enumerate(trie[1:], start=1) if node.children and sums[place] > best]
    return gains, sums.index(best), best, len(inner)


@pytest.mark.parametrize("width", [1, 2, 5, 40])
@pytest.mark.parametrize("spread", [3, 5, 8])
def test_the_search_finds_the_best_and_runs_few_extra_nodes(width, spread):
    generator = torch.Generator().manual_seed(spread)
    options = {tuple(torch.randint(0, spread, (6,), generator=generator).tolist()) for _ in range(60)}
    trie = build_trie(sorted(options))
    gains, node, logprob, needed = gains_of(trie)
    row = LabelSearch(index=0, length=9)
    row.add_children(trie, 0, [gains[child] for child in trie[0].children.values()])
    while (found := row.result(trie)) is None:
        taken = row.take_nodes(trie, width)
        assert 1 <= len(taken) <= width
        for place in taken:
            row.add_children(trie, place, [gains[child] for child in trie[place].children.values()])
    assert found == Choice(trie[node].option, pytest.approx(logprob))
    assert needed <= len(row.slots) <= needed + (0 if width == 1 else 2 * width)
    assert sorted(row.slots.values()) == list(range(9, 9 + len(row.slots)))


def test_single_children_are_run_along():
    """One child is all but certain and has a single path below it; a rival that cannot be ruled out stops that."""
    trie = build_trie([[1, 2, 3, 4], [5, 6]])
    sure, torn = LabelSearch(0, 10), LabelSearch(0, 10)
    sure.add_children(trie, 0, [-0.01, -9.0])
    torn.add_children(trie, 0, [-0.6, -0.7])
    assert [trie[node].token for node in sure.take_nodes(trie, 8)] == [1, 2, 3]
    assert [trie[node].token for node in torn.take_nodes(trie, 8)] == [1, 5]
    assert list(sure.path_slots(trie, 3)) == [12, 11, 10]


def build(family, **options):
    small = {"vocab_size": 61, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2}
    small |= {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64}
    torch.manual_seed(3)
    config = CONFIG_MAPPING[family](**{**small, "initializer_range": 0.2, "pad_token_id": 0, **options})
    return AutoModelForCausalLM.from_config(config).eval()


EXPERTS = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
}
WINDOW = {"use_sliding_window": True, "sliding_window": 20, "layer_types": ["sliding_attention", "full_attention"]}
REFUSED = {
    "stablelm": ({"hidden_dropout": 0.0}, "a stablelm model cannot be run exactly: .* needs its own cache"),
    "gpt_oss": ({"num_local_experts": 4, "head_dim": 16}, "a gpt_oss model cannot be run exactly: .* sinks"),
    "bloom": ({}, "generation logits of the bloom model differ from its eager forward"),
    "mamba": ({}, "generation logits of the mamba model differ"),
    "llama4_text": ({"num_local_experts": 2, "head_dim": 8}, "a llama4_text model cannot be run exactly: its trunk"),
    "qwen2_moe": ({**EXPERTS, **WINDOW}, "layer 0 of a qwen2_moe model declares a window of 20 .* passes None"),
}


@pytest.mark.parametrize("family", REFUSED)
def test_a_family_that_cannot_be_run_exactly_is_rejected_by_name(family, letters):
    options, what = REFUSED[family]
    with pytest.raises(Misuse, match=what):
        check_exact(build(family, **options), letters, where="here")


def test_weights_that_give_no_numbers_are_refused(letters):
    model = build("llama")
    with torch.no_grad():
        model.lm_head.weight[7] = torch.nan
    with pytest.raises(DataError, match="logits are NaN"):
        check_exact(model, letters, where="here")
    with pytest.raises(DataError, match="logits are NaN"):
        choose(Engine(model), [[5, 6]], [[7, 8], [7, 9]], batch=1)


def test_a_window_that_no_row_can_reach_is_no_reason_to_refuse(letters):
    check_exact(build("qwen2_moe", **EXPERTS, **{**WINDOW, "sliding_window": 64}), letters, where="here")


def test_the_context_ends_where_rotary_embeddings_turn():
    """Beyond it, one long row would change the positions of every row that is run beside it."""
    factors = {"short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
    rotary = {"rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 48, **factors}
    model = build("phi3", rope_parameters=rotary, original_max_position_embeddings=48)
    assert Engine(model).context == 48
    assert Engine(build("phi3")).context == 64
