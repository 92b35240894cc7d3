"""Pools of names, places and everyday words."""


def pool(text):
    """Split a comma-separated block of text into a list of entries."""
    return [entry.strip() for entry in text.replace("\n", " ").split(",") if entry.strip()]


WOMEN = pool("""
Ada, Agnes, Aisha, Alma, Amelie, Anita, Anna, Astrid, Beatrix, Bella, Birgit, Carla, Carmen,
Cecily, Chiara, Clara, Daria, Delia, Dora, Edith, Elena, Elif, Elsa, Emma, Esther, Eva, Farah,
Fatima, Fiona, Flora, Freya, Gerda, Gina, Greta, Hanna, Hazel, Heidi, Helen, Ida, Ines, Ingrid,
Irene, Iris, Ivy, Jana, Jasmin, Joan, Judith, Julia, Karin, Katya, Kira, Klara, Laila, Lara,
Lena, Lydia, Mabel, Maeve, Maria, Marta, Meera, Mina, Mira, Nadia, Nell, Nina, Nora, Olga,
Olive, Paula, Petra, Priya, Rachel, Rita, Rosa, Ruth, Sadie, Salma, Selma, Sofia, Stella, Susan,
Tanya, Tessa, Thea, Ursula, Vera, Wanda, Yara, Yasmin, Zoe""")

MEN = pool("""
Aaron, Abel, Adam, Ahmed, Albert, Alan, Anton, Arthur, Axel, Basil, Ben, Boris, Bruno, Carl,
Cedric, Conrad, Dario, David, Dennis, Dirk, Edgar, Emil, Enzo, Erik, Ethan, Felix, Finn, Frank,
Fred, Gavin, George, Gregor, Gus, Hamid, Hannes, Harry, Henrik, Hugo, Ian, Igor, Isaac, Ivan,
Jacob, Jan, Jasper, Joel, Jonas, Jorge, Karim, Karl, Kofi, Kurt, Lars, Leo, Leon, Liam, Louis,
Luca, Luis, Magnus, Marco, Martin, Max, Milan, Nils, Noel, Olaf, Omar, Oscar, Otto, Pablo, Paul,
Pavel, Peter, Pierre, Quentin, Rafael, Ralph, Ravi, Remo, Robin, Rolf, Samir, Samuel, Simon,
Stefan, Sven, Theo, Thomas, Tim, Tobias, Tom, Umar, Viktor, Walter, Wilfred, Yusuf, Zeno""")

SURNAMES = pool("""
Abbot, Adler, Alder, Archer, Baker, Barlow, Bauer, Becker, Bell, Berg, Bishop, Black, Bloom,
Brandt, Brook, Burton, Carver, Castle, Chandra, Cole, Cooper, Costa, Craig, Dale, Dalton, Diaz,
Drake, Duval, Eberle, Ellis, Falk, Farrow, Fischer, Fletcher, Flint, Ford, Foster, Fox, Frost,
Garcia, Gibson, Glover, Graves, Green, Gupta, Haas, Hale, Hansen, Harper, Hassan, Hayes, Heath,
Holt, Horn, Hughes, Hunter, Ivanov, Jansen, Keller, Kemp, Khan, Klein, Koch, Kovac, Kramer,
Lambert, Lane, Larsen, Lindt, Lopez, Marsh, Mason, Mehta, Meyer, Mills, Moreau, Moreno, Nash,
Nolan, North, Novak, Okoro, Olsen, Osman, Park, Patel, Pearce, Petrov, Pike, Porter, Quinn,
Reed, Reyes, Rhodes, Ritter, Rossi, Rowe, Sato, Sauer, Schmid, Shah, Sharp, Silva, Singh, Sloan,
Stein, Stone, Swift, Tanner, Thorn, Tran, Turner, Vance, Vogel, Wagner, Walsh, Ward, Weber,
West, Winter, Wolf, Wood, Yilmaz, York, Young, Zander""")

TOWN_STARTS = pool("""
Ash, Alder, Amber, Bar, Birch, Black, Brack, Bram, Cald, Carr, Clay, Cold, Corn, Crow, Dun,
East, Elder, Elm, Fair, Fern, Glen, Gran, Grim, Hart, Hazel, Hollow, Kell, Kings, Lang, Lark,
Lin, Long, Mar, Mill, Mor, Nether, New, Oaken, Otter, Pen, Raven, Red, Rose, Sand, Shel, Silver,
Stan, Stone, Thorn, Wal, West, Wether, White, Wil, Win, Wood""")
TOWN_ENDS = pool("""
bridge, burn, by, combe, dale, den, field, ford, gate, ham, haven, hill, hurst, ley, mere, minster,
mouth, port, pool, stead, stow, thorpe, ton, vale, wick, worth""")
STREET_NAMES = pool("""
Station, Church, Mill, Park, Garden, Bridge, School, Market, River, Forest, Castle, Harbour,
Orchard, Meadow, Windmill, Chapel, Quarry, Lime, Rose, Linden, Maple, Cedar, Kingfisher, Abbey,
Fountain, Tower, Summer, Winter, Baker, Weaver, Potter, Smith""")
STREET_KINDS = ["Street", "Road", "Lane", "Avenue", "Close", "Way", "Square", "Row", "Hill"]

