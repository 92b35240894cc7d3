"""Every decoder family that can be trained: completions, labels, streams against its own eager forward (5.23), in fp32."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from tunesmith.models.backends import attention, greedy, kv_cache, label_scores, sampling
from tunesmith.models.backends.engine import Engine
from tunesmith.models.backends.self_check import check_exact

SPEC = spec_from_file_location("trained_families", Path(__file__).parents[2] / "unit" / "models" / "test_families.py")
trained = module_from_spec(SPEC)
SPEC.loader.exec_module(trained)

FAMILIES = trained.FAMILIES
NEW = 12
END = trained.SMALL["eos_token_id"]


# No shared prefix; one copied into every row; one stored once for all rows.
BEGINNINGS = pytest.mark.parametrize(
    ("shared", "worth"), [(0, 128), (12, 128), (12, 12)], ids=["none", "copied", "single-copy"]
)


@pytest.fixture(scope="module", params=FAMILIES)
def model(request):
    return build(request.param)


def build(family):
    """The tiny random model of the family in fp32, its logits widened so that greedy choices are clear."""
    torch.manual_seed(3)
    config = CONFIG_MAPPING[family](**{**trained.SMALL, **FAMILIES[family], "initializer_range": 0.25})
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


def prompts_of(lengths, *, shared=0):
    """Prompts that begin alike for `shared` tokens; most are longer than any window of the families (5 to 7 tokens)."""
    generator = torch.Generator().manual_seed(11)

    def draw(count):
        return torch.randint(3, trained.VOCABULARY, (count,), generator=generator).tolist()

    beginning = draw(shared)
    return [beginning + draw(length) for length in lengths]


def own_generate(model, prompt):
    model.set_attn_implementation("eager")
    ids = torch.tensor([prompt])
    options = {"do_sample": False, "max_new_tokens": NEW, "eos_token_id": END, "pad_token_id": 0}
    return model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **options)[0, len(prompt) :].tolist()


def before(stops, answer):
    return answer[: next((place for place, token in enumerate(answer) if token in stops), len(answer))]


@BEGINNINGS
def test_greedy_equals_generate_token_for_token(model, shared, worth, monkeypatch):
    monkeypatch.setattr(kv_cache, "MIN_SINGLE_COPY_TOKENS", worth)
    monkeypatch.setattr(attention, "MAX_SCORES_IN_MEMORY", 1)
    prompts = prompts_of([25, 1, 9, 14, 4], shared=shared)
    whole = [own_generate(model, prompt) for prompt in prompts]
    # A token that some rows write early and others late or never, so that rows leave the batch at different times.
    longest = max(whole, key=len)
    stops = frozenset({END, longest[len(longest) // 2]})
    for batch in (3, 64):
        found = greedy.generate(Engine(model), prompts, max_new_tokens=NEW, batch=batch, stops=frozenset({END}))
        assert found == [before({END}, answer) for answer in whole]
        found = greedy.generate(Engine(model), prompts, max_new_tokens=NEW, batch=batch, stops=stops)
        assert found == [before(stops, answer) for answer in whole]


def test_the_stream_is_the_greedy_completion(model):
    (prompt,) = prompts_of([19])
    engine, stops = Engine(model), frozenset({END})
    (whole,) = greedy.generate(engine, [prompt], max_new_tokens=NEW, batch=1, stops=stops)
    streamed = sampling.stream_tokens(engine, prompt, max_new_tokens=NEW, sampling=sampling.Sampling(), stops=stops)
    assert [token for token in streamed if token != END] == whole


def own_logprobs(model, ids):
    model.set_attn_implementation("eager")
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    return logits.double().log_softmax(dim=-1)


def own_likelihood(model, prompt, option):
    rows = own_logprobs(model, [*prompt, *option])
    return sum(rows[len(prompt) - 1 + place, token].item() for place, token in enumerate(option))


@BEGINNINGS
def test_a_choice_equals_scoring_every_option_row_by_row(model, shared, worth, monkeypatch):
    """Options longer than any window, over few tokens: branches lie side by side, so that slots and positions differ."""
    monkeypatch.setattr(label_scores, "EXTRA_CACHE_SLOTS", 6)
    monkeypatch.setattr(kv_cache, "MIN_SINGLE_COPY_TOKENS", worth)
    generator = torch.Generator().manual_seed(13)
    options = sorted({tuple(torch.randint(20, 23, (11,), generator=generator).tolist()) for _ in range(24)})
    prompts = prompts_of([16, 2, 8, 30], shared=shared)
    expected = [[own_likelihood(model, prompt, option) for option in options] for prompt in prompts]
    for batch in (2, 64):
        found = label_scores.choose(Engine(model), prompts, options, batch=batch)
        assert [choice.index for choice in found] == [row.index(max(row)) for row in expected]
        assert [choice.logprob for choice in found] == pytest.approx([max(row) for row in expected], abs=1e-5)


@BEGINNINGS
def test_rows_of_a_batch_may_come_in_any_order(model, shared, worth, monkeypatch):
    monkeypatch.setattr(kv_cache, "MIN_SINGLE_COPY_TOKENS", worth)
    prompts, engine, prefix = prompts_of([3, 20, 11], shared=shared), Engine(model), kv_cache.KVCache(shared)
    if shared:
        engine.append([prompts[0][:shared]], prefix, start=0)
    hidden = engine.append([prompt[shared:] for prompt in prompts], prefix.expand(3, 60), start=shared)
    found = engine.logits(hidden).log_softmax(dim=-1)
    for row, prompt in zip(found.tolist(), prompts, strict=True):
        assert row == pytest.approx(own_logprobs(model, prompt)[-1].tolist(), abs=1e-5)


def test_every_family_is_accepted_by_trial(model):
    before = model.config._attn_implementation
    check_exact(model, trained.LETTERS, where="here")
    assert model.config._attn_implementation == before
