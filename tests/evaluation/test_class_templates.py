"""Templates and prompt ensembles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.class_templates import (
    CLASS_NAME,
    TEMPLATES_FOLDER,
    class_texts,
    read_templates,
)
from flamingo_jax.evaluation.contrastive import embed_classes
from tests.evaluation.two_towers import embed_alone, random_model


def test_a_class_is_the_normalised_mean_of_its_texts() -> None:
    model = random_model()
    names = ["tench", "crane bird", "tank suit"]
    templates = ["A photo of a {class_name}", "{class_name}", "the {class_name}: {class_name}!"]
    found_CE = embed_classes(model, [class_texts(templates, name) for name in names])
    for name, found_E in zip(names, found_CE, strict=True):
        texts = [f"A photo of a {name}", name, f"the {name}: {name}!"]
        total = sum(embed_alone(model, text) for text in texts)
        assert found_E == pytest.approx(total / np.linalg.norm(total), abs=1e-5)
    assert np.abs(found_CE[0] - found_CE[1]).max() > 1e-3


@pytest.mark.parametrize(
    ("name", "first"),
    [("imagenet", "A photo of a tench"), ("kinetics700", "A photo of tench")],
)
def test_the_shipped_templates_are_ensembles(name: str, first: str) -> None:
    templates = read_templates(TEMPLATES_FOLDER / f"{name}.txt")
    texts = class_texts(templates, "tench")
    assert texts[0] == first and len(set(texts)) == len(texts) > 5
    assert all("tench" in text and "{" not in text for text in texts)


def test_comments_empty_and_repeated_lines_are_no_templates(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(f"# {CLASS_NAME}\n\n  a {CLASS_NAME} \na {CLASS_NAME}\n")
    assert read_templates(tmp_path / "t.txt") == (f"a {CLASS_NAME}",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a photo", "line 1: 'a photo'; expected a text with {class_name}"),
        (f"{CLASS_NAME}\na {{}} {CLASS_NAME}", "line 2"),
        ("# nothing\n", "there is none in it"),
        (None, "cannot be read"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "t.txt").write_text(content)
    with pytest.raises(UserError, match=said):
        read_templates(tmp_path / "t.txt")
