"""The contrastive model on its own: zero-shot classification and retrieval (paper, B.1.3, B.2).

Both come with the control in which every picture is replaced by the next query's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import Mesh

from flamingo_jax.data import grammar, scenes, schema, seeds
from flamingo_jax.data.vocabulary import Vocabulary
from flamingo_jax.evaluation.metrics.accuracy import top1
from flamingo_jax.evaluation.metrics.retrieval import recall_at
from flamingo_jax.evaluation.pictures import in_batches
from flamingo_jax.evaluation.scoring import Score, summarise
from flamingo_jax.models.build import Params, TwoTowerFunctions
from flamingo_jax.sharding.logical import DATA

ZERO_SHOT_CLASSIFICATION = "zero_shot_classification"
RETRIEVAL = "retrieval"

_BATCH_SIZE = 50
_NORM_EPSILON = 1e-12


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoTowerModel:
    """A trained contrastive model.

    Attributes:
      functions: image and text tower.
      params: placed on `mesh`.
      mesh: of the evaluation.
      vocabulary: of the text tower.
      max_text_length: tokens that the text tower takes.
      checkpoint: names it in results.
    """

    functions: TwoTowerFunctions
    params: Params
    mesh: Mesh
    vocabulary: Vocabulary
    max_text_length: int
    checkpoint: str


def class_texts(digit: int) -> tuple[str, ...]:
    """The texts that together stand for a digit: "seven", "red seven", "photo of sevens", ..."""
    texts = []
    for noun in (grammar.DIGIT_WORDS[digit], grammar.PLURAL_WORDS[digit]):
        texts += [noun, f"photo of {noun}"]
        texts += [f"{ink} {noun}" for ink in scenes.INKS]
        texts += [f"{noun} on {ground}" for ground in scenes.GROUNDS]
    return tuple(texts)


def evaluate_two_tower(
    task: str, model: TwoTowerModel, seed: int, split: str, num_queries: int
) -> dict[str, list[Score]]:
    """Runs one of the two tasks on scenes of its own.

    Args:
      task: `ZERO_SHOT_CLASSIFICATION` (top-1 among the ten digits) or `RETRIEVAL` (recall at 1
        among the queries, both directions; pictures of equal captions match each other's).
      model: the model.
      seed: of the scenes.
      split: of the scans in them.
      num_queries: scenes.

    Returns:
      {"real": scores, "swapped": scores}.
    """
    randoms = [
        seeds.generator(seed, f"evaluation/{task}", split, index) for index in range(num_queries)
    ]
    shown = [scenes.sample_scene(random, split) for random in randoms]
    images = np.stack(
        [scenes.render(scene, split, random) for scene, random in zip(shown, randoms, strict=True)]
    )
    size = _BATCH_SIZE * model.mesh.shape[DATA]
    image_NE = in_batches(
        model.mesh, model.params, jax.jit(model.functions.encode_image), images, size
    )
    run = {ZERO_SHOT_CLASSIFICATION: _classify, RETRIEVAL: _retrieve}[task]
    return {
        "real": run(model, shown, image_NE),
        "swapped": run(model, shown, np.roll(image_NE, -1, axis=0)),
    }


def _classify(
    model: TwoTowerModel, shown: Sequence[scenes.Scene], image_NE: np.ndarray
) -> list[Score]:
    class_CE = embed_classes(model, list(map(class_texts, range(len(grammar.DIGIT_WORDS)))))
    return [summarise("accuracy", top1(image_NE @ class_CE.T, [scene.digit for scene in shown]))]


def _retrieve(
    model: TwoTowerModel, shown: Sequence[scenes.Scene], image_NE: np.ndarray
) -> list[Score]:
    captions = np.array([grammar.caption(scene) for scene in shown])
    similarity = image_NE @ embed_texts(model, captions.tolist()).T
    recall = recall_at(1, similarity, captions[:, None] == captions[None, :])
    return [
        summarise("image_to_text_recall_at_1", recall.image_to_text),
        summarise("text_to_image_recall_at_1", recall.text_to_image),
    ]


def embed_classes(model: TwoTowerModel, texts: Sequence[Sequence[str]]) -> np.ndarray:
    """Prompt ensembling: a class is the mean of the embeddings of its texts, of length 1.

    Args:
      model: the model.
      texts: those of each class, of every class as many.

    Returns:
      float32 [C, E].
    """
    text_E = embed_texts(model, [text for of_class in texts for text in of_class])
    return unit_mean(text_E.reshape(len(texts), -1, text_E.shape[-1]))


def unit_mean(embeddings_NME: np.ndarray) -> np.ndarray:
    """Means [N, E] of M embeddings each, of length 1."""
    mean_NE = embeddings_NME.mean(axis=1)
    return mean_NE / np.maximum(np.linalg.norm(mean_NE, axis=-1, keepdims=True), _NORM_EPSILON)


def embed_texts(model: TwoTowerModel, texts: Sequence[str]) -> np.ndarray:
    """Unit embeddings float32 [N, E] of texts, tokenised as the contrastive stage does."""
    text_NT = np.full((len(texts), model.max_text_length), schema.PAD_ID, np.int32)
    for row, text in enumerate(texts):
        tokens = model.vocabulary.encode(text)[: model.max_text_length]
        text_NT[row, : len(tokens)] = tokens
    # Padding adds nothing to the mean over tokens, so the longest text says how much is needed.
    text_NT = text_NT[:, : int((text_NT != schema.PAD_ID).sum(axis=1).max())]
    size = _BATCH_SIZE * model.mesh.shape[DATA]
    return in_batches(model.mesh, model.params, jax.jit(model.functions.encode_text), text_NT, size)
