"""A decoder whose config sets dropout, as GPT-2's does, is trained without it, and the run says so."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from tunesmith.context import Context
from tunesmith.models.dropout import configured_dropout, dropout_note, set_dropout
from tunesmith.models.loading import load_folder, load_meta_model
from tunesmith.pipeline import run
from tunesmith.recipe import Recipe

FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128},
    "opt": {
        "hidden_size": 32, "word_embed_proj_dim": 32, "ffn_dim": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "max_position_embeddings": 128, "layerdrop": 0.1,
    },
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4, "hidden_dropout": 0.1, "attention_dropout": 0.1},
}  # fmt: skip
STATED = {
    "gpt2": {"attn_pdrop": 0.1, "embd_pdrop": 0.1, "resid_pdrop": 0.1},
    "opt": {"dropout": 0.1, "layerdrop": 0.1},
    "bloom": {"hidden_dropout": 0.1, "attention_dropout": 0.1},
}


class Heard:
    """Progress that keeps what is said."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.lines = inner, []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.fixture(params=FAMILIES)
def base(request: pytest.FixtureRequest, tiny_folder: Path, tmp_path: Path) -> tuple[str, Path]:
    """A tiny random model with the dropout of its family's stock config, and the tiny tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    config = AutoConfig.for_model(
        request.param,
        vocab_size=len(tokenizer),
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        **FAMILIES[request.param],
    )
    torch.manual_seed(4)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    return request.param, tmp_path / "base"


def test_dropout_is_off_in_every_layer_and_outputs_do_not_change(base: tuple[str, Path]) -> None:
    family, folder = base
    assert configured_dropout(folder, classifies=False) == STATED[family]
    model, _ = load_folder(folder)
    assert all(module.p == 0 for module in model.modules() if isinstance(module, nn.Dropout))
    ids = torch.tensor([[5, 9, 3, 7]])
    stock = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        own = stock(ids).logits
        assert torch.equal(model(ids).logits, own)
        assert torch.equal(model.train()(ids).logits, own) and not torch.equal(stock.train()(ids).logits, own)
    assert load_meta_model(folder)[0].config.to_dict() == model.config.to_dict()


def test_a_base_with_dropout_is_trained_without_it_and_the_run_says_so(
    base: tuple[str, Path], tmp_path: Path, context: Context
) -> None:
    family, _ = base
    if family == "bloom":
        return  # its ALiBi attention cannot be packed, and it is refused for that
    rows = "".join(f'{{"prompt": "where is order {at}", "completion": "it is on its way"}}\n' for at in range(8))
    (tmp_path / "rows.jsonl").write_text(rows)
    heard = Heard(context.progress)
    recipe = Recipe.model_validate(
        {
            "name": "stock",
            "base": "base",
            "task": "chat",
            "data": {"train": [{"path": "rows.jsonl"}]},
            "audit": {"off": ["missing-provenance", "unlicensed-source", "near-duplicate"]},
            "train": {"method": "full", "rows_per_step": 4, "max_steps": 1},
        }
    )
    done = run(recipe, replace(context, progress=heard), until="train")
    assert done.train is not None
    assert sum("the base's own dropout (" in line and line.endswith("is off") for line in heard.lines) == 1
    kept = context.store.checkout(done.train.model.tree)
    assert configured_dropout(kept, classifies=False) == {}


def test_an_encoder_run_says_which_dropout_is_used() -> None:
    config = AutoConfig.for_model("bert")
    set_dropout(config, 0.25)
    assert (config.hidden_dropout_prob, config.attention_probs_dropout_prob, config.classifier_dropout) == (0.25,) * 3
    note = dropout_note({"hidden_dropout_prob": 0.1}, 0.25)
    assert note == "the base's own dropout (hidden_dropout_prob 0.1) is 0.25, by train.base_dropout"
