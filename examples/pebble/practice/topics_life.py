"""Topics of travel, school, health and everyday life: name, meaning and ways to write about it."""

TRAVEL = {
    "flight delay": ("a plane is late", ["my flight to {town} is delayed, [what now|when do we leave]?", "the plane [left|took off] {minutes} late.", "is the flight at {time} on time?"]),
    "lost luggage": ("a bag did not arrive", ["my suitcase did not [come|arrive] in {town}.", "I left my {colour} bag on the train.", "you lost my luggage, my {product} was in it."]),
    "seat change": ("another seat is wanted", ["can I [sit by the window|have an aisle seat]?", "I want to sit next to {name}.", "please change my seat {code}."]),
    "hotel booking": ("a room for the night", ["I need a room [in {town}|for {few} nights].", "do you have a double room from {date}?", "book me a hotel near the {venue}."]),
    "train ticket": ("buying a ticket for a train", ["one train ticket to {town}[ on {day}|], please.", "how much is the train from {town} to {town2}?", "where can I buy a ticket for the {time} train?"]),
    "visa question": ("papers to enter a country", ["do I need a visa [for my trip|to work abroad]?", "how long does a visa take?", "my passport ends in {month}, can I still cross the border?"]),
    "car hire": ("renting a car", ["I want to [rent|hire] a car in {town}[ for {few} days|].", "is a small car free from {date}?", "where do I bring the hired car back?"]),
    "parking space": ("where to leave the car", ["where can I park [near the {venue}|in {town}]?", "is there a car park and what does it cost?", "my car is in your car park and the gate does not open."]),
    "taxi order": ("a ride is wanted now", ["I need a taxi [to the {venue}|from {street}|at {time}].", "send a cab to {street} please.", "how much is a taxi to {town}?"]),
}
SCHOOL = {
    "absence note": ("a child cannot come", ["{name} is ill and cannot come to school[ on {day}|].", "please excuse {name}, we are at the doctor on {day}.", "my daughter {name} will miss class on {date}."]),
    "homework help": ("a task for home is not understood", ["{name} does not understand the {subject} homework.", "which pages are homework for {subject}?", "can someone explain exercise {count} in {subject}?"]),
    "school lunch": ("food at school", ["what is for lunch at school on {day}?", "{name} does not eat {food}, can the kitchen cook something else?", "how do I pay for the school meals?"]),
    "school bus": ("the way to school by bus", ["the school bus did not stop in {street}.", "when does the bus leave for the school [in {town}|]?", "the bus driver left {name} behind this morning."]),
    "parent meeting": ("talking to a teacher", ["can I meet the {subject} teacher on {day}?", "I would like to talk about {name} with you.", "when is the parents' evening?"]),
    "exam result": ("marks and grades", ["when do we get the {subject} results?", "what mark did {name} get in {subject}?", "I think the {subject} exam was marked wrongly."]),
    "class trip": ("a day out with the class", ["what should {name} pack for the class trip to {town}?", "how much is the trip to the {venue} with the class?", "I sign the form for the class trip to {town}."]),
    "course sign up": ("joining a course", ["I want to sign up for the {subject} course.", "is there a free place in {subject} on {day}?", "how do I join the evening class in {language}?"]),
}
HEALTH = {
    "doctor appointment": ("a date to see the doctor", ["I need an appointment [on {day}|this week] with Dr {surname}.", "can the doctor see me at {time}?", "is there a free appointment for my son {name}?"]),
    "prescription": ("more medicine is needed", ["my tablets are finished, I need a new prescription.", "please renew the prescription for my [drops|cream|pills].", "can I pick up the prescription at {time}?"]),
    "test results": ("the outcome of a test", ["are the results of my blood test there?", "what did the x-ray [of {date}|] show?", "I am waiting for my lab results since {day}."]),
    "sick note": ("a paper for the employer", ["I need a sick note for work[ until {day}|].", "my boss wants a note from the doctor.", "can you write me off sick [for {few} days|until {date}]?"]),
    "vaccination": ("a jab against an illness", ["I want a flu jab.", "is my tetanus vaccination still good?", "which vaccinations does {name} need for the trip?"]),
    "toothache": ("pain in a tooth", ["my tooth hurts [since {day}|so much].", "a filling fell out while I ate {food}.", "I have awful pain in a back tooth, can I come today?"]),
    "glasses order": ("new glasses or lenses", ["are my new glasses ready?", "I sat on my glasses and the frame is bent.", "I need stronger lenses, I cannot read the paper any more."]),
    "pet illness": ("an animal is ill", ["my {pet} does not eat any more.", "our {pet} {name} has a sore paw.", "the {pet} swallowed a button, what shall I do?"]),
}
LEISURE = {
    "gym membership": ("the contract with the gym", ["what does the gym cost a month?", "I want to end my gym membership[ in {month}|].", "can I pause my gym contract for {few} weeks?"]),
    "overdue book": ("a library book is late", ["my library book is overdue, what is the fee?", "I forgot to bring the book about the {animal} back to the library.", "can I keep the library book until {date}?"]),
    "table booking": ("a table in a restaurant", ["a table for {few} at {time}, please.", "we would like to eat at yours on {day}, is a table free?", "can I book the table by the window for {date}?"]),
    "concert ticket": ("going to a concert", ["are there tickets left for the concert on {date}?", "two seats for the {instrument} concert, please.", "how much is the concert in the {venue}?"]),
    "recipe request": ("how to cook something", ["how do I [make|cook] {dish}?", "what can I cook with {food} and {food2}?", "how long must {dish} be in the oven?"]),
    "weather": ("what the weather will be", ["will it rain [in {town}|on {day}]?", "do I need an umbrella in {town} today?", "how warm will it be on {day}?"]),
    "sports result": ("how a game ended", ["who won the {sport} match on {day}?", "what was the score between {town} and {town2}?", "did {town} win in {sport}?"]),
    "play music": ("music should be played", ["play some {instrument} music.", "put on a song for dancing.", "turn the music up[ in the {room}|]."]),
    "set alarm": ("being woken or reminded at a time", ["wake me [up |]at {time}.", "set an alarm for {time}.", "ring the alarm at {time} on {day}."]),
    "shopping list": ("things to buy", ["put {food} on the shopping list.", "I have to buy {food} and {food2}, write that on my list.", "take {food} off the shopping list."]),
    "light switch": ("lamps on or off", ["turn [on|off] the light in the {room}.", "the {room} is too dark, more light please.", "make the lamp in the {room} {colour}."]),
    "job application": ("applying for work", ["I would like to work for you as {a:job}.", "do you need {a:job} in {town}?", "here are my papers for the job as {a:job}."]),
}
TOPICS_LIFE = {"travel": TRAVEL, "school": SCHOOL, "health": HEALTH, "leisure": LEISURE}
