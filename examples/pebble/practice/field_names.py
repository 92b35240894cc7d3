"""Every field of a message: how its value is made, what it may be called, what it means."""

from . import things, words
from .values import SLOTS, choice_of, digits, letters

COMPLAINTS = words.pool("""
a sore throat, back pain, a bad cough, a headache, a swollen knee, an itchy rash, ear pain, a fever,
tired eyes, stomach pain, a stiff neck, a broken toe, dizzy spells, trouble sleeping, a burn""")
REASONS = words.pool("""
a cold, a fever, a dentist visit, a family wedding, a stomach bug, a broken arm, a funeral,
a music exam, a hospital visit, a late flight, a bad headache, a sports day""")
DEVICES = words.pool("""
tablet, old phone, laptop, smart watch, new phone, desktop computer, television, reader, game console,
work laptop""")


def title(rng):
    """An invented book title."""
    adjective, noun = rng.choice(things.ADJECTIVES).title(), rng.choice(things.NOUNS).title()
    return rng.choice((f"The {adjective} {noun}", f"The {noun} of {SLOTS['town'](rng)}", f"{adjective} Days",
                       f"A {noun} for {SLOTS['name'](rng)}", f"The {rng.choice(words.JOBS).title()}'s {noun}",
                       f"My {adjective} {rng.choice(words.ANIMALS).title()}"))


def thing(rng):
    """A noun, mostly with an adjective or a colour in front."""
    noun = rng.choice(things.NOUNS)
    return rng.choice((noun, f"{rng.choice(things.ADJECTIVES)} {noun}", f"{rng.choice(words.COLOURS)} {noun}"))


def product(rng):
    """A product, also one that comes in pairs or sets."""
    if rng.random() < 0.2:
        return rng.choice(("", "", f"{rng.choice(words.COLOURS)} ")) + rng.choice(things.PAIRS)
    return SLOTS["product"](rng)


def address(rng):
    """A street address, sometimes with the town."""
    street = SLOTS["street"](rng)
    return f"{street}, {SLOTS['town'](rng)}" if rng.random() < 0.4 else street


code, date, person, town = SLOTS["code"], SLOTS["date"], SLOTS["person"], SLOTS["town"]
FIELDS = {
    "order": (code, ["order", "order_number", "order_id", "order_no", "reference", "ref"],
        "the order number"),
    "product": (product, ["product", "item", "article", "goods", "product_name"], "the product"),
    "date": (date, ["date", "day", "when", "date_given"], "the date as written"),
    "town": (town, ["town", "city", "place", "destination"], "the town"),
    "amount": (SLOTS["price"], ["amount", "price", "sum", "money", "total"], "the amount of money"),
    "name": (person, ["name", "customer_name", "person", "full_name"], "the name of the person"),
    "wish": (None, ["wish", "request", "wants", "demand", "desired", "asks_for"], "what the writer wants"),
    "ticket": (code, ["ticket", "ticket_number", "ticket_id", "number"], "the ticket or case number"),
    "address": (address, ["address", "street_address", "location"], "the address"),
    "phone": (SLOTS["phone"], ["phone", "telephone", "phone_number", "tel"], "the telephone number"),
    "time": (SLOTS["time"], ["time", "hour", "time_of_day", "at"], "the time as written"),
    "account": (code, ["account", "account_number", "account_id"], "the account number"),
    "company": (SLOTS["company"], ["company", "merchant", "firm", "payee"], "the company"),
    "customer": (code, ["customer", "customer_number", "customer_id"], "the customer number"),
    "reading": (lambda rng: digits(rng, rng.choice((4, 5, 6))), ["reading", "meter", "meter_reading"],
                "the meter reading"),
    "email": (SLOTS["email"], ["email", "mail", "e_mail", "mail_address"], "the mail address"),
    "device": (choice_of(DEVICES), ["device", "machine", "hardware"], "the device"),
    "people": (SLOTS["few"], ["people", "guests", "party_size", "persons"], "the number of people"),
    "dish": (SLOTS["dish"], ["dish", "food", "meal"], "the dish"),
    "birth": (SLOTS["exact_date"], ["birth", "birth_date", "born", "date_of_birth"], "the date of birth"),
    "doctor": (SLOTS["surname"], ["doctor", "physician", "doctor_name"], "the name of the doctor"),
    "complaint": (choice_of(COMPLAINTS), ["complaint", "symptom", "problem"], "what the patient has"),
    "child": (SLOTS["name"], ["child", "pupil", "student", "child_name"], "the name of the child"),
    "class": (lambda rng: f"{rng.randint(1, 12)}{rng.choice('abcde')}", ["class", "class_name", "form",
        "group"],
              "the class"),
    "teacher": (lambda rng: f"{rng.choice(('Mr', 'Mrs', 'Ms'))} {SLOTS['surname'](rng)}",
                ["teacher", "teacher_name"], "the teacher"),
    "reason": (choice_of(REASONS), ["reason", "cause", "why"], "the reason"),
    "object": (thing, ["object", "thing", "lost_thing", "belonging"], "the thing that is looked for"),
    "member": (code, ["member", "member_number", "member_id"], "the member number"),
    "course": (lambda rng: rng.choice((*words.SPORTS, "yoga", "spinning", "aqua fitness", "dance", "boxing")),
               ["course", "class", "activity"], "the course"),
    "card": (code, ["card", "card_number", "card_id"], "the card number"),
    "title": (title, ["title", "book", "book_title"], "the title of the book"),
    "author": (person, ["author", "writer", "by"], "the author"),
    "branch": (town, ["branch", "library", "place"], "the branch"),
    "booking": (code, ["booking", "booking_number", "reservation", "booking_id"], "the booking number"),
    "arrival": (date, ["arrival", "check_in", "arrival_date", "from"], "the day of arrival"),
    "nights": (SLOTS["few"], ["nights", "number_of_nights", "stay"], "how many nights"),
    "room": (lambda rng: rng.choice((digits(rng, 3), digits(rng, 2) + letters(rng, 1))),
             ["room", "room_number"], "the room number"),
    "origin": (town, ["origin", "start", "from", "departure"], "where the trip started"),
    "goal": (town, ["goal", "destination", "to", "arrival_town"], "where the trip goes"),
}
MENTIONS = {
    "product": "your {}", "order": "order {}", "ticket": "number {}", "booking": "booking {}",
    "account": "account {}", "customer": "customer number {}", "member": "membership {}",
    "card": "card {}", "title": '"{}"', "object": "the {}", "course": "the {} course", "child": "{}",
    "device": "your {}", "room": "room {}", "dish": "the {}", "amount": "the sum of {}"}


def spelled(key, spelling):
    """A key name in one of the usual spellings."""
    if spelling == "camel":
        first, *rest = key.split("_")
        return first + "".join(part.capitalize() for part in rest)
    if spelling == "spaced":
        return key.replace("_", " ")
    return key.upper() if spelling == "upper" else key
