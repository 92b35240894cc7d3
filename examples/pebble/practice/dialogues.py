"""Short everyday dialogues and polite replies that name the thing that was asked about."""

from .grammar import SLOT, capitalised, expand, fill, write
from .shape import SYSTEM_LINES, turn
from .style import Style, typed_message, wrapped

HINTS = [
    "[Write|Give] a [short|polite|friendly] [reply|answer] to the customer.",
        "[Answer|Reply to] this message [politely|briefly|kindly].",
    "How would you [reply|answer]?", "[Please |]write a [few words|short note] back[ to this person|].",
        "Reply as the [shop|office|service].",
    "Draft a reply[ that names the thing asked about|].",
        "[Be kind and brief|Be polite] in your [reply|answer].", "Answer the [mail|note] below.",
    "[Give|Write] an answer that [says sorry|helps] and names the [matter|thing].", "Short reply please.",
        "Say the next step[ politely|].",
    "A customer writes. [Answer|Reply].", "", "", "", "", ""]
SERVICE = [
    ("my {product} [is broken|does not work|arrived damaged].",
        ["I am sorry that your {product} [is not in order|has a fault]. "
     "[Please send me the order number|We will send a new one|I will look into it at once].",
     "[Sorry about|I am sorry about] the {product}. Could you tell me when you bought it?"]),
    ("where is my {product}? I ordered it on {date}.",
        ["[Thank you for asking|Sorry for the wait]. I will check where the {product} from {date} is.",
     "I am sorry that the {product} you ordered on {date} is late. I will ask the carrier [today|now]."]),
    ("I want to return the {product}.",
        ["[Of course|No problem]. You can send the {product} back [free of charge|within 30 days].",
     "[Certainly|Gladly]. I will send you a return label for the {product}."]),
    ("can I change my booking {code} to {date}?",
        ["[Certainly|Of course]. I have moved booking {code} to {date}.",
        "Thank you. I will see whether {date} is free for booking {code}."]),
    ("please cancel order {code}.", ["[Done|All right]. Order {code} is cancelled.",
        "I have noted that order {code} should be cancelled[ and will confirm it soon|]."]),
    ("do you have {food} from {town}?",
        ["[Let me check|One moment]. I will see whether we have {food} from {town}.",
        "[Yes|Gladly], the {food} from {town} [came in today|can be found on the second shelf]."]),
    ("when does the {event} begin?",
        ["Thank you for asking about the {event}. I will look up the time [for you|].",
        "The time of the {event} is on the poster at the entrance."]),
    ("my name is {person} and I need a new card.",
        ["Thank you, {person}. I will order a new card for you.",
        "Good day, {person}. The new card will be [with you soon|in the post this week]."]),
    ("you charged me {price} twice!",
        ["I am sorry about the double charge of {price}. You will get one of them back.",
        "[Thank you for telling us|Sorry for that]. I will check the two payments of {price}."]),
    ("my address is now {street} in {town}.",
        ["Thank you. I have noted {street}, {town} as your new address.",
        "[Got it|All right]. Letters will go to {street} in {town} from now on."]),
    ("the {dish} was cold.", ["I am [very |]sorry that the {dish} was cold. May I bring you a [new|warm] one?",
        "Please excuse us. The {dish} should not have been cold."]),
    ("I cannot come at {time} on {day}.",
        ["Thank you for letting us know. I have cancelled {day} at {time}.",
        "No problem. Shall we find another time instead of {day} at {time}?"]),
    ("I left my {noun} in the {venue}.", ["I will ask in the {venue} whether someone found your {noun}.",
        "I am sorry to hear that. What does the {noun} from the {venue} look like?"]),
    ("how much is the {product} with delivery to {town}?",
        ["I will look up the price of the {product} with delivery to {town}.",
        "Thank you for asking about the {product}. I will see what delivery to {town} costs."]),
    ("can {name} take part in the {subject} course?", ["Yes, {name} is welcome in the {subject} course.",
        "I will put {name} on the list for {subject}."]),
    ("a table for {few} on {day} at {time}, please.",
        ["[Gladly|With pleasure]. A table for {few} on {day} at {time} is booked.",
        "Thank you. I have a table for {few} on {day} at {time}. Which name shall I write down?"]),
    ("the {noun} in room {count} is broken.",
        ["I am sorry. Someone will repair the {noun} in room {count} [today|this afternoon].",
        "Thank you for telling us about the {noun}. I will send someone to room {count}."]),
    ("is {name} in the office on {day}?", ["I will ask whether {name} is here on {day}.",
        "[Let me look|One moment]. I will check the plan of {name} for {day}."]),
    ("thank you for the {product}, it is [great|wonderful]!",
        ["[You are welcome|Thank you for the kind words]. We are glad that you like the {product}.",
        "That is good to hear. Enjoy your {product}!"]),
]
ASKS = [("What is the order number?", "it is {code}.",
        ["Thank you. I have noted order {code}[ and will write to you soon|].",
        "Thanks. I am looking at {code} now."]),
        ("Where do you live?", "in {town}.", ["Thank you. I will tell our branch in {town}.",
            "Good. {town} is noted."]),
        ("What is your name, please?", "{person}.", ["Thank you, {person}. I will take care of it.",
            "I have written it down, {person}."]),
        ("Under which number can we call you?", "{phone}",
            ["Thank you. We will call {phone} [soon|today].", "Good, I have noted {phone}."]),
        ("Which day would be good for you?", "{day} at {time}.", ["Then {day} at {time} it is.",
            "[Fine|Very well]. I have written down {day} at {time}."])]
