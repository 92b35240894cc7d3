"""Messages about deliveries, repairs, banks, power and online accounts.

Every domain has issues (label: opening sentences), clauses per field, and reply sentences.
"""

DELIVERIES = {
    "issues": {
        "late delivery": ["my parcel [is late|still has not come|has not arrived yet].",
                          "I am [still |]waiting for my delivery.", "where is my parcel?",
                          "the delivery should have been here [days ago|last week]."],
        "damaged goods": ["[the parcel came and|my order arrived but] everything was [broken|damaged].",
                          "it arrived [cracked|in pieces|with a big dent].",
                          "the box was crushed and the thing inside is broken."],
        "wrong item": ["you [have sent|sent] me the wrong [thing|item].",
                       "this is not what I ordered.", "I got something [else|completely different]."],
        "return": ["I want to send [something|an item] back.", "how do I return [this|an item]?",
                   "I changed my mind and would like to return it."],
    },
    "clauses": {
        "order": ["[my |the |]order number is {order}.", "it is about order {order}.", "order {order}.",
                  "order number {order}, in case you need it.", "the order is {order}."],
        "product": ["it is {a:product}.", "I [ordered|bought|paid for] {a:product}.",
                    "what I [ordered|bought] was {a:product}.", "it is about the {product}."],
        "date": ["I ordered on {date}.", "the order is from {date}.", "I placed the order on {date}."],
        "town": ["it should go to {town}.", "I live in {town}.", "deliver to {town} please."],
        "amount": ["I paid {amount} for it.", "it cost me {amount}.", "{amount} was taken from my card."],
        "name": ["my name is {name}.", "the order is under the name {name}."],
        "wish": ["I want {wish}.", "please, I would like {wish}.", "all I want is {wish}.",
                 "could I have {wish}?"],
    },
    "wishes": ["my money back", "a refund", "a replacement", "a new one", "a return label",
        "half of the price back",
               "a new delivery date", "the right item", "an answer today", "a credit note"],
    "subject": "product",
}
REPAIRS = {
    "issues": {
        "broken device": ["[it|my machine] [has stopped working|is broken|does not turn on any more].",
                          "I need a repair.", "it [makes a strange noise|gets very hot] and then stops."],
        "technician late": ["your technician [did not come|never came|is late].",
                            "I waited all day for the repair man.", "nobody came to repair it."],
        "repair price": ["how much [would|does] a repair cost?", "what will the repair cost me?",
                         "I need a price for a repair."],
    },
    "clauses": {
        "product": ["it is my {product}.", "the problem is the {product}.", "I mean the {product}.",
                    "it is about {a:product}."],
        "ticket": ["the repair number is {ticket}.", "your ticket {ticket}.", "case {ticket}."],
        "date": ["I bought it on {date}.", "the receipt is from {date}."],
        "address": ["please come to {address}.", "my address is {address}.", "I live at {address}."],
        "phone": ["you can call me on {phone}.", "my number is {phone}.", "ring {phone}."],
        "time": ["I am at home from {time}.", "the best time is {time}.", "come at {time} please."],
        "wish": ["I want {wish}.", "what I need is {wish}.", "could you send {wish}?"],
    },
    "wishes": ["a technician", "a spare part", "a price estimate", "a new date", "a new machine",
        "my money back",
               "someone who knows this model", "a written answer"],
    "subject": "product",
}
BANKS = {
    "issues": {
        "unknown payment": ["there is a payment [on my account |]that I do not know.",
                            "I never made this payment.", "someone took money from my account."],
        "card problem": ["my card [does not work|was declined|is blocked].", "the shop refused my card.",
                         "I cannot pay with my card [any more|since yesterday]."],
        "transfer missing": ["the money I sent has not arrived.", "my transfer is missing.",
                             "I made a transfer but it never reached the other account."],
        "statement request": ["I need a statement [for my taxes|of my account].",
                              "please send me a copy of my statement."],
    },
    "clauses": {
        "account": ["my account number is {account}.", "account {account}.", "the account is {account}."],
        "amount": ["the amount is {amount}.", "it is about {amount}.", "we talk about {amount} here."],
        "date": ["it was on {date}.", "the date was {date}.", "this happened on {date}."],
        "company": ["the other side is {company}.", "on the list it says {company}."],
        "name": ["my name is {name}.", "the account belongs to {name}."],
        "phone": ["please call {phone}.", "I can be reached at {phone}."],
        "wish": ["I want {wish}.", "please arrange {wish}.", "I would like {wish}."],
    },
    "wishes": ["my money back", "a new card", "a list of all payments", "a call from the branch",
        "a block on the card",
               "a written statement", "an explanation", "an appointment"],
    "subject": "account",
}
UTILITIES = {
    "issues": {
        "power cut": ["we have no power.", "the electricity is gone [again|].", "all the lights went out."],
        "high bill": ["my bill is far too high.", "why is the bill so high this time?",
                      "I think the bill is wrong."],
        "meter reading": ["here is my meter reading.", "I want to send you my meter reading."],
        "new address": ["we are moving house.", "I am moving [soon|to a new flat].",
                         "I have a new address from next month."],
    },
    "clauses": {
        "customer": ["customer number {customer}.", "my customer number is {customer}."],
        "address": ["the address is {address}.", "I live at {address}.", "it is for {address}."],
        "reading": ["the meter shows {reading}.", "the reading is {reading}.",
            "it says {reading} on the meter."],
        "amount": ["the bill says {amount}.", "you ask for {amount}.", "the last bill was {amount}."],
        "date": ["it was on {date}.", "the date is {date}.", "it begins on {date}."],
        "name": ["the contract is under {name}.", "my name is {name}."],
        "wish": ["I want {wish}.", "I would like {wish}.", "please send {wish}."],
    },
    "wishes": ["a new bill", "a call", "a technician", "a payment plan", "an explanation", "a corrected bill",
               "a written confirmation", "a new contract"],
    "subject": "address",
}
ACCOUNTS = {
    "issues": {
        "login trouble": ["I cannot [log in|get into my account].", "my password does not work.",
                          "the page says that my login is wrong."],
        "double charge": ["I was charged twice.", "you took the money two times."],
        "plan cancellation": ["I want to [cancel|end] my plan.", "please stop my subscription."],
        "app crash": ["the app [crashes|closes] all the time.", "your app does not start [any more|]."],
    },
    "clauses": {
        "email": ["my mail is {email}.", "the account is under {email}.", "I signed up with {email}."],
        "ticket": ["the case number is {ticket}.", "I already have ticket {ticket}."],
        "date": ["it began on {date}.", "it has been like this since {date}.", "it happened on {date}."],
        "device": ["I use {a:device}.", "it is on my {device}.", "my device is {a:device}."],
        "amount": ["the amount was {amount}.", "it cost {amount}."],
        "name": ["my name is {name}.", "the user name is {name}."],
        "wish": ["I want {wish}.", "I need {wish}.", "please send me {wish}."],
    },
    "wishes": ["a new password", "my money back", "a reset link", "an answer by mail",
        "help with the app", "a call back",
               "a confirmation", "the old version back"],
    "subject": "email",
}
HOME = {"deliveries": DELIVERIES, "repairs": REPAIRS, "banks": BANKS, "utilities": UTILITIES,
        "accounts": ACCOUNTS}
