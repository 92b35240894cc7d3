"""The embedded base is the release that was signed, small enough to ship, and says what it is; its evidence keeps verifying."""

import json
import math
from pathlib import Path

import pytest
from safetensors import safe_open
from transformers import AutoTokenizer

from tunesmith.models.bases.resolve import embedded_folder
from tunesmith.trust import load_public_pem, verify_release

KEY = Path(__file__).parent / "pebble.pub"
LARGEST = 16 * 1024 * 1024


@pytest.fixture(scope="module")
def folder() -> Path:
    return embedded_folder()


def test_it_verifies_under_the_key_that_is_pinned_here(folder: Path) -> None:
    verified = verify_release(folder, load_public_pem(KEY))
    assert verified.name == "pebble"
    assert {statement.name for statement in verified.statements} == {"audit", "training", "evaluation", "gate"}


def test_the_weights_are_small_bf16_and_about_seven_million(folder: Path) -> None:
    (path,) = folder.glob("*.safetensors")
    assert path.stat().st_size <= LARGEST
    with safe_open(path, framework="pt") as weights:
        slices = [weights.get_slice(name) for name in weights.keys()]
        assert {part.get_dtype() for part in slices} == {"BF16"}
        assert 6.5e6 < sum(math.prod(part.get_shape()) for part in slices) < 8e6


def test_tokenizer_template_and_positions_are_as_agreed(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert len(tokenizer) == 8192
    assert json.loads((folder / "config.json").read_text())["max_position_embeddings"] == 2048
    turns = [{"role": "user", "content": "Where is 48213?"}, {"role": "assistant", "content": "On its way."}]
    out = tokenizer.apply_chat_template(turns, return_dict=True, return_assistant_tokens_mask=True)
    kept = [token for token, mark in zip(out["input_ids"], out["assistant_masks"], strict=True) if mark]
    assert tokenizer.decode(kept) == "On its way.<|end|>"


def test_its_cards_state_what_was_measured(folder: Path) -> None:
    card = (folder / "README.md").read_text()
    assert "Bits per byte" in card and "destroyed" in card
    assert "More Information Needed" not in card
    assert "CC0-1.0" in (folder / "data-card.md").read_text()
