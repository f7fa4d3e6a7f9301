"""Tiny benchmarks of pictures, in the layout in which their owners give them out.

Each function writes one into a folder of benchmarks, and returns the benchmark's own folder.
The records are traps: answers stand in another order than questions, ids are numbers here and texts
there, and files have splits and pictures that must not be used. Every picture has its own colour.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from tests.evaluation.benchmarks.miniature_dialogs import dialogs, judgements


def draw(folder: Path, names: Iterable[str]) -> None:
    """Writes pictures of one colour each; every name gives another colour."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 8), colour(path.name)).save(path)


def colour(file_name: str) -> tuple[int, int, int]:
    """The colour of the picture in a file, up to what JPEG changes."""
    number = zlib.crc32(file_name.encode())
    return number & 255, number >> 8 & 255, number >> 16 & 255


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_json_lines(path: Path, values: Iterable[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(value) + "\n" for value in values))


def coco_name(subset: str, number: int) -> str:
    return f"{subset}/COCO_{subset}_{number:012d}.jpg"


def _sentences(*texts: str) -> list[dict[str, Any]]:
    return [
        {"tokens": text.lower().split(), "raw": text, "sentid": n} for n, text in enumerate(texts)
    ]


def coco(data_dir: Path) -> Path:
    """Two test pictures; training pictures in both folders; one of `val`, which nobody uses."""
    folder = data_dir / "coco"
    rows = [
        ("val2014", 391895, "test", ("A man on a moped. ", "\nA man rides", " ")),
        ("train2014", 57870, "train", ("A table with chairs.", "Dinner for six.")),
        ("val2014", 522418, "restval", ("A woman cuts a cake.",)),
        ("val2014", 184613, "val", ("A child with an umbrella.",)),
        ("train2014", 318219, "train", ("A boy at a computer.",)),
        ("val2014", 60623, "test", ("A girl eats.", "A girl with a spoon.")),
        ("train2014", 222564, "train", ("Two men in a kitchen.",)),
        ("val2014", 554625, "restval", ("A boy types.",)),
        ("train2014", 480023, "train", (" ",)),
    ]
    images = [
        {
            "filepath": home, "filename": coco_name(home, number).partition("/")[2],
            "imgid": place, "split": split, "cocoid": number, "sentences": _sentences(*texts),
            "sentids": [],
        }
        for place, (home, number, split, texts) in enumerate(rows)
    ]  # fmt: skip
    write_json(folder / "dataset_coco.json", {"images": images, "dataset": "coco"})
    draw(folder, (coco_name(home, number) for home, number, *_ in rows))
    return folder


def flickr30k(data_dir: Path) -> Path:
    """Two test pictures; no folder and no id in the records."""
    folder = data_dir / "flickr30k"
    rows = [
        ("1000092795.jpg", "train", ("Two young guys.", "Two men outside.")),
        ("1007129816.jpg", "test", ("A man with pierced ears.", "A man in a hat.")),
        ("10002456.jpg", "train", ("Men at a machine.",)),
        ("1018148011.jpg", "val", ("People look at stars.",)),
        ("1009434119.jpg", "test", ("A black dog runs.",)),
        ("1000268201.jpg", "train", ("A child climbs stairs.",)),
    ]
    images = [
        {"filename": name, "imgid": 7, "split": split, "sentences": _sentences(*texts)}
        for name, split, texts in rows
    ]
    write_json(folder / "dataset_flickr30k.json", {"images": images, "dataset": "flickr30k"})
    draw(folder / "flickr30k-images", (name for name, *_ in rows))
    return folder


def ten(*texts: str) -> list[str]:
    """Ten people's answers, of whom the last ones say the same."""
    return [*texts, *[texts[-1]] * (10 - len(texts))]


Question = tuple[Any, Any, str, Sequence[str]]
"""Id of the question, id of the picture, the question, the answers."""


def vqa_questions(rows: Sequence[Question]) -> dict[str, Any]:
    return {
        "info": {"version": "2.0"}, "task_type": "Open-Ended", "data_type": "mscoco",
        "questions": [
            {"question_id": key, "image_id": image, "question": asked}
            for key, image, asked, _ in rows
        ],
    }  # fmt: skip