CHATTER = [
    ("how was your weekend?", ["It was nice, thank you. I [read a book|baked bread|slept long]. And yours?",
        "Quiet and [sunny|rainy]. How was yours?"],
     "I went to {town} with {name}.", ["{town} with {name}, that sounds [lovely|like fun]!",
        "How nice. What did you and {name} do in {town}?"]),
    ("guess what I bought today!", ["Tell me! What did you buy?", "I do not know. What is it?"],
        "{a:product}!", ["{a:product}, [how nice|well done]!",
        "Good choice. Where did you find {a:product}?"]),
    ("I do not know what to cook.", ["What do you have in the kitchen?", "What do you like to eat?"],
        "{food} and {food2}.", ["Then make something with {food} and {food2}.",
        "{food} and {food2} go well in a soup."]),
    ("I have a new neighbour.", ["[Really?|Oh!] What is the name?", "How nice. Who is it?"],
        "{name}, {a:job} from {town}.", ["{a:job} from {town}, [interesting|how nice]. Say hello to {name}!",
        "I hope {name} likes it here after {town}."]),
    ("I start {sport} on {day}.", ["{sport} on {day}, good for you!",
        "Have fun with {sport}. Is it your first time?"], "yes, {name} goes with me.",
        ["Good, then {name} can help you.", "It is more fun with {name}."]),
    ("my {pet} is called {name}.", ["{name} is a good name for {a:pet}.", "How old is {name}?"],
        "{name} is {few} years old.", ["{few} years, a good age for {a:pet}.",
        "Then {name} is {few}. Thank you for telling me."]),
    ("I lost my {noun}.", ["Oh no. Where did you last see the {noun}?",
        "I am sorry. What did the {noun} look like?"],
        "it was {adjective} and {colour}, I had it in the {venue}.",
        ["Then ask in the {venue} for {a:adjective}, {colour} {noun}.",
        "{a:colour} {noun} is easy to see. Call the {venue}."]),
    ("tomorrow I go to {town}.", ["Have a good trip to {town}! How will you get there?",
        "{town} is a nice place. What will you do there?"], "by train at {time}, to see {name}.",
        ["Then have a good time with {name}, and do not miss the train at {time}.",
        "I hope the {time} train is on time. Greetings to {name}."]),
]


def typed(rng, template, known):
    """A message of the customer in someone's own way of typing; known keeps the plain values."""
    template = expand(rng, template)
    fill(rng, template, known)
    own = {found.group(2) + found.group(3): None for found in SLOT.finditer(template)}
    values = {key: known[key] for key in own}
    return typed_message(rng, capitalised(template) if rng.random() < 0.7 else template, values, Style(rng))


def service(rng):
    """A customer message, a polite reply, and sometimes one more step."""
    asked, replies = rng.choice(SERVICE)
    known = {}
    hint = write(rng, rng.choice(HINTS))
    plain = asked.startswith("thank") or rng.random() < 0.5
    body = asked if plain else wrapped(rng, asked)
    text = typed(rng, body, known)
    where = rng.random()
    messages = [turn("system", hint if hint else rng.choice(SYSTEM_LINES))] if where < 0.25 else []
    if hint and where >= 0.25:
        text = f"{hint}\n\n{text}" if rng.random() < 0.8 else f"{text}\n\n{hint}"
    answer = write(rng, rng.choice(replies), known)
    if rng.random() < 0.25 and "?" not in answer and not hint:
        question, said, ends = rng.choice(ASKS)
        later = {}
        messages += [turn("user", text), turn("assistant", f"{answer} {question}")]
        messages.append(turn("user", typed(rng, said, later)))
        return [*messages, turn("assistant", write(rng, rng.choice(ends), later))]
    return [*messages, turn("user", text), turn("assistant", answer)]


def chatter(rng):
    """Two turns between people who know each other."""
    first, replies, second, ends = rng.choice(CHATTER)
    known = {}
    messages = [turn("user", typed(rng, first, known)), turn("assistant", write(rng, rng.choice(replies), known))]
    messages += [turn("user", typed(rng, second, known)), turn("assistant", write(rng, rng.choice(ends), known))]
    if rng.random() < 0.2:
        messages.insert(0, turn("system", rng.choice(("You are a friendly neighbour.",
            "You like to chat.", "You are a good friend."))))
    return messages


def make(rng):
    """One dialogue."""
    return chatter(rng) if rng.random() < 0.25 else service(rng)
