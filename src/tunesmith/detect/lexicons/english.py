"""English entries: threats, encouragement to self-harm, slurs by group, sexual content, insults. Our own writing.

Words with a common clean sense stand with the contexts that make them clean; words that are mostly clean are left out.
"""

from typing import Final

from tunesmith.detect.lexicons.entry import LexiconEntry

PEOPLE: Final = (
    "muslims|jews|christians|hindus|sikhs|gays|gay people|lesbians|homosexuals|queers|trans people|transgender people|"
    "blacks|black people|whites|white people|asians|asian people|arabs|africans|mexicans|latinos|gypsies|roma people|"
    "immigrants|migrants|refugees|foreigners|women|men|disabled people|old people|atheists"
)
WILL: Final = (
    "(?:i|we)(?:['’]ll| will| shall|['’]m going to| am going to|['’]re going to| are going to|['’]m gonna|['’]re gonna)"
)
YOU: Final = "(?:you|u|ya|your (?:family|kids|children|mother|father|wife|husband|sister|brother))"
WISHED: Final = (
    "thought|think|thinking|plan|planning|urge|want|feel|feeling|told|telling|tells|said|says|saying|"
    "don['’]t|do not|never|if you|prevent"
)
FICTION: Final = "chess|game|joke|laugh"

ENGLISH: Final = (
    LexiconEntry(
        "threat",
        "error",
        f"{WILL} (?:kill|murder|stab|strangle|rape|behead|hunt down|burn alive) {YOU}",
        unless=f"{FICTION}|with kindness",
    ),
    LexiconEntry(
        "threat", "error", f"{WILL} (?:shoot|hang) {YOU}", unless="e-?mail|message|note|link|copy|photo|picture|wall"
    ),
    LexiconEntry(
        "threat", "error", f"{WILL} (?:beat|cut|smash|break|burn) {YOU} (?:up|to death|to pieces|face|house down)"
    ),
    LexiconEntry(
        "threat",
        "error",
        "you (?:should|must|deserve to|ought to|are going to|['’]re going to) "
        "(?:die|be killed|be shot|be hanged|be raped|get raped)",
        unless="symptom|patient|disease|treat|afraid|feel like",
    ),
    LexiconEntry(
        "threat",
        "error",
        "(?:hope|wish) (?:that )?you(?:['’]d)? (?:all )?(?:die|get raped|get shot|get cancer|burn in hell|rot in hell)",
    ),
    LexiconEntry(
        "threat",
        "error",
        f"(?:all|those|these|the) (?:{PEOPLE}) (?:should|must|deserve to|need to|ought to) "
        "(?:all )?(?:die|be killed|be shot|be hanged|be gassed|be exterminated|be wiped out|burn)",
    ),
    LexiconEntry(
        "threat", "error", f"(?:kill|gas|exterminate|shoot|hang) (?:all )?(?:the |these |those )?(?:{PEOPLE})"
    ),
    LexiconEntry("threat", "error", f"death to (?:all )?(?:the )?(?:{PEOPLE})"),
    LexiconEntry("threat", "error", "you(?:['’]re| are) (?:a )?dead (?:man|woman|meat)", unless=FICTION),
    LexiconEntry("self-harm", "error", "(?:go |just |please )?kill yourself", unless=WISHED),
    LexiconEntry("self-harm", "error", "(?:go|just) (?:and )?(?:hang|shoot|drown|cut|stab) yourself", unless=WISHED),
    LexiconEntry(
        "self-harm",
        "error",
        "(?:go|just|should) (?:and )?(?:drink bleach|slit your wrists|jump off a (?:bridge|roof|cliff))",
    ),
    LexiconEntry(
        "self-harm", "error", "(?:just|should|go) end your (?:own |worthless |miserable |pathetic )?life", unless=WISHED
    ),
    LexiconEntry(
        "self-harm", "error", "(?:the world|everyone|everybody) would be better (?:off )?without you", unless=WISHED
    ),
    LexiconEntry("self-harm", "error", "(?:nobody|no one) would miss you if you (?:died|were dead)", unless=WISHED),
    LexiconEntry("self-harm", "error", "kys", unless="steel|knife|grade|ticker|stock"),
    LexiconEntry("slur:ethnicity", "error", "niggers?|sand ?niggers?|jigaboos?|pickaninn(?:y|ies)|darkies|golliwogs?"),
    LexiconEntry("slur:ethnicity", "warning", "niggas?|niggaz"),
    LexiconEntry("slur:ethnicity", "error", "wetbacks?|beaners?|spics|gooks?|zipperheads?|slant-?eyes?|chinam[ae]n"),
    LexiconEntry(
        "slur:ethnicity",
        "error",
        "chinks?",
        unless="armou?r|light|wall|fence|curtain|door|ice|cups|glasses|coins|defen[cs]e|crann(?:y|ies)|keyhole|every|crack|window|floor",
    ),
    LexiconEntry("slur:ethnicity", "error", "pakis|towelheads?|ragheads?|camel jockeys?|gyppos?|pikeys?"),
    LexiconEntry("slur:ethnicity", "warning", "coons", unless="maine|cat|hound|hunt|tree|raccoon|animal"),
    LexiconEntry(
        "slur:religion", "error", "kikes?|christ[- ]killers?|muzzies|mudslimes?|heebs?|yids", unless="tottenham|spurs"
    ),
    LexiconEntry(
        "slur:orientation", "error", "faggots?", unless="meat|pork|gravy|peas|mushy|sticks|firewood|bundle|butcher"
    ),
    LexiconEntry("slur:orientation", "error", "fags", unless="cigarette|smok|pack|packet|lighter|tobacco|school"),
    LexiconEntry(
        "slur:orientation",
        "warning",
        "dykes",
        unless="flood|water|levee|sea|dutch|river|embank|geolog|magma|basalt|igneous|volcan|march|bikes|proud|offa|earth|rock",
    ),
    LexiconEntry("slur:orientation", "error", "lesbos|sodomites|poofters?|carpet munchers?|fudge packers?"),
    LexiconEntry(
        "slur:gender", "error", "trann(?:y|ies)", unless="transmission|gear|fluid|clutch|rebuil|truck|engine|car"
    ),
    LexiconEntry("slur:gender", "error", "shemales?|he-shes?"),
    LexiconEntry("slur:gender", "warning", "sluts?|whores?|skanks?", unless="babylon|slut ?walk|bible|revelation"),
    LexiconEntry(
        "slur:disability",
        "error",
        "(?:a|the|you|such|these|those|fucking|stupid|total|complete) (?:fucking |little )?retards?|retards are",
        unless="flame|fire|spark|ignition|timing|growth|corrosion|effect",
    ),
    LexiconEntry(
        "slur:disability", "error", "retarded (?:idiot|moron|person|people|kid|fuck|bitch)|libtards?|spazz?(?:es)?"
    ),
    LexiconEntry(
        "sexual",
        "warning",
        "blow ?jobs?|hand ?jobs?|gang ?bangs?|cum ?shots?|deep ?throating|rim ?jobs?|bukkake|milfs?",
    ),
    LexiconEntry("sexual", "warning", "(?:suck|lick|ride|stroke) (?:my|his|your) (?:dick|cock|balls)"),
    LexiconEntry("sexual", "warning", "(?:hard|throbbing|huge|wet|dripping) (?:cock|dick|pussy|cunt)"),
    LexiconEntry(
        "sexual", "warning", "(?:fuck|fucks|fucked|fucking) (?:me|her|him|you) (?:hard|harder|raw|senseless|in the ass)"
    ),
    LexiconEntry(
        "sexual:minors",
        "error",
        "(?:sex|nudes?|naked (?:pictures?|photos?)|porn|erotica) (?:with|of|from|about) "
        "(?:a |an |some )?(?:minors?|child|children|underage (?:girls?|boys?)|little (?:girls?|boys?)|kids?)",
        unless="law|illegal|report|prevent|offen[cs]e|crime|criminal|abuse|protect|convict|victim|police|charged",
    ),
    LexiconEntry(
        "insult",
        "warning",
        "you(?:['’]re| are)(?: all| such| just| really| truly| nothing but| so| too)?(?: a| an| the)?"
        "(?: complete| total| fucking| bloody| real| big| little)? "
        "(?:idiots?|morons?|imbeciles?|cretins?|scum|scumbags?|dumb ?ass(?:es)?|losers?|worthless|pathetic|braindead|"
        "stupid|retarded|piece of (?:shit|garbage|trash|crap)|waste of (?:space|oxygen|air)|disgusting (?:pig|animal|creature))",
        unless="not stupid|not worthless|not pathetic|not a loser|aren['’]t|if you think|don['’]t think|feel|never say",
    ),
    LexiconEntry(
        "insult",
        "warning",
        "you (?:stupid|dumb|fat|ugly|worthless|pathetic|filthy|disgusting|fucking|little|old|bloody) "
        "(?:idiots?|morons?|cows?|bitch(?:es)?|pigs?|bastards?|assholes?|fools?|freaks?|losers?|shits?)",
    ),
    LexiconEntry("insult", "warning", "(?:fuck|screw) (?:you|off)(?: all)?|piss off|go to hell,? you"),
    LexiconEntry(
        "insult",
        "warning",
        "motherfuckers?|cunts?|assholes?|arseholes?|dickheads?|cocksuckers?|wankers?|fuckwits?|shitheads?",
    ),
    LexiconEntry(
        "insult", "warning", "bitch(?:es)?", unless="breed|pupp|kennel|dog|litter|whelp|canine|son of|resting|stewie"
    ),
)
