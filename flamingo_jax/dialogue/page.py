"""The page in the browser: a conversation with files dropped into it, served by Gradio."""

from __future__ import annotations

import dataclasses
import html
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from flamingo_jax.core.errors import UserError
from flamingo_jax.dialogue.conversation import Conversation
from flamingo_jax.dialogue.gate import Gate
from flamingo_jax.dialogue.media import MAX_FILE_BYTES, SUFFIXES
from flamingo_jax.dialogue.message import File
from flamingo_jax.dialogue.responder import DECODINGS, Responder
from flamingo_jax.dialogue.session import dropped, put, take_in

if TYPE_CHECKING:
    import gradio

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
MESSAGE, SHOWN, NOTE, DECODING, AFRESH = "message", "shown", "note", "decoding", "afresh"
"""Names of the page's elements."""

_UPLOADS_KEPT_SECONDS = 3600
_SECONDS_BETWEEN_CLEARING = 300
_SESSION_KEPT_SECONDS = 3600
_MAX_SESSIONS = 64
_NO_ANSWER = "(no answer)"
_SIGNALLED = 128
_STYLE = f"#{SHOWN} [title=Share] {{display: none}}"
"""Gradio puts a button on pictures that would upload them to another server."""
_SECONDS_FOR_LAST_ANSWERS = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Talk:
    """A person's conversation and how the page shows it.

    Attributes:
        conversation: what the model gets.
        shown: messages as `gradio.Chatbot` takes them; all, also those that the model has no room
            for any more.
    """

    conversation: Conversation
    shown: tuple[Mapping[str, Any], ...] = ()

    def show(self, role: str, content: str | Mapping[str, str]) -> Talk:
        """With a further message shown: text, or a file."""
        if isinstance(content, str):
            # Without Markdown too, Gradio takes what looks like HTML for HTML.
            content = html.escape(content, quote=False)
        return dataclasses.replace(self, shown=(*self.shown, {"role": role, "content": content}))


def answers(
    responder: Responder, talk: Talk, text: str, files: list[str], decoding: str
) -> Iterator[tuple[Talk, str]]:
    """Answers a message of the page.

    Args:
        responder: answers.
        talk: so far.
        text: of the message.
        files: uploads.
        decoding: "greedy" or "beam".

    Yields:
        The talk and a note for the person: first as soon as the message is taken, the conversation
        still without it, then with the answer so far.

    Raises:
        UserError: the message cannot be used; the talk is what it was.
    """
    if decoding not in DECODINGS:  # Who sends it need not be the page.
        raise UserError(f"decoding {decoding!r}: expected one of {', '.join(DECODINGS)}")
    paths = [Path(file) for file in files]
    parts = take_in(responder, [*(File(path, path.name) for path in paths), text])
    fitted = put(responder, talk.conversation, parts)
    note = dropped(fitted.num_dropped, responder.limits.max_length) if fitted.num_dropped else ""
    for path in paths:
        talk = talk.show("user", {"path": str(path), "alt_text": path.name})
    if text.strip():
        talk = talk.show("user", text.strip())
    yield talk, note
    for so_far in responder.answer(fitted.conversation, decoding):
        answered = talk.show("assistant", so_far or _NO_ANSWER)
        yield dataclasses.replace(answered, conversation=fitted.conversation.hear(so_far)), note


def make_page(responder: Responder, decoding: str) -> gradio.Blocks:
    """The page.

    Args:
        responder: answers.
        decoding: chosen to begin with.
    """
    import gradio

    send, start_afresh = _handlers(responder)
    with gradio.Blocks(
        title="Flamingo",
        analytics_enabled=False,
        delete_cache=(_SECONDS_BETWEEN_CLEARING, _UPLOADS_KEPT_SECONDS),
        fill_height=True,
    ) as page:
        talk = gradio.State(None, time_to_live=_SESSION_KEPT_SECONDS)
        shown = gradio.Chatbot(
            label="Flamingo",
            elem_id=SHOWN,
            scale=1,
            render_markdown=False,  # What the model and the person write is text.
            buttons=["copy"],
            feedback_options=None,
        )
        note = gradio.Textbox(visible=False, interactive=False, label="Note", elem_id=NOTE)
        message = gradio.MultimodalTextbox(
            elem_id=MESSAGE,
            file_count="multiple",
            file_types=list(SUFFIXES),
            placeholder="Write, and drop pictures and clips here",
            show_label=False,
            autofocus=True,
        )
        with gradio.Row():
            decoded = gradio.Radio(
                list(DECODINGS), value=decoding, label="Answers are found by", elem_id=DECODING
            )
            afresh = gradio.Button("New conversation", elem_id=AFRESH)
        # While an answer is on its way nothing is sent, and people wait for one another.
        sending = message.submit(
            send,
            [message, talk, decoded],
            [message, shown, talk, note],
            trigger_mode="once",
            concurrency_limit=1,
            show_progress="hidden",
            api_visibility="private",
        )
        for event in (afresh.click, shown.clear):
            event(
                start_afresh,
                None,
                [shown, talk, note],
                cancels=[sending],
                api_visibility="private",
            )
    page.state_session_capacity = _MAX_SESSIONS
    return page


