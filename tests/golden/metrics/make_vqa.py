"""Makes vqa.json: what the evaluations of VQA and of VizWiz say of made-up questions.

    python tests/golden/metrics/make_vqa.py VQA_EVAL VIZWIZ_EVAL [NAME=ANNOTATIONS ...]

VQA_EVAL is vqaEval.py of GT-Vision-Lab/VQA as it compares today (both sides normalised where the
answers differ, then compared in lower case); VIZWIZ_EVAL is vqaEval.py of the VizWiz API, of which
only the accuracy is used. Both load in Python 3. ANNOTATIONS are files in VQA's format: for these
only the score of each question's most common answer is stored, the first of equally common ones.
Made with Python 3.11. Not run by the tests.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import random
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

FOLDER = Path(__file__).parent
_WORDS = """
    yes no 2 two Two. the_2 none 0 zero red Red a_red_one red,white red,_white red/white
    red-white 1,000 1000 1,000-2,000 $3.50 3.5 .5 3.50. 10:30 10_:_30 u.s. us U.S.A. t-shirt
    t_shirt tshirt dont don't don’t im I'm isnt it's its lets let's youre you're couldn'tve
    couldnt've weve we've wheres where's whove who've somebody'd somebodyd 'ows'at y'alld've
    ow's'at ain't aint cant an_apple apple apples the_the a an what? what_? wow! (left) left
    [left] {left} "left" left; left_; a_=_b a=b @home home back\\slash under_score <b>
    `tick` eleven ten Ten... mr._smith st._mary café CAFÉ naïve
"""
ANSWERS = _WORDS.split()


def text(word: str) -> str:
    """An answer; the list above has underlines for spaces."""
    return word.replace("_", " ")


def made_up(number: int) -> list[dict[str, Any]]:
    """Questions with ten answers: from all the same to all different; half without numbers."""
    draw = random.Random(11)
    questions = []
    for index in range(number):
        pool = [text(word) for word in draw.sample(ANSWERS, draw.choice([1, 2, 3, 5, 10]))]
        answers = [
            {"answer": draw.choice(pool), "answer_confidence": draw.choice(["yes", "maybe", "no"])}
            for _ in range(10)
        ]
        if index % 2:
            for place, answer in enumerate(answers, start=1):
                answer["answer_id"] = place
        prediction = draw.choice(pool) if draw.random() < 0.8 else text(draw.choice(ANSWERS))
        if draw.random() < 0.3:
            prediction = draw.choice(["the ", " ", "\t", "a "]) + prediction + draw.choice(".!\n ")
        questions.append({"question_id": index, "answers": answers, "prediction": prediction})
    return questions


def load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("official", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def normalised(path: str) -> dict[str, str]:
    """What becomes of every contraction that the evaluation knows, and of the answers above."""
    evaluation = load(path).VQAEval(
        SimpleNamespace(getQuesIds=list, getImgs=list), SimpleNamespace()
    )
    words = [*evaluation.contractions, *map(text, ANSWERS)]
    return {
        word: evaluation.processDigitArticle(evaluation.processPunctuation(word)) for word in words
    }


def evaluate(path: str, questions: list[dict[str, Any]], ids: str, method: str) -> list[float]:
    """Points of each question by the evaluation in file `path`."""
    module = load(path)
    right = {question["question_id"]: copy.deepcopy(question) for question in questions}
    for question in right.values():
        question.update(question_type="", answer_type="")
    predicted = {key: {"answer": question["prediction"]} for key, question in right.items()}
    evaluation = module.VQAEval(
        SimpleNamespace(**{ids: right, method: lambda: list(right)}),
        SimpleNamespace(**{ids: predicted}),
        n=10,
    )
    evaluation.evaluate()
    return [evaluation.evalQA[question["question_id"]] for question in questions]


def most_common(path: str) -> list[dict[str, Any]]:
    """The questions of a file, answered with their most common answer."""
    annotations = json.loads(Path(path).read_text(encoding="utf-8"))["annotations"]
    for annotation in annotations:
        counts = Counter(answer["answer"] for answer in annotation["answers"])
        annotation["prediction"] = counts.most_common(1)[0][0]
    return annotations


def main(vqa_eval: str, vizwiz_eval: str, *files: str) -> None:
    questions = made_up(120)
    scores = evaluate(vqa_eval, questions, "qa", "getQuesIds")
    vizwiz = evaluate(vizwiz_eval, questions, "imgToQA", "getImgs")
    real = {}
    for name, path in (file.split("=") for file in files):
        answered = most_common(path)
        points = evaluate(vqa_eval, answered, "qa", "getQuesIds")
        by_vizwiz = evaluate(vizwiz_eval, answered, "imgToQA", "getImgs")
        real[name] = {
            "n": len(points),
            "vqa": sum(points) / len(points),
            "vizwiz": sum(by_vizwiz) / len(points),
        }
    content = {
        "questions": questions,
        "vqa": scores,
        "vizwiz": vizwiz,
        "normalised": normalised(vqa_eval),
        "normalised_by_vizwiz": normalised(vizwiz_eval),
        "most_common": real,
    }
    lines = json.dumps(content, ensure_ascii=False, indent=None).replace(
        '{"question_id"', '\n{"question_id"'
    )
    (FOLDER / "vqa.json").write_text(lines + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
