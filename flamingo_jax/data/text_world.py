"""The world in text alone: what the language model reads before it ever sees a picture.

Pages are written as a browser without pictures shows them, each picture replaced by its
alternative text in the same angle brackets as the tag `<image>`: "<red seven>Output: dax". Two
further kinds teach to look things up on the page: word lists that repeat themselves, and
dictionaries of arbitrary words (repeated random sequences bring about induction, Olsson et al.
2022, arXiv 2209.11895).
"""

from __future__ import annotations

import numpy as np

from flamingo_jax.data import grammar, scenes, world

_WORDS = tuple(
    dict.fromkeys(
        (
            *grammar.DIGIT_WORDS,
            *grammar.PLURAL_WORDS,
            *grammar.COUNT_WORDS,
            *scenes.INKS,
            *scenes.GROUNDS,
            *scenes.PLACES,
        )
    )
)

# The further the name stands from what it names, the harder it is to look up: all distances occur.
_DICTIONARY_FORMS = (
    "<{key}>Output: {value}",
    "<{key}> this is {value}",
    "<{key}> {value}",
    " {key} is {value}",
    " {key}: {value}",
    " {key} {value}",
)


def document(random: np.random.Generator, split: str) -> str:
    """A text of the world: a page with alternative texts, a pair, a list, or a dictionary."""
    kind = random.random()
    if kind < 0.5:
        num_images = int(random.integers(6, 18))
        page = world.page(random, split, num_images, world.TEXT_PAGE_WEIGHTS)
        return page_text(page, random)
    if kind < 0.6:
        pairs = [
            (world.clean_pair, world.noisy_pair, world.clip_pair)[random.integers(3)](random, split)
            for _ in range(6)
        ]
        return "\n".join(page_text(pair, random) for pair in pairs)
    if kind < 0.8:
        return repeated_list(random)
    return dictionary(random)


def page_text(page: world.Document, random: np.random.Generator) -> str:
    """A page with every picture replaced by its alternative text, a line each."""
    lines = [page.chunks[0]]
    for frames, chunk in zip(page.media, page.chunks[1:], strict=True):
        lines.append(grammar.alternative_text(frames[0], random) + chunk)
    return "\n".join(lines).strip("\n")


def repeated_list(random: np.random.Generator) -> str:
    """A random list of words and names, said twice or more."""
    vocabulary = (*_WORDS, *grammar.NAMES)
    size = int(random.integers(5, 30))
    words = [vocabulary[index] for index in random.integers(len(vocabulary), size=size)]
    return " ".join(words * (90 // size))


def dictionary(random: np.random.Generator) -> str:
    """Arbitrary words with a made-up name each, looked up again and again."""
    num_entries = int(random.integers(2, 7))
    vocabulary = (*_WORDS, *grammar.NAMES)
    keys = [vocabulary[index] for index in random.permutation(len(vocabulary))[:num_entries]]
    values = grammar.draw_names(random, num_entries)
    form = _DICTIONARY_FORMS[random.integers(len(_DICTIONARY_FORMS))]
    order = random.integers(num_entries, size=int(random.integers(10, 20)))
    return "\n".join(form.format(key=keys[entry], value=values[entry]) for entry in order)
