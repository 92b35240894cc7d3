"""Seeded values: dates, times, prices, codes, people, places and made-up words."""

from . import things, words

SYLLABLES = words.pool("""
ba, bel, bo, cra, da, dor, du, el, fa, fen, gli, go, hul, il, ka, kel, lo, lum, ma, mip, mo, na, nel,
no, or, pa, pel, qui, ra, rim, ro, sa, sel, sni, ta, tol, tru, ul, va, vem, vo, wil, ya, zan, zib""")
NUMBER_WORDS = words.pool("""
zero, one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen,
fifteen, sixteen, seventeen, eighteen, nineteen, twenty""")


def invented(rng):
    """A made-up word of two or three syllables."""
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.choice((2, 2, 3))))


def ordinal(number):
    """The number with its English ending: 1st, 2nd, 3rd, 4th."""
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def letters(rng, count):
    """Random capital letters, leaving out the ones that look like digits."""
    return "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(count))


def digits(rng, count):
    """A digit string that does not begin with zero."""
    return str(rng.randint(10 ** (count - 1), 10 ** count - 1))


def code(rng):
    """An order, booking or part number in one of many shapes."""
    shape = rng.randrange(12)
    if shape == 0:
        return f"{letters(rng, 2)}-{digits(rng, 4)}"
    if shape == 1:
        return f"{letters(rng, 1)}{digits(rng, 5)}"
    if shape == 2:
        return "#" + digits(rng, rng.choice((4, 5, 6)))
    if shape == 3:
        return f"{digits(rng, 3)}-{digits(rng, 3)}-{digits(rng, 2)}"
    if shape == 4:
        return f"{letters(rng, 3)}/{rng.randint(2019, 2026)}/{digits(rng, 3)}"
    if shape == 5:
        return f"{letters(rng, 3)}{digits(rng, 3)}{letters(rng, 1)}"
    if shape == 6:
        return f"{letters(rng, 2)}{digits(rng, 2)}-{letters(rng, 2)}{digits(rng, 2)}"
    if shape == 7:
        return f"{letters(rng, 2).lower()}{digits(rng, 4)}"
    if shape == 8:
        return f"{digits(rng, 2)}{letters(rng, 2)}{digits(rng, 3)}"
    if shape == 9:
        return f"{letters(rng, 1)}-{digits(rng, 3)}-{letters(rng, 2)}"
    return digits(rng, rng.choice((5, 6, 7, 8)))


def exact_date(rng):
    """A calendar date in one of many spellings."""
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(2018, 2027)
    name = words.MONTHS[month - 1]
    return rng.choice((
        f"{day} {name}", f"{name} {day}", f"{name} {ordinal(day)}", f"the {ordinal(day)} of {name}",
        f"{day:02d}.{month:02d}.{year}", f"{year}-{month:02d}-{day:02d}", f"{day}/{month}/{year}",
        f"{day}.{month}.{year % 100:02d}", f"{day} {name} {year}", f"{name} {day}, {year}", f"{day} {name[:3]}",
        f"{ordinal(day)} {name}", f"{day:02d}/{month:02d}/{year % 100:02d}",
        f"{rng.choice(words.DAYS)} {day} {name}"))


def date(rng):
    """A date, mostly exact and sometimes a weekday."""
    if rng.random() < 0.25:
        day = rng.choice(words.DAYS)
        return rng.choice((day, day, f"{day} morning", f"{day} afternoon", f"{day} evening"))
    return exact_date(rng)


def time(rng):
    """A time of day in one of many spellings."""
    hour, minute = rng.randint(1, 12), rng.choice((0, 5, 10, 15, 20, 30, 40, 45, 50))
    half = rng.choice(("am", "pm"))
    return rng.choice((
        f"{rng.randint(7, 21)}:{minute:02d}", f"{hour}:{minute:02d} {half}", f"{hour} {half}",
        f"{hour}{half}", f"{rng.randint(7, 21)}.{minute:02d}", f"{hour} o'clock",
        f"half past {NUMBER_WORDS[hour]}", f"quarter to {NUMBER_WORDS[hour]}",
        f"quarter past {NUMBER_WORDS[hour]}", rng.choice(("noon", f"{hour}.30 {half}"))))


def price(rng):
    """An amount of money in one of many spellings."""
    whole, cents = rng.choice((rng.randint(2, 60), rng.randint(20, 900))), rng.randint(0, 99)
    return rng.choice((
        f"${whole}", f"${whole}.{cents:02d}", f"£{whole}", f"£{whole}.{cents:02d}", f"€{whole}",
        f"{whole} euros", f"{whole}.{cents:02d} euros", f"{whole} dollars", f"{whole} pounds",
        f"{whole},{cents:02d} EUR", f"{whole}.{cents:02d} EUR", f"USD {whole}.{cents:02d}"))


