"""`prepare preview`: a page of examples exactly as the model gets them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from flamingo_jax.core.errors import UserError
from flamingo_jax.core.files import write_atomic
from flamingo_jax.data import vocabulary
from flamingo_jax.preparation.arguments import ArgumentParser, at_least
from flamingo_jax.preparation.config_arguments import LoadConfig, add_config_arguments, chosen
from flamingo_jax.preparation.preview import examples, page

_EXAMPLE = """
--config=configs/quickstart.py:flamingo --output=preview.html
--config=configs/quickstart.py:flamingo --config.data[0].p_next=1.0 --dataset=pages --output=p.html
"""


def main(
    arguments: Sequence[str],
    load_config: LoadConfig,
    quiet_loading: Callable[[], AbstractContextManager[None]],
) -> int:
    """Runs the command.

    Args:
        arguments: those after the command's name.
        load_config: reads a config.
        quiet_loading: holds back what libraries say while they are loaded.

    Returns:
        The exit code, 0.

    Raises:
        UserError: wrong arguments, or a dataset that cannot be opened or has too many bad samples.
    """
    given, overrides = _parser().parse_known_args(arguments)
    output = Path(given.output).expanduser()
    if not output.absolute().parent.is_dir():
        raise UserError(f"--output={output}: there is no folder {output.absolute().parent}")
    config = load_config(given.config, overrides)
    datasets = chosen(config, given.dataset)
    pieces = vocabulary.load(config.vocabulary)
    with quiet_loading():
        import flamingo_jax.data.tasks.examples  # noqa: F401  Loads TensorFlow.
    previews = [
        examples.take(dataset, pieces, config.stage, given.start, given.examples)
        for dataset in datasets
    ]
    title = " ".join([given.config, *overrides])
    write_atomic(output, page.to_html(previews, pieces, title))
    names = ", ".join(dataset.name for dataset in datasets)
    print(f"{given.examples} examples each of {names}: {output}")
    return 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        "preview", "Writes an HTML page of examples exactly as the model gets them.", _EXAMPLE
    )
    add = parser.add_argument
    add_config_arguments(parser, is_required=True)
    add("--output", required=True, metavar="FILE.html", help="the page; needs no other file")
    add("--examples", type=at_least(1), default=20, metavar="N",
        help="examples of each dataset (default: 20)")  # fmt: skip
    add("--start", type=at_least(0), default=0, metavar="POSITION",
        help="position of the first one in its dataset (default: 0)")  # fmt: skip
    return parser
