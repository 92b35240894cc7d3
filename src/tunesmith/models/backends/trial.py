"""Whether a model can be evaluated and served exactly: tried on short rows when it is loaded, not guessed from its name."""

from typing import Any, Final

from tunesmith import process
from tunesmith.data.chat import Encoded
from tunesmith.errors import DataError, Misuse
from tunesmith.models.backends.engine import Engine, Ids
from tunesmith.models.backends.keyvalues import Aim, KeyValues
from tunesmith.models.packed.check import TOLERANCE, wrong_window
from tunesmith.models.packed.forward import hidden_states, unwrapped
from tunesmith.models.packed.plan import pack

process.prepare()

import torch  # noqa: E402

SHARED: Final = (5, 6, 7)
PROMPTS: Final = ((*SHARED, 8, 9, 10, 11), (*SHARED, 12))
NEXT: Final = 13
BRANCHES: Final = (14, 15)
HINT: Final = "give a base whose layers are attention and feed-forward alone"


def check_exact(model: Any, *, where: str) -> None:
    """Raises Misuse, naming the family, when our logits are not those of the model's own forward, within rounding.

    Tried is what evaluation and serving do: two prompts on a prefix that they share, one more token, two branches side by
    side, and whole rows packed. Short rows cannot show a sliding window, so what the layers ask for is compared with what
    the config declares. The attention of the model is left as it was found. Raises DataError for weights that give NaN.
    """
    causal = unwrapped(model)
    kind = causal.config.model_type
    before = causal.config._attn_implementation
    seen = KeyValues(len(SHARED))
    try:
        with torch.no_grad():
            mine, packed = _cached(Engine(model), seen), _packed(Engine(model))
            causal.set_attn_implementation("eager")
            own = [causal(input_ids=_ids(model, row), use_cache=False).logits[0].float() for row in _rows()]
    except Misuse as error:
        raise Misuse(f"a {kind} model cannot be run exactly: {error.what}", where=where, hint=HINT) from error
    finally:
        causal.set_attn_implementation(before)
    theirs = torch.stack([own[row][place] for row, place in _places()])
    if theirs.isnan().any():
        raise DataError("the model's own logits are not numbers", where=where, hint="its training has diverged")
    if not (_close(mine, theirs, causal.dtype) and _close(packed, torch.cat(own), causal.dtype)):
        raise Misuse(f"a {kind} model's answers differ from its own forward's", where=where, hint=HINT)
    if wrong := wrong_window(causal, seen.windows):
        raise Misuse(f"a {kind} model cannot be run exactly: {wrong}", where=where, hint=HINT)


def _rows() -> list[tuple[int, ...]]:
    """The whole rows that the trial walks through: for each prompt, its two branches."""
    return [(*prompt, NEXT, branch) for prompt in PROMPTS for branch in BRANCHES]


def _places() -> list[tuple[int, int]]:
    """(row, place) of the tokens that `_cached` gives logits of, in its order."""
    ends = [len(prompt) - 1 for prompt in PROMPTS]
    first = [(2 * at, end) for at, end in enumerate(ends)]
    second = [(2 * at, end + 1) for at, end in enumerate(ends)]
    return first + second + [(2 * at + branch, end + 2) for at, end in enumerate(ends) for branch in (0, 1)]


def _cached(engine: Engine, prefix: KeyValues) -> torch.Tensor:
    """[8, V]: at the end of both prompts, after one more token, and after each branch of each."""
    device = unwrapped(engine.model).device
    engine.append([SHARED], prefix, start=0)
    lengths = torch.tensor([len(prompt) for prompt in PROMPTS], device=device)
    longest = int(lengths.max())
    seen = prefix.expanded(len(PROMPTS), longest + 1 + len(BRANCHES))
    read = engine.append([prompt[len(SHARED) :] for prompt in PROMPTS], seen, start=len(SHARED))
    stepped = engine.step(torch.full_like(lengths, NEXT), lengths, seen)
    columns = torch.arange(len(BRANCHES), device=device)
    slots = lengths[:, None] + 1 + columns
    visible = torch.arange(seen.capacity, device=device) <= lengths[:, None, None]
    visible = visible | (torch.arange(seen.capacity, device=device) == slots[:, :, None])
    aim = Aim(slots, (lengths + 1)[:, None].expand_as(slots), visible, torch.ones_like(slots, dtype=torch.bool))
    ids = torch.tensor([BRANCHES] * len(PROMPTS), device=device)
    return engine.logits(torch.cat([read, stepped, engine.forward(ids, aim, seen)])).float()


def _packed(engine: Engine) -> torch.Tensor:
    """[T, V] of the whole rows in one pass, as `logprobs` computes them."""
    rows = [Encoded("tried", row, ()) for row in _rows()]
    return engine.logits(hidden_states(engine.model, pack(rows, unwrapped(engine.model).device))).float()


def _ids(model: Any, row: Ids) -> torch.Tensor:
    return torch.tensor([row], device=unwrapped(model).device)


def _close(mine: torch.Tensor, theirs: torch.Tensor, dtype: torch.dtype) -> bool:
    return float((mine - theirs).norm()) <= TOLERANCE.get(dtype, min(TOLERANCE.values())) * float(theirs.norm())
