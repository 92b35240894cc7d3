"""The pattern pack for personal data, most reliable patterns first: where two overlap, the earlier one names the hit.

Not found, since they have no distinctive form: names without a phrase such as "my name is" before them, street addresses, user
names without an @, licence plates, health and belief. Numbers that need a cue are found only behind it on the same line.
"""

from typing import Final

from tunesmith.detect.patterns.americas import AMERICAS
from tunesmith.detect.patterns.asia_pacific_africa import ASIA_PACIFIC_AFRICA
from tunesmith.detect.patterns.contact import EMAIL, ONLINE, PHONES
from tunesmith.detect.patterns.documents import DOCUMENTS
from tunesmith.detect.patterns.europe import EUROPE
from tunesmith.detect.patterns.money import ACCOUNTS, CARDS
from tunesmith.detect.patterns.names import NAMES
from tunesmith.detect.patterns.pattern import Pattern
from tunesmith.detect.patterns.wallets import WALLETS

PERSONAL: Final[tuple[Pattern, ...]] = (
    EMAIL,
    *DOCUMENTS,
    *EUROPE,
    *AMERICAS,
    *ASIA_PACIFIC_AFRICA,
    *CARDS,
    *WALLETS,
    *ONLINE,
    *ACCOUNTS,
    *PHONES,
    *NAMES,
)
