"""Secrets: keys and tokens with a form of their own, and passwords or PINs that a cue word gives away.

Not claimed: a password that is a plain word in lower case, or one without a cue before it. High entropy alone is no sign:
order numbers and digests have it too.
"""

import base64
import binascii
import json
from typing import Final

from tunesmith.data.patterns.pattern import Pattern


def _with_digit(text: str) -> int:
    return len(text) if any(character.isdigit() for character in text) else 0


def _jwt(text: str) -> int:
    """A JSON Web Token's first part is a JSON object with `alg` (RFC 7519, section 5; RFC 7515, section 4.1.1)."""
    head = text.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, binascii.Error):
        return 0
    return len(text) if isinstance(header, dict) and "alg" in header else 0


def _password(text: str) -> int:
    """Looks made up rather than said: in quotes, or with a digit, a sign inside, or capitals after the first letter."""
    if text[0] in "\"'" and text[-1] == text[0] and len(text) > 5:
        return len(text)
    value = text.rstrip(".,;:!?)\"'")
    digit, sign = any(c.isdigit() for c in value), any(c in "$&%@#*^_+!?=" for c in value)
    mixed = any(c.isupper() for c in value[1:]) and not value.isupper()
    return len(value) if len(value) >= 4 and (digit or sign or mixed) else 0


_ASSIGN = r"(?:[\"']?\s*(?:[:=]|->)\s*|\s+(?:(?i:is|was|now)\b\s*[:=]?\s*)?)"
_NUMBER = r"(?i:\s*(?:code|number|no\.?|is|was|:|=|#))*\s*"

SECRETS: Final = (
    Pattern(
        "private-key",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[A-Za-z0-9+/=\s\\:,()-]{0,20000}-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"|(?:[\s\\n]+[A-Za-z0-9+/=]{16,})*)",
        severity="error",
    ),
    Pattern("jwt", r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}", _jwt, "error"),
    Pattern("aws-access-key", r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])", severity="error"),
    Pattern(
        "aws-secret-key",
        r"(?i:aws.{0,20}secret.{0,20}[:=]\s*[\"']?)(?P<value>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])",
        severity="error",
    ),
    Pattern(
        "github-token",
        r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})",
        severity="error",
    ),
    Pattern("slack-token", r"(?<![A-Za-z0-9])xox[abeoprs]-[A-Za-z0-9-]{10,255}", _with_digit, "error"),
    Pattern("stripe-key", r"(?<![A-Za-z0-9])(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,255}", severity="error"),
    Pattern("google-api-key", r"(?<![A-Za-z0-9_-])AIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])", severity="error"),
    Pattern("bearer-token", r"\b(?i:bearer)\s+(?P<value>[A-Za-z0-9._~+/=-]{16,1000})", _with_digit, "error"),
    Pattern(
        "api-key",
        r"\b(?i:api[ _-]?key)(?i:\s*(?:is|:|=))*\s*[\"']?(?P<value>[A-Za-z0-9_-]{16,255})",
        _with_digit,
        "error",
    ),
    Pattern(
        "password",
        rf"\b(?i:pass ?word|passwd|passphrase|passwort|pwd){_ASSIGN}"
        r"(?P<value>\"[^\"\n]{4,64}\"|'[^'\n]{4,64}'|[^ \t\r\n\"']{4,128})",
        _password,
        "error",
    ),
    Pattern("pin", rf"\b(?i:pin|passcode)\b{_NUMBER}(?P<value>[0-9]{{4,8}})\b(?![.,:/-][0-9])", severity="error"),
    Pattern(
        "card-code",
        rf"\b(?i:security code|cvv|cvc)\b{_NUMBER}(?P<value>[0-9]{{3,4}})\b(?![.,:/-][0-9])",
        severity="error",
    ),
)
