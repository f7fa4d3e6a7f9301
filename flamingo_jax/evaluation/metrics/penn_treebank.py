"""Words of captions: a Penn Treebank tokenizer in the manner of coco-caption.

coco-caption runs Stanford's `PTBTokenizer -lowerCase` (Java) and drops punctuation tokens. The
rules here give the same words on plain English captions, without Java. They do not know the rarer
classes of the Java tokenizer: fractions, URLs, e-mail addresses, emoticons.
"""

from __future__ import annotations

import re

_DROPPED = frozenset(
    ["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";", '"', "‘", "’", "“", "”"]
)
# coco-caption means to drop brackets too, but looks for capitals (-LRB-) after lowercasing.
_BRACKETS = {
    "(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"
}  # fmt: skip
_ABBREVIATIONS = "mr|mrs|ms|dr|st|jr|sr|prof|vs|etc|inc|ltd|co|corp|ave|blvd"
_TOKEN = re.compile(
    rf"""
    \.{{2,}} | -{{2,}}                              # ellipsis, dash
  | (?:[^\W\d_]\.)+[^\W\d_]\b\.?                    # u.s.  u.s.a
  | \b(?:[^\W\d_]|{_ABBREVIATIONS})\.(?=\s+\w)      # mr. or an initial before its name
  | \d+(?:[.,:/]\d+)+(?:[^\W_]+)?                   # 3,000  2.5  10:30am
  | (?<!\S)'(?:s|re|ve|ll|d|m)\b                    # a clitic that stands alone: dog 's
  | \w+(?:[-'&/]+\w+)*                              # man, t-shirt, don't, o'clock
  | \S
    """,
    re.VERBOSE,
)
_CLITIC = re.compile(r"(.+?)(n't|'s|'re|'ve|'ll|'d|'m)((?:n't|'s|'re|'ve|'ll|'d|'m)*)")
_SINGLE_CLITIC = re.compile(r"n't|'s|'re|'ve|'ll|'d|'m")
_SPLIT_WORDS = {
    "cannot": ["can", "not"],
    "gonna": ["gon", "na"],
    "gotta": ["got", "ta"],
    "wanna": ["wan", "na"],
    "gimme": ["gim", "me"],
    "lemme": ["lem", "me"],
}


def tokenize(text: str) -> list[str]:
    """Splits a caption into lowercase words; punctuation is dropped.

    Args:
      text: a caption.

    Returns:
      The words. Clitics stand alone (`don't` is `do`, `n't`), hyphenated words stay together, an
      opening round bracket becomes `-lrb-`.
    """
    text = " ".join(text.lower().replace("’", "'").split())
    tokens: list[str] = []
    for token in _TOKEN.findall(text):
        if token in _DROPPED or set(token) <= {".", "-"}:
            continue
        tokens.extend(_split(_BRACKETS.get(token, token)))
    return tokens


def _split(token: str) -> list[str]:
    if token in _SPLIT_WORDS:
        return _SPLIT_WORDS[token]
    found = _CLITIC.fullmatch(token)
    if found is None:
        return [token]
    word, clitic, rest = found.groups()
    return [word, clitic, *_SINGLE_CLITIC.findall(rest)]
