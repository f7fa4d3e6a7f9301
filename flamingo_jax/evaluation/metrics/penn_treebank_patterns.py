"""What the tokens of the Penn Treebank tokenizer look like, as patterns (scanner_patterns.py)."""

from __future__ import annotations

from flamingo_jax.evaluation.metrics import penn_treebank_characters as characters
from flamingo_jax.evaluation.metrics import penn_treebank_words as words
from flamingo_jax.evaluation.metrics.penn_treebank_words import any_of

SETS = {
    "LETTER": characters.is_letter,
    "LETTER_LIKE": characters.is_letter_like,
    "CAPITAL": characters.is_capital,
    "DIGIT": characters.is_digit,
    "SYMBOL": characters.is_symbol,
    "SPACE": characters.is_space,
    "LINE_BREAK": characters.is_line_break,
    "ANY": lambda _: True,
}

_CHARACTERS = {
    "BREAK": "{SPACE}|{LINE_BREAK}",
    "LETTER_OR_DIGIT": "{LETTER}|{DIGIT}",
    "LATIN": "[A-Za-z]",
    "LATIN_OR_DIGIT": "[0-9A-Za-z]",
    "BLANK": "[ \u00a0]",
    "STRAIGHT_OR_RIGHT": "['\u0092\u2019]|&apos;",
    "ANY_SINGLE_QUOTE": "{STRAIGHT_OR_RIGHT}|[`\u0091\u2018\u201b]",
    "DASH_IN_WORD": "[\\-_\u058a\u2010\u2011]",
    "INNER_MARK": "[,:;\u3001]",
}

_WORDS = {
    # é may be written as an entity, and accents may stand behind their letter.
    "ACCENTED": "&[AEIOUaeiou](acute|grave|uml);",
    "IN_WORD": "{LETTER}|{LETTER_LIKE}|{ACCENTED}",
    "RUN": "({IN_WORD})({IN_WORD}|{DIGIT})*",
    # A mark that has a letter right behind it ends no word: "end.Begin".
    "WORD": "{RUN}([!.?]{RUN})*",
    "CLITIC": "({STRAIGHT_OR_RIGHT})([DMSdms]|ll|re|ve)",
    "NOT": "n({ANY_SINGLE_QUOTE})t",
    # What may stand before "n't": no word that ends in n itself.
    "BEFORE_NOT": "[A-Za-z\u00ad]*[A-MO-Za-mo-z]\u00ad*",
    # O'Neill, n'ts; ma'am, Shi'ite.
    "CAPITAL_WITH_APOSTROPHE": "[A-HJ-XZn]({ANY_SINGLE_QUOTE}){LETTER}({LETTER})+",
    "VOWEL_WITH_APOSTROPHE": ("({LETTER})+[AEIOUYaeiouy]({ANY_SINGLE_QUOTE})[A-Zaeiou]({LETTER})*"),
    "DECADE": "({STRAIGHT_OR_RIGHT})[2-9]0s",
    # d'Avignon-like parts, joined by hyphens or underlines.
    "PART": "([DLOdlo]({ANY_SINGLE_QUOTE})({LETTER_OR_DIGIT}))?({LETTER_OR_DIGIT})+",
    "JOINED": "{PART}({DASH_IN_WORD}{PART})*",
    # Latin words with hyphens may have full stops and commas before the first one: "3.5-inch".
    "HYPHENATED": (
        "{LATIN_OR_DIGIT}({LATIN_OR_DIGIT}|[,.\u00ad])*"
        "(-({LATIN_OR_DIGIT}|\u00ad)+|-({INITIALS})\\.)+"
    ),
    "SIDE": "({LATIN_OR_DIGIT})+(-({LATIN})+){0,2}",
    "SLASHED": "{SIDE}(\\\\?/{SIDE}){1,2}",
    # AT&T, and with at most one stop between letters, u.s or non-U.S.
    "JOINED_CAPITALS": "[A-Z]+((&|&amp;|\\+)[A-Z]+)+",
    "INITIALS": (
        "{LATIN}(\\.{LATIN})+|(canada|eu|japan|korean|non|sino)-u\\.s|u\\.s\\.-u\\.(k|s\\.s\\.r)"
    ),
}

