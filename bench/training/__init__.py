"""The parts of bench/train_vs_trl.py: rows, arms, what is measured, and how it is shown. Nothing in src imports them."""
