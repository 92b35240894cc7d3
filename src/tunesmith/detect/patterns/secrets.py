"""The pattern pack for secrets: keys and tokens with a recognisable form, then values behind a cue word.

High entropy alone does not count, since order numbers and digests have it too; behind a name such as `signing_secret =` it does.
"""

from typing import Final

from tunesmith.detect.patterns.credentials import CREDENTIALS
from tunesmith.detect.patterns.pattern import Pattern
from tunesmith.detect.patterns.providers import PROVIDERS

SECRETS: Final[tuple[Pattern, ...]] = (*PROVIDERS, *CREDENTIALS)