def vqa_annotations(rows: Sequence[Question], question_type: str = "what is") -> dict[str, Any]:
    """The answers in reversed order, with the questions' ids as texts."""
    return {
        "info": {"version": "2.0"},
        "annotations": [
            {
                "question_id": str(key), "image_id": image, "question_type": question_type,
                "answer_type": "other", "multiple_choice_answer": answers[0],
                "answers": [
                    {"answer": text, "answer_confidence": "yes", "answer_id": number}
                    for number, text in enumerate(answers, start=1)
                ],
            }
            for key, image, _, answers in reversed(rows)
        ],
    }  # fmt: skip


# The first two ask about one picture.
VQA_TRAINING: Sequence[Question] = (
    (9000, 9, "What color are the dishes?", ten("pink", "pink and yellow")),
    (9001, 9, "What is on the plate?", ten("", "broccoli")),
    (25000, 25, "Are there clouds?", ten("yes", "no")),
    (30000, 30, "What is in the vase?", ten("flowers")),
    (34000, 34, "What animal is this?", ten("zebra", "horse")),
    (36000, 36, "Who holds the umbrella?", ten("woman")),
)
VQA_VALIDATION: Sequence[Question] = (
    (262148000, 262148, "Where is he looking?", ten("down", "at table", "down ")),
    (393225000, 393225, " Is it daytime?", ten("yes")),
    (262148002, 262148, "What color is his hat?", ten("red", "", "orange")),
)


def vqav2(data_dir: Path) -> Path:
    """Without the questions of test-dev; see `add_test_dev`."""
    folder = data_dir / "vqav2"
    for subset, rows in (("train2014", VQA_TRAINING), ("val2014", VQA_VALIDATION)):
        write_json(folder / f"v2_OpenEnded_mscoco_{subset}_questions.json", vqa_questions(rows))
        write_json(folder / f"v2_mscoco_{subset}_annotations.json", vqa_annotations(rows))
        draw(folder, (coco_name(subset, image) for _, image, *_ in rows))
    return folder


def add_test_dev(folder: Path) -> None:
    rows: Sequence[Question] = (
        (426478000, 426478, "Is the dog asleep?", ()),
        (187950001, 187950, "How many cups?", ()),
    )
    questions = vqa_questions(rows)
    write_json(folder / "v2_OpenEnded_mscoco_test-dev2015_questions.json", questions)
    draw(folder, (coco_name("test2015", image) for _, image, *_ in rows))


def okvqa(data_dir: Path) -> Path:
    """Answers are stemmed beside raw ones; the pictures lie in COCO's folder."""
    folder = data_dir / "okvqa"
    for subset, rows in (("train2014", VQA_TRAINING), ("val2014", VQA_VALIDATION)):
        annotations = vqa_annotations(rows, question_type="one")
        for annotation in annotations["annotations"]:
            for answer in annotation["answers"]:
                answer["raw_answer"] = f"{answer['answer']}ing"
        write_json(folder / f"OpenEnded_mscoco_{subset}_questions.json", vqa_questions(rows))
        write_json(folder / f"mscoco_{subset}_annotations.json", annotations)
        draw(data_dir / "coco", (coco_name(subset, image) for _, image, *_ in rows))
    return folder


TEXTVQA_TRAINING: Sequence[Question] = (
    (0, "0054c91397f2fe05", "what is the brand of phone?", ten("nokia")),
    (1, "005635e119b9f32f", "what type of plane is this?", ten("lape", "jet")),
    (2, "005635e119b9f32f", "what are the letters on the plane?", ten("g-aact")),
    (3, "00685bc495504d61", "who is the copyright holder?", ten("simon clancy")),
    (4, "006d10667d17b924", "what number is on the jersey?", ten("22")),
)
TEXTVQA_VALIDATION: Sequence[Question] = (
    (34602, "003a8ae2ef43b901", "what is the brand of this camera?", ten("nous", "dakota")),
    (34603, "b9dc400eb20bad64", "what does the white text spell?", ten("copenhagen")),
)


