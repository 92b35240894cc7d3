"""English wordings of instructions to a model."""

from typing import Final

from tunesmith.detect.injection.rule import InjectionRule, alternation

_GAP: Final = r"(?:[ \"'’“*_\-\n]{1,3}\w+)"
_FEW: Final = _GAP + r"{0,4}?[ \"'’“*_\-\n]{1,3}"
_TOLD: Final = alternation(
    r"instructions?", r"prompts?", r"directions?", r"directives?", r"commands?", r"orders", r"guidelines?", r"rules?",
    r"restrictions?", r"constraints?", r"programming", r"training", r"polic(?:y|ies)", r"protocols?", r"safeguards?",
)  # fmt: skip
_SAID: Final = alternation(
    "tasks?", "requests?", "messages?", "conversations?", "context", "questions?", "filters?", "limitations?", "text"
)
_EARLIER: Final = alternation(
    "previous",
    "prior",
    "above",
    "preceding",
    "earlier",
    "foregoing",
    "initial",
    "original",
    "existing",
    "former",
    "old",
    "your",
    "all",
    "any",
    "system",
    "developer",
    "safety",
    "these",
    "those",
    "current",
    "given",
    "past",
)
_PAST: Final = alternation(
    "previous", "prior", "above", "preceding", "earlier", "foregoing", "all", "original", "initial", "past",
)  # fmt: skip
_SECRET: Final = alternation(
    r"pass[ -]?words?", r"pass[ -]?codes?", r"pass[ -]?phrases?", r"pass[ -]?keys?", r"credentials", r"api[ -]keys?",
    r"secret[ -](?:key|code|word|phrase|token|message|information)s?", r"access[ -](?:code|key|token)s?",
    r"(?:encryption|private|decryption)[ -]keys?", r"(?:system|initial|original|hidden)[ -](?:prompt|instructions?)",
    r"(?:your|internal|confidential)[ -](?:instructions?|prompt|guidelines|database|configuration)", r"pin[ -]code",
)  # fmt: skip
_ASK: Final = alternation(
    "tell", "give", "share", "reveal", "show", "print", "write", "repeat", "output", "display", "spell", "disclose",
    "provide", "confirm", "leak", "expose", "encode", "translate", "recite", "say", "read", "list", "describe", "whisper",
    "hint", "guess", "know", "decode", "hand over", "remind", "recall", "summari[sz]e", "include", "dump", "explain", "state",
    r"what(?:'s|’s| is| was| are| were| would| could| might| do| does)?",
)  # fmt: skip
_ANSWER: Final = r"(?:response|answer|reply|replies|message|output|summary|completion)"
_NEXT: Final = r"(?!your (?:previous|last|earlier|first|own|name|return|internet|email) )"
_CODE: Final = alternation(
    r"base[ -]?[0-9]{2}", r"(?:[a-z]+ )?ciphers?", r"rot[ -]?13", r"emojis?", r"emoticons?", r"backwards?", r"revers(?:e|ed)",
    r"morse", r"binary", r"hex(?:adecimal)?", r"pig latin", r"leet ?speak", r"ascii codes?", r"mirrored", r"octal",
    r"unicode",
)  # fmt: skip
_TONGUE: Final = alternation(
    "spanish", "french", "german", "italian", "portuguese", "chinese", "mandarin", "japanese", "korean", "russian", "arabic",
    "hindi", "dutch", "turkish", "polish", "swedish", "greek", "latin", "vietnamese", "thai", "hebrew", "swahili", "danish",
    "norwegian", "finnish", "czech", "ukrainian", "romanian", "hungarian", "indonesian", "urdu", "bengali", "esperanto",
)  # fmt: skip
_MODEL: Final = (
    r"(?:AIs?|A\.I\.|LLMs?|large language models?|language models?|chat ?bots?|(?:ai|virtual|digital) (?:assistants?|agents?|"
    r"systems?|models?)|gpt(?:-?\w+)?|chatgpt|copilot)"
)

