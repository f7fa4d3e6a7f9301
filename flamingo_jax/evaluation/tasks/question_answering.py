"""Question answering about pictures and about clips: "Question: which ink is it? Answer: red"."""

from __future__ import annotations

import abc

import numpy as np

from flamingo_jax.data import grammar, world
from flamingo_jax.evaluation.world_task import Frames, WorldQuery, WorldTask


class _QuestionAnswering(WorldTask):
    """What both kinds have in common: every picture has a question of its own."""

    @abc.abstractmethod
    def ask(self, random: np.random.Generator, frames: Frames) -> WorldQuery:
        """Draws a question about a picture."""

    def query(self, index: int) -> WorldQuery:
        """See `Task.query`."""
        random = self.generator("query", index)
        return self.ask(random, self.draw_outside_support(random))

    def shot_text(self, index: int, row: int) -> str:
        """See `Task.shot_text`; the same for every query."""
        del index
        return self.ask(self.generator("support/question", row), self.support[row]).text


class QuestionAnswering(_QuestionAnswering):
    """One of the grammar's questions about a picture: open-ended, VQA accuracy."""

    name = "question_answering"
    metrics = ("vqa_accuracy", "exact_match")

    def ask(self, random: np.random.Generator, frames: Frames) -> WorldQuery:
        """Draws what is asked about, and in which words."""
        attribute = list(grammar.QUESTIONS)[random.integers(len(grammar.QUESTIONS))]
        wordings = grammar.QUESTIONS[attribute]
        question = wordings[random.integers(len(wordings))]
        return WorldQuery(
            frames=frames,
            lead=f"Question: {question} Answer:",
            answer=grammar.answer(attribute, frames[0]),
        )


class VideoQuestionAnswering(_QuestionAnswering):
    """What happens in a clip of eight frames: open-ended."""

    name = "video_question_answering"
    num_frames = 8

    def draw_frames(self, random: np.random.Generator) -> Frames:
        """Draws a clip."""
        return world.clip_frames(random, self.split, self.num_frames)

    def ask(self, random: np.random.Generator, frames: Frames) -> WorldQuery:
        """Draws the wording of the question."""
        question = grammar.VIDEO_QUESTIONS[random.integers(len(grammar.VIDEO_QUESTIONS))]
        return WorldQuery(
            frames=frames,
            lead=f"Question: {question} Answer:",
            answer=grammar.movement(frames),
        )
