"""Check digits against worked examples of standards and issuing authorities; a changed digit must fail."""

from collections.abc import Callable

import pytest

from tunesmith.detect.patterns import americas, asia_pacific_africa, contact, documents, europe, money, wallets
from tunesmith.detect.patterns.checksums import is_date, luhn, mod11_2, mod11_10, mod97, verhoeff
from tunesmith.detect.patterns.keccak import keccak256

Valid = Callable[[str], bool]

EXAMPLES: list[tuple[Valid, str]] = [
    (luhn, "79927398713"),  # ISO/IEC 7812-1 annex example
    (luhn, "4111111111111111"),  # test numbers of the card schemes
    (luhn, "5555555555554444"),
    (luhn, "490154203237518"),  # IMEI: 3GPP TS 23.003 annex B
    (verhoeff, "2363"),  # Verhoeff 1969, 236 with check digit 3
    (verhoeff, "999941057058"),  # Aadhaar: UIDAI test data
    (mod11_2, "07940"),  # ISO/IEC 7064, example of mod 11-2
    (mod11_10, "07945"),  # ISO/IEC 7064, example of mod 11,10
    (mod97, "GB82WEST12345698765432"),  # examples of the SWIFT IBAN registry
    (mod97, "DE89370400440532013000"),
    (mod97, "FR1420041010050500013M02606"),
    (mod97, "NO9386011117947"),
    (europe.nhs, "9434765919"),  # NHS Data Dictionary
    (europe.steuer_id, "86095742719"),  # Bundeszentralamt für Steuern, description of the check digit
    (europe.rentenversicherung, "15070649C103"),  # Deutsche Rentenversicherung
    (europe.svnr, "1237010180"),  # Österreichische Sozialversicherung
    (europe.ahv, "7569217076985"),  # Zentrale Ausgleichsstelle, Geneva
    (europe.nir, "255081416802538"),  # INSEE
    (europe.dni, "12345678Z"),  # Ministerio del Interior, Spain
    (europe.nie, "X2482300W"),
    (europe.codice_fiscale, "RSSMRA85T10A562S"),  # Agenzia delle Entrate
    (europe.codice_fiscale, "MRTMTT25D09F205Z"),
    (europe.bsn, "111222333"),  # Rijksdienst voor Identiteitsgegevens
    (europe.rijksregister, "85073003328"),  # Rijksregister, Belgium
    (europe.pesel, "44051401359"),  # Ministerstwo Cyfryzacji
    (europe.personnummer, "8112289874"),  # Skatteverket SKV 704
    (europe.personnummer, "6403273813"),
    (europe.fodselsnummer, "15108695088"),  # Skatteetaten
    (europe.hetu, "131052308T"),  # Digi- ja väestötietovirasto, written 131052-308T
    (europe.isikukood, "37605030299"),  # EVS 585:2007
    (europe.isikukood, "33309240064"),  # Lithuania
    (europe.nif_pt, "123456789"),  # Autoridade Tributária
    (europe.pps, "1234567T"),  # Department of Social Protection, Ireland
    (europe.cnp, "1800101221144"),  # Romania
    (europe.egn, "7523169263"),  # GRAO, Bulgaria
    (europe.rodne_cislo, "7801233540"),  # Czech Republic; remainder ten, check digit 0
    (europe.rodne_cislo, "7360285163"),
    (mod11_10, "69435151530"),  # OIB, Porezna uprava, Croatia
    (europe.snils, "11223344595"),  # Pension Fund of Russia
    (americas.npi, "1234567893"),  # Centers for Medicare and Medicaid Services, Requirements for NPI check digit
    (americas.dea, "AB1234563"),
    (money.aba, "111000025"),  # Federal Reserve Bank of Dallas
    (americas.cpf, "11144477735"),  # Receita Federal
    (americas.cnpj, "11222333000181"),
    (americas.curp, "HEGG560427MVZRRL04"),  # RENAPO
    (americas.rut, "123456785"),  # Chile
    (americas.cuit, "20123456786"),  # Argentina
    (americas.sin, "046454286"),  # Canada
    (asia_pacific_africa.tfn, "123456782"),  # Australian Taxation Office
    (asia_pacific_africa.tfn, "876543210"),
    (asia_pacific_africa.medicare_au, "212345670"),  # Services Australia
    (asia_pacific_africa.ird, "49091850"),  # Inland Revenue New Zealand, RWT specification
    (asia_pacific_africa.ird, "136410132"),
    (asia_pacific_africa.resident_cn, "11010519491231002X"),  # GB 11643-1999, annex
    (asia_pacific_africa.hkid, "A1234563"),  # Immigration Department, Hong Kong
    (asia_pacific_africa.hkid, "AB9876543"),
    (asia_pacific_africa.taiwan_id, "A123456789"),
    (asia_pacific_africa.nric, "S1234567D"),
    (asia_pacific_africa.nric, "F1234567N"),
    (asia_pacific_africa.my_number, "123456789018"),  # Ordinance 85 of 2014, Ministry of Internal Affairs, Japan
    (asia_pacific_africa.thai_id, "1234567890121"),
    (asia_pacific_africa.turkish_id, "10000000146"),  # Nüfus ve Vatandaşlık İşleri
    (asia_pacific_africa.south_african_id, "8001015009087"),
    (documents.vin, "1M8GDM9AXKP042788"),  # 49 CFR 565.15, worked example
    (wallets.base58check, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),  # block 0 of Bitcoin
    (wallets.bech32, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),  # BIP 173
    (wallets.bech32, "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"),  # BIP 350
    (wallets.eip55, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),  # EIP-55
    (wallets.eip55, "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"),
    (wallets.eip55, "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB"),
    (wallets.eip55, "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb"),
    (
        wallets.monero,  # Monero's donation address
        "44AFFq5kSiGBoZ4NMDwYtN18obc8AemS33DBLWs3H7otXft3XjrpDtQGv7SqSsaBYBb98uNbr2VBBEt7f2wfn3RVGQBEP3A",
    ),
]


