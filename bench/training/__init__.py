"""The parts of bench/train_vs_trl.py: rows, arms, what is measured, and how it is shown. Nothing in src imports them."""

import tunesmith  # noqa: F401  (first: it sets the process switches that torch and transformers read at import)