JOBS = pool("""
baker, teacher, nurse, farmer, plumber, painter, driver, pilot, tailor, butcher, carpenter, cook,
dentist, doctor, electrician, engineer, fisherman, gardener, goldsmith, hairdresser, judge, lawyer,
librarian, locksmith, mechanic, midwife, miller, musician, optician, photographer, police officer,
postman, potter, printer, roofer, sailor, shepherd, shoemaker, singer, surveyor, translator,
vet, waiter, watchmaker, weaver, welder, bookkeeper, bus driver, clockmaker, cleaner, glazier,
florist, fire fighter, ferry captain, journalist, tour guide, zookeeper, train driver, bee keeper""")

DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September",
          "October", "November", "December"]
COLOURS = pool("""
red, blue, green, yellow, black, white, brown, grey, orange, purple, pink, silver, golden, cream,
turquoise, dark blue, light green, beige, crimson, violet""")
SUBJECTS = pool("""
history, maths, geography, biology, chemistry, physics, music, art, French, Latin, Spanish,
drawing, cooking, pottery, chess, swimming, carpentry, astronomy, first aid, photography""")
INSTRUMENTS = pool("""
violin, piano, flute, trumpet, guitar, drum, cello, harp, clarinet, accordion, banjo, oboe, organ,
trombone, mandolin, tuba, viola, ukulele""")
SPORTS = pool("""
tennis, football, rowing, fencing, judo, cricket, handball, volleyball, badminton, hockey, golf,
climbing, skating, running, archery, basketball, rugby, sailing, skiing, table tennis""")
LANGUAGES = pool("""
German, French, Polish, Turkish, Italian, Greek, Dutch, Danish, Welsh, Arabic, Hindi, Russian,
Swedish, Portuguese, Finnish, Japanese, Korean, Czech, Irish, Swahili""")
MATERIALS = pool("oak, glass, steel, brass, wool, leather, clay, stone, copper, paper, silk, tin,"
                 "pine, linen, marble, rubber, wax, bamboo, cotton, iron")
EVENTS = pool("""
summer fair, book sale, choir concert, flower show, film night, dance evening, chess tournament,
bake sale, village run, puppet show, cheese market, lantern walk, school play, poetry evening,
garden tour, quiz night, harvest festival, kite day, pottery class, bicycle race, boat parade,
winter market, jazz concert, seed swap, photography show, charity dinner, history talk, open day""")
VENUES = pool("""
town hall, library, old mill, church hall, school gym, park pavilion, harbour office, station hall,
community centre, village green, museum, sports hall, market square, castle yard, reading room,
concert barn, swimming pool, boat house, art gallery, rose garden, fire station, tea room""")
ROOMS = pool("""
kitchen, attic, cellar, hall, garage, bathroom, bedroom, study, pantry, garden shed, living room,
laundry room, porch, workshop, nursery, dining room, spare room, greenhouse""")
SPOTS = pool("""
on the shelf, in the drawer, under the bed, behind the door, on the window sill, in the blue box,
next to the lamp, under the stairs, on top of the cupboard, in the basket, beside the sofa,
behind the mirror, inside the old suitcase, on the desk, under the carpet, near the stove,
in the bottom drawer, between two books, in the left pocket, on the bench, below the sink""")
PETS = pool("cat, dog, parrot, rabbit, tortoise, hamster, canary, goldfish, pony, goat, ferret, "
            "duck, guinea pig, goose, donkey, budgie, gecko, mouse")
ANIMALS = pool("""
badger, bear, beaver, bee, camel, cow, crab, crow, deer, dolphin, eagle, eel, elephant, falcon, fox,
frog, giraffe, hare, hawk, hedgehog, heron, horse, kangaroo, lamb, lion, lizard, lobster, mole,
monkey, moth, newt, otter, owl, panda, penguin, pigeon, rat, raven, robin, seal, shark, sheep, snail,
spider, squirrel, stork, swan, tiger, toad, trout, turkey, walrus, wasp, whale, wolf, wren, zebra""")
