"""Pattern packs for personal data and secrets: regular expressions, confirmed by a checksum where one exists."""

from tunesmith.detect.patterns.pattern import Hit, Pattern, find_hits, mask_hits
from tunesmith.detect.patterns.personal import PERSONAL
from tunesmith.detect.patterns.prefilter import prefilter_regex
from tunesmith.detect.patterns.scan import HITS_TYPE, scan_column
from tunesmith.detect.patterns.secrets import SECRETS

__all__ = [
    "HITS_TYPE",
    "PERSONAL",
    "SECRETS",
    "Hit",
    "Pattern",
    "find_hits",
    "prefilter_regex",
    "scan_column",
    "mask_hits",
]
