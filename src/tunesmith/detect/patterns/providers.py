"""Keys and tokens with a recognisable form: a prefix, a fixed length, a fixed alphabet.

Each form is documented by the provider or listed by GitHub's secret scanning.
"""

import base64
import binascii
import json
from typing import Final

from tunesmith.detect.patterns.pattern import Pattern


def _with_digit(text: str) -> int:
    return len(text) if any(character.isdigit() for character in text) else 0


def _many_characters(text: str) -> int:
    """Random text has many different characters; a placeholder such as `xxxx` has few."""
    return len(text) if len(set(text)) >= 8 else 0


def _jwt(text: str) -> int:
    """The first part of a JSON Web Token is a JSON object with `alg` (RFC 7519, section 5; RFC 7515, section 4.1.1)."""
    head = text.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, binascii.Error):
        return 0
    return len(text) if isinstance(header, dict) and "alg" in header else 0


def _discord(text: str) -> int:
    """The first part of a bot token is its account number in Base64."""
    head = text.partition(".")[0]
    try:
        return len(text) if base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)).isdigit() else 0
    except (ValueError, binascii.Error):
        return 0


_START = r"(?<![A-Za-z0-9_-])"
_END = r"(?![A-Za-z0-9_-])"
_URL_SAFE = "[A-Za-z0-9_-]"


def _token_pattern(kind: str, form: str) -> Pattern:
    return Pattern(kind, f"{_START}(?:{form}){_END}", _many_characters, "error")


