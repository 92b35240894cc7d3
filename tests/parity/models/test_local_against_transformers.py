"""The local backend against transformers' own forward and `generate` (5.23), in fp32."""

import numpy
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from tunesmith.models.backends.local import LocalModel, open_local

RNG = numpy.random.default_rng(3)


def prompts_of(lengths, *, shared=()):
    return [[*shared, *RNG.integers(10, 300, size=length).tolist()] for length in lengths]


def reference_generate(folder, prompts, *, max_new_tokens, stops):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    found = []
    for prompt in prompts:
        ids = torch.tensor([prompt])
        options = {
            "do_sample": False,
            "max_new_tokens": max_new_tokens,
            "eos_token_id": sorted(stops),
            "pad_token_id": 2,
        }
        out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **options)
        answer = out[0, len(prompt) :].tolist()
        found.append(answer[:-1] if answer and answer[-1] in stops else answer)
    return found


@pytest.mark.parametrize("batch", [1, 3, 64])
@pytest.mark.parametrize("shared", [0, 40])
def test_greedy_equals_generate_token_for_token(tiny, tiny_folder, batch, shared):
    prompts = prompts_of([1, 7, 30, 12, 12, 55, 3, 90], shared=tuple(range(20, 20 + shared)))
    # Many ids end a completion, so that rows end at different times and leave the batch.
    stops = frozenset(range(60, 76))
    expected = reference_generate(tiny_folder, prompts, max_new_tokens=24, stops=stops)
    assert len({len(answer) for answer in expected}) > 3
    model = LocalModel(tiny.model, tiny.tokenizer, "sha256:stops")
    vars(model)["stops"] = stops
    assert model.generate(prompts, max_new_tokens=24, batch=batch) == expected


def reference_logprobs(model, prompt, completion):
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[*prompt, *completion]])).logits[0]
    rows = logits.float().log_softmax(dim=-1)
    return [rows[len(prompt) - 1 + place, token].item() for place, token in enumerate(completion)]


def test_logprobs_equal_the_plain_forward(tiny, tiny_folder):
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    prompts, completions = prompts_of([5, 1, 60, 17]), prompts_of([3, 9, 0, 30])
    found = tiny.logprobs(prompts, completions)
    assert [len(row) for row in found] == [3, 9, 0, 30]
    for prompt, completion, row in zip(prompts, completions, found, strict=True):
        assert row == pytest.approx(reference_logprobs(model, prompt, completion), abs=1e-5)


def assert_best(model, tiny, prompts, options):
    totals = numpy.array([[sum(reference_logprobs(model, prompt, option)) for option in options] for prompt in prompts])
    for batch in (1, 4, 64):
        found = tiny.choose(prompts, options, batch=batch)
        assert [choice.index for choice in found] == totals.argmax(axis=1).tolist()
        assert [choice.logprob for choice in found] == pytest.approx(totals.max(axis=1).tolist(), abs=1e-4)
    return totals.argmax(axis=1)


def test_choice_equals_scoring_every_option(tiny, tiny_folder):
    """Options of one length over few tokens: deep paths that share their beginnings, so most of the trie is searched."""
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    prompts = prompts_of([9, 4, 33, 20, 20, 1], shared=tuple(range(20, 40)))
    options = sorted({tuple(RNG.integers(40, 43, size=5).tolist()) for _ in range(60)})
    best = assert_best(model, tiny, prompts, options)
    assert len(set(best.tolist())) > 1


def test_an_option_may_begin_another(tiny, tiny_folder):
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    prompts = prompts_of([9, 4, 33, 20])
    tails = prompts_of([1, 2, 3, 4, 5, 1, 2, 3, 4])
    starts = prompts_of([2, 2, 1])
    options = [[*starts[place % 3], *tail] for place, tail in enumerate(tails)]
    assert_best(model, tiny, prompts, [options[0][:-1], *options])


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_an_adapter_answers_as_peft_does(tiny_folder, tmp_path):
    torch.manual_seed(11)
    tuned = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32),
        LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM"),
    ).eval()
    tuned.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_folder).save_pretrained(tmp_path)
    model = open_local(tmp_path, base=tiny_folder, digest="sha256:adapter")
    prompts = prompts_of([14, 3])
    found = model.generate(prompts, max_new_tokens=10)
    for prompt, answer in zip(prompts, found, strict=True):
        ids = torch.tensor([prompt])
        out = tuned.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=10, pad_token_id=2
        )
        assert out[0, len(prompt) :].tolist()[: len(answer)] == answer
    assert found != open_local(tiny_folder, digest="sha256:base").generate(prompts, max_new_tokens=10)
