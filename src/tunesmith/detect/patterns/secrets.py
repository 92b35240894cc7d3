"""The pack of secrets: keys and tokens with a form of their own, then what a word before it gives away.

High entropy alone is no sign: order numbers and digests have it too. It counts behind a name such as `signing_secret =`.
"""

from typing import Final

from tunesmith.detect.patterns.credentials import CREDENTIALS
from tunesmith.detect.patterns.pattern import Pattern
from tunesmith.detect.patterns.providers import PROVIDERS

SECRETS: Final[tuple[Pattern, ...]] = (*PROVIDERS, *CREDENTIALS)
