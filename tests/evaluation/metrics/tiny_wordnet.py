"""A WordNet of a dozen words, in WordNet's own format of files."""

from __future__ import annotations

from pathlib import Path

# Name: (part of speech, words, what it is a kind of). A second parent makes paths of two lengths.
SYNSETS = {
    "entity": ("n", ["entity"], []),
    "animal": ("n", ["animal", "beast"], ["entity"]),
    "pet": ("n", ["pet"], ["animal"]),
    "canine": ("n", ["canine"], ["animal"]),
    "dog": ("n", ["dog", "domestic_dog"], ["canine", "pet"]),
    "cat": ("n", ["cat"], ["animal"]),
    "tool": ("n", ["tool"], ["entity"]),
    "knife": ("n", ["knife", "blade"], ["tool"]),
    "run_noun": ("n", ["run"], ["entity"]),
    "running": ("n", ["running", "wa"], ["entity"]),
    "string": ("n", ["string"], ["tool"]),
    "move": ("v", ["move", "go"], []),
    "walk": ("v", ["walk"], ["move"]),
    "run": ("v", ["run"], ["move"]),
    "eat": ("v", ["eat"], []),
    "be": ("v", ["be"], []),
    "red": ("a", ["red"], []),
    "big": ("a", ["big", "large"], []),
    "slowly": ("r", ["slowly"], []),
}
FILES = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
EXCEPTIONS = {
    "n": "mice mouse\n",
    "v": "ate eat\nran run\nrunning run\nwas be\nwent go\n",
    "a": "",
    "r": "",
}


def write(folder: Path) -> None:
    """Writes the files into an existing folder.

    Args:
      folder: where to.
    """
    licence = "  1 A line of licence, which begins with a space\n"
    for part, file in FILES.items():
        names = [name for name, (own, _, _) in SYNSETS.items() if own == part]
        # Lines have their final length with any offset: offsets have eight digits.
        places, end = {}, len(licence)
        for name in names:
            places[name] = end
            end += len(_line(name, dict.fromkeys(names, 0)))
        lines = [_line(name, places) for name in names]
        (folder / f"data.{file}").write_text(licence + "".join(lines), encoding="utf-8")
        senses: dict[str, list[int]] = {}
        for name in names:
            for word in SYNSETS[name][1]:
                senses.setdefault(word, []).append(places[name])
        index = [
            f"{word} {part} {len(at)} 1 @ {len(at)} 0 {' '.join(f'{p:08d}' for p in at)}  \n"
            for word, at in sorted(senses.items())
        ]
        (folder / f"index.{file}").write_text(licence + "".join(index), encoding="utf-8")
        (folder / f"{file}.exc").write_text(EXCEPTIONS[part], encoding="utf-8")


def _line(name: str, places: dict[str, int]) -> str:
    part, words, kinds = SYNSETS[name]
    pointers = "".join(f" @ {places[kind]:08d} {part} 0000" for kind in kinds)
    listed = " ".join(f"{word} 0" for word in words)
    frames = " 00" if part == "v" else ""
    head = f"{places[name]:08d} 03 {part} {len(words):02x} {listed} {len(kinds):03d}"
    return f"{head}{pointers}{frames} | gloss\n"