_NUMBERS = {
    "NUMERAL": "({DIGIT})+|({DIGIT})*([,.:\u00ad\u066b\u066c]({DIGIT})+)+",
    "NUMBER": "[+\\-]?({NUMERAL})",
    "DATE": "{DIGIT}{1,2}[/\\-]{DIGIT}{1,2}[/\\-]{DIGIT}{2,4}",
    "RAISED": "[\u00b2\u00b3\u00b9\u2070\u2074-\u2079]+",
    "LOWERED": "[\u2080-\u2089]+",
    "SMALL_NUMBER": "[\u207a\u207b\u208a\u208b]?({RAISED}|{LOWERED})",
    "FRACTION": "({DIGIT}{1,4}[\\- \u00a0])?{DIGIT}{1,4}(/|\\\\/|\u2044){DIGIT}{1,4}",
    "PLUS": "\\+{1,2}",
    "AREA": "\\([0-9]{2,3}\\){BLANK}?|{PLUS}?([0-9]{2,4}(-|{BLANK}))?[0-9]{2,4}(-|{BLANK})",
    "DOTTED": "({PLUS}?[0-9]{2,4}\\.)?[0-9]{2,4}\\.[0-9]{3,4}\\.[0-9]{3,5}",
    "PHONE": "({AREA})[0-9]{3,4}(-|{BLANK})?[0-9]{3,5}|{DOTTED}",
}

_ABBREVIATIONS = {
    "STOP_MAY_END_SENTENCE": any_of(words.STOP_MAY_END_SENTENCE) + "\\.",
    "STOP_ENDS_NOTHING": f"({any_of(words.STOP_ENDS_NOTHING)}|{{LATIN}}|{{INITIALS}})\\.",
    "STOP_BEFORE_NUMBER": any_of(words.STOP_BEFORE_NUMBER) + "\\.",
    "SENTENCE_END": "({BREAK})({BREAK}|{CAPITAL}|{TAG})",
    "SENTENCE_BEGINNING": (f"({{BREAK}})+({any_of(words.SENTENCE_BEGINNINGS)}|{{TAG}})({{BREAK}})"),
}

# Sets of characters in the order of their codes. `,-_` is a range: digits, capitals and some marks.
_NETWORK = {
    "URL": 'https?://[^\t\n\f\r "()<>{|}]+[^\t\n\f\r !"(),\\-.<>?{|}]',
    "HOST_PART": '[^\t\n\f\r !"(),.<>?{|}]+\\.',
    "SITE_PART": "[^\t\n\f\r !\"$'(),-_`{|}]+\\.",
    "PATH": '/[^\t\n\f\r "()<>|]+[^\t\n\f\r !"(),\\-.<>?{|}]',
    "SITE": "(www\\.({HOST_PART})+{LATIN}{2,4}|({SITE_PART})+(com|edu|net|org))({PATH})?",
    "IN_MAILBOX": '[^\t\n\f\r "()<>{|}\u00a0]',
    "IN_DOMAIN": '[^\t\n\f\r "().<>{|}\u00a0]+',
    "MAIL": ("(<|&lt;)?{LATIN_OR_DIGIT}{IN_MAILBOX}*@({IN_DOMAIN}\\.)*{IN_DOMAIN}(>|&gt;)?"),
    "ACCOUNT": "@[A-Z_a-z][0-9A-Z_a-z]*|#({IN_WORD})+",
    "FILE": ("({IN_WORD}|{DIGIT})+(\\.({IN_WORD}|{DIGIT})+)*\\." + any_of(words.FILE_ENDINGS)),
    "NAME": "{LATIN}[\\-.0-:A-Z_a-z]*",
    "VALUE": "{NAME}|\"[^\"]*\"|'[^']*'",
    "ATTRIBUTE": "{NAME}([ ]*=[ ]*({VALUE}))?",
    "TAG": "<({NAME}([ ]+{ATTRIBUTE})*[ ]*/?|/{NAME}|[!?][A-Za-z\\-][^\n\r>]*)[ ]*>",
}

_FACES = {
    "EYES": "[<>]?[:;=]",
    "NOSE": "['*\\-o]",
    "MOUTH": "[()@DOP\\[\\\\\\]dp{|]",
    "SMILEY": "{EYES}{NOSE}?{MOUTH}",
    "EYE": "['<=>\\-^x~]",
    "EAST_ASIAN_SMILEY": "{EYE}_{EYE}|\\({EYE}[._\\-]?{EYE}\\)",
}

PATTERNS = {
    **_CHARACTERS, **_WORDS, **_NUMBERS, **_ABBREVIATIONS, **_NETWORK, **_FACES
}  # fmt: skip
