"""Tiny benchmarks of clips, in the layout in which their owners give them out.

Each function writes one into a folder of benchmarks, and returns the benchmark's own folder. Every
clip has its own colour (`colour` of `miniatures`), so that tests can tell which one was read. The
records are traps: orders that mean nothing, ids as numbers here and as texts there, commas and
quotes in tables, clips of several kinds of files and in several folders.
"""

from __future__ import annotations

import csv
import functools
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.evaluation.benchmarks.miniatures import colour

_CODECS = {".mp4": "mpeg4", ".webm": "libvpx", ".mkv": "mpeg4", ".avi": "mpeg4"}
_CONTAINERS = {".mp4": "mp4", ".webm": "webm", ".mkv": "matroska", ".avi": "avi"}
_SIZE = 32


def film(folder: Path, names: Iterable[str]) -> None:
    """Writes clips of one colour each, four frames; the ends of the names say of which kind."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(clip_of(colour(path.stem), path.suffix))


@functools.cache
def clip_of(rgb: tuple[int, int, int], kind: str) -> bytes:
    """A clip of one colour: the bytes of a file of a kind such as ".mp4"."""
    pixels = np.full((_SIZE, _SIZE, 3), rgb, np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip"
        with av.open(str(path), "w", format=_CONTAINERS[kind]) as file:
            stream = file.add_stream(_CODECS[kind], rate=4)
            stream.width = stream.height = _SIZE
            stream.pix_fmt = "yuv420p"
            for _ in range(4):
                file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            file.mux(stream.encode())
        return path.read_bytes()


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def kinetics700(data_dir: Path) -> Path:
    """Three classes, their rows mixed; training clips in folders of classes, the others not."""
    folder = data_dir / "kinetics700"
    header = ("label", "youtube_id", "time_start", "time_end", "split")
    training = [
        ("washing feet", "--GkrdYZ9Tc", 0, 10, "train"),
        ("air drumming", "--nQbRBEz2s", 104, 114, "train"),
        ("massaging person's head", "aaaaaaaaaaa", 12, 22, "train"),
        ("washing feet", "bbbbbbbbbbb", 3, 13, "train"),
        # The same video at another time; and a video of another class too.
        ("air drumming", "--nQbRBEz2s", 4, 14, "train"),
        ("air drumming", "bbbbbbbbbbb", 3, 13, "train"),
    ]
    validation = [
        ("washing feet", "ccccccccccc", 84, 94, "validate"),
        ("air drumming", "-ddddddddd_", 7, 17, "validate"),
        ("washing feet", "eeeeeeeeeee", 1000, 1010, "validate"),
    ]
    write_table(folder / "train.csv", header, training)
    write_table(folder / "annotations" / "val.csv", header, validation)
    film(folder, (f"train/{r[0]}/{r[1]}_{r[2]:06d}_{r[3]:06d}.mp4" for r in training))
    film(folder, (f"val/{r[1]}_{r[2]:06d}_{r[3]:06d}.mp4" for r in validation))
    return folder


def vatex(data_dir: Path) -> Path:
    """Two public test clips of different kinds; a training clip without an English caption."""
    folder = data_dir / "vatex"

    def records(*captions: tuple[str, tuple[str, ...]]) -> list[dict[str, Any]]:
        return [
            {"videoID": name, "enCap": list(texts), "chCap": ["一个男人"]}
            for name, texts in captions
        ]

    training = records(
        ("Ptf_2VRj-V0_000122_000132", ("A man cuts wood.", "Wood is cut.")),
        ("trainclip02_000001_000011", (" Two dogs run. ",)),
        ("trainclip03_000001_000011", ("A girl sings.",)),
        ("trainclip04_000001_000011", ("",)),
    )
    test = records(
        ("testclip_02_000017_000027", ("A cat, asleep.", "", "A cat sleeps on a \"bed\".")),
        ("testclip_01_000000_000010", ("A boy skates.", "A boy rides a board.")),
    )  # fmt: skip
    _write_json(folder / "vatex_training_v1.0.json", training)
    _write_json(folder / "vatex_public_test_english_v1.1.json", test)
    film(folder / "videos", (f"{record['videoID']}.mp4" for record in training))
    film(folder / "videos", ["testclip_01_000000_000010.mkv", "testclip_02_000017_000027.webm"])
    return folder


def _questions(rows: Iterable[tuple[int, Any, str, str]]) -> list[dict[str, Any]]:
    return [
        {"answer": answer, "id": number, "question": question, "video_id": video}
        for number, video, question, answer in rows
    ]


def msvdqa(data_dir: Path) -> Path:
    """Several questions about one clip; clips as avi, and one under its name of YouTube."""
    folder = data_dir / "msvdqa"
    training = [
        (0, 1, "what is cut?", "bread"),
        (1, 1, "who cuts bread?", "man"),
        (7, "2", "what runs?", "dog"),
        (3, 2, "how many dogs run?", "two"),
        (9, 3, "what does a girl do?", "sing"),
        (5, 4, "", ""),
    ]
    test = [(12, 1451, "what is a man doing?", "play"), (10, "1450", "who plays?", "man")]
    _write_json(folder / "train_qa.json", _questions(training))
    _write_json(folder / "val_qa.json", _questions([(11, 5, "unused?", "yes")]))
    _write_json(folder / "test_qa.json", _questions(test))
    (folder / "youtube_mapping.txt").write_text(
        "mv89psg6zh4_33_46 vid1\nabcdefghijk_0_5 vid1450\n\n"
    )
    film(folder / "YouTubeClips", (f"vid{number}.avi" for number in (1, 2, 3, 4, 1451)))
    film(folder / "YouTubeClips", ["abcdefghijk_0_5.avi"])
    return folder


def msrvttqa(data_dir: Path) -> Path:
    """Training and test clips in folders of their own, numbered from 0."""
    folder = data_dir / "msrvttqa"
    training = [(0, 0, "what is a car doing?", "drive"), (2, 1, "who talks?", "woman")]
    test = [(158581, 7010, "what did three people sit on?", "couch")]
    for name, rows in (("train", training), ("test", test)):
        records = [record | {"category_id": 14} for record in _questions(rows)]
        _write_json(folder / f"{name}_qa.json", records)
    film(folder / "TrainValVideo", ["video0.mp4", "video1.mp4"])
    film(folder / "TestVideo", ["video7010.mp4"])
    return folder


def youcook2(data_dir: Path, home: str = "raw_videos") -> Path:
    """Training and validation videos mixed, one without steps; `home` is the media's folder."""
    folder = data_dir / "youcook2"
    steps_a = [((41, 54), "slice the tomatoes"), ((90, 102), "mix")]
    steps_b = [((5, 9.5), 'fry an egg, "sunny"'), ((20, 31), "eat")]
    videos = {
        "fn9anlEL4FI": ("training", "113", steps_a),
        "-dh_uGahzYo": ("validation", "226", steps_b),
        "GLd3aX16zBg": ("training", 101, [((90, 102), "spread margarine on two slices")]),
        "xxxxxxxxxxx": ("training", "405", []),
    }
    database = {
        video: {
            "duration": 241.62, "subset": subset, "recipe_type": kind,
            "video_url": f"https://www.youtube.com/watch?v={video}",
            # Ids, not places, number the steps.
            "annotations": [
                {"segment": list(segment), "id": number, "sentence": sentence}
                for number, (segment, sentence) in reversed(list(enumerate(steps)))
            ],
        }
        for video, (subset, kind, steps) in videos.items()
    }  # fmt: skip
    _write_json(folder / "youcookii_annotations_trainval.json", {"database": database})
    for video, (subset, kind, steps) in videos.items():
        if home == "clips":
            film(folder / home, (f"{video}_{number}.mp4" for number in range(len(steps))))
        elif home == "raw_videos":
            film(folder / home, [f"{subset}/{kind}/{video}.mkv"])
        else:
            film(folder / home, [f"{video}.mp4"])
    return folder