_MODE: Final = (
    r"(?:developer|debug(?:ging)?|god|maintenance|admin(?:istrator)?|root|sudo|system|diagnostics?|dan|unrestricted|"
    r"jail ?break|superuser|override|training|test|service) (?:mode|override|privileges?)"
)
_FORM: Final = alternation(
    "backwards?", "in reverse", r"base[ -]?[0-9]{2}", r"rot[ -]?13",
    r"leet ?speak", "emojis?", "morse", "binary", "hex(?:adecimal)?", "pig latin",
    r"(?:letter|character|digit|word|one) by (?:letter|character|digit|word|one)", r"one (?:letter|character|"
    r"digit) at a time", "acrostic",
    r"(?:with|separated by) (?:\w+ )?(?:dashes|hyphens|spaces|dots|commas|asterisks|underscores)", r"as an? (?:\w+ "
    r")?(?:poem|song|riddle|haiku|"
    r"story|url|variable|comment|table|list|json|csv|anagram)", "rhym(?:e|es|ing)", "spelled out", "in (?:all )?capitals",
)  # fmt: skip

OVERRIDE: Final = (
    InjectionRule(
        "override",
        r"\b(?:ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|overrid(?:e|ing)|bypass(?:ing)?|overlook|discard|neglect)\b",
        after=rf"{_FEW}(?:{_EARLIER}\b{_GAP}{{0,3}}?\W{{1,3}}{_TOLD}|{_PAST}\b{_GAP}{{0,2}}?\W{{1,3}}{_SAID})\b",
        also=rf"{_TOLD}|{_SAID}",
    ),
    InjectionRule(
        "override",
        r"\b(?:ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|overrid(?:e|ing)|bypass(?:ing)?|discard)\b",
        after=rf"{_GAP}{{0,3}}? {_TOLD}\b{_GAP}{{0,4}}? (?:above|before|earlier|previously|given|"
        rf"received|so far|provided|stated)\b",
        also=_TOLD,
    ),
    InjectionRule(
        "override",
        r"\b(?:ignore|disregard|forget|never ?mind) (?:all |everything |anything |of )*(?:the )?(?:above|"
        r"foregoing|preceding|previous)\b",
        after=r"(?: (?:text|words?|part|lines?))?(?:[,.;:!]| and\b| then\b|$)",
    ),
    InjectionRule(
        "override",
        r"\b(?:regardless of|irrespective of|do not follow|don't follow|stop following|pay no attention to|set aside)\b",
        after=rf"{_FEW}(?:{_EARLIER}\b{_GAP}{{0,2}}?\W{{1,3}}{_TOLD}|{_PAST}\b{_GAP}{{0,2}}?\W{{1,3}}{_SAID})\b",
    ),
    InjectionRule(
        "override",
        r"\b(?:ignore|disregard|forget)\b",
        after=r" (?:about )?(?:everything|anything|all|all of|what|whatever|that|this|it)\b[^.!?\n]{0,40}?"
        r"(?:\babove\b|\bbefore\b|\bpreviously\b|\bso far\b|\btold\b|\binstructed\b|[,.;:] ?(?:and |now |instead |please )*"
        r"(?:can|could|tell|give|write|say|print|output|respond|reply|answer)\b)",
    ),
    InjectionRule(
        "override",
        r"\b(?:new|updated|revised|real|actual|true|secret|override) (?:instructions?|task|directive|orders?|objective|"
        r"system prompt|system message)\b",
        after=r"\s*(?::|is to\b|are to\b|for you\b|are as follows)",
    ),
    InjectionRule(
        "override", r"\binstructions? (?:above|before|so far)\b", before=r"\b(?:not|no|never|stop|cancel)\b[^.\n]{0,40}"
    ),
)
ROLE: Final = (
    InjectionRule(
        "role",
        r"\byou are (?:now|no longer)\b",
        after=r" (?:in (?!charge)|an? |the (?!first|second|third|fourth|last|next|only|one)|bound|restricted|acting|"
        r"dan\b|free|unrestricted)",
    ),
    InjectionRule(
        "role",
        r"\bfrom (?:now|this point|here) on(?:wards?)?\b",
        after=r",? (?:you (?:are|will|must|act|answer|respond|only)|your (?:name|role|answers?)|answer|"
        r"respond|reply|act|ignore|always)\b",
    ),
    InjectionRule(
        "role",
        rf"\b{_MODE}\b",
        before=r"(?:\b(?:enter(?:ed|ing)?|enabl(?:e|ed|ing)|activat(?:e|ed|ing)|switch(?:ed|ing)?|you are|you're|i am|i'm|"
        r"start(?:ing)?|initiat(?:e|ed|ing)|engag(?:e|ed|ing)|go into|now in|this is)\b[^.\n]{0,20})",
    ),
    InjectionRule(
        "role",
        rf"\b{_MODE}\b",
        after=r"[:,]? ?(?:is |now |has been )*(?:activated|enabled|engaged|confirmed|granted|unlocked|initiated|on[.!:,\n])",
        asked=True,
    ),
    InjectionRule("role", r"\bsystem mode\b", asked=True),
    InjectionRule(
        "role",
        r"\b(?:your|the ai's|this ai's) (?:system )?(?:developer|creator|programmer|administrator|designer|engineer|maker)\b",
        before=r"\b(?:i am|i'm|i’m|this is|speaking as|it's|as)\b[^.\n]{0,20}? ?",
        asked=True,
    ),
    InjectionRule(
        "role",
        r"<\|(?:im_start|im_end|system|assistant|user|endoftext|eot_id|start_header_id)[^>\n]{0,12}\|?>|\[/?INST\]|<</?SYS>>",
    ),
    InjectionRule(
        "role",
        r"(?:system|developer|admin|administrator|root)(?: (?:message|prompt|override|note|notice|update|"
        r"instructions?|command|"
        r"alert|mode|entry))?[\])>*]?[\])>*]?(?::|>)",
        before=r"(?:^|[\n.!?'\"]) ?[\[(<#* ]{0,5}",
        after=r"(?!//)\s*\S",
        asked=True,
    ),
    InjectionRule(
        "role",
        r"\[(?:system|admin|developer|assistant)\b",
        after=r"(?: (?:message|prompt|override|note|notice|update|instructions?|command|alert|"
        r"mode))?(?: ?: ?[^\]\n]{0,60})?\]",
        asked=True,
    ),
)
SECRETS: Final = (
    InjectionRule(
        "secret-request",
        rf"\b{_SECRET}\b",
        before=rf"(?<!n.t )(?<!not )\b{_ASK}(?:ing|(?:s|d|ed)(?=\W+(?:\w+\W+){{0,3}}(?:your|our|system)\b))?\b"
        rf"{_GAP}{{0,7}}?[ \"'’“(*_\-]{{1,3}}(?:(?:the|your|our|its|this|"
        rf"that(?! an? | the )|their|his|her|user's|user’s|"
        rf"\w+'s|\w+’s)\W(?:\w+\W){{0,2}}|(?=(?:your|our)\W)|(?<! a )(?=system\W))",
        asked=True,
    ),
    InjectionRule(
        "secret-request",
        rf"\b(?:your|our|the system|the user's|the secret) {_SECRET}\b",
        after=r"[^.\n]{0,60}\?",
        asked=True,
    ),
    InjectionRule(
        "secret-request",
        rf"\b(?:the|your|our) {_SECRET} (?:is|are|was|would be|begins with|starts with)\b",
        after=r" ?(?::|\.\.|…|_|\"|\[|$)",
        asked=True,
    ),
    InjectionRule(
        "secret-request",
        rf"\b(?:an?|any|some|every) {_SECRET}\b",
        before=r"\b(?:reveal|disclos|divulg|leak|expos|hint|let slip|giv(?:e|ing) away)\w*\b[^.\n]{0,40}?",
        asked=True,
    ),
    InjectionRule(
        "secret-request",
        r"\brepeat (?:the |all |all the )?(?:words?|text|everything|sentences?|lines?)\b",
        after=r" (?:above|before)",
    ),
    InjectionRule(
        "secret-request",
        r"\bthe user(?:'s|’s)?\b",
        before=r"\b(?:where|what|who|when|which|tell|reveal|share|give|know|name|state|list)\b[^.?!\n]{0,40}",
        after=r" (?:\w+ ){0,2}(?:lives?|living|reside[sd]?|residence|address|location|located|home|city|password|phone|"
        r"birth\w*|maiden|ssn|social|credit|initials|personal|private)\b",
        asked=True,
        also=r"the user(?:'s|’s)? (?:\w+ )?(?:\w+ )?(?:liv|resid|address|location|located|home|city|password|phone|"
        r"birth|maiden|ssn|social|"
        r"credit|initials|personal|private)",
    ),
    InjectionRule(
        "secret-request", r"\bif the user were to\b|\bthe user's (?:secret|private|personal|confidential)\b", asked=True
    ),
    InjectionRule(
        "secret-request",
        r"\b(?:birth ?date|date of birth|city of residence|home address|phone number|social security number|ssn|bank balance|"
        r"account balance|credit card number|maiden name|medical records?|salary|home town|personal details)\b",
        before=r"\b(?:give|tell|share|reveal|confirm|disclose|send|show|provide|know)\b[^.?!\n]{0,30}?"
        r"\b(?-i:[A-Z]\w+)(?: (?-i:[A-Z]\w+))?['’]s (?:\w+ ){0,2}",
        asked=True,
    ),
    InjectionRule(
        "secret-request",
        rf"\b{_SECRET}\b",
        before=r"(?<!my )(?<!an )\b(?:the|your|our|system) (?:\w+ )?",
        after=rf"[^.?!\n]{{0,40}}?\b{_FORM}\b",
        asked=True,
    ),
    InjectionRule(
        "secret-request",
        rf"\b{_SECRET}\b",
        before=r"\b(?:story|poem|song|haiku|riddle|joke|limerick|scene|script|play|dialog(?:ue)?|game|rhyme|imagine|"
        r"pretend|hypothetical(?:ly)?|"
        r"role[ -]?play)\b[^?!\n]{0,120}?\b(?:the|your|our) (?:\w+ )?",
        asked=True,
    ),
    InjectionRule(
        "secret-request",
        r"\b(?:not (?:allowed|supposed|permitted)|forbidden) to (?:reveal|share|tell|disclose|say|talk about)\b|"
        r"\b(?:told|asked|instructed) not to (?:reveal|share|tell|disclose|say)\b",
        before=r"\b(?:what|which|everything|anything|things?|words?|something)\b[^.?!\n]{0,30}?\b(?:you|you're|you’re|"
        r"you are)\b[^.?!\n]{0,20}?",
        asked=True,
    ),
    InjectionRule(
        "secret-request", rf"\b{_SECRET} (?:for|to|of) (?:our|your) (?:system|database|server|network)\b", asked=True
    ),
)
EXFILTRATION: Final = (
    InjectionRule(
        "exfiltration",
        r"(?:https?://|\bwww\.|\bwebhooks?\b|\w@\w)",
        before=r"\b(?:send|post|forward|upload|e-?mail|transmit|submit|leak|copy|exfiltrate|"
        r"share)\b[^.\n]{0,60}?\b(?:conversation|chat|"
        r"history|secrets?|passwords?|credentials|contacts|api keys?|tokens?|personal (?:data|information|details)|"
        r"bank(?:ing)? "
        r"details|credit card|their (?:\w+ )?details|user data|the above|this prompt|system prompt|"
        r"contents?)\b[^\n]{0,40}?\b(?:to|at|"
        r"via)\b[^\n]{0,30}?",
        also=r"conversation|chat|history|secret|password|credentials|contacts|api key|token|personal|bank|credit card|"
        r"details|"
        r"user data|the above|this prompt|system prompt|content",
    ),
    InjectionRule(
        "exfiltration",
        r"\]\(https?://",
        before=r"!\[[^\]\n]{0,80}",
        after=r"[^)\s]{0,200}\?[^)\s]{0,100}=(?:\{|\[|<|\$|%7b)",
    ),
)
TOOLS: Final = (
    InjectionRule(
        "tool-call",
        r"</?tool_calls?>|<\|?(?:tool|function)_?calls?\|?>|\"(?:function_call|tool_calls)\" ?:",
        asked=True,
    ),
    InjectionRule(
        "tool-call",
        r"\b(?:silently|secretly|immediately) (?:call|use|run|invoke|execute)\b",
        after=r"[^.\n]{0,40}?\b(?:tool|function|plugin|api|command)\b",
    ),
    InjectionRule(
        "tool-call",
        r"\b(?:call|invoke|use|run) the [`\"']?\w+[`\"']? (?:tool|function|plugin)\b",
        after=r" (?:to|with|and)\b",
        inside=True,
        asked=True,
    ),
)
ADDRESSED: Final = (
    InjectionRule(
        "addressed-to-model",
        rf"\byou(?: are|'re|’re) (?:an? |the )?{_MODEL}\b",
        before=r"\b(?:if|when|since|because|as|note:)\s+",
    ),
    InjectionRule(
        "addressed-to-model",
        rf"\b(?:attention|dear|note (?:to|for)|message (?:to|for)|instructions? (?:to|for)|hey|hello|"
        rf"listen)[,:]? (?:all |any |the |"
        rf"an? |every )?(?:{_MODEL}|assistants?)\b",
        after=r"[^\n]{0,80}?\b(?:you|must|should|please|ignore|add|say|reply|respond|answer|include|do|read|output)\b",
    ),
    InjectionRule(
        "addressed-to-model",
        rf"\b{_MODEL} ",
        after=r"[^.\n]{0,40}\b(?:must|should|shall|instructed to|required to) (?:ignore|reply|respond|"
        r"answer|output|say|include|add|"
        r"state|recommend|print|mention|rank|rate|not mention|reveal)\b",
        also=r"must|should|shall|instructed to|required to",
    ),
)
ANSWERS: Final = (
    InjectionRule(
        "answer-tampering",
        rf"\byour (?:\w+ )?(?:{_ANSWER})\b",
        before=r"\b(?:encode|encrypt|encipher|obfuscate|cipher|reverse|translate|shift|scramble|substitute|replace|"
        r"flip|invert|mirror|"
        r"jumble|modify|enhance|expand|extend|improve|complement|embellish|boost|lace|pepper|sprinkle|revise|augment|"
        r"alter|adjust|infuse|supplement|enrich|tweak|adapt|hide|disguise|transform|convert)\b[^.\n]{0,60}?"
        rf"{_NEXT}",
        inside=True,
        asked=True,
    ),
    InjectionRule(
        "answer-tampering",
        rf"\byour (?:\w+ )?(?:{_ANSWER})\b",
        before=r"\b(?:add|include|insert|integrate|incorporate|append|mention|embed|weave|slip|prepend|introduce|"
        r"sneak|feature|inject|"
        r"attach|blend|place|put|drop|work)\b[^\n]{0,160}?\b(?:in|into|to|within|inside|of|with|throughout|before|after)\W+"
        rf"{_NEXT}",
        inside=True,
        asked=True,
    ),
    InjectionRule(
        "answer-tampering",
        rf"\b(?:in|within|with|throughout|as part of) your (?:\w+ )?(?:{_ANSWER})\b",
        after=r",? (?:please |also |always |make sure to |be sure to |try to )?(?:suggest|include|add|"
        r"mention|insert|incorporate|promote|"
        r"recommend|claim|state|provide|use|advise|urge|encourage|ask|tell|give|say|spread|reference|refer|integrate|"
        r"imply|cite|"
        r"describe|assert|discuss|feature|highlight|share|reveal|advertise|invite|direct|point)\b",
        inside=True,
        asked=True,
    ),
    InjectionRule(
        "answer-tampering",
        rf"\byour (?:\w+ )?(?:{_ANSWER}|letters|words|text)\b",
        after=rf"[^.\n]{{0,50}}\b(?:{_CODE}|{_TONGUE})\b",
        inside=True,
        asked=True,
    ),
    InjectionRule(
        "answer-tampering",
        rf"\byour (?:\w+ )?(?:{_ANSWER}|text)\b",
        before=rf"\b(?:{_CODE}|{_TONGUE})\b[^.\n]{{0,50}}",
        inside=True,
        asked=True,
    ),
    InjectionRule(
        "answer-tampering",
        r"\b(?:reply|respond|answer|write back|communicate|speak)(?: only| back| to me| solely| entirely| exclusively)* "
        r"(?:in|using|with|by using|via|through)\b",
        before=r"(?:^|[.!?:;,\n\"'(|] ?|\b(?:you|please|must|should|always|only|will|can|to|now|and|just|then) )",
        after=rf"[^.\n]{{0,25}}?\b(?:{_CODE}|{_TONGUE})\b",
        inside=True,
        asked=True,
        # digits are left out: Python knows more of them than RE2
        also=rf"{_TONGUE}|base|cipher|rot|emoji|emoticon|backward|revers|morse|binary|hex|pig latin|leet|"
        r"ascii|mirror|octal|unicode",
    ),
)
HIDDEN: Final = (
    InjectionRule(
        "hidden-text",
        r"<!--|\[//\]: ?#|\[comment\]: ?<|display: ?none|visibility: ?hidden|font-size: ?0(?:px|pt|em)?\b|opacity: ?0\b|"
        r"color: ?(?:white|#fff(?:fff)?|transparent)\b",
        after=r"[\s\S]{0,200}?\b(?:you (?:must|should|are)|your (?:response|answer|reply|summary)|ignore|"
        r"disregard|respond|reply with|"
        r"assistant|language model|chatbot|instruction)\b",
        asked=True,
    ),
)
ENGLISH: Final = (*OVERRIDE, *ROLE, *SECRETS, *EXFILTRATION, *TOOLS, *ADDRESSED, *ANSWERS, *HIDDEN)
