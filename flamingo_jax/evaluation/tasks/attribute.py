"""Attribute: only the shots tell whether digit, ink, ground or count is asked for."""

from __future__ import annotations

from flamingo_jax.data import grammar
from flamingo_jax.evaluation.task import NUM_TEXT_EXAMPLES, OUTPUT
from flamingo_jax.evaluation.world_task import WorldQuery, WorldTask


class Attribute(WorldTask):
    """ "<image>Output: red<EOC><image>Output:": open-ended, one attribute a prompt."""

    name = "attribute"

    def attribute(self, index: int) -> str:
        """The attribute that query `index` is about, a key of `grammar.ATTRIBUTES`."""
        random = self.generator("attribute", index)
        return list(grammar.ATTRIBUTES)[random.integers(len(grammar.ATTRIBUTES))]

    def query(self, index: int) -> WorldQuery:
        """See `Task.query`."""
        frames = self.draw_outside_support(self.generator("query", index))
        answer = grammar.attribute_word(self.attribute(index), frames[0])
        return WorldQuery(frames=frames, lead=OUTPUT, answer=answer)

    def shot_text(self, index: int, row: int) -> str:
        """See `Task.shot_text`; the attribute is the query's."""
        return self._text(self.attribute(index), row)

    def text_examples(self, index: int) -> tuple[str, ...]:
        """Two different attributes of any two support pictures, so that nothing is given away."""
        random = self.generator("text_examples", index)
        attributes = random.permutation(list(grammar.ATTRIBUTES))[:NUM_TEXT_EXAMPLES]
        rows = random.permutation(self.num_support)[:NUM_TEXT_EXAMPLES]
        return tuple(
            self._text(str(attribute), int(row))
            for attribute, row in zip(attributes, rows, strict=True)
        )

    def _text(self, attribute: str, row: int) -> str:
        return f"{OUTPUT} {grammar.attribute_word(attribute, self.support[row][0])}"