def ivqa(data_dir: Path, home: str = "videos") -> Path:
    """Commas, quotes and a line break in fields; two parts of one video; an empty answer."""
    folder = data_dir / "ivqa"
    header = (
        "question", "answer1", "answer2", "answer3", "answer4", "answer5", "start", "end",
        "video_id", "confidence",
    )  # fmt: skip
    training = [
        ("What is in the bowl?", "egg", "egg", "eggs", "flour", "egg", 10, 25, "ab_cdefghij", 5),
        ("What does she hold, a \"tool\"?", "knife, sharp", "knife", "knife", "", "fork", 30, 41,
         "ab_cdefghij", 3),
        ("What colour is it?", "red", "red", "red", "red", "red", 3, 12, "klmnopqrst_", 5),
    ]  # fmt: skip
    test = [
        ("What is\ncut?", "bread", "loaf", "bread", "toast", "bread", 100, 110.5, "testvideo_2", 4),
        ("Where is it?", "oven", "oven", "pan", "pan", "pot", 0, 9, "testvideo_1", 2),
    ]
    write_table(folder / "train.csv", header, training)
    write_table(folder / "test.csv", header, test)
    if home == "clips":
        names = (f"{row[8]}_{row[6]}_{row[7]}.mp4" for row in (*training, *test[:1]))
        film(folder / home, (*names, "testvideo_1.mp4"))
    else:
        film(folder / home, {f"{row[8]}.mp4" for row in (*training, *test)})
    return folder


