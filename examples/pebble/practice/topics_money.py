"""Topics of bank, shop and household messages: name, meaning and ways to write about it."""

BANK = {
    "card lost": ("the card is gone or stolen", ["I [lost|cannot find] my [bank |credit |]card[ in {town}|].", "[someone stole|a thief took] my card[ on {day}|].", "my wallet with the card was stolen [at the {venue}|on the train|].", "I think I dropped my [debit |]card [somewhere|near the {venue}], please block it."]),
    "card not arrived": ("a new card has not come", ["[when will|how long until] my new card [come|arrive|get here]?", "I [ordered|asked for] a new card {weeks} ago and it [is not here|never came].", "still no card in the [post|letter box] after {weeks}.", "is my new card on its way[ to {town}|]?"]),
    "unknown payment": ("a payment the customer did not make", ["there is a payment of {price} that I [did not make|do not know].", "who is {company} and why did they take {price} from my account?", "I never bought anything from {company} but [it is on my statement|I was charged {price}].", "someone else spent {price} with my card number."]),
    "transfer pending": ("money that was sent has not arrived", ["I sent {price} to {name} and it [has not arrived|is still pending].", "my transfer to {person} [is stuck|has been waiting since {day}].", "how long does a transfer [take|need]? {name} is still waiting for the {price}."]),
    "forgotten pin": ("the customer does not know the secret number", ["I [forgot|cannot remember] [my pin|the pin of my card].", "what can I do when I do not know my pin [any more|]?", "I typed the wrong pin three times[ at the {venue}|] and now it is blocked.", "how do I change my pin?"]),
    "loan question": ("the customer wants to borrow money", ["I [want|would like] to borrow {price} for {a:product}.", "what is the interest on a loan of {price}?", "can I get a loan [as {a:job}|if I earn little]?", "how long would I pay back a loan of {price}?"]),
    "exchange rate": ("changing money into another currency", ["how many [dollars|euros|pounds] do I get for {price}?", "what is the exchange rate today?", "I need foreign money for my trip, what rate do you give[ for {price}|]?", "is the rate for [dollars|yen|francs] good right now?"]),
    "close account": ("ending the account", ["please close my account[ at the end of {month}|].", "I want to [close|end] my account and move to another bank.", "how do I close [my savings account|the account of my late father]?"]),
    "card swallowed": ("the cash machine kept the card", ["the cash machine [kept|swallowed|ate] my card[ at the {venue}|].", "I wanted {price} but the machine did not give my card back.", "my card is stuck in the cash machine [in {town}|near the {venue}]."]),
    "balance check": ("how much money is in the account", ["how much [money |]is [left |]in my account?", "what is my balance[ today|]?", "can you tell me whether I have {price} left [in the bank|on my account]?"]),
}
SHOP = {
    "late parcel": ("a delivery is late", ["where is my [parcel|package|{product}]? it [is late|should be here by now].", "I have waited {weeks} for my {product}.", "the {product} I ordered on {date} has not [come|arrived|been delivered].", "tracking has not moved for {weeks}."]),
    "damaged item": ("the goods came broken", ["the {product} [came|arrived] [broken|damaged|with a crack].", "when I opened the box the {product} was [in pieces|scratched|bent].", "there is a [big |]dent in the {product} you sent."]),
    "wrong item": ("something else was sent", ["I ordered {a:product} but got {a:product2}.", "you sent me {a:product2} instead of the {product}.", "in the box was {a:product} that I never ordered, mine should be {a:product2}."]),
    "return request": ("the customer wants to send goods back", ["how do I send back the {product}?", "I do not like the {product} and want to return it.", "where do I get a return label for my {product}?", "can I bring the {product} back to the shop in {town}?"]),
    "missing refund": ("money for returned goods has not come", ["I returned the {product} {weeks} ago, where is my refund?", "you have my {product} back but I still do not have my {price}.", "when do I get the refund [of {price}|for the {product}]?"]),
    "size exchange": ("another size is wanted", ["the {product} [is too small|is too big|does not fit], I need size {size}.", "can I swap size {size} for {size2}?", "please change it for a [smaller|larger] size."]),
    "discount code": ("a voucher or code does not work", ["my discount code {code} [does not work|is not accepted].", "how do I use the code {code} [for the {product}|]?", "the voucher {code} did not take anything off."]),
    "out of stock": ("when goods will be there again", ["when will the {product} be [back in stock|available again]?", "the {product} is sold out, will you get [more|new ones]?", "do you have any {product} left in {colour}?"]),
    "cancel order": ("an order should be stopped", ["please cancel order {code}.", "I ordered {a:product} by mistake, please stop it.", "do not send the {product}, I want to cancel[ my order|]."]),
    "invoice copy": ("a bill or receipt is needed", ["I need [an invoice|a receipt] for the {product}.", "please send me the invoice for order {code}.", "the bill for my {product} is missing, can I have a copy?"]),
    "missing part": ("a part was not in the box", ["a screw for the {product} is missing.", "the {product} came without the [cable|lid|handle|manual].", "one part of the {product} was not in the box."]),
    "gift card": ("buying or using a gift card", ["can I buy a gift card for {price}?", "I got a gift card from {name}, how do I use it?", "is a gift card valid in the shop in {town} too?"]),
    "gift wrapping": ("wrapping something as a present", ["can you wrap the {product} as a present for {name}?", "do you offer gift wrapping[ in {colour} paper|]?", "it is a birthday present, please wrap it nicely."]),
}
HOUSE = {
    "power cut": ("no electricity", ["[we have|there is] no power in [{street}|{town}|the house].", "the lights went out at {time} and nothing works.", "how long will the power cut last?", "no electricity in the {room} and the rest of the house since {time}."]),
    "water leak": ("water is running out", ["water is [dripping|running] from the {room} ceiling.", "a pipe burst in the {room}.", "there is a leak under the sink[ in the {room}|]."]),
    "meter reading": ("the number on the meter", ["my meter [shows|says] {code}.", "here is my meter reading: {code}.", "where do I [send|enter] the meter reading?"]),
    "moving house": ("a new address", ["I am moving to {street}[ on {date}|].", "my new address will be {street}, {town}.", "we move to {town} in {month}, what about our contract?"]),
    "high bill": ("the bill is too high", ["why is my bill {price} this month?", "{price} for one month, that cannot be right, I live alone.", "my [electricity|gas|water] bill has doubled."]),
    "no internet": ("the connection does not work", ["the internet has been [down|dead] since {time}.", "no connection, the router blinks {colour}.", "my wifi [drops|breaks off] every {minutes}."]),
    "cold heating": ("the heating does not get warm", ["the [heating|radiator] in the {room} stays cold.", "we have no heat in the flat[ since {day}|].", "the boiler [stopped|makes a noise] and it is freezing in here."]),
    "waste collection": ("when rubbish is taken away", ["when is the [paper|glass|garden] waste collected[ in {town}|]?", "nobody emptied our bin on {day}.", "which bin do I use for {food}?"]),
    "noisy neighbour": ("trouble with people next door", ["the people [upstairs|next door] play the {instrument} at night.", "my neighbour has a party every {day}.", "the man next door drills until {time}, I cannot sleep."]),
    "lost key": ("the customer is locked out", ["I lost the key to my {room}.", "I am locked out of my flat[ in {street}|].", "my key broke in the door, can you open it?"]),
    "rent payment": ("paying for the flat", ["I will pay the rent of {price} a few days late.", "has my rent [for {month}|] reached you?", "why does the rent go up to {price}?"]),
}
