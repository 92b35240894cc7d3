"""Personal data and secrets by kind: how a value is made and what is said around it; and near misses, which look like them."""

import base64
from typing import Final

from planted_values import (
    DIGITS,
    HEX,
    UPPER,
    Make,
    aadhaar,
    account,
    birth,
    bitcoin,
    broken_card,
    broken_iban,
    bsn,
    card,
    cpf,
    dea,
    discord,
    dni,
    driving,
    email,
    hetu,
    iban,
    imei,
    ip,
    itin,
    jwt,
    key,
    mac,
    marked,
    nhs,
    nino,
    npi,
    passport,
    personnummer,
    pesel,
    phone,
    place,
    private_key,
    routing,
    some,
    ssn,
    steuer_id,
    tfn,
)

PERSONAL: Final[dict[str, tuple[Make, tuple[str, ...]]]] = {
    "email": (email, ("Please write to {} when it is done.", "Copies go to {}, as always.")),
    "phone": (phone, ("You can call me on {} until six.", "My number is {}, in case the line drops.")),
    "card": (card, ("I paid with card {} last week.", "The card number is {}, charge it there.")),
    "iban": (iban, ("Send the refund to {} please.", "The IBAN is {}, same bank as before.")),
    "us-ssn": (ssn, ("My social security number is {}.", "SSN {} is on the form.")),
    "us-itin": (itin, ("The ITIN on the return is {}.", "My taxpayer id is {}.")),
    "uk-nhs": (nhs, ("Her NHS number is {}.", "NHS number {} is on the referral.")),
    "crypto-wallet": (bitcoin, ("Pay the rest in bitcoin to {} today.", "My wallet is {}, check it twice.")),
    "ip-address": (ip, ("The login came from {} at noon.", "Our server {} was down.")),
    "mac-address": (mac, ("The laptop has the MAC address {}.", "Please allow {} on the guest network.")),
    "us-dea-number": (dea, ("The prescriber's DEA number is {}.", "DEA {} is on the label.")),
    "date-of-birth": (birth, ("My date of birth is {}.", "DOB: {}, as on the card.")),
    "driving-licence": (driving, ("My driver's license number is {}.", "Driver license {} was scanned.")),
    "passport": (passport, ("My passport number is {}.", "Passport {} runs out in spring.")),
    "bank-account": (account, ("The bank account number is {}.", "Please use account number {} from now on.")),
    "us-bank-routing": (routing, ("The routing number is {}.",)),
    "us-npi": (npi, ("The clinic's NPI is {}.",)),
    "uk-nino": (nino, ("My national insurance number is {}.",)),
    "es-dni": (dni, ("El DNI del cliente es {}.", "The DNI on the lease is {}.")),
    "pl-pesel": (pesel, ("The PESEL on file is {}.",)),
    "fi-hetu": (hetu, ("Her Finnish identity code is {}.",)),
    "se-personnummer": (personnummer, ("Personnummer {} is on the contract.",)),
    "nl-bsn": (bsn, ("The employee's BSN is {}.",)),
    "au-tfn": (tfn, ("My TFN is {}.",)),
    "de-tax-id": (steuer_id, ("Meine Steuer-ID ist {}.",)),
    "in-aadhaar": (aadhaar, ("My Aadhaar number is {}.",)),
    "br-cpf": (cpf, ("O CPF do cliente é {}.",)),
    "imei": (imei, ("The phone's IMEI is {}.",)),
    "geo-coordinates": (place, ("He lives at {} now.", "GPS: {} is the house.")),
}
"""How a value of each kind is made, and what is said around it."""
SECRETS: Final[dict[str, tuple[Make, tuple[str, ...]]]] = {
    "aws-access-key": (marked("AK" + "IA", 16, UPPER + "234567"), ("The access key is {} for now.",)),
    "github-token": (marked("gh" + "p_", 36), ("Clone it with {} and tell me.",)),
    "gitlab-token": (marked("gl" + "pat-", 20), ("The runner uses {} here.",)),
    "slack-token": (
        lambda rng: f"xo{'xb'}-{some(rng, DIGITS[1:], 12)}-{some(rng, DIGITS[1:], 12)}-{key(rng, 24)}",
        ("The bot token is {} there.",),
    ),
    "stripe-key": (marked("sk" + "_live_", 24), ("Charge it with {} in the script.",)),
    "sendgrid-key": (lambda rng: f"S{'G.'}{key(rng, 22)}.{key(rng, 43)}", ("Mail goes out through {} today.",)),
    "twilio-key": (marked("S" + "K", 32, HEX), ("Texts are sent by {} at night.",)),
    "npm-token": (marked("np" + "m_", 36), ("//registry.npmjs.org/:_authToken={}",)),
    "pypi-token": (marked("py" + "pi-AgEIcHlwaS5vcmc", 80), ("Upload with {} as the name says.",)),
    "telegram-token": (
        lambda rng: f"{rng.randint(10**9, 10**10 - 1)}:A{'A'}{key(rng, 33)}",
        ("The channel posts by {} every day.",),
    ),
    "discord-token": (discord, ("The server's bot runs on {} still.",)),
    "jwt": (jwt, ("The session cookie was {} when it failed.",)),
    "private-key": (private_key, ("Here is the key:\n{}\nKeep it safe.",)),
    "openai-key": (
        lambda rng: f"sk-{key(rng, 20)}T3Blbk{'FJ'}{key(rng, 20)}",
        ("The notebook calls the model with {} now.",),
    ),
    "anthropic-key": (marked("sk-" + "ant-api03-", 93), ("The notebook calls the model with {} now.",)),
    "huggingface-token": (marked("h" + "f_", 34), ("Pull the weights with {} first.",)),
    "google-api-key": (marked("AI" + "za", 35), ("The map loads with {} on the page.",)),
    "azure-key": (
        lambda rng: base64.b64encode(rng.randbytes(64)).decode(),
        ("DefaultEndpointsProtocol=https;AccountName=store;AccountKey={};EndpointSuffix=core.windows.net",),
    ),
    "mailchimp-key": (
        lambda rng: f"{key(rng, 32, HEX)}-us{rng.randint(1, 20)}",
        ("The list is synced with {} daily.",),
    ),
    "square-token": (marked("sq" + "0csp-", 43), ("The till signs in with {} each morning.",)),
    "url-password": (marked("", 14), ("The job reads postgres://report:{}@db.example.org/sales each hour.",)),
    "password": (
        lambda rng: key(rng, 11) + rng.choice("!$&"),
        ('My password is "{}" for the portal.', 'password = "{}"'),
    ),
    "api-key": (marked("", 32), ('api_key = "{}"',)),
    "secret-value": (marked("", 40), ('WEBHOOK_SIGNING_SECRET="{}"', 'session_secret: "{}"')),
}
NEAR_MISSES: Final[tuple[Make, ...]] = (
    lambda rng: f"The order {some(rng, DIGITS[1:], 1)}{some(rng, DIGITS, 9)} has left the depot.",
    lambda rng: (
        f"See section {rng.randint(1, 19)}.{rng.randint(1, 19)}.{rng.randint(1, 19)}.{rng.randint(1, 19)} of it."
    ),
    lambda rng: (
        f"Version {rng.randint(1, 200)}.{rng.randint(0, 200)}.{rng.randint(20, 200)}.{rng.randint(20, 99)} is out."
    ),
    lambda rng: f"The part is listed as {some(rng, UPPER, 2)}-{some(rng, DIGITS, 4)}-{some(rng, DIGITS, 3)} there.",
    lambda rng: f"It was built from commit {some(rng, HEX, 40)} on the branch.",
    lambda rng: (
        f"The ticket is {some(rng, HEX, 8)}-{some(rng, HEX, 4)}-4{some(rng, HEX, 3)}-a{some(rng, HEX, 3)}-{some(rng, HEX, 12)}."
    ),
    lambda rng: (
        f"The book, ISBN 978-{rng.randint(0, 9)}-{some(rng, DIGITS, 3)}-{some(rng, DIGITS, 5)}-{rng.randint(0, 9)}, came."
    ),
    lambda rng: f"The log begins at {rng.randint(16, 17)}{some(rng, DIGITS, 11)} exactly.",
    broken_card,
    broken_iban,
    lambda rng: f"The form 000-{rng.randint(10, 99)}-{some(rng, DIGITS, 4)} is a sample.",
    lambda rng: f"We meet on {rng.randint(1, 28):02d}/{rng.randint(1, 12):02d}/2027 at {rng.randint(8, 18)}:30.",
    lambda rng: (
        f"Between {rng.randint(1990, 1999)} and {rng.randint(2000, 2020)} it grew to {rng.randint(10, 99)},000,000 euros."
    ),
    lambda rng: f"My passport expired in {rng.randint(2010, 2026)}, and the form takes {rng.randint(2, 9)} weeks.",
    lambda rng: f"The password is not working since {rng.choice(('Monday', 'noon', 'the update'))}, please reset it.",
    lambda rng: rng.choice(
        (
            "Set api_key=<your_api_key> in the file.",
            'password = "${DB_PASSWORD}" stays as it is.',
            "Use Bearer <token> there.",
        )
    ),
    lambda rng: f"sha256 {some(rng, HEX, 64)} is the file's sum.",
    lambda rng: f"The account of {rng.randint(1800, 1999)} names {rng.randint(1000, 9999)} people.",
    lambda rng: f"The import was std::io::read and it took {rng.randint(10, 59)}:{rng.randint(10, 59)} minutes.",
    lambda rng: f"Follow us at @shop and rate the icon@2x.png in build {rng.randint(1000, 9999)}.",
)
"""Sentences with nothing to hide in them."""