def rareact(data_dir: Path) -> Path:
    """Four classes whose numbers come in no order; two clips of one video, one of them twice."""
    folder = data_dir / "rareact"
    header = ("id", "video_id", "start", "end", "class_id", "verb", "noun", "annotation")
    rows = [
        (0, "_5YesRqExrw", 30, 40, 2, "hammer", "phone", 1),
        (1, "0w9U2ICnRnY", 80, 90, 1, "wash", "egg", 3),
        (2, "0w9U2ICnRnY", 80, 90, 1, "wash", "egg", 3),
        (5, "2LmvYe3O_Pw", 30, 40, 0, "measure", "carrots", 0),
        (4, "WbcM1D8rDpA", 10, 20, 2, "hammer", "phone", 2),
        (3, "0w9U2ICnRnY", 20, 30, 3, "spray", "door", 4),
    ]
    write_table(folder / "rareact.csv", header, rows)
    film(folder / "videos", {f"{row[1]}.mp4" for row in rows})
    return folder


def nextqa(data_dir: Path) -> Path:
    """Questions numbered within videos; second answers in another order; folders by the map."""
    folder = data_dir / "nextqa"
    header = ("video", "frame_count", "width", "height", "question", "answer", "qid", "type")
    training = [
        (3233088823, 462, 640, 480, "how is the bulldozer controlled", "from the cabin", 3, "CH"),
        (4189100053, 874, 640, 360, "why, in the end, is it red", "in case food fall", 3, "CW"),
        (3233088823, 462, 640, 480, "how many people are filmed", "two", 0, "DC"),
    ]
    test = [
        (5772591393, 300, 640, 480, "where is this", "a house", 2, "DL"),
        (7004238086, 300, 640, 480, "what does the cat do", "lick other", 0, "TN"),
        (5772591393, 300, 640, 480, "how many cats are there", "three", 0, "DC"),
    ]
    write_table(folder / "train.csv", header, training)
    write_table(folder / "test.csv", header, test)
    _write_json(
        folder / "add_reference_answer_test.json",
        {"7004238086": {"0": "lick each other"}, "5772591393": {"0": "three", "2": "home"}},
    )
    homes = {"3233088823": "1164", "4189100053": "0101", "5772591393": "1000"}
    _write_json(
        folder / "map_vid_vidorID.json", {video: f"{home}/{video}" for video, home in homes.items()}
    )
    film(folder / "NExTVideo", (f"{home}/{video}.mp4" for video, home in homes.items()))
    film(folder / "NExTVideo", ["7004238086.mp4"])
    return folder


def star(data_dir: Path) -> Path:
    """Choices in another order than their ids; a test set without answers; graphs to be dropped."""
    folder = data_dir / "star"

    def record(
        number: int, video: str, question: str, choices: Sequence[str], answer: int | None
    ) -> dict[str, Any]:
        listed = [
            {"choice_id": place, "choice": text, "choice_program": [{"function": "Situations"}]}
            for place, text in enumerate(choices)
        ]
        given = {} if answer is None else {"answer": choices[answer]}
        return {
            "question_id": f"Interaction_T1_{number}", "question": question, "video_id": video,
            "start": 7.7 + number, "end": 15.7 + number,
            "question_program": [{"function": "Situations", "value_input": []}],
            "choices": listed[::-1],
            "situations": {"000198": {"rel_pairs": [["o2", "o28"]], "bbox": [[1.0, 2.0]]}},
            **given,
        }  # fmt: skip

    food = ("The medicine.", "The sandwich.", "The bag.", "The book.")
    training = [
        record(4, "TJZ0P", "Which object was eaten?", food, 1),
        record(2, "6H78U", "Which object was closed?", ("The door.", "The box."), 0),
        record(1, "TJZ0P", "Which object was opened?", food, 2),
    ]
    validation = [record(8, "ZS9XR", "Which object was taken?", food, 3)]
    test = [record(9, "AMT7R", "Which object was thrown?", food, None)]
    for subset, records in (("train", training), ("val", validation), ("test", test)):
        _write_json(folder / f"STAR_{subset}.json", records)
    film(folder / "Charades_v1_480", (f"{v}.mp4" for v in ("TJZ0P", "6H78U", "ZS9XR", "AMT7R")))
    return folder


MINIATURES: Mapping[str, Callable[[Path], Path]] = {
    "kinetics700": kinetics700,
    "vatex": vatex,
    "msvdqa": msvdqa,
    "msrvttqa": msrvttqa,
    "youcook2": youcook2,
    "ivqa": ivqa,
    "rareact": rareact,
    "nextqa": nextqa,
    "star": star,
}
