"""The kinds of tokens of the Penn Treebank tokenizer, in the order in which ties are broken.

Each kind is a pattern (penn_treebank_patterns.py) and what becomes of the text that it matches.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from flamingo_jax.evaluation.metrics import penn_treebank_words as words
from flamingo_jax.evaluation.metrics.penn_treebank_words import any_of
from flamingo_jax.evaluation.metrics.scanner import Rule


class Token(NamedTuple):
    """What a match says, and how much of it is used up; the rest is read again."""

    text: str
    length: int


Action = Callable[[str], Token | None]
"""From the matched text to its token; None for text that says nothing, such as a space."""


class Kind(NamedTuple):
    """A kind of token."""

    rule: Rule
    action: Action


_OPENING = {"'": "`", '"': "``", "&apos;": "`", "&quot;": "``"}
_CLOSING = {"'": "'", '"': "''", "&apos;": "'", "&quot;": "''"}
_CURLY = {
    **dict.fromkeys("\u0091\u2018\u201b\u2039", "`"),
    **dict.fromkeys("\u0092\u2019\u203a", "'"),
    **dict.fromkeys("\u0093\u201c\u00ab", "``"),
    **dict.fromkeys("\u0094\u201d\u00bb", "''"),
}
_QUOTES = re.compile(
    "&apos;|&quot;|['\"\u0091-\u0094\u2018\u2019\u201b-\u201d\u2039\u203a\u00ab\u00bb]"
)
_FRACTIONS = {"\u00bc": "1/4", "\u00bd": "1/2", "\u00be": "3/4", "\u2153": "1/3", "\u2154": "2/3"}
_CURRENCIES = {
    "\u00a2": "cents", "\u00a3": "#", "\u0080": "$", "\u00a4": "$", "\u20a0": "$", "\u20ac": "$"
}  # fmt: skip
_BRACKETS = {
    "(": "-LRB-", ")": "-RRB-", "[": "-LSB-", "]": "-RSB-", "{": "-LCB-", "}": "-RCB-"
}  # fmt: skip
_NO_BREAK_SPACE = "\u00a0"


def _keep(text: str) -> Token:
    return Token(text, len(text))


def _drop(_: str) -> None:
    return None


def _without_soft_hyphens(text: str) -> Token:
    return Token(text.replace("\u00ad", "") or "-", len(text))


def _split_before_last(letters: int) -> Action:
    """The last letters are a word of their own, read next."""
    return lambda text: Token(text[:-letters], len(text) - letters)


def _stop_counts_twice(text: str) -> Token:
    """The full stop belongs to the abbreviation and ends the sentence: it is read again."""
    return Token(text, len(text) - 1)


def _initials_end_sentence(text: str) -> Token:
    """As `_stop_counts_twice`, but a single letter ("to Y. He") leaves its stop to the sentence."""
    return Token(text if len(text) > 2 else text[:-1], len(text) - 1)


def _as(token: str) -> Action:
    return lambda text: Token(token, len(text))


def _look_up(table: dict[str, str]) -> Action:
    return lambda text: Token(table.get(text, text), len(text))


def _quote(text: str, straight: dict[str, str]) -> Token:
    table = {**_CURLY, **straight}
    return Token(_QUOTES.sub(lambda found: table[found[0]], text), len(text))


def _open_quote(text: str) -> Token:
    return _quote(text, _OPENING)


def _close_quote(text: str) -> Token:
    return _quote(text, _CLOSING)


def _in_one(text: str) -> Token:
    """Spaces stay in the token, as spaces that do not break, and round brackets are written out."""
    joined = text.replace(" ", _NO_BREAK_SPACE)
    return Token(joined.replace("(", "-LRB-").replace(")", "-RRB-"), len(text))


def _joined(text: str) -> Token:
    return Token(text.replace(" ", _NO_BREAK_SPACE), len(text))


def _ampersand(text: str) -> Token:
    return Token(re.sub("&amp;", "&", text, flags=re.IGNORECASE), len(text))


def _dashes(text: str) -> Token:
    return Token("--" if len(text) in (3, 4) else text, len(text))


def _kind(pattern: str, action: Action, context: str = "") -> Kind:
    return Kind(Rule(pattern, context), action)


KINDS = (
    # Words, and what is split off from them.
    _kind(r"c\+\+|[CFcf]#", _keep),
    _kind("cannot|'twas", _split_before_last(3)),
    _kind("'tis|gimme|gonna|gotta|lemme|wanna", _split_before_last(2)),
    _kind("{TAG}", _joined),
    _kind("&(md|mdash|ndash);|[\u0096\u0097\u2013-\u2015]", _as("--")),
    _kind("&amp;", _as("&")),
    _kind("&(ht|lr|qc|ql|qr|tl|ur|cdq|odq|#[0-9]+);", _keep),
    _kind("{WORD}", _without_soft_hyphens, context="{CLITIC}"),
    _kind("{BEFORE_NOT}", _without_soft_hyphens, context="{NOT}"),
    _kind("{WORD}", _without_soft_hyphens),
    _kind("{CAPITAL_WITH_APOSTROPHE}|{VOWEL_WITH_APOSTROPHE}|{DECADE}", _keep),
    _kind(any_of(words.WITH_APOSTROPHE, "({STRAIGHT_OR_RIGHT})"), _keep),
    _kind(any_of(words.WITH_STRAIGHT_APOSTROPHE), _keep),
    _kind("o({ANY_SINGLE_QUOTE})o", _keep),
    _kind("y({STRAIGHT_OR_RIGHT})", _keep, context="{LETTER}"),
    _kind("{URL}|{SITE}", _keep),
    _kind("{MAIL}", _keep),
    _kind("{ACCOUNT}", _keep),
    _kind("{CLITIC}", _close_quote, context="[^A-Za-z]"),
    _kind("{NOT}", _close_quote),
    # Numbers and money.
    _kind("{DATE}", _keep),
    _kind("{NUMBER}", _without_soft_hyphens),
    _kind("{SMALL_NUMBER}", _keep),
    _kind("{FRACTION}", _joined),
    _kind("[\u00bc-\u00be\u2153-\u215e]", _look_up(_FRACTIONS)),
    # Words of the treebank.
    _kind("-(lcb|lrb|lsb|rcb|rrb|rsb)-", _keep),
    _kind("(anti|pro)-", _keep),
    _kind("s(&|&amp;)(ls|p-500)", _ampersand),
    _kind("(cap({STRAIGHT_OR_RIGHT})n|c({STRAIGHT_OR_RIGHT})est)", _keep),
    _kind("{SLASHED}", _keep),
    _kind("[A-Z]*$|#", _keep),
    _kind(
        "[\u0080\u00a2-\u00a5\u060b\u0e3f\u20a0\u20a4\u20ac\uffe0\uffe1\uffe5\uffe6]",
        _look_up(_CURRENCIES),
    ),
    # Abbreviations.
    _kind(r"({INITIALS}|{LATIN})\.", _initials_end_sentence, context="{SENTENCE_BEGINNING}"),
    _kind("{STOP_BEFORE_NUMBER}", _keep, context="({BREAK})?{DIGIT}"),
    _kind("{STOP_MAY_END_SENTENCE}", _stop_counts_twice, context="{SENTENCE_END}"),
    _kind("{STOP_MAY_END_SENTENCE}", _keep, context="{ANY}{ANY}"),
    _kind("{STOP_MAY_END_SENTENCE}", _stop_counts_twice),
    _kind("{STOP_ENDS_NOTHING}", _keep),
    _kind("{INITIALS}", _keep, context="{BREAK}"),
    _kind("({STRAIGHT_OR_RIGHT})[0-9][0-9]", _keep, context="{BREAK}"),
    _kind("{FILE}", _keep, context="{BREAK}|[!,.?]"),
    _kind(r"{WORD}\.", _without_soft_hyphens, context="{INNER_MARK}"),
    _kind("{PHONE}", _in_one),
    # Quotes, faces, brackets, marks.
    _kind('"|&quot;', _open_quote, context="[$0-9A-Za-z]"),
    _kind('"|&quot;', _close_quote),
    _kind("<<|>>", _keep),
    _kind("<|&lt;", _as("<")),
    _kind(">|&gt;", _as(">")),
    _kind("{SMILEY}", _in_one, context="[^0-9A-Za-z]"),
    _kind("{EAST_ASIAN_SMILEY}", _in_one),
    _kind(r"[()\[\]{}]", _look_up(_BRACKETS)),
    _kind("-+", _dashes),
    _kind("\\.{3,5}|(\\.{BLANK}){2,4}\\.|[\u0085\u2026]", _as("...")),
    _kind(r"#+|@+|_+|\*+|(\\\*){1,3}", _keep),
    _kind("{INNER_MARK}|[./=]|[!?]+", _keep),
    # Compounds.
    _kind("{HYPHENATED}", _without_soft_hyphens),
    _kind(r"{HYPHENATED}\.", _without_soft_hyphens, context="{INNER_MARK}"),
    _kind(r"{JOINED}\.", _keep, context="{INNER_MARK}"),
    _kind("{JOINED}", _keep),
    _kind(r"{JOINED_CAPITALS}\.", _ampersand, context="{INNER_MARK}"),
    _kind("{JOINED_CAPITALS}", _ampersand),
    # What is left.
    _kind("'", _open_quote, context="{LATIN}[^\t\n\r \u00a0]"),
    _kind("{CLITIC}", _close_quote),
    _kind("{STRAIGHT_OR_RIGHT}|''", _close_quote),
    _kind("[`\u0091-\u0094\u00ab\u00bb\u2018-\u201f\u2039\u203a]{1,2}", _close_quote),
    _kind("{SYMBOL}", _keep),
    _kind("({SPACE})+|{LINE_BREAK}|&nbsp;", _drop),
    _kind("{ANY}", _drop),
)
