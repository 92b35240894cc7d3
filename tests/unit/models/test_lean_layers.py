"""Lean layers have the outputs and gradients of the modules they replace, by autograd, and keep fewer bytes."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.nn.functional import cross_entropy
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from tunesmith.chat.encode import EncodedSequence
from tunesmith.models.packed import pack_rows, summed_loss, use_lean_layers
from tunesmith.models.packed.lean_feedforward import lean_feed_forward
from tunesmith.models.packed.lean_linear import TENSORS_PER_LAYER, LinearWeights, lean_linear
from tunesmith.models.packed.lean_loss import lean_loss
from tunesmith.models.packed.lean_norm import lean_norm, norm_inputs, recompute_norm

SIZES = {
    "vocab_size": 61, "hidden_size": 32, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "initializer_range": 0.08, "pad_token_id": 0,
}  # fmt: skip
CPU = torch.device("cpu")

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
"""PEFT asks transformers by the old name."""


def random_tensor(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    made = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=made, dtype=dtype).requires_grad_()


def random_layer(n: int, m: int, *, rank: int, bias: bool) -> LinearWeights:
    a, b = (random_tensor(rank, n), random_tensor(m, rank)) if rank else (None, None)
    return LinearWeights(random_tensor(m, n), random_tensor(m) if bias else None, a, b, 0.7)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rank", [0, 2])
def test_gradients_of_a_linear_layer(rank: int, bias: bool) -> None:
    x, layer = random_tensor(2, 3, 5), random_layer(5, 4, rank=rank, bias=bias)

    def written_out(x: torch.Tensor, *tensors: Any) -> torch.Tensor:
        weight, bias, a, b = tensors
        out = x @ weight.t() + (0.0 if bias is None else bias)
        return out if a is None else out + 0.7 * (x @ a.t() @ b.t())

    assert torch.allclose(lean_linear(x, layer), written_out(x, *layer[:TENSORS_PER_LAYER]), rtol=1e-12)
    assert torch.autograd.gradcheck(
        lambda x, *tensors: lean_linear(x, LinearWeights(*tensors, 0.7)), (x, *layer[:TENSORS_PER_LAYER])
    )


@pytest.mark.parametrize("rank", [0, 2])
def test_gradients_of_a_feed_forward(rank: int) -> None:
    x = random_tensor(3, 5)
    layers = [random_layer(*shape, rank=rank, bias=rank == 0) for shape in ((5, 6), (5, 6), (6, 5))]
    tensors = [tensor for layer in layers for tensor in layer[:TENSORS_PER_LAYER]]

    def run(x: torch.Tensor, *tensors: Any) -> torch.Tensor:
        layers = {name: LinearWeights(*tensors[at : at + 4], 0.7) for name, at in (("gate", 0), ("up", 4), ("down", 8))}
        return lean_feed_forward(x, **layers)

    gate, up, down = layers
    inner = torch.nn.functional.silu(lean_linear(x, gate)) * lean_linear(x, up)
    assert torch.allclose(run(x, *tensors), lean_linear(inner, down), rtol=1e-12)
    assert torch.autograd.gradcheck(run, (x, *tensors))


def test_gradients_of_a_norm() -> None:
    """In fp32, as the function computes; the truth is the same formula in fp64."""
    x, weight, slope = (random_tensor(*shape, dtype=torch.float32) for shape in ((7, 24), (24,), (7, 24)))
    out = lean_norm(x, weight, 1e-5)
    wide = [one.detach().double().requires_grad_() for one in (x, weight)]
    true = wide[0] * (wide[0].square().mean(-1, keepdim=True) + 1e-5).rsqrt() * wide[1]
    mine = [out, *torch.autograd.grad(out, (x, weight), slope)]
    theirs = [true, *torch.autograd.grad(true, wide, slope.double())]
    for one, other in zip(mine, theirs, strict=True):
        assert float((one - other).detach().norm()) <= 3e-7 * float(other.detach().norm())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_recomputed_norm_has_the_same_bits(dtype: torch.dtype) -> None:
    out = lean_norm(
        random_tensor(7, 24, dtype=torch.float32).to(dtype), random_tensor(24, dtype=torch.float32).to(dtype), 1e-5
    )
    origin = norm_inputs(out)
    assert origin is not None and torch.equal(recompute_norm(origin), out)
    assert norm_inputs(out.clone()) is None


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("tokens_per_chunk", [3, 100])
def test_loss_and_gradients_under_a_head(tokens_per_chunk: int, smoothing: float) -> None:
    hidden, head, weights = random_tensor(11, 6), random_tensor(9, 6), torch.linspace(0.5, 2.0, 11, dtype=torch.float64)
    labels = torch.arange(11) % 9
    mine = lean_loss(hidden, head, labels, weights=weights, smoothing=smoothing, tokens_per_chunk=tokens_per_chunk)
    each = cross_entropy(hidden @ head.t(), labels, reduction="none", label_smoothing=smoothing)
    theirs = (each * weights).sum()
    assert float(mine.detach()) == pytest.approx(float(theirs.detach()), rel=1e-12)
    found = torch.autograd.grad(3.0 * mine, (hidden, head))
    for one, other in zip(found, torch.autograd.grad(3.0 * theirs, (hidden, head)), strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-12)


def test_a_loss_without_gradients_computes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesmith.models.packed.lean_loss._logits_gradient", None)  # a call would fail
    with torch.no_grad():
        loss = lean_loss(
            random_tensor(4, 6),
            random_tensor(9, 6),
            torch.arange(4),
            weights=torch.ones(4),
            smoothing=0.0,
            tokens_per_chunk=2,
        )
    assert loss.isfinite() and not loss.requires_grad


def tiny_model(family: str, *, rank: int, dtype: torch.dtype = torch.float32, **options: Any) -> Any:
    torch.manual_seed(3)
    base = AutoModelForCausalLM.from_config(CONFIG_MAPPING[family](**{**SIZES, **options}), dtype=dtype)
    if not rank:
        return base.train()
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    wrapped = get_peft_model(base, config)
    for name, value in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.1)
    return wrapped.train()


def rows() -> list[EncodedSequence]:
    shared = tuple(range(3, 15))
    return [EncodedSequence(str(n), (*shared, *range(20 + n, 29 + 2 * n)), ((13, 18 + n),)) for n in range(6)]


def loss_and_gradients(model: Any) -> list[torch.Tensor]:
    loss = summed_loss(model, pack_rows(rows(), CPU, share=True))
    loss.backward()
    moved = [value for value in model.parameters() if value.requires_grad]
    found = [torch.zeros_like(value) if value.grad is None else value.grad.clone() for value in moved]
    model.zero_grad()
    return [loss.detach(), *found]


@pytest.fixture(params=[0, 4], ids=["full", "lora"])
def rank(request: pytest.FixtureRequest) -> Iterator[int]:
    yield request.param


@pytest.mark.parametrize(
    ("family", "replaced"),
    [
        ("llama", {"mlp", "input_layernorm", "post_attention_layernorm", "norm"}),
        ("qwen2", {"mlp", "input_layernorm", "post_attention_layernorm", "norm"}),
        ("qwen3", {"mlp", "input_layernorm", "post_attention_layernorm", "norm", "q_norm", "k_norm"}),
        ("gemma2", set()),
        ("phi3", {"input_layernorm", "post_attention_layernorm", "norm"}),
    ],
)
def test_a_family_computes_the_same_and_its_own_code_is_restored(family: str, replaced: set[str], rank: int) -> None:
    """Gemma's norms add one to their weight and its feed-forward has another activation; both keep their own code."""
    model = tiny_model(family, rank=rank)
    before = loss_and_gradients(model)
    with use_lean_layers(model) as paths:
        mine = loss_and_gradients(model)
        assert all("forward" in model.get_submodule(path).__dict__ for path in paths)
    names = {path.rpartition(".")[2] for path in paths}
    embedding = (
        {"embed_tokens"} if rank == 0 and family != "gemma2" else set()
    )  # Gemma's is scaled, and a class of its own
    assert {name for name in names if not name.endswith("_proj")} == replaced | embedding
    assert any(name.endswith("_proj") for name in names) == bool(rank)
    assert all("forward" not in module.__dict__ for module in model.modules())
    for one, other in zip(mine, before, strict=True):
        assert float((one - other).norm()) <= 2e-6 * float(other.norm())