def phone(rng):
    """A telephone number that belongs to nobody."""
    return rng.choice((f"0{digits(rng, 3)} 555 {digits(rng, 3)}", f"555-0{digits(rng, 3)}",
                       f"0{digits(rng, 2)}/{digits(rng, 6)}", f"+{digits(rng, 2)} 555 {digits(rng, 5)}"))


def first_name(rng):
    """A first name."""
    return rng.choice(words.WOMEN if rng.random() < 0.5 else words.MEN)


def person(rng):
    """A first name and a surname."""
    return f"{first_name(rng)} {rng.choice(words.SURNAMES)}"


def email(rng):
    """A mail address at a reserved name."""
    name = f"{first_name(rng)}.{rng.choice(words.SURNAMES)}".lower()
    return f"{name}{rng.choice(('', '', digits(rng, 2)))}@{rng.choice(('mail', 'post', 'web'))}.example"


def town(rng):
    """An invented town."""
    return rng.choice(words.TOWN_STARTS) + rng.choice(words.TOWN_ENDS)


def street(rng):
    """A street and house number."""
    number = rng.randint(1, 240)
    return f"{number}{rng.choice(('', '', '', 'a', 'b'))} {rng.choice(words.STREET_NAMES)} " \
           f"{rng.choice(words.STREET_KINDS)}"


def company(rng):
    """An invented company."""
    name = rng.choice(words.SURNAMES)
    return rng.choice((f"{name} & Sons", f"{name} and {rng.choice(words.SURNAMES)}",
                       f"{name} Ltd", f"{invented(rng).capitalize()} {rng.choice(('Foods', 'Tools'))}",
                       f"{name} Brothers", f"{town(rng)} {rng.choice(('Stores', 'Works', 'Supplies'))}"))


def count(rng):
    """A small number as digits."""
    return str(rng.choice((rng.randint(2, 12), rng.randint(2, 12), rng.randint(13, 90))))


def word_count(rng):
    """A small number, as digits or as a word."""
    number = rng.randint(2, 12)
    return rng.choice((str(number), NUMBER_WORDS[number]))


def choice_of(entries):
    """A generator that picks from a list."""
    return lambda rng: rng.choice(entries)


def sized(rng):
    """A clothes or shoe size."""
    return rng.choice(("S", "M", "L", "XL", str(rng.randint(34, 48)), str(rng.randint(34, 48))))


def coloured_product(rng):
    """A product, sometimes with a colour in front."""
    name = rng.choice(things.PRODUCTS)
    return f"{rng.choice(words.COLOURS)} {name}" if rng.random() < 0.25 else name


SLOTS = {
    "code": code, "date": date, "exact_date": exact_date, "time": time, "price": price,
    "phone": phone, "email": email, "person": person, "name": first_name, "town": town,
    "street": street, "company": company, "count": count, "few": word_count, "size": sized,
    "product": coloured_product, "invented": invented,
    "surname": choice_of(words.SURNAMES), "job": choice_of(words.JOBS), "day": choice_of(words.DAYS),
    "month": choice_of(words.MONTHS), "colour": choice_of(words.COLOURS),
    "subject": choice_of(words.SUBJECTS), "instrument": choice_of(words.INSTRUMENTS),
    "sport": choice_of(words.SPORTS), "language": choice_of(words.LANGUAGES),
    "material": choice_of(words.MATERIALS), "event": choice_of(words.EVENTS),
    "venue": choice_of(words.VENUES), "room": choice_of(words.ROOMS), "spot": choice_of(words.SPOTS),
    "pet": choice_of(words.PETS), "animal": choice_of(words.ANIMALS), "noun": choice_of(things.NOUNS),
    "adjective": choice_of(things.ADJECTIVES), "food": choice_of(things.FOODS),
    "dish": choice_of(things.DISHES), "verbed": choice_of(things.PAST_VERBS),
    "year": lambda rng: str(rng.randint(1950, 2024)),
    "age": lambda rng: str(rng.randint(18, 92)),
    "weight": lambda rng: f"{rng.randint(1, 40)}{rng.choice((' kg', 'kg', ' kilos'))}",
    "minutes": lambda rng: f"{rng.randint(2, 55)} minutes",
    "weeks": lambda rng: rng.choice(("two weeks", "three weeks", "ten days", "a month", "5 days",
                                     "6 days", "nearly a week", "8 days", "four days", "12 days")),
}