@pytest.mark.parametrize(("valid", "code"), EXAMPLES)
def test_a_published_example_is_valid(valid: Valid, code: str) -> None:
    assert valid(code)


@pytest.mark.parametrize(("valid", "code"), EXAMPLES)
def test_a_changed_last_digit_is_invalid(valid: Valid, code: str) -> None:
    place = max(place for place, character in enumerate(code) if character.isdigit())
    digits = "123456789" if valid in (wallets.base58check, wallets.monero) else "0123456789"
    for digit in digits:
        changed = code[:place] + digit + code[place + 1 :]
        if digit != code[place]:
            assert not valid(changed), changed


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
    ],
)
def test_keccak_matches_the_reference(data: bytes, digest: str) -> None:
    """Test vectors of the Keccak team, before FIPS 202 changed the padding."""
    assert keccak256(data).hex() == digest


def test_keccak_handles_a_message_longer_than_a_block() -> None:
    digests = {keccak256(b"a" * length) for length in (134, 135, 136, 137, 272)}
    assert len(digests) == 5


def test_other_wallets() -> None:
    assert wallets.base58check("rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh", wallets.RIPPLE)  # genesis account of XRP
    assert wallets.base58check("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t")  # USDT contract on Tron
    assert wallets.base58check("DH5yaieqoZN36fDVciNyRueRGvGLR3mr7L")  # Dogecoin
    assert wallets.solana("11111111111111111111111111111111")  # Solana's system program
    assert not wallets.bech32("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd")  # BIP 350, invalid
    assert not wallets.base58check("z" * 35)
    assert not wallets.monero("4" * 95)
    assert wallets.eip55("0x" + "1234567890abcdef" * 2 + "12345678")
    assert not wallets.eip55("0x" + "0" * 40)


def test_orcid_of_the_registry_is_valid() -> None:
    found = contact.ONLINE[6]
    assert found.check is not None
    assert found.check("0000-0002-1694-233X") == 19
    assert found.check("0000-0002-1694-2330") == 0


def test_a_co_ordination_number_and_a_d_number_are_dates_too() -> None:
    assert europe.personnummer("7010632391")  # Skatteverket SKV 707
    assert not europe.personnummer("7010992391")


@pytest.mark.parametrize(
    ("day", "month", "year", "valid"),
    [
        ("29", "02", "", True),
        ("29", "02", "1999", False),
        ("29", "02", "2000", True),
        ("31", "04", "", False),
        ("00", "01", "", False),
        ("1", "13", "", False),
        ("1", "0", "", False),
    ],
)
def test_dates(day: str, month: str, year: str, valid: bool) -> None:
    assert is_date(day, month, year) is valid
