"""German, Spanish and French entries: a small set of the plainest ones. Our own writing."""

from typing import Final

from tunesmith.data.lexicons.entry import Entry

GERMAN: Final = (
    Entry("threat", "error", "ich (?:bringe?|werde) dich (?:um|umbringen|töten|abstechen|erschießen)"),
    Entry("threat", "error", "(?:tod den|vergast die|hängt die) (?:juden|muslimen?|ausländern?|schwulen|negern?)"),
    Entry(
        "self-harm",
        "error",
        "(?:bring dich (?:doch )?(?:einfach )?um|häng dich (?:doch )?auf|verrecke? (?:doch|endlich))",
    ),
    Entry("slur:ethnicity", "error", "nigger|neger(?:n|s)?|kanaken?|kümmeltürken?|schlitzaugen?|zigeunerpack"),
    Entry("slur:religion", "error", "judens(?:au|äue|chweine?)|saujuden?"),
    Entry("slur:orientation", "error", "schwuchteln?|kampflesben?"),
    Entry("slur:disability", "error", "spast(?:en|is?)|missgeburt(?:en)?|mongos"),
    Entry("insult", "warning", "hurens(?:ohn|öhne)|fotzen?|arschl(?:och|öcher)|wichser|drecksau|miststück|schlampen?"),
    Entry("insult", "warning", "fick dich|halt die fresse|verpiss dich|leck mich am arsch"),
    Entry(
        "insult",
        "warning",
        "du (?:bist (?:ein |so ein |eine )?)?(?:dummer |blöder )?(?:vollidiot|idiot|dummkopf|versager|abschaum)",
    ),
)
SPANISH: Final = (
    Entry("threat", "error", "(?:te|os|los) (?:voy|vamos) a (?:matar|violar|apuñalar|degollar)"),
    Entry(
        "threat",
        "error",
        "muerte a (?:los|las|todos los) (?:judíos|moros|musulmanes|gays|maricones|inmigrantes|negros)",
    ),
    Entry("self-harm", "error", "mátate|suicídate|córtate las venas"),
    Entry("slur:ethnicity", "error", "sudacas?|negratas?|panchitos?|moros? de mierda|negros? de mierda"),
    Entry("slur:orientation", "error", "maric(?:ón|ones)|marimachos?|bolleras?"),
    Entry("slur:disability", "error", "subnormales|eres (?:un |una )?(?:subnormal|mongólic[oa]|retrasad[oa])"),
    Entry("insult", "warning", "hij[oa]s? de (?:la gran )?puta|gilipollas|malparidos?|vete a la mierda|que te jodan"),
    Entry("insult", "warning", "eres (?:un |una )?(?:imbécil|idiota|estúpid[oa]|inútil|basura)"),
)
FRENCH: Final = (
    Entry("threat", "error", "(?:je vais|on va|nous allons) (?:te|vous|le|la) (?:tuer|violer|égorger|crever)"),
    Entry("threat", "error", "mort aux (?:juifs|arabes|musulmans|noirs|pédés|homosexuels)"),
    Entry("self-harm", "error", "suicide-toi|va te pendre|va crever"),
    Entry(
        "slur:ethnicity",
        "error",
        "bougnoules?|bicots?|négros?|sales? (?:arabes?|noirs?|nègres?|chinetoques?)|chinetoques?",
    ),
    Entry("slur:religion", "error", "youpins?|sales? (?:juifs?|musulmans?)"),
    Entry("slur:orientation", "error", "pédés?|tarlouzes?|gouines?"),
    Entry(
        "insult",
        "warning",
        "fils de pute|connards?|connasses?|salopes?|enculés?|va te faire (?:foutre|enculer)|ta gueule",
    ),
    Entry(
        "insult",
        "warning",
        "tu es (?:un |une )?(?:vrai |pauvre |gros |grosse )?(?:idiote?|imbécile|débile|ordure|merde)",
    ),
)
