"""Pools of things, foods, products, verbs and adjectives."""

from .words import pool

NOUNS = pool("""
anchor, apron, arrow, ball, barrel, basin, basket, bell, belt, bench, blanket, boat, book, boot,
bottle, bowl, box, bracelet, branch, brick, broom, brush, bucket, button, cabinet, cage, candle,
card, carpet, cart, chain, chair, chest, clock, cloth, coat, coin, comb, cork, cotton, crate, crown,
cup, cupboard, curtain, cushion, desk, diary, dish, doll, door, drawer, dress, drum, envelope, fan,
feather, fence, flag, flute, fork, frame, funnel, gate, glove, hammer, handle, hat, helmet, hook,
horn, hose, jar, jacket, jug, kettle, key, kite, knife, knot, ladder, lamp, lantern, leaf, lens,
letter, lid, lock, magnet, map, marble, mask, match, medal, mirror, mitten, mop, mug, nail, napkin,
necklace, needle, nest, net, notebook, oar, oven, paddle, page, paint, pan, parcel, pebble, pen,
pencil, picture, pillow, pin, pipe, plank, plate, pocket, pole, postcard, pot, purse, puzzle, quilt,
rack, raft, rag, rake, razor, ribbon, ring, rope, ruler, sack, saddle, sail, saw, scarf,
screw, seed, sheet, shelf, shell, shirt, shoe, shovel, sieve, sign, skirt, sled, sleeve, soap, sock,
spade, sponge, spoon, spring, stamp, statue, stick, stool, stove, string, suitcase, table, tablet,
tape, teapot, tent, thimble, thread, ticket, tile, torch, towel, toy, tray, trumpet, tube, tub,
umbrella, vase, violin, wagon, wallet, watch, wheel, whistle, window, wire, wrench, yarn, zipper""")

ADJECTIVES = pool("""
old, new, small, large, heavy, light, wooden, round, square, broken, clean, dirty, wet, dry, soft,
hard, shiny, dusty, cheap, costly, empty, full, warm, cold, plain, striped, rusty, thin, thick,
short, long, narrow, wide, tiny, huge, pale, bright, dark, smooth, rough, strange, pretty, ugly,
lost, sturdy, fragile, borrowed, painted, folded, torn, polished, crooked, hollow, sharp, blunt,
foreign, quiet, noisy, curved, flat, sticky, faded, neat, handmade, second-hand, spare, simple""")

FOODS = pool("""
apples, apricots, bacon, bananas, barley, beans, beetroot, berries, biscuits, bread, broccoli,
butter, cabbage, cake, carrots, celery, cheese, cherries, chestnuts, chocolate, cinnamon, coffee,
corn, crackers, cream, cucumber, dates, eggs, figs, fish, flour, garlic, ginger, grapes, ham, honey,
jam, kale, leeks, lemons, lentils, lettuce, limes, mangoes, melons, milk, mint, mushrooms, mustard,
noodles, nuts, oats, olives, onions, oranges, parsley, pasta, peaches, pears, peas, pepper, pickles,
plums, porridge, potatoes, pumpkin, radishes, raisins, rice, salad, salmon, salt, sausages, soup,
spinach, sugar, tea, toast, tofu, tomatoes, tuna, turnips, vanilla, vinegar, walnuts, yoghurt""")

DISHES = pool("""
bean stew, onion soup, apple pie, fish pie, roast chicken, mushroom risotto, lentil curry, pizza,
pea soup, cheese omelette, lamb stew, potato salad, noodle soup, spinach pie, rice pudding, pasta,
tomato soup, grilled trout, plum cake, vegetable curry, meat loaf, pumpkin soup, fried rice""")

