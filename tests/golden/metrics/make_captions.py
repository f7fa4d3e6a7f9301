"""Makes captions.json: what coco-caption's own code and its Java tokenizer say of the sentences.

    pip install pycocoevalcap==1.2      # brings stanford-corenlp-3.4.1.jar; needs java on the PATH
    LC_ALL=C.UTF-8 python tests/golden/metrics/make_captions.py

Made with pycocoevalcap 1.2, OpenJDK 17.0.15, Python 3.11. Not run by the tests. The sentences of
caption_sentences.json were written for this purpose; scenes are put together below.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

FOLDER = Path(__file__).parent
SUBJECTS = ["a man", "two women", "a brown dog", "the boy", "an old lady", "three cats", "a chef"]
ACTIONS = ["rides a bike", "is sitting on a bench", "holds a kite", "eats a slice of pizza",
           "stands next to a train", "doesn't look at the camera", "runs with a ball"]  # fmt: skip
PLACES = ["in the park", "near the sea", "at night", "on a busy street", "in a kitchen",
          "under a big tree", "by the 2nd platform", "in the U.S.",
          "on a mother-in-law's lawn"]  # fmt: skip


def scenes(odd: list[str], number: int) -> tuple[list[str], list[list[str]]]:
    """Predictions and references of pictures; some of each are odd sentences."""
    draw = random.Random(7)
    predictions, references = [], []
    for index in range(number):
        parts = [draw.choice(SUBJECTS), draw.choice(ACTIONS), draw.choice(PLACES)]
        texts = []
        for _ in range(draw.randint(1, 6)):
            changed = list(parts)
            changed[draw.randrange(3)] = draw.choice([SUBJECTS, ACTIONS, PLACES][draw.randrange(3)])
            texts.append(" ".join(changed).capitalize() + draw.choice([".", "", " .", "!"]))
        if index % 4 == 0:
            texts.append(odd[(3 * index) % len(odd)])
        references.append(texts)
        said = " ".join([draw.choice(SUBJECTS), parts[1], draw.choice([parts[2], ""])])
        predictions.append(odd[(5 * index) % len(odd)] if index % 9 == 0 else said)
    predictions[1] = ""
    predictions[2] = references[2][0]
    return predictions, references


def main() -> None:
    odd = json.loads((FOLDER / "caption_sentences.json").read_text(encoding="utf-8"))
    tokenizer = PTBTokenizer()
    tokens = tokenizer.tokenize({n: [{"caption": text}] for n, text in enumerate(odd)})
    alone = [
        tokenizer.tokenize({0: [{"caption": text}], 1: [{"caption": ""}]})[0][0] for text in odd
    ]
    predictions, references = scenes(odd, 60)
    gts = tokenizer.tokenize(
        {n: [{"caption": text} for text in texts] for n, texts in enumerate(references)}
    )
    res = tokenizer.tokenize({n: [{"caption": text}] for n, text in enumerate(predictions)})
    bleu, bleus = Bleu(4).compute_score(gts, res, verbose=0)
    rouge, rouges = Rouge().compute_score(gts, res)
    cider, ciders = Cider().compute_score(gts, res)
    content = {
        "tokens": [tokens[n][0] for n in range(len(odd))],
        "tokens_alone": alone,
        "predictions": predictions,
        "references": references,
        "bleu": list(bleu),
        "bleu_per_item": [list(scores) for scores in bleus],
        "rouge_l": float(rouge),
        "rouge_l_per_item": rouges.tolist(),
        "cider": float(cider),
        "cider_per_item": ciders.tolist(),
    }
    text = json.dumps(content, ensure_ascii=False, indent=1)
    (FOLDER / "captions.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
