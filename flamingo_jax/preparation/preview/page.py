"""The page of `preview`: one file, nothing loaded from elsewhere, no script.

Texts come from the web: all of them are escaped, and the page forbids its browser to run or load
anything, should one ever get through.
"""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flamingo_jax.data import schema
from flamingo_jax.data.vocabulary import Vocabulary
from flamingo_jax.preparation.preview import pictures, tokens
from flamingo_jax.preparation.preview.examples import DatasetPreview, Example
from flamingo_jax.preparation.preview.style import STYLE

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# Consecutive multiples of the golden angle: neighbours differ much, and no two are ever the same.
_FIRST_HUE, _HUE_STEP = 210.0, 137.508


def to_html(previews: Sequence[DatasetPreview], vocabulary: Vocabulary, title: str) -> str:
    """The page.

    Args:
        previews: the datasets with their examples.
        vocabulary: of the token ids.
        title: what was asked for, such as the config's name.

    Returns:
        A whole HTML document.
    """
    sections = [_section(number, preview, vocabulary) for number, preview in enumerate(previews)]
    links = "".join(
        f'<a href="#dataset-{number}">{_escaped(preview.dataset.name)}</a>'
        for number, preview in enumerate(previews)
    )
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_escaped(title)}</title>",
            f"<style>{STYLE}{_hues(previews)}</style></head><body>",
            f"<header><h1>{_escaped(title)}</h1><nav>{links}</nav>{_legend(previews)}</header>",
            *sections,
            "</body></html>\n",
        ]
    )


def _hues(previews: Sequence[DatasetPreview]) -> str:
    """A colour for each picture."""
    most = max((preview.dataset.max_images for preview in previews), default=0)
    return "".join(
        f".picture-{number}{{--hue:{(_FIRST_HUE + (number - 1) * _HUE_STEP) % 360:.0f}}}"
        for number in range(1, most + 1)
    )


def _legend(previews: Sequence[DatasetPreview]) -> str:
    keys = {key for preview in previews for example in preview.examples for key in example.row}
    items = []
    if schema.MEDIA_INDEX in keys:
        items += [
            '<span class="sees picture-1">1</span><span class="token picture-1">colour of picture'
            " 1</span>: may see picture 1 (phi)",
            '<span class="sees picture-0">none</span><span class="token picture-0">no colour'
            "</span>: sees no picture",
        ]
    if schema.LOSS_WEIGHT in keys:
        items += [
            '<span class="token picture-0 scored">underlined</span>: has a loss',
            '<span class="token picture-0 unscored">pale</span>: has none',
        ]
    items.append('<span class="token control">&lt;EOC&gt;</span>: a control token')
    items.append("point at a token for its id, its phi and its loss weight")
    return f'<p class="legend">{"".join(f"<span>{item}</span>" for item in items)}</p>'


def _section(number: int, preview: DatasetPreview, vocabulary: Vocabulary) -> str:
    dataset = preview.dataset
    counts = ", ".join(f"{name} {n:,}" for name, n in preview.counts.items())
    fields = "".join(
        f"<tr><th>{_escaped(name)}</th><td>{_escaped(repr(value))}</td></tr>"
        for name, value in _flat("", dataclasses.asdict(dataset))
    )
    articles = "".join(_article(example, vocabulary) for example in preview.examples)
    return (
        f'<section id="dataset-{number}"><h2>{_escaped(dataset.name)}'
        f" <small>{_escaped(dataset.source)}</small></h2>"
        f'<p class="counts">{_escaped(_average(preview))}; samples {_escaped(counts)}</p>'
        f"<details><summary>all fields of the dataset</summary><table>{fields}</table></details>"
        f"{articles}</section>"
    )


def _average(preview: DatasetPreview) -> str:
    """How full the rows are."""
    texts = [example.row[schema.TEXT] for example in preview.examples]
    used = sum(map(tokens.num_tokens, texts))
    room = sum(map(len, texts))
    words = [f"{used / max(room, 1):.0%} of {preview.dataset.max_text_length} tokens used"]
    if all(schema.LOSS_WEIGHT in example.row for example in preview.examples):
        scored = sum(int((e.row[schema.LOSS_WEIGHT] > 0).sum()) for e in preview.examples)
        words.append(f"{scored / max(used, 1):.0%} of these have a loss")
    return ", ".join(words)


def _article(example: Example, vocabulary: Vocabulary) -> str:
    row = example.row
    used, room = tokens.num_tokens(row[schema.TEXT]), len(row[schema.TEXT])
    facts = [f"{used} tokens", f"{room - used} padding"]
    if schema.LOSS_WEIGHT in row:
        facts.append(f"{int((row[schema.LOSS_WEIGHT] > 0).sum())} with a loss")
    figures = ""
    if schema.MEDIA in row:
        media_IFHWC = row[schema.MEDIA]
        kind = "clips" if media_IFHWC.shape[1] > 1 else "pictures"
        facts.append(f"{pictures.num_pictures(media_IFHWC)} of {len(media_IFHWC)} {kind}")
        figures = pictures.to_html(media_IFHWC)
    badges = "".join(f"<span>{fact}</span>" for fact in facts)
    return (
        f'<article><h3>position {example.position}<span class="facts">{badges}</span></h3>'
        f'<div class="example">{figures}'
        f'<p class="text">{tokens.to_html(row, vocabulary)}</p></div></article>'
    )


def _flat(path: str, fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{path}{name}.", value)
        else:
            yield f"{path}{name}", value


def _escaped(text: str) -> str:
    return html.escape(tokens.visible(text), quote=True)
