"""The backend's own contract; parity with transformers stands in tests/parity/models."""

import pytest
import torch

from tunesmith.errors import DataError, Misuse
from tunesmith.models.backends.engine import Engine
from tunesmith.models.backends.labels import build_trie, label_options
from tunesmith.models.backends.sampling import Sampling, pick


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
    assert seen == [3, 3, 1]
    tiny.choose([[5, number] for number in range(10, 17)], [[9], [8]], batch=4, report=seen.append)
    assert seen[3:] == [4, 3]


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
        return {pick(logits, sampling, generator) for _ in range(400)}

    assert drawn(Sampling(temperature=0)) == {0}
    assert drawn(Sampling(temperature=1, top_p=0.5)) == {0}
    assert drawn(Sampling(temperature=1, top_p=0.79)) == {0, 1}
    assert drawn(Sampling(temperature=1, top_p=0.9)) == {0, 1, 2}
    assert drawn(Sampling(temperature=1)) == {0, 1, 2, 3}


def test_sampling_follows_the_probabilities():
    logits = torch.tensor([0.6, 0.4]).log()
    generator = torch.Generator().manual_seed(1)
    share = sum(pick(logits, Sampling(temperature=1), generator) == 0 for _ in range(4000)) / 4000
    # Five standard errors of a share of 0.6 in 4,000 draws.
    assert share == pytest.approx(0.6, abs=0.039)


def test_labels_as_completions(tiny):
    end = tiny.tokenizer.eos_token_id
    options = label_options(tiny.tokenizer, ["card arrival", "exchange rate"])
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


def test_a_beginning_that_all_share_is_run_once(tiny, monkeypatch):
    tokens = []
    forward = Engine.forward

    def counted(self, ids, positions, seen):
        tokens.append(ids.numel())
        return forward(self, ids, positions, seen)

    monkeypatch.setattr(Engine, "forward", counted)
    shared = list(range(20, 70))
    tiny.generate([[*shared, number] for number in range(100, 108)], max_new_tokens=1, batch=4)
    assert tokens == [50, 4, 4]
