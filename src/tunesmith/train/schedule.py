"""Learning-rate schedules: linear warm-up, then a decay that would reach `final_rate` times the peak one step after the last."""

import math

from tunesmith.recipe import TrainSettings


def learning_rate(settings: TrainSettings, step: int, steps: int) -> float:
    """The learning rate of optimizer step `step` (from 0) of `steps`."""
    warmup = max(1, round(settings.warmup * steps)) if settings.warmup > 0 else 0
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    share = (step - warmup) / max(1, steps - warmup)
    floor = settings.final_rate
    match settings.schedule:
        case "constant":
            shape = 1.0
        case "linear":
            shape = 1.0 - share * (1.0 - floor)
        case "cosine":
            shape = floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * share))
        case "stable-decay":
            shape = 1.0 - _decay_progress(step, steps, warmup, settings.decay) * (1.0 - floor)
    return settings.learning_rate * shape


def _decay_progress(step: int, steps: int, warmup: int, decay: float) -> float:
    """The finished fraction of the decay: 0 while the rate is stable, then linear over the last `decay` share of the steps.

    A decay that is longer than the steps after the warm-up starts right after the warm-up. Source: warmup-stable-decay of Hu
    et al. 2024, arXiv 2404.06395; linear decay as in Hägele et al. 2024, arXiv 2405.18392.
    """
    decay_steps = max(1, min(round(decay * steps), steps - warmup))
    return max(0, step - (steps - decay_steps)) / decay_steps
