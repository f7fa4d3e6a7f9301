"""The texts that together stand for a class in zero-shot classification (paper, appendix B.1.3).

Templates such as "A photo of a {class_name}" make them. The shipped templates are in `templates/`,
a file for each benchmark, a template a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flamingo_jax.core.errors import UserError

CLASS_NAME = "{class_name}"

TEMPLATES_FOLDER = Path(__file__).parent / "templates"
"""Folder of the templates that come with the package: `<benchmark>.txt`."""


def read_templates(path: Path) -> tuple[str, ...]:
    """Reads a file of templates.

    Args:
      path: a template a line; empty lines, and lines that begin with "#", are passed over.

    Raises:
      UserError: there is no such file, it has no template, or a template has no place for the name
        of the class, or a second place in braces.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"templates {str(path)!r} cannot be read ({error})") from None
    templates: dict[str, None] = {}  # Each once, in their order.
    for number, line in enumerate(lines, start=1):
        template = line.strip()
        if not template or template.startswith("#"):
            continue
        if CLASS_NAME not in template or set("{}") & set(template.replace(CLASS_NAME, "")):
            raise UserError(
                f"templates {str(path)!r} line {number}: {template!r:.80}; expected a text with"
                f" {CLASS_NAME} in it and no other braces"
            )
        templates[template] = None
    if not templates:
        raise UserError(f"templates {str(path)!r}: there is none in it; expected one a line")
    return tuple(templates)


def class_texts(templates: Sequence[str], class_name: str) -> tuple[str, ...]:
    """What the templates say of a class."""
    return tuple(template.replace(CLASS_NAME, class_name) for template in templates)
