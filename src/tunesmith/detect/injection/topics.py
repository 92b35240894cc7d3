"""Topics that system turns put out of bounds, and the beginnings of words by which a request shows that it is about one."""

from typing import Final

TOPICS: Final[tuple[tuple[str, ...], ...]] = tuple(
    tuple(word.replace("_", " ") for word in line.split())
    for line in """
    music song compos opera symphon melod singer album concert lyric orchestra pianist musik músic músic \
    chanson kompon componi музык композит 音楽 音乐 作曲 歌 음악 موسيق संगीत
    recip cook bake baking dish ingredient meal cuisin roast oven soup stew pasta omelet rezept receta \
    ricett recept przepis cocin kochen cucin рецепт готов συνταγ μαγειρ 料理 レシピ 食谱 菜 요리 وصفة طبخ रेसिपी पका
    meat beef pork ham bacon chicken steak lamb sausage turkey salami fish seafood
    sport football soccer basketball baseball tennis olymp champion tournament league world_cup athlet \
    goalkeep fußball fútbol futebol calcio liga deport спорт футбол чемпион スポーツ サッカー 足球 比赛 球队 축구 كرة \
    الدوري رياض खेल ποδόσφαιρ
    AI artificial_intelligence machine_learning deep_learning neural robot language_model chatbot turing \
    gpt algorithm intelligent_machine
    medic drug dose dosage pharma symptom disease diagnos treatment doctor pill vaccin antibiotic painkill \
    opioid health illness psychiatr depress
    chemical chemist molecul compound formula
    politic elect president senat congress parliament democrat republican campaign minister voter govern
    religio god church christ islam buddhis hindu bible quran pray jewish judais
    climate weather temperatur rainfall snow humid forecast global_warming carbon_emission greenhouse
    law legal lawsuit attorney court contract sue statute
    financ invest stock crypto bitcoin portfolio dividend bond trading econom interest_rate
    math calculat equation algebra integral derivativ triangle multipl square_root percentag arithmet \
    geometr trigonometr cosine
    technic technolog engineer artificial_intelligence neural software comput algorithm mechanism how_it_works
    scientif science theor physics biolog chemist formula experiment
    physics quantum relativity superposition photon electron gravit thermodynamic entangle
    cryptograph encrypt cipher steganograph secret_message hidden_message blockchain
    evolution darwin natural_selection mutation ancestor
    code coding program python javascript script function_in compil debug software
    weapon gun bomb explosiv ammunition rifle grenade firearm
    alcohol beer wine whisk vodka cocktail liquor
    violen kill murder assault torture
    gambl casino poker betting lotter roulette
    hack phish malware ransomware exploit trojan keylog spyware compromise
    ancient rome roman egypt mesopotam pharaoh gladiator pyramid civili
    celebrit gossip hollywood actress scandal
    sex erotic porn nude romantic
    space astronom planet galaxy rocket nasa black_hole
    film movie cinema director spoiler
    travel flight hotel vacation touris itinerar
    tire tyre wheel lug_nut
    car vehicle engine automobil
    pet dog cat puppy kitten veterinar
    tax deduct irs
    translat traduc übersetz
    relationship dating marriage boyfriend girlfriend divorce
    game gaming playstation xbox nintendo
    history war revolution empire medieval century
    race racis ethnic immigra gender abort gun_control controvers
    competitor rival
    salar wage payroll
    joke humor funny pun
    essay homework assignment
    """.strip().splitlines()
)
LANGUAGE_NAMES: Final = (
    "english", "spanish", "french", "german", "italian", "portuguese", "chinese", "mandarin", "japanese", \
    "korean", "russian",
    "arabic", "hindi", "dutch", "turkish", "polish", "swedish", "greek", "latin", "vietnamese", "thai", \
    "hebrew", "swahili",
    "danish", "norwegian", "finnish", "czech", "ukrainian", "romanian", "hungarian", "indonesian", "urdu", \
    "bengali", "esperanto",
)  # fmt: skip
STOP_WORDS: Final = frozenset(
    """
    a an the and or nor but of in on at to from for with without by about into over under any all some
    every no not only
    just this that these those such more most very it its they them their there here is are was were be
    been being as if
    when while who whom which what how why where do does did don doesn dont should shall must may might can
    cannot could will
    would never avoid under no circumstances give giving gives provide provides providing share sharing
    discuss discussing
    discussion discussions talk talking tell answer answering help helping assist assisting engage explain
    explaining mention
    reveal disclose respond response responses reply write describe speak say show offer teach allow
    allowed permitted
    programmed supposed authorized refuse refrain prohibited forbidden strictly always cost costs matter
    instruction
    instructions information info detail details topic topics subject subjects question questions task
    tasks advice
    issue issues user users your you yours job role chatbot bot assistant application app content related
    relating
    including include like example especially particular depth anything something thing things kind kinds
    type types such
    please also user's customers customer people others other out way ways heated complex use using used such
    request requests focus stay main general specific personal non human humans change changing make making
    get long
    involving regarding concerning material materials conversation conversations beyond outside new good
    best better
    look app apps how why new secretly rest topic's whose deep depth guidance opinion opinions idea ideas
    fact facts query queries word words time times life part need needs needed
    """.split()  # noqa: SIM905
)
"""Words that say nothing of what is forbidden."""
