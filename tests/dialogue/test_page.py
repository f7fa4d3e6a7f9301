"""The page: what it does with messages, its server over HTTP, and all of it in a browser."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.dialogue.conversation import Conversation
from flamingo_jax.dialogue.page import AFRESH, DECODING, NOTE, SHOWN, Talk, answers
from tests.dialogue import browser, tiny, visitor
from tests.dialogue.scripted import ScriptedResponder
from tests.e2e import tiny_run

REPOSITORY = Path(__file__).resolve().parents[2]
START = Talk(conversation=Conversation())

needs_gradio = pytest.mark.skipif(
    importlib.util.find_spec("gradio") is None, reason="gradio is not installed (extra `serve`)"
)
needs_browser = pytest.mark.skipif(bool(browser.missing()), reason=browser.missing())


def test_an_answer_is_shown_while_it_grows(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(tiny.png())
    file = str(tmp_path / "cat.png")
    states = list(answers(ScriptedResponder(), START, " what is it? ", [file], "greedy"))
    assert len(states) == 7 and {note for _, note in states} == {""}
    taken = states[0][0]
    assert len(taken.shown) == 2 and taken.conversation is START.conversation
    for number, (talk, _) in enumerate(states[1:], start=1):
        words = ["(greedy)", "1", "pictures:", "what", "is", "it?"][:number]
        assert [message["role"] for message in talk.shown] == ["user", "user", "assistant"]
        assert talk.shown[0]["content"] == {"path": file, "alt_text": "cat.png"}
        assert talk.shown[1]["content"] == "what is it?"
        assert talk.shown[2]["content"] == talk.conversation.turns[0].answer == " ".join(words)


def test_all_turns_stay_in_view_when_the_model_has_no_room() -> None:
    responder, talk, notes = ScriptedResponder(max_turns=2), START, []
    for text in ("one", "two", "three"):
        *_, (talk, note) = answers(responder, talk, text, [], "greedy")
        notes.append(note)
    assert len(talk.shown) == 6 and len(talk.conversation.turns) == 2
    assert notes[:2] == ["", ""] and "the oldest turn is left out" in notes[2]


@pytest.mark.parametrize(
    ("text", "names", "decoding", "said"),
    [
        ("", [], "greedy", "nothing in the message"),
        ("hi", ["broken.png"], "greedy", r"cannot use broken\.png"),
        ("hi", ["words.png"], "greedy", r"words\.png: neither a picture"),
        ("hi", ["none.png"], "greedy", r"^none\.png: no such file"),
        ("hi", ["cat.png"] * 9, "greedy", "9 files in one message; 8 at most"),
        ("hi", [], "sampling", "decoding 'sampling': expected one of greedy, beam"),
    ],
)
def test_what_cannot_be_used_is_said_without_the_server_s_folders(
    tmp_path: Path, text: str, names: list[str], decoding: str, said: str
) -> None:
    (tmp_path / "cat.png").write_bytes(tiny.png())
    (tmp_path / "words.png").write_text("words")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    files = [str(tmp_path / name) for name in names]
    with pytest.raises(UserError, match=said) as raised:
        list(answers(ScriptedResponder(), START, text, files, decoding))
    assert str(tmp_path) not in str(raised.value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Server:
    """A running page.

    Attributes:
        process: its process.
        url: of the page, without the last slash.
        errors: file of what it says.
    """

    process: subprocess.Popen[str]
    url: str
    errors: Path

    def get(self, path: str) -> int:
        """Status of a request."""
        return self.ask(urllib.request.Request(f"{self.url}{path}"))[0]

    def ask(self, request: urllib.request.Request) -> tuple[int, bytes]:
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                request, timeout=60
            ) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def upload(self, data: bytes, name: str = "cat.png") -> tuple[int, bytes]:
        """Sends a file as the page does."""
        head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
        request = urllib.request.Request(
            f"{self.url}/gradio_api/upload",
            head.encode() + data + b"\r\n--x--\r\n",
            {"Content-Type": "multipart/form-data; boundary=x"},
        )
        return self.ask(request)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The page of a tiny random Flamingo, as the command serves it."""
    folder = tmp_path_factory.mktemp("page")
    errors = folder / "errors"
    command = [
        sys.executable, "-m", "flamingo_jax.chat", f"--workdir={tiny.write_run(folder / 'run')}",
        "--prompt=question", "--max_answer_length=8", "--serve", "--port=0",
    ]  # fmt: skip
    environment = tiny_run.environment(folder / "compiled") | {
        "PYTHONUNBUFFERED": "1",
        # None of it may reach the page.
        "GRADIO_ALLOWED_PATHS": "/etc",
        "GRADIO_SHARE": "True",
        "GRADIO_SERVER_NAME": "0.0.0.0",
    }
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=stderr,
            text=True,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said.startswith("the page is at http://127.0.0.1:"), errors.read_text()
        yield Server(process=process, url=said.split()[4].rstrip("/"), errors=errors)
    finally:
        process.terminate()
        process.communicate(timeout=60)


