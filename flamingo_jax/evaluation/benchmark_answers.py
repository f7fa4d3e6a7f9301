"""A model's answers to a benchmark's queries, as predictions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from flamingo_jax.config import EvaluationConfig
from flamingo_jax.config_evaluation import BenchmarkEvaluationConfig
from flamingo_jax.evaluation import benchmark_prompts, post_processing
from flamingo_jax.evaluation.answering import Answerer, FewShotModel
from flamingo_jax.evaluation.benchmark_questions import Asked, Batch, Questions
from flamingo_jax.evaluation.benchmark_task import RANK_OWN
from flamingo_jax.evaluation.grounding_files import Grounding
from flamingo_jax.evaluation.predictions import Prediction
from flamingo_jax.evaluation.prompts import Prompt, Shape

_SHORTEST = 64
"""Tokens of the shortest prompts that are compiled for; all sizes are multiples of it."""


class BenchmarkAnswers:
    """Answers of a Flamingo, compiled for few shapes."""

    def __init__(self, model: FewShotModel, config: BenchmarkEvaluationConfig) -> None:
        """Compiles nothing yet."""
        self._model = model
        self._config = config
        self._answerers: dict[int, Answerer] = {}

    def predict(self, questions: Questions, batch: Batch) -> Iterator[Prediction]:
        """The predictions of a batch, in its order.

        Args:
          questions: that the batch is of.
          batch: at most `config.batch_size` queries.
        """
        if questions.task.is_open:
            return self._generate(questions, batch)
        return self._rank(questions, batch)

    def ground(self, batch: Batch, *, is_real: bool) -> Iterator[Grounding]:
        """What `grounding_files` keeps of a batch, in its order.

        Args:
          batch: at most `config.batch_size` queries; of an ensemble, the first prompts are asked.
          is_real: whether the pictures are the queries' own, so that attention is of interest.
        """
        answerer = self._answerer(1)
        prompts = [asked.prompts[0] for asked in batch.asked]
        references = [asked.item.answers[:1] for asked in batch.asked]
        told = [number for number, answers in enumerate(references) if answers]
        losses: list[float | None] = [None] * len(prompts)
        if told:
            some = [prompts[number] for number in told]
            likelihoods = answerer.rank_own(
                some, batch.latents, shape_of(some), [references[number] for number in told],
                mean=True,
            )  # fmt: skip
            for number, (likelihood,) in zip(told, map(_written, likelihoods), strict=True):
                losses[number] = -likelihood
        masses = answerer.attention(prompts, batch.latents, shape_of(prompts)) if is_real else None
        for row, (asked, loss) in enumerate(zip(batch.asked, losses, strict=True)):
            line = Grounding(
                query=asked.item.id, index=asked.index, reference="".join(references[row]),
                loss=loss,
            )  # fmt: skip
            if masses is not None:
                count = len(prompts[row].pictures)
                before, *text = _written(masses.text[row, : count + 1])
                line = dataclasses.replace(
                    line,
                    cross_attention=_written(masses.pictures[row, :count]),
                    cross_attention_change=_written(masses.change[row : row + 1])[0],
                    self_attention=tuple(text),
                    self_attention_before=before,
                )
            yield line

    def _generate(self, questions: Questions, batch: Batch) -> Iterator[Prediction]:
        task = questions.task
        answerer = self._answerer(self._config.max_decode_length or task.max_new_tokens)
        prompts = [asked.prompts[0] for asked in batch.asked]
        scored = answerer.generate_scored(prompts, batch.latents, shape_of(prompts))
        keywords = benchmark_prompts.keywords(task.template)
        for asked, (text, score) in zip(batch.asked, scored, strict=True):
            yield dataclasses.replace(
                _prediction(questions, asked),
                output=text,
                answer=post_processing.answer_of(text, keywords),
                score=score,
            )

    def _rank(self, questions: Questions, batch: Batch) -> Iterator[Prediction]:
        is_own = questions.task.decode == RANK_OWN
        shared = questions.benchmark.candidates
        candidates = [asked.item.candidates if is_own else shared for asked in batch.asked]
        scores = self._mean_scores(batch, candidates, is_own)
        for asked, texts, scores_C in zip(batch.asked, candidates, scores, strict=True):
            written = _written(scores_C)
            best = int(np.argmax(written))
            yield dataclasses.replace(
                _prediction(questions, asked),
                output=texts[best],
                answer=texts[best],
                score=written[best],
                scores=written,
                candidates=texts if is_own else (),
            )

    def _mean_scores(
        self, batch: Batch, candidates: Sequence[Sequence[str]], is_own: bool
    ) -> list[np.ndarray]:
        """Log-likelihoods of each query's candidates, averaged over the orders of its shots."""
        num_orders = len(batch.asked[0].prompts)
        total: list[np.ndarray] = []
        for number in range(num_orders):
            prompts = [asked.prompts[number] for asked in batch.asked]
            scores = self._scores(prompts, batch.latents, candidates, is_own)
            total = [a + b for a, b in zip(total, scores, strict=True)] if total else scores
        return [scores_C / num_orders for scores_C in total]

    def _scores(
        self,
        prompts: Sequence[Prompt],
        latents_NRD: np.ndarray,
        candidates: Sequence[Sequence[str]],
        is_own: bool,
    ) -> list[np.ndarray]:
        """Log-likelihoods of each query's candidates after one prompt each."""
        # Ranking generates nothing, so that the length of answers does not matter.
        answerer, shape = self._answerer(1), shape_of(prompts)
        mean = self._config.mean_log_likelihood
        if is_own:
            scores = answerer.rank_own(prompts, latents_NRD, shape, candidates, mean=mean)
        else:
            scores = list(answerer.rank(prompts, latents_NRD, shape, candidates[0], mean=mean))
        return [np.asarray(scores_C, np.float64) for scores_C in scores]

    def _answerer(self, max_length: int) -> Answerer:
        if max_length not in self._answerers:
            config = EvaluationConfig(
                batch_size=self._config.batch_size,
                beam_width=self._config.beam_width,
                length_penalty=self._config.length_penalty,
                max_decode_length=max_length,
            )
            self._answerers[max_length] = Answerer(self._model, config)
        return self._answerers[max_length]


def shape_of(prompts: Sequence[Prompt]) -> Shape:
    """The padded size of prompts: less than 64 tokens, or a quarter, more than the longest has.

    Sizes are few, so that few are compiled; a batch has the same one whenever it is asked.
    """
    longest = max(len(prompt.text) for prompt in prompts)
    step = max(_SHORTEST, 2 ** (math.ceil(math.log2(longest)) - 3))
    return Shape(-(-longest // step) * step, max(len(prompt.pictures) for prompt in prompts))


def _written(values: npt.ArrayLike) -> tuple[float, ...]:
    """In as few digits as tell float32 numbers apart: a thousand classes make long lines."""
    return tuple(float(str(value)) for value in np.asarray(values, np.float32))


def _prediction(questions: Questions, asked: Asked) -> Prediction:
    """What is known of a query before it is answered."""
    item = asked.item
    is_ensemble = len(asked.prompts) > 1
    return Prediction(
        query=item.id,
        index=asked.index,
        medium=item.medium,
        support=tuple(questions.support.items[row].id for row in asked.support),
        prompt=asked.text,
        output="",
        answer="",
        score=0.0,
        references=item.answers,
        label=item.label,
        details=item.details,
        orders=tuple(tuple(map(int, order)) for order in asked.orders) if is_ensemble else (),
    )
