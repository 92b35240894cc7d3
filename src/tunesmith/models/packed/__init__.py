"""Train on rows without padding: many rows in one forward, shared prefixes computed once, loss on trained tokens only.

The package reads in this order:

1. `reference.py`: what must come out, one row at a time, in plain PyTorch.
2. `prefix_trie.py`, `pack.py`: rows become a `PackedBatch`, one flat sequence in which each shared prefix is stored once.
3. `forward.py`: the model's hidden states; `attention.py` chooses a kernel (`sdpa.py`, `prefix_attention.py`, `varlen.py`).
4. `loss.py`: the loss in chunks of logits; the chunk size is set there.

The rest saves work or checks: `last_layer_pruning.py` skips what the loss does not read, `lean_*.py` are layers that keep less
for the backward pass, `exactness.py` checks a model before a run. The names below are what other packages use.
"""

from tunesmith.models.packed.exactness import check_packable, compare_shared_prefixes, window_mismatch
from tunesmith.models.packed.forward import hidden_states, unwrap_peft
from tunesmith.models.packed.last_layer_pruning import is_last_layer_pruned, prune_last_layer
from tunesmith.models.packed.lean_layers import use_lean_layers
from tunesmith.models.packed.logits import head_logits
from tunesmith.models.packed.loss import summed_loss, token_logprobs
from tunesmith.models.packed.pack import PackedBatch, pack_rows, split_micro_batches
from tunesmith.models.packed.prefix_trie import common_prefix_length, count_distinct_tokens, order_by_ids

__all__ = [
    "PackedBatch",
    "check_packable",
    "common_prefix_length",
    "compare_shared_prefixes",
    "count_distinct_tokens",
    "head_logits",
    "hidden_states",
    "is_last_layer_pruned",
    "order_by_ids",
    "pack_rows",
    "prune_last_layer",
    "split_micro_batches",
    "summed_loss",
    "token_logprobs",
    "unwrap_peft",
    "use_lean_layers",
    "window_mismatch",
]
