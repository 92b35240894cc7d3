"""The others' arms: Presidio's default recognisers without a language model, and detect-secrets.

Presidio gets a blank spaCy tokeniser that gives words in lower case for lemmas, so that its context words work and nothing is
downloaded; tldextract, which its e-mail recogniser calls, is kept off the network. Both libraries are imported by these
functions alone, since a benchmark must start without them.
"""

import logging
import os
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

KINDS: Final = {
    "CREDIT_CARD": "card",
    "US_BANK_NUMBER": "bank-account",
    "US_DRIVER_LICENSE": "driving-licence",
    "US_ITIN": "us-itin",
    "US_PASSPORT": "passport",
    "US_SSN": "us-ssn",
    "UK_NHS": "uk-nhs",
    "CRYPTO": "crypto-wallet",
    "DATE_TIME": "date-of-birth",
    "EMAIL_ADDRESS": "email",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip-address",
    "MEDICAL_LICENSE": "us-dea-number",
    "MAC_ADDRESS": "mac-address",
    "PHONE_NUMBER": "phone",
}
"""Presidio's entities and our kinds. UUID and URL, the other two of the 17 recognisers, are no personal data to us."""
FIXED: Final = (
    "AWSKeyDetector", "AzureStorageKeyDetector", "BasicAuthDetector", "DiscordBotTokenDetector", "GitHubTokenDetector",
    "GitLabTokenDetector", "JwtTokenDetector", "MailchimpDetector", "NpmDetector", "OpenAIDetector", "PrivateKeyDetector",
    "PypiTokenDetector", "SendGridDetector", "SlackDetector", "SquareOAuthDetector", "StripeDetector",
    "TelegramBotTokenDetector", "TwilioKeyDetector",
)  # fmt: skip
"""Plugins of detect-secrets that know a form; the default also has entropy and keyword plugins."""
THEIR_SECRETS: Final = (
    "aws-access-key", "azure-key", "url-password", "discord-token", "github-token", "gitlab-token", "jwt", "mailchimp-key",
    "npm-token", "openai-key", "private-key", "pypi-token", "sendgrid-key", "slack-token", "square-token", "stripe-key",
    "telegram-token", "twilio-key",
)  # fmt: skip
"""Our kinds that those plugins look for."""


class Found(NamedTuple):
    """Characters [start, end) of a text; `kind` is ours, or theirs where we have none."""

    start: int
    end: int
    kind: str


Scan = Callable[[Sequence[str]], list[list[Found]]]


def presidio(threshold: float = 0.0) -> Scan:
    """Presidio's analyser with its 17 default recognisers; hits of a lower score than `threshold` are left out."""
    analyzer = analyzer_of_presidio()

    def scan(texts: Sequence[str]) -> list[list[Found]]:
        return [
            [
                Found(hit.start, hit.end, KINDS.get(hit.entity_type, hit.entity_type))
                for hit in analyzer.analyze(text, language="en", score_threshold=threshold)
            ]
            for text in texts
        ]

    return scan


def analyzer_of_presidio() -> Any:
    """The analyser, built without a download. Raises ImportError when presidio-analyzer or spacy is missing."""
    os.environ["DO_NOT_TRACK"] = "true"
    for name in ("presidio-analyzer", "tldextract"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    import spacy
    import tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpArtifacts, SpacyNlpEngine
    from presidio_analyzer.recognizer_registry import RecognizerRegistryProvider

    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    class Words(SpacyNlpEngine):  # type: ignore[misc]
        """Words of a blank tokeniser; no entities."""

        def __init__(self) -> None:
            super().__init__()
            self.nlp = {"en": spacy.blank("en")}

        def process_text(self, text: str, language: str) -> Any:
            words = self.nlp[language].make_doc(text)
            return NlpArtifacts(
                entities=[],
                tokens=words,
                tokens_indices=[word.idx for word in words],
                lemmas=[word.lower_ for word in words],
                nlp_engine=self,
                language=language,
                scores=[],
            )

    registry = RecognizerRegistryProvider().create_recognizer_registry()
    registry.recognizers = [one for one in registry.recognizers if "Spacy" not in one.name]
    return AnalyzerEngine(registry=registry, nlp_engine=Words(), supported_languages=["en"])


def detect_secrets(*, fixed: bool) -> Scan:
    """detect-secrets line by line: its plugins for known forms, or all that it runs by default. Kinds are its own names."""
    from detect_secrets.core.scan import scan_line
    from detect_secrets.settings import default_settings, transient_settings

    plugins = {"plugins_used": [{"name": name} for name in FIXED]}

    def scan(texts: Sequence[str]) -> list[list[Found]]:
        with transient_settings(plugins) if fixed else default_settings():
            return [_lines(text, scan_line) for text in texts]

    return scan


def _lines(text: str, scan_line: Callable[[str], Any]) -> list[Found]:
    found, start = [], 0
    for line in text.split("\n"):
        for secret in scan_line(line):
            place = max(line.find(secret.secret_value or ""), 0)
            found.append(Found(start + place, start + place + len(secret.secret_value or line), secret.type))
        start += len(line) + 1
    return found