def textvqa(data_dir: Path) -> Path:
    """As released; both sets' pictures in one folder."""
    folder = data_dir / "textvqa"
    for subset, rows in (("train", TEXTVQA_TRAINING), ("val", TEXTVQA_VALIDATION)):
        data = [
            {
                "question_id": key, "image_id": image, "question": asked, "answers": answers,
                "image_classes": ["Phone"], "flickr_original_url": "", "set_name": subset,
            }
            for key, image, asked, answers in rows
        ]  # fmt: skip
        write_json(
            folder / f"TextVQA_0.5.1_{subset}.json",
            {"dataset_type": subset, "dataset_name": "textvqa", "data": data},
        )
        draw(folder / "train_images", (f"{image}.jpg" for _, image, *_ in rows))
    return folder


def textvqa_in_vqa_format(data_dir: Path) -> Path:
    folder = data_dir / "textvqa"
    for subset, rows in (("train", TEXTVQA_TRAINING), ("val", TEXTVQA_VALIDATION)):
        write_json(folder / f"{subset}_questions_vqa_format.json", vqa_questions(rows))
        write_json(folder / f"{subset}_annotations_vqa_format.json", vqa_annotations(rows))
        draw(folder / "train_images", (f"{image}.jpg" for _, image, *_ in rows))
    return folder


VIZWIZ_TRAINING: Sequence[Question] = (
    (0, "VizWiz_train_00000000.jpg", "What's the name of this product?", ten("basil leaves")),
    (1, "VizWiz_train_00000001.jpg", "Can you tell me what is in this can?", ten("soda", "coke")),
    (2, "VizWiz_train_00000002.jpg", "Is this enchilada sauce?", ten("yes")),
    (3, "VizWiz_train_00000003.jpg", "What is the captcha?", ten("t36m")),
)
VIZWIZ_VALIDATION: Sequence[Question] = (
    (0, "VizWiz_val_00000000.jpg", "Ok. There is another picture.", ten("unanswerable")),
    (1, "VizWiz_val_00000001.jpg", "What is this book? ", ten("dog years", "dog")),
)


def vizwiz(data_dir: Path) -> Path:
    """As released, without the test set; see `add_vizwiz_test`."""
    folder = data_dir / "vizwiz"
    for subset, rows in (("train", VIZWIZ_TRAINING), ("val", VIZWIZ_VALIDATION)):
        content = [
            {
                "image": image, "question": asked, "answer_type": "other", "answerable": 1,
                "answers": [{"answer": text, "answer_confidence": "maybe"} for text in answers],
            }
            for _, image, asked, answers in rows
        ]  # fmt: skip
        write_json(folder / f"{subset}.json", content)
        draw(folder / subset, (image for _, image, *_ in rows))
    return folder


def add_vizwiz_test(folder: Path) -> None:
    name = "VizWiz_test_00000000.jpg"
    write_json(folder / "Annotations" / "test.json", [{"image": name, "question": "What is it?"}])
    draw(folder / "test", [name])


def vizwiz_in_vqa_format(data_dir: Path) -> Path:
    folder = data_dir / "vizwiz"
    for subset, rows in (("train", VIZWIZ_TRAINING), ("val", VIZWIZ_VALIDATION)):
        annotations = vqa_annotations(rows, question_type="unanswerable")
        for annotation in annotations["annotations"]:
            del annotation["answer_type"]
        write_json(folder / f"{subset}_questions_vqa_format.json", vqa_questions(rows))
        write_json(folder / f"{subset}_annotations_vqa_format.json", annotations)
        draw(folder / subset, (image for _, image, *_ in rows))
    return folder


def visdial(data_dir: Path) -> Path:
    """Two judged dialogs of `val`; training pictures are spread over COCO's two folders."""
    folder = data_dir / "visdial"
    write_json(folder / "visdial_1.0_val.json", dialogs("val2018", [185565, 284024]))
    write_json(
        folder / "visdial_1.0_val_dense_annotations.json",
        judgements([(284024, 5), (185565, 1)], "gt_relevance"),
    )
    training = [378466, 378461, 575029, 575077, 57870, 391895]
    write_json(folder / "visdial_1.0_train.json", dialogs("train", training))
    write_json(
        folder / "visdial_1.0_train_dense_annotations.json",
        judgements([(575077, 2), (378461, 10)], "relevance"),
    )
    name = "VisualDialog_val2018"
    draw(folder / name, (f"{name}_{number:012d}.jpg" for number in (185565, 284024)))
    for subset, numbers in (("train2014", training[:3]), ("val2014", training[3:])):
        draw(data_dir / "coco", (coco_name(subset, number) for number in numbers))
    return folder


