"""Pattern packs: personal data and secrets, found by expression and confirmed by checksum where there is one."""

from tunesmith.data.patterns.gates import gate
from tunesmith.data.patterns.pattern import Hit, Pattern, find, mask
from tunesmith.data.patterns.personal import PERSONAL
from tunesmith.data.patterns.scan import HITS, hits_of
from tunesmith.data.patterns.secrets import SECRETS

__all__ = ["HITS", "PERSONAL", "SECRETS", "Hit", "Pattern", "find", "gate", "hits_of", "mask"]
