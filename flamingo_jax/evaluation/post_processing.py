"""From what a model says to the answer that is scored.

A model that does not say `<EOC>` goes on with the next prompt: what it says is cut before the words
that prompts are made of (paper, appendix B). Nothing else is changed: the measures have the rules
of their benchmarks.
"""

from __future__ import annotations

from collections.abc import Iterable

from flamingo_jax.data import schema


def answer_of(text: str, keywords: Iterable[str]) -> str:
    """The answer in a generated text.

    Args:
      text: as the model said it.
      keywords: words such as "Question:" that answers do not have.

    Returns:
      What stands before the first keyword or picture's tag, on one line, without outer spaces.
    """
    places = [text.find(word) for word in (*keywords, schema.IMAGE_TAG)]
    found = [place for place in places if place >= 0]
    return " ".join(text[: min(found)].split() if found else text.split())