PRODUCTS = pool("""
air fryer, alarm clock, armchair, baby monitor, backpack, bath mat, bed frame, bicycle lamp, bicycle
helmet, blender, board game, bookcase, bread maker, camera, camping stove, car seat, carpet, ceiling
fan, chess set, coat rack, coffee machine, coffee table, cordless drill, deck chair, desk lamp,
dishwasher, door mat, drawing tablet, duvet cover, electric kettle, electric razor, electric
toothbrush, exercise bike, fitness watch, floor lamp, folding chair, food processor, fountain pen,
frying pan, fridge, garden hose, garden table, gas grill, glass jug, hair dryer, hand mixer, heated
blanket, ice maker, inkjet printer, iron, ironing board, keyboard, kitchen knife, kitchen scale,
lampshade, laptop bag, laundry basket, lawn mower, leather belt, leather wallet, memory card,
microwave, milk frother, mobile phone, monitor, mountain bike, mouse pad, office chair, oven dish,
paper shredder, phone case, photo frame, picnic basket, pillow, power bank, pressure cooker,
printer, pushchair, radio, rain jacket, rice cooker, router, rucksack, sandwich toaster, sewing
machine, shoe rack, shower curtain, shower head, silk scarf, sleeping bag, smoke alarm, soup pot,
space heater, speaker, step ladder, storage box, suitcase, sun hat, table cloth, tea set, teddy
bear, television, tennis racket, tent, thermos flask, toaster, tool box, towel set, travel adapter,
umbrella, USB cable, vacuum cleaner, wall clock, washing machine, water bottle, water filter,
webcam, wheelbarrow, winter coat, wool jumper, wrist watch, yoga mat, letter scale, desk calendar,
bird house, coffee grinder, curtain rail, dog bed, egg cooker, fishing rod, hand saw, jewellery box,
kitchen clock, plant pot, rain barrel, salad bowl, table fan, wood stove""")
PAIRS = pool("""
cycling gloves, dinner plates, headphones, hiking boots, running shoes, sandals, swimming goggles,
trousers, wine glasses, winter boots, ski boots, garden gloves, reading glasses, slippers, rubber
boots, football shoes, bed sheets, curtains, candle holders, kitchen scissors, walking sticks, ear
plugs, rain trousers, wool socks""")

PAST_VERBS = pool("""
bought, sold, carried, found, painted, repaired, borrowed, lost, cleaned, dropped, wrapped, lifted,
washed, hid, opened, moved, weighed, measured, packed, returned, mended, delivered, collected,
showed, drew, counted, kept, brought, pushed, polished, photographed, forgot, ordered, stored""")

OPPOSITES = [pair.split("/") for pair in pool("""
hot/cold, big/small, up/down, open/closed, wet/dry, fast/slow, early/late, light/dark, old/new,
long/short, high/low, happy/sad, rich/poor, full/empty, hard/soft, near/far, left/right, loud/quiet,
thick/thin, wide/narrow, clean/dirty, strong/weak, day/night, true/false, sweet/sour, first/last,
inside/outside, buy/sell, push/pull, win/lose, begin/end, above/below, before/after, love/hate,
give/take, come/go, young/old, sharp/blunt, deep/shallow, heavy/light, cheap/expensive, laugh/cry""")]

IRREGULAR_PAST = [pair.split("/") for pair in pool("""
go/went, see/saw, eat/ate, take/took, buy/bought, write/wrote, sing/sang, run/ran, give/gave,
find/found, keep/kept, leave/left, bring/brought, catch/caught, drive/drove, fly/flew, grow/grew,
know/knew, make/made, meet/met, ride/rode, sell/sold, send/sent, sleep/slept, speak/spoke,
swim/swam, tell/told, think/thought, throw/threw, wear/wore, walk/walked, open/opened, jump/jumped,
cook/cooked, paint/painted, help/helped, wash/washed, carry/carried, play/played, look/looked""")]

CROPS = {
    "fruit": pool("apple, pear, plum, cherry, grape, lemon, melon, peach, fig, banana, mango, lime"),
    "animal": pool("fox, otter, horse, crow, whale, sheep, tiger, frog, owl, rabbit, seal, goat"),
    "tool": pool("hammer, saw, wrench, drill, rake, shovel, chisel, spade, axe, pliers, file"),
    "clothing": pool("coat, scarf, shirt, sock, glove, hat, skirt, jumper, boot, dress, belt"),
    "furniture": pool("chair, table, shelf, sofa, bed, desk, stool, wardrobe, bench, cupboard"),
    "colour": pool("red, blue, green, yellow, brown, purple, orange, grey, pink, white"),
    "number": pool("one, seven, twelve, thirty, nine, forty, two, eleven, sixty, five"),
    "vehicle": pool("car, bus, train, bicycle, boat, tram, truck, ferry, van, plane, lorry"),
    "instrument": pool("violin, flute, piano, drum, harp, guitar, trumpet, cello, oboe, banjo"),
    "drink": pool("tea, coffee, milk, water, juice, cocoa, lemonade, cider, beer, wine"),
}