def _handlers(
    responder: Responder,
) -> tuple[Callable[..., Iterator[tuple[Any, ...]]], Callable[[], tuple[Any, ...]]]:
    """What the page does when a message is sent, and when a conversation is begun."""
    import gradio

    def begin() -> Talk:
        return Talk(conversation=responder.begin().conversation)

    def send(
        message: Mapping[str, Any], talk: Talk | None, decoding: str
    ) -> Iterator[tuple[Any, ...]]:
        talk = talk or begin()
        # Emptied once: what is written during the answer stays.
        box: Any = {"text": "", "files": []}
        try:
            text, files = message["text"] or "", list(message["files"] or ())
            for now, note in answers(responder, talk, text, files, decoding):
                yield box, list(now.shown), now, gradio.update(value=note, visible=bool(note))
                box = gradio.skip()
        except UserError as error:
            # The message stays where it is, to be mended.
            note = gradio.update(value=str(error), visible=True)
            yield gradio.skip(), gradio.skip(), gradio.skip(), note

    def start_afresh() -> tuple[Any, ...]:
        return [], begin(), gradio.update(value="", visible=False)

    return send, start_afresh


def make_application(page: gradio.Blocks, uploads: Path, hosts: frozenset[str] | None) -> Gate:
    """The server's application.

    Args:
        page: to serve.
        uploads: folder for what people upload.
        hosts: see `Gate`.
    """
    import fastapi
    import gradio

    # The default fonts come from a server of Google's.
    theme = gradio.themes.Default(
        font=("system-ui", "sans-serif"), font_mono=("ui-monospace", "monospace")
    )
    application = gradio.mount_gradio_app(
        fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        page,
        path="/",
        allowed_paths=[],
        max_file_size=MAX_FILE_BYTES,
        show_error=False,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        theme=theme,
        css=_STYLE,
    )
    return Gate(application, uploads=uploads, hosts=hosts)


def serve(
    responder: Responder,
    decoding: str,
    host: str,
    port: int,
    started: Callable[[str], None] = lambda url: print(f"the page is at {url} (Ctrl-C ends)"),
) -> None:
    """Serves the page until Ctrl-C.

    Args:
        responder: answers.
        decoding: chosen to begin with.
        host: address to serve on; other machines see the page unless it is one of `LOOPBACK`.
        port: 0: a free one.
        started: is called with the page's address.

    Raises:
        UserError: the address cannot be had.
    """
    # Uploads are removed when the server is told to end, too.
    signal.signal(signal.SIGTERM, _end)
    listening = _listen(host, port)
    is_loopback = host in LOOPBACK
    if not is_loopback:
        print(
            f"warning: whoever reaches {host} can use this page and the model, without a password",
            file=sys.stderr,
        )
    with tempfile.TemporaryDirectory(prefix="flamingo-uploads-") as folder:
        uploads = Path(folder).resolve()
        _set_up_gradio(uploads)
        import uvicorn

        page = make_page(responder, decoding)
        application = make_application(page, uploads, LOOPBACK if is_loopback else None)
        config = uvicorn.Config(
            application,
            log_level="warning",
            timeout_graceful_shutdown=_SECONDS_FOR_LAST_ANSWERS,
            server_header=False,
        )
        address, bound_port = listening.getsockname()[:2]
        name = f"[{address}]" if ":" in address else address
        started(f"http://{name}:{bound_port}/")
        uvicorn.Server(config).run(sockets=[listening])


def _end(number: int, frame: object) -> NoReturn:
    """Ends the process as a signal would, but not without clearing up."""
    del frame
    sys.exit(_SIGNALLED + number)


def _listen(host: str, port: int) -> socket.socket:
    """A socket at an address.

    Raises:
        UserError: there is none to be had.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()  # Who asks early waits for the first answer.
    except (OSError, OverflowError) as error:
        raise UserError(
            f"the page cannot be served at --host={host} --port={port} ({error}); --port=0 takes a"
            " free one"
        ) from None
    return listening


def _set_up_gradio(uploads: Path) -> None:
    """What Gradio takes from the environment when it is loaded."""
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]  # Paths to show, a share link, ...: none of it is for this page.
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