def test_half_precision_differs_by_rounding_only() -> None:
    """Against the same weights in fp32, gradients of lean layers are no further off than those of the modules."""
    model, exact = (tiny_model("llama", rank=4, dtype=dtype) for dtype in (torch.bfloat16, torch.float32))
    exact.load_state_dict(model.state_dict())
    true, stock = loss_and_gradients(exact), loss_and_gradients(model)
    with use_lean_layers(model):
        mine = loss_and_gradients(model)

    def far(found: list[torch.Tensor]) -> float:
        return sum(float((one - other).square().sum()) for one, other in zip(found[1:], true[1:], strict=True)) ** 0.5

    assert far(mine) <= 1.05 * far(stock)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("padding", [None, 5])
def test_batches_add_to_one_gradient_of_an_embedding(padding: int | None, tied: bool) -> None:
    """Two steps of three batches each: the second step's gradient has nothing of the first, and uses the same memory."""

    def gradients(model: torch.nn.Module, step: int) -> torch.Tensor:
        embedding, head = model
        for ids in torch.randint(0, 9, (3, 2, 7), generator=torch.Generator().manual_seed(step)):
            head(embedding(ids)).square().sum().backward()
        return embedding.weight.grad

    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Embedding(9, 4, padding_idx=padding), torch.nn.Linear(4, 9, bias=False))
    if tied:
        model[1].weight = model[0].weight
    true = []
    for step in (0, 1):
        true.append(gradients(model, step).clone())
        model.zero_grad()
    with use_lean_layers(model) as paths:
        assert paths == ["0"]
        first = gradients(model, 0)
        assert torch.allclose(first, true[0], rtol=1e-5, atol=1e-6)
        place = first.data_ptr()
        model.zero_grad()
        second = gradients(model, 1)
        assert torch.allclose(second, true[1], rtol=1e-5, atol=1e-6)
        assert second.data_ptr() == place


