"""Each kind of secret, and near misses. Keys are assembled at run time, so that code scanners find none here."""

import base64
import json

import pytest

from tunesmith.detect.patterns import SECRETS, find_hits, mask_hits

HEX = "0123456789abcdef"
MIXED = "aB3dE5gH7jK9mN1pQ2sT4vW6yZ8cF0xRuLiOeIkJ"


def _hex(count: int) -> str:
    return (HEX * 20)[3 : 3 + count]


def _any(count: int) -> str:
    return (MIXED * 30)[:count]


def _base64(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


KEYS = {
    "private-key": "-----BEGIN RSA PRIV" + "ATE KEY-----\nMIIEpAIB\nAAKC==\n-----END RSA PRIV" + "ATE KEY-----",
    "age-key": "AGE-SECRET-" + "KEY-1" + "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L" + "QPZRY9X8GF2TVDW0S3JN54KHCE",
    "jwt": ".".join((_base64({"alg": "HS256", "typ": "JWT"}), _base64({"sub": "1234"}), _any(43))),
    "aws-access-key": "AK" + "IAIOSFODNN7EXAMPLE",
    "google-api-key": "AI" + "za" + _any(35),
    "google-oauth-secret": "GOC" + "SPX-" + _any(28),
    "google-oauth-token": "ya" + "29." + _any(60),
    "github-token": "gh" + "p_" + _any(36),
    "gitlab-token": "gl" + "pat-" + _any(20),
    "slack-token": "xo" + "xb-123456789012-" + _any(12),
    "stripe-key": "sk" + "_live_" + _any(24),
    "stripe-webhook-secret": "wh" + "sec_" + _any(32),
    "anthropic-key": "sk-" + "ant-api03-" + _any(93),
    "openai-key": "sk-" + _any(20) + "T3Blbk" + "FJ" + _any(20),
    "openrouter-key": "sk-" + "or-v1-" + _hex(64),
    "huggingface-token": "h" + "f_" + "abcdefghijklmnopqrstuvwxyzABCDEFGH",
    "groq-key": "gs" + "k_" + _any(52),
    "replicate-token": "r" + "8_" + _any(37),
    "perplexity-key": "pp" + "lx-" + _any(48),
    "langsmith-key": "ls" + "v2_pt_" + _hex(32) + "_" + _hex(10),
    "sendgrid-key": "S" + "G." + _any(22) + "." + _any(43),
    "twilio-key": "S" + "K" + _hex(32),
    "mailgun-key": "ke" + "y-" + _hex(32),
    "mailchimp-key": _hex(32) + "-us" + "12",
    "npm-token": "np" + "m_" + _any(36),
    "pypi-token": "py" + "pi-AgEIcHlwaS5vcmc" + _any(60),
    "rubygems-key": "ruby" + "gems_" + _hex(48),
    "docker-token": "dckr" + "_pat_" + _any(27),
    "digitalocean-token": "do" + "p_v1_" + _hex(64),
    "heroku-key": "HR" + "KU-AA" + _any(58),
    "shopify-token": "shp" + "at_" + _hex(32),
    "square-token": "sq" + "0atp-" + _any(22),
    "telegram-token": "123456789:" + "AA" + _any(33),
    "discord-token": base64.urlsafe_b64encode(b"123456789012345678").decode() + "." + _any(6) + "." + _any(27),
    "databricks-token": "da" + "pi" + _hex(32),
    "cloudflare-key": "v1" + ".0-" + _hex(24) + "-" + _hex(146),
    "newrelic-key": "NR" + "AK-" + _any(27).upper(),
    "postman-key": "PM" + "AK-" + _hex(24) + "-" + _hex(34),
    "linear-key": "lin" + "_api_" + _any(40),
    "notion-token": "nt" + "n_" + _any(46),
    "figma-token": "fig" + "d_" + _any(40),
    "airtable-token": "pa" + "t" + _any(14) + "." + _hex(64),
    "atlassian-token": "ATA" + "TT3xFfGF0" + _any(40),
    "grafana-token": "gl" + "sa_" + _any(32) + "_" + _hex(8),
    "vault-token": "hv" + "s." + _any(24),
    "terraform-token": _any(14) + ".atlas" + "v1." + _any(60),
    "doppler-token": "dp" + ".pt." + _any(43),
    "planetscale-token": "pscale" + "_tkn_" + _any(43),
    "supabase-key": "sb" + "p_" + _hex(40),
    "sentry-token": "sn" + "tryu_" + _hex(64),
    "pulumi-token": "pu" + "l-" + _hex(40),
    "dropbox-token": "s" + "l." + _any(136),
    "facebook-token": "EA" + "AC" + _any(60),
    "artifactory-token": "AK" + "Cp" + _any(69),
    "alibaba-key": "LT" + "AI" + _any(20),
}
"""A made-up key of each kind that needs no cue."""
AROUND = [
    ("-----BEGIN PRIV" + "ATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n", "[private-key]\n"),
    ("PuTTY-User-Key-" + "File-2: ssh-rsa", "[private-key]"),
    ("aws_secret_access_key = " + _any(40), "aws_secret_access_key = [aws-secret-key]"),
    ("amzn" + ".mws." + f"{_hex(8)}-{_hex(4)}-{_hex(4)}-{_hex(4)}-{_hex(12)}", "[aws-secret-key]"),
    ('"private_key_id": "' + _hex(40) + '"', '"private_key_id": "[gcp-service-account]"'),
    ("Account" + "Key=" + _any(86) + "==;Endpoint", "AccountKey=[azure-key];Endpoint"),
    ("blob?se=2026&sig=" + _any(43) + "%3D", "blob?se=2026&sig=[azure-key]"),
    ("Ab1" + "8Q~" + _any(34), "[azure-key]"),
    (
        "https://hooks.slack.com/" + "services/T0AAAAAA1/B0BBBBBB2/" + _any(24),
        "https://hooks.slack.com/[slack-webhook]",
    ),
    ("discord.com/api/" + "webhooks/123456789012345678/" + _any(68), "discord.com/api/webhooks/[discord-webhook]"),
    ("sk-" + "proj-" + _any(48), "[openai-key]"),
    ("Authorization: Bearer abcdefghij1234567890", "Authorization: Bearer [bearer-token]"),
    ("api_key=abcdef1234567890abcd", "api_key=[api-key]"),
    ('"client_secret": "abcdef1234567890abcd"', '"client_secret": "[api-key]"'),
    ("postgres://ann:tr0mb0ne@db.example.org/x", "postgres://ann:[url-password]@db.example.org/x"),
    ("my password is: Tr0ub4dor&3.", "my password is: [password]."),
    ('"password": "correct horse"', '"password": "[password]"'),
    ("'password': 'say \"hi\"'", "'password': '[password]'"),
    ('password = "pa$$w0rd%20{x"', 'password = "[password]"'),
    ('WEBHOOK_SIGNING_SECRET="' + _any(40) + '"', 'WEBHOOK_SIGNING_SECRET="[secret-value]"'),
    ("deploy_token: " + _hex(32), "deploy_token: [secret-value]"),
    ("deploy_token: " + _hex(32) + "!n5)e^x and on", "deploy_token: [secret-value] and on"),
    ("DB_PASSWORD=tr0mb0ne", "DB_PASSWORD=[password]"),
    ("pin is 1234, cvv 123", "pin is [pin], cvv [card-code]"),
    ("your verification code is 482913", "your verification code is [one-time-code]"),
]
MISSED = [
    "password is not working; password: REQUIRED; the passwords abc1",
    "use 'forgot password' instead, 'reset1'",
    "password: <password>, password=${DB_PASS}, password = your_password1, password: ********",
    "https://user:password@example.org and https://user:<pass>@example.org and http://localhost:8080/a@b",
    "pin 2 boards, PIN: 12.50, pinned 1234",
    "bearer of good news and tidings; Bearer <token>; Bearer YOUR_TOKEN_1_your_token_here",
    "api_key=your_api_key_here_123",
    "eyJub3QganNvbg.eyJub3QganNvbg.eyJub3QganNvbg",
    "AKIA is how they begin; ghp_short; sk_live_short",
    "sk-learn and sk-ant-farm, hf_hub_download, npm_install, key-value",
    "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "g" + "hp_ is a prefix, AI" + "za too, S" + "G.short.short",
    "123e4567-e89b-12d3-a456-426614174000 and 1234567890:short",
    "verification code of 2019, an error code 404",
    "token: authorization_code, token=aaaaaaaaaaaa1111111111, secret: ${VAULT_SECRET_9_ABCDEFGH}",
    "token: tokenization_strategy_v2_fast, token_id: 12345678901234567890, max_tokens=4096",
    "next_token = get_next_token_from_page(2)",
    'password = "${DB_PASSWORD}"; password: "<your password>"; password = "{{ db_password_1 }}"',
    "commit da39a3ee5e6b4b0d3255bfef95601890afd80709",
]


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_of_each_provider(kind: str) -> None:
    assert mask_hits(f"use {KEYS[kind]} here", SECRETS) == f"use [{kind}] here"
    assert mask_hits(f'key = "{KEYS[kind]}"', SECRETS) == f'key = "[{kind}]"'


@pytest.mark.parametrize("kind", sorted(set(KEYS) - {"private-key", "jwt", "slack-token", "anthropic-key"}))
def test_half_a_key_is_not_found(kind: str) -> None:
    assert find_hits(KEYS[kind][: len(KEYS[kind]) // 2], SECRETS) == []


@pytest.mark.parametrize(("text", "masked"), AROUND)
def test_secrets_behind_a_cue_are_masked(text: str, masked: str) -> None:
    assert mask_hits(text, SECRETS) == masked


@pytest.mark.parametrize("text", MISSED)
def test_near_misses_are_not_found(text: str) -> None:
    assert find_hits(text, SECRETS) == []


def test_every_pattern_alone_finds_something() -> None:
    texts = [*KEYS.values(), *(text for text, _ in AROUND)]
    for pattern in SECRETS:
        assert any(find_hits(text, (pattern,)) for text in texts), pattern.regex
    assert {hit.kind for text in texts for hit in find_hits(text, SECRETS)} == {pattern.kind for pattern in SECRETS}