PROVIDERS: Final = (
    Pattern(
        "private-key",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[A-Za-z0-9+/= \t\r\n\\:.,()-]{0,20000}-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"|(?:[ \t\r\n\\n]+[A-Za-z0-9+/=]{16,})*)",
        severity="error",
    ),
    Pattern("private-key", r"PuTTY-User-Key-File-[23]: [A-Za-z0-9@.-]{3,60}", severity="error"),
    _token_pattern("age-key", r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
    Pattern("jwt", rf"{_START}eyJ{_URL_SAFE}{{8,}}\.{_URL_SAFE}{{8,}}\.{_URL_SAFE}{{8,}}", _jwt, "error"),
    Pattern("aws-access-key", r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])", severity="error"),
    Pattern(
        "aws-secret-key",
        r"(?i:aws.{0,20}secret.{0,20}[:=][ \t\r\n]*[\"']?)(?P<value>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])",
        severity="error",
    ),
    Pattern(
        "aws-secret-key", r"(?<![A-Za-z0-9])amzn\.mws\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", severity="error"
    ),
    _token_pattern("google-api-key", r"AIza[0-9A-Za-z_-]{35}"),
    _token_pattern("google-oauth-secret", r"GOCSPX-[A-Za-z0-9_-]{28}"),
    Pattern("google-oauth-token", r"(?<![A-Za-z0-9])ya29\.[A-Za-z0-9_-]{40,1000}", _many_characters, "error"),
    Pattern(
        "gcp-service-account",
        r"private_key_id[\\\"']{1,4}[ ]?:[ ]?[\\\"']{1,4}(?P<value>[0-9a-f]{40})(?![0-9a-f])",
        severity="error",
    ),
    Pattern(
        "azure-key",
        r"(?:Account|SharedAccess)Key=(?P<value>(?:[A-Za-z0-9+/]{86}==|[A-Za-z0-9+/]{43}=))",
        _many_characters,
        "error",
    ),
    Pattern("azure-key", r"[?&]sig=(?P<value>[A-Za-z0-9%]{43,63}%3[Dd])", _many_characters, "error"),
    Pattern(
        "azure-key",
        r"(?<![A-Za-z0-9_~.-])[A-Za-z0-9_~.]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}(?![A-Za-z0-9_~.-])",
        _many_characters,
        "error",
    ),
    Pattern(
        "github-token",
        r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})",
        severity="error",
    ),
    _token_pattern("gitlab-token", r"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat)-[A-Za-z0-9_-]{20,64}"),
    Pattern("slack-token", r"(?<![A-Za-z0-9])(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,255}", _with_digit, "error"),
    Pattern(
        "slack-webhook",
        r"hooks\.slack\.com/(?P<value>(?:services|workflows|triggers)/[A-Z0-9]{8,12}/[A-Za-z0-9]{8,20}/[A-Za-z0-9/]{16,64})",
        _many_characters,
        "error",
    ),
    Pattern("stripe-key", r"(?<![A-Za-z0-9])(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,255}", severity="error"),
    _token_pattern("stripe-webhook-secret", r"whsec_[A-Za-z0-9+/]{32,64}"),
    _token_pattern("anthropic-key", r"sk-ant-[a-z0-9]{2,12}-[A-Za-z0-9_-]{32,128}"),
    _token_pattern(
        "openai-key", r"sk-(?:proj-|svcacct-|admin-|None-)?[A-Za-z0-9_-]{20,100}T3BlbkFJ[A-Za-z0-9_-]{20,100}"
    ),
    _token_pattern("openai-key", r"sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{40,200}"),
    _token_pattern("openrouter-key", r"sk-or-v1-[0-9a-f]{64}"),
    _token_pattern("huggingface-token", r"(?:hf|api_org)_[A-Za-z0-9]{34}"),
    _token_pattern("groq-key", r"gsk_[A-Za-z0-9]{52}"),
    _token_pattern("replicate-token", r"r8_[A-Za-z0-9]{37}"),
    _token_pattern("perplexity-key", r"pplx-[A-Za-z0-9]{48,56}"),
    _token_pattern("langsmith-key", r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),
    Pattern("sendgrid-key", rf"{_START}SG\.{_URL_SAFE}{{22}}\.{_URL_SAFE}{{43}}{_END}", _many_characters, "error"),
    _token_pattern("twilio-key", r"(?:SK|AC)[0-9a-f]{32}"),
    _token_pattern("mailgun-key", r"key-[0-9a-f]{32}|(?:pubkey-)[0-9a-f]{32}"),
    Pattern("mailchimp-key", rf"{_START}[0-9a-f]{{32}}-us[0-9]{{1,2}}{_END}", _many_characters, "error"),
    _token_pattern("npm-token", r"npm_[A-Za-z0-9]{36}"),
    _token_pattern("pypi-token", r"pypi-(?:AgEIcHlwaS5vcmc|AgENdGVzdC5weXBpLm9yZw)[A-Za-z0-9_-]{50,1000}"),
    _token_pattern("rubygems-key", r"rubygems_[0-9a-f]{48}"),
    _token_pattern("docker-token", r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{27,40}"),
    _token_pattern("digitalocean-token", r"do[opr]_v1_[0-9a-f]{64}"),
    _token_pattern("heroku-key", r"HRKU-AA[A-Za-z0-9_-]{58}"),
    _token_pattern("shopify-token", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    _token_pattern("square-token", r"sq0(?:atp|csp|idp|csb)-[A-Za-z0-9_-]{22,43}|EAAA[A-Za-z0-9_-]{60}"),
    Pattern(
        "telegram-token",
        rf"(?<![A-Za-z0-9:])(?:bot)?(?P<value>[0-9]{{8,10}}:AA{_URL_SAFE}{{33}}){_END}",
        _many_characters,
        "error",
    ),
    Pattern(
        "discord-token",
        rf"{_START}[A-Za-z0-9_-]{{24,28}}\.{_URL_SAFE}{{6}}\.{_URL_SAFE}{{27,40}}{_END}",
        _discord,
        "error",
    ),
    Pattern(
        "discord-webhook",
        r"discord(?:app)?\.com/api/(?:v[0-9]{1,2}/)?webhooks/(?P<value>[0-9]{17,20}/[A-Za-z0-9_-]{60,80})",
        _many_characters,
        "error",
    ),
    _token_pattern("databricks-token", r"dapi[0-9a-f]{32}(?:-[0-9]{1,2})?"),
    Pattern("cloudflare-key", rf"{_START}v1\.0-[0-9a-f]{{24}}-[0-9a-f]{{146}}{_END}", _many_characters, "error"),
    _token_pattern("newrelic-key", r"NRAK-[A-Z0-9]{27}|NRII-[A-Za-z0-9_-]{32}|NRJS-[0-9a-f]{19}"),
    _token_pattern("postman-key", r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    _token_pattern("linear-key", r"lin_(?:api|oauth)_[A-Za-z0-9]{40,64}"),
    _token_pattern("notion-token", r"ntn_[A-Za-z0-9]{40,50}|secret_[A-Za-z0-9]{43}"),
    _token_pattern("figma-token", r"fig[doru]{1,2}_[A-Za-z0-9_-]{40,44}"),
    Pattern("airtable-token", rf"{_START}pat[A-Za-z0-9]{{14}}\.[0-9a-f]{{64}}{_END}", _many_characters, "error"),
    Pattern("atlassian-token", r"(?<![A-Za-z0-9])AT(?:ATT3|CTT3|BB)[A-Za-z0-9_=-]{28,255}", _many_characters, "error"),
    Pattern(
        "grafana-token",
        r"(?<![A-Za-z0-9])(?:glsa_[A-Za-z0-9]{32}_[0-9a-fA-F]{8}|glc_eyJ[A-Za-z0-9+/=]{60,400})",
        _many_characters,
        "error",
    ),
    Pattern("vault-token", rf"{_START}hv[sbr]\.{_URL_SAFE}{{24,300}}{_END}", _many_characters, "error"),
    Pattern(
        "terraform-token", rf"{_START}[A-Za-z0-9]{{14}}\.atlasv1\.{_URL_SAFE}{{60,70}}{_END}", _many_characters, "error"
    ),
    Pattern(
        "doppler-token",
        rf"{_START}dp\.(?:pt|st|ct|scim|audit)\.(?:[a-z0-9_-]{{2,35}}\.)?[A-Za-z0-9]{{40,44}}{_END}",
        _many_characters,
        "error",
    ),
    _token_pattern("planetscale-token", r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_-]{32,64}"),
    _token_pattern("supabase-key", r"sbp_[0-9a-f]{40}|sb_secret_[A-Za-z0-9_-]{31}"),
    Pattern(
        "sentry-token",
        r"(?<![A-Za-z0-9])sntry(?:u_[0-9a-f]{64}|s_eyJ[A-Za-z0-9+/=_-]{40,400})",
        _many_characters,
        "error",
    ),
    _token_pattern("pulumi-token", r"pul-[0-9a-f]{40}"),
    Pattern("dropbox-token", rf"{_START}sl\.(?:u\.)?{_URL_SAFE}{{130,1300}}{_END}", _many_characters, "error"),
    _token_pattern("facebook-token", r"EAA(?:CEdEose0cBA|[MC])[A-Za-z0-9]{40,255}"),
    _token_pattern("artifactory-token", r"AKCp[A-Za-z0-9]{69}|cmVmdGtu[A-Za-z0-9]{56}"),
    _token_pattern("alibaba-key", r"LTAI[A-Za-z0-9]{20}"),
)
