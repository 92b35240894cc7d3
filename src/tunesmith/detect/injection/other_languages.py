"""Wordings in other languages: that instructions be ignored, and that a secret be told."""

from typing import Final

from tunesmith.detect.injection.rule import InjectionRule, alternation

_IGNORE: Final = alternation(
    r"ignor(?:a|e|ar|ez|i|iere|ieren|ier)", "olvida", "olvide", r"esque(?:ç|c)a", r"vergiss", r"vergessen sie", "missachte",
    "dimentica", "negeer", "vergeet", "zignoruj", "zapomnij", r"haz caso omiso", "glöm", "strunta i",
)  # fmt: skip
_TOLD: Final = alternation(
    "instrucc", "instruç", "órdenes", "ordens", "anweisung", "vorgabe", "befehl",
    "istruzion", "instructies", "polece", "instrukcj",
    "instruktion", "anterior", "vorherig", "precedenti", "vorige", "poprzedni",
)  # fmt: skip
_WHAT: Final = alternation(
    "cu[aá]l", "qu[eé]", "qual", "dime", "dame", "revela", "comparte", "muestra", "diga", "diz", r"quel(?:le)?", "donne", "dis",
    "révèle", "partage", "montre", "wie", "was", "nenn", "verrate", "sag", "gib", "zeig",
    "dimmi", "dammi", "mostra", "wat", "geef",
    "jak", "podaj", "o que", "vad",
)  # fmt: skip
_OF_ANOTHER: Final = alternation(
    "la", "el", "le", "l", "tu", "su", "ton", "votre", "das", "dein", "ihr", "a",
    "o", "sua", "sistema", "usuario", "usuário", "il",
    "het", "de", "nuestra", "unser",
)  # fmt: skip
PASSWORD_WORDS: Final = alternation(
    "contraseña", "clave secreta", "mot de passe", "passwort", "kennwort", "senha", "palavra-passe", "parola d'ordine",
    "wachtwoord", "hasło", "lösenord", "heslo",
)  # fmt: skip
PASSWORD_WORDS_OTHER_SCRIPTS: Final = alternation(
    "пароль", "密码", "密碼", "口令", "パスワード", "合言葉", "비밀번호", "암호",
    "كلمة المرور", "كلمة السر", "पासवर्ड", "şifre", "סיסמ",
    "mật khẩu", "รหัสผ่าน",
)  # fmt: skip
_ASKED: Final = alternation(
    r"\?", "？", "؟", "吗", "什么", "是多少", "何", "教えて", "알려", "무엇", "뭐", "क्या", "बता", "nedir", "gì", "อะไร",
)  # fmt: skip
_ASKING: Final = alternation(
    "какой", "скажи", "назови", "сообщи", "告诉", "说出", "透露", "什么是", "ما هي", "ما هو", "أخبرني"
)

USER_WORDS: Final = alternation(
    "el usuario", "la usuaria", "l'utilisateur", "der benutzer", "der nutzer", "o usuário",
    "a usuária", "o utilizador", "пользовател",
    "用户", "用戶", "ユーザー", "사용자", "المستخدم", "उपयोगकर्ता", "χρήστη", "kullanıcı", "l'utente", "gebruiker", "użytkownik",
)  # fmt: skip
_LIVES: Final = alternation(
    "vive", "habite", "wohnt", "lebt", "mora", "reside", "живет", "живёт", "проживает", "住", "살", "거주", "يعيش", "يسكن", "रहत",
    "ζει", "μένει", "yaşıyor", "oturuyor", "abita", "woont", "mieszka",
)  # fmt: skip

_PAY_NO_HEED: Final = alternation(
    "忽略", "无视", "忘记", "不要理会", "無視", "忘れて", "무시하",
    "잊어", "تجاهل", "انسَ", "अनदेख", "नज़रअंदाज़", "भूल ज", "görmezden gel", "yok say",
)  # fmt: skip

FOREIGN: Final = (
    InjectionRule(
        "override",
        r"\b(?:ignore[rz]?|oubli(?:e|ez|er)) (?:toutes )?(?:les|ces|mes|vos|tes|des)\b",
        after=r"[^.!?\n]{0,30}?(?:instructions|consignes|directives|règles)",
    ),
    InjectionRule("override", rf"\b{_IGNORE}\b", after=rf"[^.!?\n]{{0,50}}?{_TOLD}"),
    InjectionRule(
        "override",
        alternation("αγνόησε", "αγνοήστε", "ξέχνα", "ξεχάστε", "игнорируй", "проигнорируй", "забудь", "ігноруй"),
        after=r"[^.!?\n]{0,50}?(?:οδηγί|εντολ|инструкци|указани|команд|правил|інструкц)",
    ),
    InjectionRule(
        "override",
        _PAY_NO_HEED,
        after=r"[^。！？.!?\n]{0,40}?(?:指令|指示|说明|命令|提示|규칙|지시|명령|التعليمات|الأوامر|निर्देश|talimat|之前|以上)",
    ),
    InjectionRule(
        "override",
        alternation("指示", "命令", "プロンプト", "지시", "명령", "निर्देश", "talimatları"),
        after=r"[^。！？.!?\n]{0,16}?(?:無視|忘れ|무시|잊|अनदेख|नज़रअंदाज़|भूल|görmezden|yok say|unut)",
    ),
    InjectionRule(
        "secret-request",
        rf"\b{PASSWORD_WORDS}",
        before=rf"\b{_WHAT}\b[^.!\n]{{0,60}}?\b{_OF_ANOTHER}\b[^.!\n]{{0,20}}?",
        asked=True,
    ),
    InjectionRule("secret-request", PASSWORD_WORDS_OTHER_SCRIPTS, after=rf"[^。！\n]{{0,40}}?{_ASKED}", asked=True),
    InjectionRule("secret-request", PASSWORD_WORDS_OTHER_SCRIPTS, before=rf"{_ASKING}[^.。\n]{{0,30}}?", asked=True),
    InjectionRule("secret-request", USER_WORDS, after=rf"[^.!。\n]{{0,40}}?{_LIVES}", asked=True),
    InjectionRule("secret-request", USER_WORDS, before=rf"{_LIVES}[^.!。\n]{{0,20}}?", asked=True),
)
