"""Whether a model can be packed exactly: tried on four short rows before training, not guessed from its name."""

from tunesmith import process
from tunesmith.data.chat import Encoded
from tunesmith.errors import Misuse
from tunesmith.models.packed.forward import hidden_states, unwrapped
from tunesmith.models.packed.plan import pack

process.prepare()

import torch  # noqa: E402
from torch import nn  # noqa: E402

LENGTH = 6


def check_packable(model: nn.Module) -> None:
    """Raises Misuse when a row sees its neighbour in a pack (convolutions, state spaces), or when dropout is left on.

    Two packs differ in their first row alone; the hidden states of the second row must be the same bit for bit.
    Mode and attention of the model are left as they were found.
    """
    kind = unwrapped(model).config.model_type
    if any(isinstance(module, nn.Dropout) and module.p > 0 for module in model.modules()):
        hint = "set every dropout of its config.json to 0; resuming to the same bytes needs it"
        raise Misuse(f"the {kind} model has dropout", where="base", hint=hint)
    training, attention = model.training, unwrapped(model).config._attn_implementation
    model.eval()
    with torch.no_grad():
        one, two = (_second_row(model, first) for first in (range(LENGTH), range(LENGTH, 2 * LENGTH)))
    unwrapped(model).set_attn_implementation(attention)
    model.train(training)
    if not torch.equal(one, two):
        hint = "give a base whose layers are attention and feed-forward alone"
        raise Misuse(f"rows of a {kind} model see each other when they are packed", where="base", hint=hint)


def _second_row(model: nn.Module, first: range) -> torch.Tensor:
    """[LENGTH, D] hidden states of a fixed row behind another one."""
    rows = [Encoded("first", tuple(first), ()), Encoded("second", tuple(range(LENGTH)), ())]
    return hidden_states(model, pack(rows, next(model.parameters()).device))[LENGTH:]
