"""Pattern packs: personal data and secrets, found by expression and confirmed by checksum where there is one."""

from tunesmith.data.patterns.pattern import Hit, Pattern, find, gate, mask
from tunesmith.data.patterns.personal import PERSONAL
from tunesmith.data.patterns.secrets import SECRETS

__all__ = ["PERSONAL", "SECRETS", "Hit", "Pattern", "find", "gate", "mask"]
