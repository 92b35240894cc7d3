"""Messages about bookings, doctors, schools, gyms, libraries, hotels and travel."""

BOOKINGS = {
    "issues": {
        "table booking": ["I would like to book a table.", "can we have a table?", "a table please."],
        "booking change": ["I have to change my booking.", "our plans changed, so we must move the table."],
        "food complaint": ["the food was [cold|awful|not fresh].", "we waited an hour for our food."],
    },
    "clauses": {
        "date": ["it is for {date}.", "on {date} please.", "the date is {date}."],
        "time": ["at {time}.", "we would come at {time}.", "around {time} please."],
        "people": ["we are {people} people.", "for {people} people.", "there will be {people} of us."],
        "name": ["the name is {name}.", "please put it under {name}.", "my name is {name}."],
        "phone": ["my number is {phone}.", "you can reach me on {phone}."],
        "dish": ["we would like the {dish}.", "we love your {dish}.", "last time we had the {dish}."],
        "wish": ["we want {wish}.", "if possible we would like {wish}.", "could we have {wish}?"],
    },
    "wishes": ["a table by the window", "a quiet corner", "a high chair for the baby", "a table outside",
        "a vegetarian menu",
               "a later time", "a free dessert", "part of the bill back"],
    "subject": "date",
}
DOCTORS = {
    "issues": {
        "appointment": ["I need an appointment.", "can I come in to see the doctor?",
                        "I would like to see [the doctor|someone] soon."],
        "appointment cancellation": ["I cannot come to my appointment.", "I have to cancel my appointment."],
        "prescription": ["I need a new prescription.", "my tablets are nearly finished."],
        "test results": ["are my test results there?", "I am waiting for the result of my blood test."],
    },
    "clauses": {
        "name": ["my name is {name}.", "the patient is {name}.", "it is for {name}."],
        "birth": ["born {birth}.", "the date of birth is {birth}.", "I was born on {birth}."],
        "date": ["{date} would be good.", "it was for {date}.", "I can come on {date}."],
        "time": ["at {time}.", "the time would be {time}.", "I am free from {time}."],
        "doctor": ["I usually see Dr {doctor}.", "it should be with Dr {doctor}.",
            "my doctor is Dr {doctor}."],
        "complaint": ["I have {complaint}.", "it is because of {complaint}.", "the problem is {complaint}."],
        "phone": ["call me on {phone}.", "my phone is {phone}."],
        "wish": ["I want {wish}.", "I need {wish}.", "could I get {wish}?"],
    },
    "wishes": ["a sick note", "a call from the nurse", "an early appointment", "a new prescription",
        "a referral",
               "a copy of the results", "another date", "a home visit"],
    "subject": "name",
}
SCHOOLS = {
    "issues": {
        "absence": ["my child [is ill|cannot come to school|will miss class].",
                    "we have to keep our child at home."],
        "lost property": ["my child lost something at school.", "something was left at school."],
        "meeting request": ["I would like to talk to the teacher.", "can we meet [the teacher|you]?"],
        "school trip": ["I have a question about the school trip.", "it is about the class trip."],
    },
    "clauses": {
        "child": ["it is about {child}.", "the name of my child is {child}.", "my child is called {child}."],
        "class": ["class {class}.", "the class is {class}.", "that is in class {class}."],
        "teacher": ["the teacher is {teacher}.", "the class is taught by {teacher}."],
        "date": ["on {date}.", "it is for {date}.", "the day is {date}."],
        "reason": ["the reason is {reason}.", "it is because of {reason}."],
        "object": ["it is {a:object}.", "we are looking for {a:object}."],
        "wish": ["I want {wish}.", "we would like {wish}.", "please arrange {wish}."],
    },
    "wishes": ["a short meeting", "the homework by mail", "a call in the afternoon",
        "a form for the trip", "a later date",
               "a talk with the head", "a list of the books", "a place on the bus"],
    "subject": "child",
}
GYMS = {
    "issues": {
        "membership cancellation": ["I want to [leave the gym|end my membership].",
            "please cancel my membership."],
        "class booking": ["I want to join a course.", "is there a place in the course?"],
        "broken equipment": ["one of the machines is broken.",
            "a shower in the changing room does not work."],
    },
    "clauses": {
        "member": ["my member number is {member}.", "member {member}.", "the card says {member}."],
        "course": ["the course is {course}.", "it is about the {course} course.", "I mean {course}."],
        "date": ["from {date}.", "the date is {date}.", "it should be from {date}."],
        "time": ["the time is {time}.", "it is at {time}."],
        "amount": ["I pay {amount} a month.", "the fee is {amount}."],
        "name": ["my name is {name}.", "I am {name}."],
        "wish": ["I want {wish}.", "I would like {wish}.", "please send me {wish}."],
    },
    "wishes": ["a confirmation", "my fee back", "a free trial", "a break of two months", "a new card",
        "a place in the class",
               "a call back", "a discount"],
    "subject": "course",
}
LIBRARIES = {
    "issues": {
        "overdue loan": ["my book is overdue.", "I forgot to bring a book back."],
        "book reservation": ["I would like to reserve a book.", "please keep a book for me."],
        "late fee": ["you charged me a late fee.", "the late fee is not right."],
    },
    "clauses": {
        "card": ["my library card is {card}.", "card number {card}.", "the number on my card is {card}."],
        "title": ['the book is called "{title}".', 'it is "{title}".', 'the title is "{title}".'],
        "author": ["it is by {author}.", "the author is {author}.", "{author} wrote it."],
        "date": ["it was due on {date}.", "the date on the slip is {date}."],
        "branch": ["I borrow from the branch in {branch}.", "the branch is {branch}."],
        "amount": ["the fee is {amount}.", "it says {amount}."],
        "wish": ["I want {wish}.", "may I have {wish}?", "I would like {wish}."],
    },
    "wishes": ["two more weeks", "the fee removed", "a note when it is back", "a new card",
        "a list of my loans",
               "the second volume", "a copy in large print"],
    "subject": "title",
}
HOTELS = {
    "issues": {
        "room booking": ["I want to book a room.", "do you have a room free?", "we need a room."],
        "room cancellation": ["we cannot come and must cancel.", "please cancel our room."],
        "room complaint": ["the room was [dirty|too loud|freezing].", "the bed was broken."],
        "lost item": ["I left something in the room.", "we forgot something at your hotel."],
    },
    "clauses": {
        "booking": ["the booking number is {booking}.", "booking {booking}.",
            "our reservation is {booking}."],
        "arrival": ["we arrive on {arrival}.", "arrival is {arrival}.", "check-in would be {arrival}."],
        "nights": ["we stay {nights} nights.", "for {nights} nights.", "it is {nights} nights."],
        "room": ["it is room {room}.", "the room number is {room}."],
        "name": ["the name is {name}.", "it is booked under {name}."],
        "object": ["it is {a:object}.", "the thing is {a:object}."],
        "wish": ["we want {wish}.", "we would like {wish}.", "could we get {wish}?"],
    },
    "wishes": ["a quiet room", "a parking space", "a late check-out", "our money back",
        "breakfast included", "an extra bed",
               "a room with a view", "another room"],
    "subject": "arrival",
}
TRAVEL = {
    "issues": {
        "delay": ["my train was [late|very late|delayed].", "we missed our connection because of a delay."],
        "lost luggage": ["my bag [is gone|did not arrive].", "I left my bag on the train."],
        "seat change": ["I want another seat.", "can I change my seat?"],
        "ticket refund": ["I cannot travel any more.", "I did not use my ticket."],
    },
    "clauses": {
        "ticket": ["the ticket number is {ticket}.", "ticket {ticket}.", "my ticket is {ticket}."],
        "origin": ["I travelled from {origin}.", "the start was {origin}.", "we left from {origin}."],
        "goal": ["I was going to {goal}.", "the goal was {goal}.", "my stop is {goal}."],
        "date": ["it was on {date}.", "the date is {date}.", "the trip is on {date}."],
        "object": ["it is {a:object}.", "what I miss is {a:object}."],
        "amount": ["the ticket cost {amount}.", "I paid {amount}."],
        "wish": ["I want {wish}.", "I would like {wish}.", "please give me {wish}."],
    },
    "wishes": ["my money back", "a window seat", "a new ticket", "a voucher", "news about my bag",
        "a later train",
               "a written apology", "a seat near the door"],
    "subject": "ticket",
}
OUT = {"bookings": BOOKINGS, "doctors": DOCTORS, "schools": SCHOOLS, "gyms": GYMS,
       "libraries": LIBRARIES, "hotels": HOTELS, "travel": TRAVEL}
