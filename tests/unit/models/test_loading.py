"""What `load_folder` loads, and what it refuses by name."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from tunesmith.errors import DataError, MachineFailure, Misuse
from tunesmith.models.backends.local import open_local
from tunesmith.models.loading import QUANTIZATION_FILE, context_length, load_folder


@pytest.fixture
def folder(tiny_folder, tmp_path):
    return shutil.copytree(tiny_folder, tmp_path / "model")


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_model_and_tokenizer_of_a_folder(folder):
    model, tokenizer = load_folder(folder)
    assert (context_length(model), model.dtype, model.training) == (256, torch.float32, False)
    assert tokenizer.decode(tokenizer.encode("my order", add_special_tokens=False)) == "my order"
    assert load_folder(folder, dtype="bf16")[0].dtype == torch.bfloat16


def test_a_missing_folder(tmp_path):
    with pytest.raises(MachineFailure, match="the model folder does not exist"):
        load_folder(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    said = {"model.safetensors": "no .safetensors weights"}
    with pytest.raises(DataError, match=said.get(name, f"no {name}")):
        load_folder(folder)


def test_a_pickle_is_refused(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(DataError, match=r"pickle \(pytorch_model\.bin\)"):
        load_folder(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_in_the_folder_is_refused(folder, name):
    edit(folder / name, auto_map={"AutoModelForCausalLM": "model.Model"})
    with pytest.raises(DataError, match="auto_map"):
        load_folder(folder)


def test_broken_files_are_refused(folder):
    weights = load_file(folder / "model.safetensors")
    missing = {name: value for name, value in weights.items() if name != "model.norm.weight"}
    save_file(missing, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"1 weights are missing, the first is model\.norm\.weight"):
        load_folder(folder)
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(DataError, match="cannot be loaded"):
        load_folder(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        load_folder(folder)


def test_a_head_unlike_the_models_own_is_refused_by_the_self_check(folder):
    """Llama ignores `logit_scale`; we would apply it. `load_folder` accepts it, since training has a check of its own."""
    edit(folder / "config.json", logit_scale=0.0625)
    load_folder(folder)
    with pytest.raises(Misuse, match=r"generation logits of the llama model differ from its eager forward") as caught:
        open_local(folder, digest="sha256:tiny")
    assert caught.value.where == str(folder)


def test_an_adapter_needs_its_base(folder, tmp_path, tiny_folder):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    config = {"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(Misuse, match="no base was given"):
        load_folder(adapter)
    with pytest.raises(MachineFailure, match="the model folder does not exist"):
        load_folder(adapter, base=tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no \.safetensors weights"):
        load_folder(adapter, base=tiny_folder)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_an_adapter_over_a_base_in_four_bits_is_not_loaded_over_the_unquantized_base(tmp_path, tiny_folder):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "adapter_model.safetensors").write_bytes(b"")
    (adapter / QUANTIZATION_FILE).write_text("{}")
    with pytest.raises(Misuse, match="trained over a base in 4 bits needs a CUDA device"):
        load_folder(adapter, base=tiny_folder)


def test_the_context_of_longrope_ends_where_its_short_factors_do():
    from transformers import Phi3Config

    rope = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [2.0] * 4}
    config = Phi3Config(
        max_position_embeddings=64, original_max_position_embeddings=16, rope_parameters=rope, hidden_size=32,
        num_attention_heads=4, pad_token_id=0,
    )  # fmt: skip
    rope["original_max_position_embeddings"] = 16
    config.rope_parameters = rope
    assert context_length(type("Model", (), {"config": config})()) == 16
