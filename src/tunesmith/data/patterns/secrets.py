"""The pack of secrets: keys and tokens with a form of their own, then what a word before it gives away.

High entropy alone is no sign: order numbers and digests have it too. It counts behind a name such as `signing_secret =`.
"""

from typing import Final

from tunesmith.data.patterns.credentials import CREDENTIALS
from tunesmith.data.patterns.pattern import Pattern
from tunesmith.data.patterns.providers import PROVIDERS

SECRETS: Final[tuple[Pattern, ...]] = (*PROVIDERS, *CREDENTIALS)
