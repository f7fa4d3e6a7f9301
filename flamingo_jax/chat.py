"""Talks with a trained Flamingo about pictures and clips, in the terminal or on a page.

    python -m flamingo_jax.chat --workdir=runs/quickstart --prompt=question
    python -m flamingo_jax.chat --workdir=runs/x --serve

WORKDIR is a run's folder with the stage `flamingo` in it. In the terminal, files are named in the
text: what is in photos/cat.jpg ? The page (--serve) needs gradio: pip install gradio. See
docs/chat.md. Exit codes: 0; 3 something to correct, said in one line; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from flamingo_jax import command_line
from flamingo_jax.core.errors import UserError, exit_on_user_error
from flamingo_jax.training.interruption import INTERRUPTED_EXIT_CODE

if TYPE_CHECKING:
    from flamingo_jax.config import RunConfig
    from flamingo_jax.dialogue.prompt import Style
    from flamingo_jax.dialogue.responder import Limits, Responder
    from flamingo_jax.dialogue.viewer import Viewer

_DIALOGUE, _QUESTION = "dialogue", "question"
_ANSWER_SHARE = 4
_LONGEST_ANSWER = 64
_HOST, _PORT = "127.0.0.1", 7860


def main(arguments: Sequence[str]) -> int:
    """Talks.

    Args:
        arguments: of the command line.

    Returns:
        The exit code.

    Raises:
        UserError: something to correct.
    """
    options = _parse(arguments)
    if options.serve:
        _check_gradio()
    responder = _load(options)
    if num_dropped := responder.begin().num_dropped:
        # The person has not said anything yet: these are examples.
        max_length = responder.limits.max_length
        print(
            f"note: the model takes {max_length} tokens at a time; examples of the prompt left out:"
            f" {num_dropped}",
            file=sys.stderr,
        )
    if options.serve:
        from flamingo_jax.dialogue.page import serve

        serve(responder, options.decoding, options.host, options.port)
        return 0
    from flamingo_jax.dialogue.terminal import Terminal

    Terminal(responder, options.decoding).run()
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="python -m flamingo_jax.chat",
        description="Talks with a trained Flamingo about pictures and clips.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--workdir", required=True, metavar="RUN", help="folder of a run with a flamingo stage")
    add(
        "--prompt",
        choices=(_DIALOGUE, _QUESTION),
        default=_DIALOGUE,
        help="dialogue: the paper's, of User and Flamingo; question: 'Question: … Answer:', as in"
        " the paper's question answering",
    )
    add(
        "--prompt_pictures",
        nargs=3,
        metavar="FILE",
        help="pictures for the dialogue prompt's examples: a kitten, people at dinner, the graph of"
        " a cumulative distribution",
    )
    add(
        "--example",
        action="append",
        nargs=2,
        metavar=("QUESTION", "ANSWER"),
        default=[],
        help="an example without picture in front of the question prompt; may be repeated",
    )
    add("--decoding", choices=("greedy", "beam"), default="greedy", help="to begin with")
    add("--max_length", type=int, help="tokens of prompt and answer (default: the longest trained)")
    add("--max_answer_length", type=int, help="tokens of an answer")
    add("--serve", action="store_true", help="a page in the browser instead of the terminal")
    add("--host", default=_HOST, help=f"address that the page is served on (default: {_HOST})")
    add("--port", type=int, default=_PORT, help=f"its port (default: {_PORT}; 0: a free one)")
    return parser.parse_args(arguments)


class _Parser(argparse.ArgumentParser):
    """Raises a `UserError` where argparse would print a page and leave."""

    def error(self, message: str) -> NoReturn:
        """Says what is wrong with the arguments."""
        raise UserError(f"{message}; see `{self.prog} --help`")


def _check_gradio() -> None:
    import importlib.util

    if importlib.util.find_spec("gradio") is None:
        raise UserError(
            "--serve needs gradio, which is not installed: see docs/chat.md; without --serve the"
            " conversation is in the terminal"
        )


def _load(options: argparse.Namespace) -> Responder:
    """The run's newest checkpoint, ready to answer."""
    # These load JAX, which takes seconds: not for a misspelt flag.
    with command_line.quiet_loading():
        from flamingo_jax.config import MeshConfig
        from flamingo_jax.data import vocabulary
        from flamingo_jax.dialogue.responder import Responder
        from flamingo_jax.dialogue.viewer import Viewer
        from flamingo_jax.evaluation.answering import FewShotModel
        from flamingo_jax.models import build
        from flamingo_jax.sharding.mesh import make_mesh
        from flamingo_jax.training import stages
        from flamingo_jax.training.trained import saved_config

    folder = Path(options.workdir).expanduser() / stages.FLAMINGO
    # One conversation is no batch to be split; the weights stay split as they were.
    mesh = make_mesh(MeshConfig(model=saved_config(folder, stages.FLAMINGO).mesh.model))
    trained = stages.load_stage(options.workdir, stages.FLAMINGO, mesh)
    vision_encoder = trained.config.model.vision_encoder
    assert vision_encoder is not None, "every config of the flamingo stage has one"
    model = FewShotModel(
        functions=build.build_flamingo(trained.config.model),
        params=trained.params,
        mesh=mesh,
        vocabulary=vocabulary.load(trained.config.vocabulary),
        image_size=vision_encoder.image_size,
        checkpoint=f"{stages.FLAMINGO}/{trained.step}",
    )
    clips = max(trained.config.data, key=lambda dataset: dataset.num_frames)
    viewer = Viewer(model, clips.num_frames, clips.frames_per_second)
    return Responder(model, viewer, _style(options, viewer), _limits(options, trained.config))


def _style(options: argparse.Namespace, viewer: Viewer) -> Style:
    from flamingo_jax.dialogue.media import read_medium
    from flamingo_jax.dialogue.prompt import dialogue_style, question_style

    if options.prompt == _QUESTION:
        if options.prompt_pictures:
            raise UserError("--prompt_pictures belong to --prompt=dialogue")
        return question_style([(question, answer) for question, answer in options.example])
    if options.example:
        raise UserError("--example belongs to --prompt=question")
    files = [Path(name).expanduser() for name in options.prompt_pictures or ()]
    return dialogue_style([viewer.look(read_medium(file, str(file))) for file in files])


def _limits(options: argparse.Namespace, config: RunConfig) -> Limits:
    """As given, else what the model was trained on."""
    from flamingo_jax.dialogue.responder import Limits

    longest = max(dataset.max_text_length for dataset in config.data)
    max_length = longest if options.max_length is None else options.max_length
    max_answer_length = options.max_answer_length
    if max_answer_length is None:
        max_answer_length = max(min(_LONGEST_ANSWER, max_length // _ANSWER_SHARE), 1)
    if not 1 <= max_answer_length < max_length:
        raise UserError(
            f"--max_answer_length={max_answer_length} must be at least 1 and below"
            f" --max_length={max_length}, which the prompt is part of"
        )
    return Limits(
        max_length=max_length,
        max_answer_length=max_answer_length,
        beam_width=config.evaluation.beam_width,
        length_penalty=config.evaluation.length_penalty,
    )


if __name__ == "__main__":
    try:
        sys.exit(exit_on_user_error(main)(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        sys.exit(INTERRUPTED_EXIT_CODE)
