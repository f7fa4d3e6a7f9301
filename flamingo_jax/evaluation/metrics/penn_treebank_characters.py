"""Which characters the Penn Treebank tokenizer takes for letters, digits, symbols and spaces.

The Java tokenizer's tables are those of an old Unicode and of its authors' additions; what is here
was found out by giving it every character below U+10000 in several surroundings. A character beyond
that is two halves to it, of which it knows neither: both are dropped.
"""

from __future__ import annotations

import bisect
import unicodedata
from collections.abc import Callable

Ranges = tuple[tuple[int, int], ...]


def _ranges(text: str) -> Ranges:
    """Reads "0041-005A 00AA": code points and ranges of them."""
    pairs = (part.partition("-") for part in text.split())
    return tuple((int(first, 16), int(last or first, 16)) for first, _, last in pairs)


def _member(ranges: Ranges) -> Callable[[str], bool]:
    starts = [first for first, _ in ranges]

    def holds(character: str) -> bool:
        place = bisect.bisect_right(starts, ord(character)) - 1
        return place >= 0 and ord(character) <= ranges[place][1]

    return holds


_LETTERS_TOO_NEW = _ranges(
    """
    037F 0528-052F 0560 0588 05EF 0860-086A 0870-0887 0889-088E 08A1 08AD-08C9 0978 0980 09FC 0AF9
    0C34 0C5A 0C5D 0C80 0CDD 0D04 0D54-0D56 0D5F 0E86 0E89 0E8C 0E8E-0E93 0E98 0EA0 0EA8-0EA9
    0EAC-0EAC 13F5 13F8-13FD 16F1-16F8 170D 171F 1878 191D-191E 19B0-19C0 19C8-19C9 1B4C 1C80-1C8A
    1C90-1CBA 1CBD-1CBF 1CF2-1CF3 1CFA 2C2F 2C5F 312E-312F 31BB-31BF 4DB6-4DBF 9FCD-9FFF A698-A69D
    A78F A794-A79F A7AB-A7F7 A8FD-A8FE A9E0-A9E4 A9E6-A9EF A9FA-A9FE AA7E-AA7F AB30-AB5A AB5C-AB69
    AB70-ABBF
    """
)
_DIGITS_TOO_NEW = _ranges("0DE6-0DEF A9F0-A9F9")
# Signs that count as letters of a word: accents to combine, vowel signs, the soft hyphen.
_LETTER_LIKE = _ranges(
    """
    00AD 02C2-02C5 02D2-02DF 02E5-02EB 02ED 02EF-036F 0375 0378-0379 0384-0385 03F6 0483-0487
    055A-055F 0591-05BD 05BF 05C1-05C2 05C4-05C5 05C7 0615-061A 064B-065E 0670 06D6-06E4 06E7-06ED
    06FD-06FE 070F 0711 0730-074C 07A6-07B0 07EB-07F3 0900-0903 093C 093E-094E 0951-0955 0962-0963
    0981-0983 09BC 09BE-09C4 09C7-09C8 09CB-09CD 09D7 09E2-09E3 0A01-0A03 0A3C 0A3E-0A4F 0A81-0A83
    0ABC 0ABE-0ACF 0B82 0BBE-0BC2 0BC6-0BC8 0BCA-0BCD 0C01-0C03 0C3E-0C56 0D3E-0D44 0D46-0D48 0E31
    0E34-0E3A 0E47-0E4E 0EB1 0EB4-0EBC 0EC8-0ECD
    """
)
_SYMBOLS = _ranges(
    """
    0025-0026 002B 005C 005E 007C 007E 00A1 00A6-00A9 00AC 00AE-00B4 00B6-00B9 00BF 00D7 00F7 037E
    0387 0589 05BE 05C0 05C3 05C6 05F3-05F4 0600-0603 0606-060A 060C 0614 061B 061E-061F 066A 066D
    06D4 0700-070D 07F6-07F8 0964-0965 0E4F 1FBD 2016-2017 201A 201E-2023 2030-2038 203B 203E-2042
    2044 2070 2074-207E 2080-208E 2100-2101 2103-2106 2108-2109 2114 2116-2118 211E-2123 2125 2127
    2129 212E 213A-213B 2140-2144 214A-214D 214F 2155-215E 2190-2BFF 3001-3002 3012 30FB FF01-FF0F
    FF1A-FF20 FF3B-FF40 FF5B-FF65
    """
)

is_letter_like = _member(_LETTER_LIKE)
is_symbol = _member(_SYMBOLS)
_is_new_letter = _member(_LETTERS_TOO_NEW)
_is_new_digit = _member(_DIGITS_TOO_NEW)


def is_letter(character: str) -> bool:
    """A letter of the Unicode of Java 7, without the additions of `is_letter_like`."""
    if character in "\u1885\u1886":  # Letters then, accents today.
        return True
    return (
        character <= "\uffff"
        and unicodedata.category(character).startswith("L")
        and not _is_new_letter(character)
    )


def is_capital(character: str) -> bool:
    """A capital letter."""
    return is_letter(character) and character.isupper()


def is_digit(character: str) -> bool:
    """A decimal digit of any script."""
    return (
        character <= "\uffff"
        and unicodedata.category(character) == "Nd"
        and not _is_new_digit(character)
    )


def is_space(character: str) -> bool:
    """A space that separates words and ends no line."""
    return character in " \t\u00a0\u3000" or "\u2000" <= character <= "\u200a"


def is_line_break(character: str) -> bool:
    """What ends a line for the Java tokenizer."""
    return character in "\r\n\x0b\x0c\x85\u2028\u2029"