def test_a_frozen_or_special_embedding_keeps_its_own_code() -> None:
    special = [
        torch.nn.Embedding(9, 4).requires_grad_(False),
        torch.nn.Embedding(9, 4, max_norm=1.0),
        torch.nn.Embedding(9, 4, scale_grad_by_freq=True),
        torch.nn.Embedding(9, 4, sparse=True),
        torch.nn.Embedding(9, 4, dtype=torch.bfloat16),
    ]
    with use_lean_layers(torch.nn.ModuleList(special)) as paths:
        assert paths == []


def saved_bytes(model: Any) -> int:
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    own = {value.untyped_storage().data_ptr() for value in (*model.parameters(), *model.buffers())}
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = summed_loss(model, pack_rows(rows(), CPU, share=True))
    assert loss.requires_grad
    return sum(size for place, size in kept.items() if place not in own)


def test_lean_layers_keep_fewer_bytes_for_the_backward_pass(rank: int) -> None:
    """A feed-forward keeps two tensors of the inner size less. Outputs of norms are recomputed, except of the first,
    whose input nothing else keeps under LoRA. Each of the five norms keeps one number per token."""
    model = tiny_model("llama", rank=rank)
    before = saved_bytes(model)
    tokens = pack_rows(rows(), CPU, share=True).ids.numel()
    with use_lean_layers(model):
        less = before - saved_bytes(model)
    assert less >= tokens * (2 * 2 * SIZES["intermediate_size"] + 3 * SIZES["hidden_size"] - 5) * 4


def test_a_layer_with_hooks_keeps_its_own_code() -> None:
    model = tiny_model("llama", rank=4)
    layer = model.get_base_model().model.layers[0]
    seen = []
    layer.self_attn.q_proj.lora_A["default"].register_forward_hook(lambda *_: seen.append("q"))
    layer.mlp.up_proj.register_forward_hook(lambda *_: seen.append("up"))
    with use_lean_layers(model):
        loss_and_gradients(model)
    assert sorted(set(seen)) == ["q", "up"]


def test_disabled_adapters_stay_disabled() -> None:
    model = tiny_model("llama", rank=4)
    with model.disable_adapter():
        before = summed_loss(model, pack_rows(rows(), CPU)).detach()
        with use_lean_layers(model):
            mine = summed_loss(model, pack_rows(rows(), CPU)).detach()
    assert float(mine) == pytest.approx(float(before), rel=1e-6)
    assert float(summed_loss(model, pack_rows(rows(), CPU)).detach()) != pytest.approx(float(before), rel=1e-4)
