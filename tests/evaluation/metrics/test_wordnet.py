"""WordNet from its files: NLTK's similarities, in a tiny WordNet and in the real one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.metrics.wordnet import WordNet
from tests.evaluation.metrics import golden, tiny_wordnet

REAL = Path(os.environ.get("WORDNET", "/usr/share/wordnet"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> WordNet:
    folder = tmp_path_factory.mktemp("wordnet")
    tiny_wordnet.write(folder)
    return WordNet(folder)


def test_similarity_by_hand(tiny: WordNet) -> None:
    # Common: animal, depth 2 counting itself; dog is two steps below (by way of pet), cat one.
    assert tiny.similarity("dog", "cat") == pytest.approx(2 * 2 / (4 + 3))
    assert tiny.similarity("dog", "animal") == pytest.approx(2 * 2 / (4 + 2))
    assert tiny.similarity("domestic_dog", "dog") == 1.0
    assert tiny.similarity("dog", "knife") == pytest.approx(2 * 1 / (4 + 3))
    # Verbs have no common root of their own: one is put above them, the only thing in common.
    assert tiny.similarity("walk", "eat") == pytest.approx(2 * 1 / (3 + 2))
    assert tiny.similarity("dog", "nothing") == 0.0


def test_base_forms(tiny: WordNet) -> None:
    assert tiny.base_forms("The dogs, ate; walking mice!") == ["the", "dog", "eat", "walk", "mice"]
    # Verbs rather than the nouns that they may be as well; a noun that is no verb's form stays.
    assert tiny.base_forms("was running with a string") == ["be", "run", "with", "a", "string"]
    assert tiny.base_forms("others on his runs") == ["other", "on", "hi", "run"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        # As pywsd has them where its tagger is right: -ing is VBG, "as" and "its" no part that
        # WordNet has, and a word is taken for a noun then.
        ("he was hitting elephant with stick", "he be hit elephant with stick"),
        ("playing with baby", "play with baby"),
        ("put cookie on his face", "put cookie on hi face"),
        ("talked to the camera", "talk to the camera"),
        ("does hand gesture", "do hand gesture"),
        ("help man do something else", "help man do something els"),
        ("play as a toy", "play a a toy"),
        ("lick its tail", "lick it tail"),
        ("use feet to kick it up", "use foot to kick it up"),
        ("breathing out", "breathe out"),
        ("engrossed in show", "engross in show"),
    ],
)
def test_base_forms_of_answers_in_the_real_wordnet(answer: str, words: str) -> None:
    assert _real().base_forms(answer) == words.split()


def test_a_missing_folder_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"index\.noun.*wordnet-base"):
        WordNet(tmp_path)


def test_a_broken_index_is_named(tmp_path: Path) -> None:
    tiny_wordnet.write(tmp_path)
    (tmp_path / "index.verb").write_text("walk v x\n")
    with pytest.raises(UserError, match=r"index\.verb is not WordNet's"):
        WordNet(tmp_path)


def _real() -> WordNet:
    if not (REAL / "index.noun").is_file():
        pytest.skip(f"no WordNet in {REAL}; install wordnet-base, or set WORDNET to its folder")
    return WordNet(REAL)


def test_similarities_of_the_real_wordnet() -> None:
    wordnet = _real()
    for first, second, expected in golden.load("wups.json")["wordnet_3.0"]:
        found = 1.0 if first == second else wordnet.similarity(first, second)
        assert found == pytest.approx(expected, abs=1e-6), (first, second)
