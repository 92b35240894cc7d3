"""German, Spanish and French entries: a small set of the plainest ones. Our own writing."""

from typing import Final

from tunesmith.detect.lexicons.entry import LexiconEntry

GERMAN: Final = (
    LexiconEntry("threat", "error", "ich (?:bringe?|werde) dich (?:um|umbringen|töten|abstechen|erschießen)"),
    LexiconEntry(
        "threat", "error", "(?:tod den|vergast die|hängt die) (?:juden|muslimen?|ausländern?|schwulen|negern?)"
    ),
    LexiconEntry(
        "self-harm",
        "error",
        "(?:bring dich (?:doch )?(?:einfach )?um|häng dich (?:doch )?auf|verrecke? (?:doch|endlich))",
    ),
    LexiconEntry("slur:ethnicity", "error", "nigger|neger(?:n|s)?|kanaken?|kümmeltürken?|schlitzaugen?|zigeunerpack"),
    LexiconEntry("slur:religion", "error", "judens(?:au|äue|chweine?)|saujuden?"),
    LexiconEntry("slur:orientation", "error", "schwuchteln?|kampflesben?"),
    LexiconEntry("slur:disability", "error", "spast(?:en|is?)|missgeburt(?:en)?|mongos"),
    LexiconEntry(
        "insult", "warning", "hurens(?:ohn|öhne)|fotzen?|arschl(?:och|öcher)|wichser|drecksau|miststück|schlampen?"
    ),
    LexiconEntry("insult", "warning", "fick dich|halt die fresse|verpiss dich|leck mich am arsch"),
    LexiconEntry(
        "insult",
        "warning",
        "du (?:bist (?:ein |so ein |eine )?)?(?:dummer |blöder )?(?:vollidiot|idiot|dummkopf|versager|abschaum)",
    ),
)
SPANISH: Final = (
    LexiconEntry("threat", "error", "(?:te|os|los) (?:voy|vamos) a (?:matar|violar|apuñalar|degollar)"),
    LexiconEntry(
        "threat",
        "error",
        "muerte a (?:los|las|todos los) (?:judíos|moros|musulmanes|gays|maricones|inmigrantes|negros)",
    ),
    LexiconEntry("self-harm", "error", "mátate|suicídate|córtate las venas"),
    LexiconEntry("slur:ethnicity", "error", "sudacas?|negratas?|panchitos?|moros? de mierda|negros? de mierda"),
    LexiconEntry("slur:orientation", "error", "maric(?:ón|ones)|marimachos?|bolleras?"),
    LexiconEntry("slur:disability", "error", "subnormales|eres (?:un |una )?(?:subnormal|mongólic[oa]|retrasad[oa])"),
    LexiconEntry(
        "insult", "warning", "hij[oa]s? de (?:la gran )?puta|gilipollas|malparidos?|vete a la mierda|que te jodan"
    ),
    LexiconEntry("insult", "warning", "eres (?:un |una )?(?:imbécil|idiota|estúpid[oa]|inútil|basura)"),
)
FRENCH: Final = (
    LexiconEntry("threat", "error", "(?:je vais|on va|nous allons) (?:te|vous|le|la) (?:tuer|violer|égorger|crever)"),
    LexiconEntry("threat", "error", "mort aux (?:juifs|arabes|musulmans|noirs|pédés|homosexuels)"),
    LexiconEntry("self-harm", "error", "suicide-toi|va te pendre|va crever"),
    LexiconEntry(
        "slur:ethnicity",
        "error",
        "bougnoules?|bicots?|négros?|sales? (?:arabes?|noirs?|nègres?|chinetoques?)|chinetoques?",
    ),
    LexiconEntry("slur:religion", "error", "youpins?|sales? (?:juifs?|musulmans?)"),
    LexiconEntry("slur:orientation", "error", "pédés?|tarlouzes?|gouines?"),
    LexiconEntry(
        "insult",
        "warning",
        "fils de pute|connards?|connasses?|salopes?|enculés?|va te faire (?:foutre|enculer)|ta gueule",
    ),
    LexiconEntry(
        "insult",
        "warning",
        "tu es (?:un |une )?(?:vrai |pauvre |gros |grosse )?(?:idiote?|imbécile|débile|ordure|merde)",
    ),
)