def hateful_memes(data_dir: Path) -> Path:
    """Three files of lines; ids with and without zeros in front."""
    folder = data_dir / "hateful_memes"
    training = [
        {"id": 42953, "img": "img/42953.png", "label": 0, "text": "nobody asked, but here it is"},
        {"id": 23058, "img": "img/23058.png", "label": 0, "text": "don't be afraid of mondays"},
        {"id": 13894, "img": "img/13894.png", "label": 1, "text": "some people are the worst"},
        {"id": "01235", "img": "img/01235.png", "label": 0, "text": 'when i go "home"'},
        {"id": 27985, "img": "img/27985.png", "label": 1, "text": "they should all go away"},
    ]
    dev = [{"id": 8291, "img": "img/08291.png", "label": 1, "text": "you again"}]
    test = [
        {"id": 16395, "img": "img/16395.png", "label": 1, "text": "those people next door"},
        {"id": 37405, "img": "37405.png", "label": 0, "text": " introducing the spinner\u2028new "},
        {"id": 94180, "img": "img/94180.png", "label": 0, "text": "happy dogs"},
    ]
    write_json_lines(folder / "train.jsonl", training)
    write_json_lines(folder / "dev_seen.jsonl", dev)
    write_json_lines(folder / "test_seen.jsonl", test)
    draw(folder / "img", (Path(row["img"]).name for row in (*training, *dev, *test)))
    return folder


IMAGENET_CLASSES = """\
n01440764 tench, Tinca tinca
n03126707 crane
n02012849 crane
n03710721 maillot, tank suit
n03710637 maillot
"""
IMAGENET_VAL: Mapping[int, str] = {
    1: "n02012849", 2: "n01440764", 3: "n03710637", 4: "n03126707", 5: "n03710721", 6: "n01440764",
}  # fmt: skip


def imagenet(data_dir: Path) -> Path:
    """Five classes, two pairs of which share their first name; a folder for each class."""
    folder = data_dir / "imagenet"
    wnids = [line.split()[0] for line in IMAGENET_CLASSES.splitlines()]
    for wnid in wnids:
        draw(folder / "train" / wnid, (f"{wnid}_{number}.JPEG" for number in (18, 2, 100)))
    for number, wnid in IMAGENET_VAL.items():
        draw(folder / "val" / wnid, [f"ILSVRC2012_val_{number:08d}.JPEG"])
    (folder / "train" / wnids[0] / "notes.txt").write_text("no picture")
    (folder / "LOC_synset_mapping.txt").write_text(IMAGENET_CLASSES)
    return folder


def imagenet_with_flat_val(data_dir: Path) -> Path:
    """All of `val` in one folder, and the classes in the table of Kaggle's challenge."""
    folder = imagenet(data_dir)
    for path in sorted((folder / "val").rglob("*.JPEG")):
        path.rename(folder / "val" / path.name)
    for path in (folder / "val").iterdir():
        if path.is_dir():
            path.rmdir()
    rows = "".join(
        f"ILSVRC2012_val_{number:08d},{wnid} 1 2 30 40 {wnid} 5 6 7 8 \n"
        for number, wnid in reversed(IMAGENET_VAL.items())
    )
    (folder / "LOC_val_solution.csv").write_text(f"ImageId,PredictionString\n{rows}")
    return folder


MINIATURES: Mapping[str, Callable[[Path], Path]] = {
    "coco": coco,
    "flickr30k": flickr30k,
    "vqav2": vqav2,
    "okvqa": okvqa,
    "vizwiz": vizwiz,
    "textvqa": textvqa,
    "visdial": visdial,
    "hateful_memes": hateful_memes,
    "imagenet": imagenet,
}
