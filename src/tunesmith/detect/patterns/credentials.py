"""Passwords, PINs and keys without a recognisable form, found by the word before them or by their place in a URL.

Not found: a password that is a plain word in lower case, or one without a cue before it. Placeholders do not count.
"""

import re
from collections import Counter
from math import log2
from typing import Final

from tunesmith.detect.patterns.pattern import Pattern

PLACEHOLDER: Final = re.compile(
    r"^[<{\[$%]|\$\{|\{\{|\*{3}|x{4}|\.{3}|(?i:^(?:your|my|the|some|new|old|user|enter|insert|replace|change|example|sample|dummy|test|fake)[_-]|"
    r"^(?:password|passwd|pass|pwd|secret|token|user|username|none|null|changeme|example|redacted|hidden)$|[_-]here)"
)
"""Text that stands for a value."""


def _value_with_digit(text: str) -> int:
    return len(text) if any(character.isdigit() for character in text) and not PLACEHOLDER.search(text) else 0


def _unless_placeholder(text: str) -> int:
    return 0 if PLACEHOLDER.search(text) else len(text)


def _password(text: str) -> int:
    """The length of a value with a digit, a sign, or capitals after the first letter; plain words do not count."""
    value = text.rstrip(".,;:!?)")
    digit, sign = any(c.isdigit() for c in value), any(c in "$&%@#*^_+!?=" for c in value)
    mixed = any(c.isupper() for c in value[1:]) and not value.isupper()
    made_up = len(value) >= 4 and (digit or sign or mixed) and not PLACEHOLDER.search(value)
    return len(value) if made_up else 0


def _high_entropy(text: str) -> int:
    """The length of a machine-made value: at least three bits a character (Shannon 1948), and a run of eight letters and digits
    that has both."""
    both = any(len(part) >= 8 and not part.isdigit() and not part.isalpha() for part in re.split("[^A-Za-z0-9]", text))
    entropy = -sum(count / len(text) * log2(count / len(text)) for count in Counter(text).values())
    return len(text) if both and entropy >= 3 and not PLACEHOLDER.search(text) else 0


_PASSWORD_WORDS = "pass ?word|passwd|passphrase|passwort|pwd"
_SPACE = "[ \\t\\r\\n]"
_ASSIGNMENT = rf"(?:[\"']?{_SPACE}*(?:[:=]|->){_SPACE}*|{_SPACE}+(?:(?i:is|was|now)\b{_SPACE}*[:=]?{_SPACE}*)?)"
_NUMBER_LINK = rf"(?i:{_SPACE}*(?:code|number|no\.?|is|was|:|=|#))*{_SPACE}*"
_KEY_NAMES = (
    r"api[ _-]?(?:key|token|secret)|app[ _-]?(?:key|secret)|client[ _-]?secret|secret[ _-]?(?:access[ _-]?)?key|"
    r"(?:auth|access|refresh|session|oauth|bearer|personal access|cloudflare|datadog|heroku)[ _-](?:api[ _-])?(?:token|key)"
)
_SECRET_NAMES = (
    "secret|token|credentials?|passkey|(?:auth|access|account|private|encryption|signing|master|api|session)[_-]?key"
)

CREDENTIALS: Final = (
    Pattern(
        "bearer-token",
        rf"(?<![A-Za-z])(?i:bearer){_SPACE}+(?P<value>[A-Za-z0-9._~+/=-]{{16,1000}})",
        _value_with_digit,
        "error",
    ),
    Pattern(
        "api-key",
        rf"(?<![A-Za-z])(?i:{_KEY_NAMES})[\"']?(?:(?:[ \t]|(?i:is)|:|=|->){{1,6}})[\"']?(?P<value>[A-Za-z0-9_+/=-]{{16,255}})",
        _value_with_digit,
        "error",
    ),
    Pattern(
        "url-password",
        r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.-]{1,20}://[A-Za-z0-9_.%~+-]{0,64}:"
        r"(?P<value>[^ \t\r\n\"'/?#@:<>]{3,128})@[A-Za-z0-9\[]",
        _unless_placeholder,
        "error",
    ),
    Pattern(
        "password",
        rf"(?<![A-Za-z])(?i:{_PASSWORD_WORDS}){_ASSIGNMENT}"
        r"[\"'](?P<value>(?<=\")[^\"\n]{4,64}(?=\")|(?<=')[^'\n]{4,64}(?='))",
        _unless_placeholder,
        "error",
    ),
    Pattern(
        "password",
        rf"(?<![A-Za-z])(?i:{_PASSWORD_WORDS}){_ASSIGNMENT}(?P<value>[^ \t\r\n\"']{{4,128}})",
        _password,
        "error",
    ),
    Pattern(
        "secret-value",
        rf"(?i:{_SECRET_NAMES})[A-Za-z0-9_-]{{0,20}}[\"']?[ \t]{{0,3}}(?::=|=>|[:=])[ \t]{{0,3}}[\"']?"
        r"(?P<value>[A-Za-z0-9_+/=.~-]{16,255}(?:[!@#$%^&*()?][^ \t\r\n\"'`<>,;]{1,255})?)(?![A-Za-z0-9_+/=~-])",
        _high_entropy,
        "error",
    ),
    Pattern(
        "pin",
        rf"(?<![A-Za-z])(?i:pin|passcode)(?![A-Za-z]){_NUMBER_LINK}(?P<value>[0-9]{{4,8}})\b(?![.,:/-][0-9])",
        severity="error",
    ),
    Pattern(
        "card-code",
        rf"(?<![A-Za-z])(?i:security code|cvv2?|cvc)(?![A-Za-z0-9]){_NUMBER_LINK}(?P<value>[0-9]{{3,4}})\b(?![.,:/-][0-9])",
        severity="error",
    ),
    Pattern(
        "one-time-code",
        r"(?<![A-Za-z])(?i:(?:one[ -]time|verification|2fa|otp|authentication|login|sms)[ -]?(?:code|passcode|password|pin)|otp)"
        r"(?![A-Za-z])(?i:[ ,:=]|is|was|reads|to log in)*(?P<value>[0-9]{4,8})(?![0-9A-Za-z])(?![.,:/-][0-9])",
        severity="error",
    ),
)