@needs_gradio
def test_the_server_shows_no_files_but_uploads(server: Server) -> None:
    assert server.get("/") == 200
    for path in (
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=../../../../etc/passwd",
        "/gradio_api/file=%2e%2e/%2e%2e/etc/passwd",
        f"/gradio_api/file={REPOSITORY}/setup.py",
        "/gradio_api/file=setup.py",
        "/gradio_api/file=http://127.0.0.1:1/",
        "/file=/etc/passwd",
        "/gradio_api/info",
        "/gradio_api/proxy=https://x.hf.space/",
        "/docs",
    ):
        assert server.get(path) in (403, 404), path
    status, answer = server.upload(tiny.png())
    assert status == 200
    path = json.loads(answer)[0]
    assert server.get(f"/gradio_api/file={path}") == 200
    uploads = next(folder for folder in Path(path).parents if "flamingo-uploads" in folder.name)
    assert uploads.stat().st_mode & 0o077 == 0
    assert server.get(f"/gradio_api/file={uploads}/../{uploads.name}") in (403, 404)


@needs_gradio
def test_large_uploads_are_refused(server: Server) -> None:
    assert server.upload(bytes(20 * 1024 * 1024 + 1))[0] == 413
    assert server.upload(bytes(1024 * 1024))[0] == 200


@needs_gradio
def test_the_page_asks_nothing_of_other_servers(server: Server) -> None:
    _, page = server.ask(urllib.request.Request(f"{server.url}/config"))
    config = json.loads(page)
    assert "fonts.googleapis" not in page.decode()
    assert config["analytics_enabled"] is False
    assert not config["space_id"] and not config["footer_links"]


@needs_gradio
@needs_browser
def test_a_conversation_in_the_browser(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(tiny.png())
    (tmp_path / "words.png").write_text("words")
    with browser.open_browser(tmp_path) as page:
        page.open(f"{server.url}/")

        def is_answered(count: int) -> bool:
            return visitor.num_answers(page) == count

        visitor.send(page, "<b>what</b> is it? 1 < 2", tmp_path / "cat.png", lambda: is_answered(1))
        assert page.run(f"return document.querySelector('#{SHOWN} img').naturalWidth") == 40
        shared = (
            f"return getComputedStyle(document.querySelector('#{SHOWN} [title=Share]')).display"
        )
        assert page.run(shared) == "none"
        # What a person writes is shown as text, not as a part of the page.
        assert "<b>what</b> is it? 1 < 2" in page.text(f"#{SHOWN}")
        page.click(f"#{DECODING} input[value=beam]")
        visitor.send(page, "and now?", None, lambda: is_answered(2))
        visitor.send(page, "this one?", tmp_path / "words.png", lambda: bool(page.run(_NOTE)))
        assert "words.png: neither a picture" in page.run(_NOTE)
        assert visitor.written(page) == "this one?"
        page.click(f"#{AFRESH}")
        page.wait_for(lambda: is_answered(0), "an empty page")
        # Requests to other servers would be refused by the page's own policy, and logged.
        assert [line for line in page.log() if "words" not in line] == []
    assert server.process.poll() is None
    assert "Traceback" not in server.errors.read_text()


_NOTE = f"const e = document.querySelector('#{NOTE} textarea'); return e ? e.value : ''"


@needs_gradio
def test_the_end_of_the_server_removes_uploads(server: Server) -> None:
    """The last test: it ends the server that the others ask."""
    path = Path(json.loads(server.upload(tiny.png())[1])[0])
    end = time.monotonic() + 10
    while not path.is_file() and time.monotonic() < end:
        time.sleep(0.05)
    server.process.terminate()
    server.process.wait(timeout=60)
    uploads = next(folder for folder in path.parents if "flamingo-uploads" in folder.name)
    assert not uploads.exists()
