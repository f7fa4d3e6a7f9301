"""What prompts say about the items of a benchmark (paper, figure 8 and appendix A.2)."""

from __future__ import annotations

import string
from collections.abc import Sequence

from flamingo_jax.evaluation.benchmarks.benchmark import Item
from flamingo_jax.evaluation.task import said

_QUESTION, _ANSWER = "Question:", "Answer:"


def lead(template: str, item: Item) -> str:
    """What stands in front of the answer about an item: "Question: what is it? Answer:".

    Args:
      template: of the benchmark; see `benchmark_task`.
      item: question and history go into the template as they are, braces and all.
    """
    return template.format(question=item.question, history=history(item.history))


def shot_text(template: str, item: Item) -> str:
    """What a shot says about an item, with its first answer."""
    return said(lead(template, item), item.answers[0])


def history(texts: Sequence[str]) -> str:
    """A dialog before its last question: the caption alone, then every turn as it was asked.

    Args:
      texts: the caption, then question and answer in turn; or none.
    """
    caption, turns = texts[:1], texts[1:]
    asked = zip(turns[::2], turns[1::2], strict=True)
    told = (f"{_QUESTION} {question} {_ANSWER} {answer}" for question, answer in asked)
    return " ".join((*caption, *told))


def keywords(template: str) -> tuple[str, ...]:
    """The words of a template that end with a colon: where an answer goes on as a next prompt."""
    literal = " ".join(text for text, *_ in string.Formatter().parse(template))
    return tuple(dict.fromkeys(word for word in literal.split() if word.endswith(":")))
