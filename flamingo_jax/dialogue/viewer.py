"""Pictures and clips of a conversation, decoded and encoded one at a time."""

from __future__ import annotations

import jax
import numpy as np

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import schema
from flamingo_jax.data.bad_samples import BadSample
from flamingo_jax.data.media import EncodedImage, EncodedVideo
from flamingo_jax.data.ops.decode import decode
from flamingo_jax.dialogue.conversation import Picture
from flamingo_jax.evaluation.answering import FewShotModel
from flamingo_jax.sharding.rules import to_global


class Viewer:
    """Turns files into what the language model sees. May be called from several threads.

    Attributes:
        latents_shape: (R, D), of a picture's visual tokens.
    """

    def __init__(self, model: FewShotModel, num_frames: int, frames_per_second: float) -> None:
        """Compiles nothing yet.

        Args:
            model: of a mesh whose batches are not split.
            num_frames: frames that are taken of a clip; 1: the model knows no clips.
            frames_per_second: at which they are taken.
        """
        self._model = model
        self._num_frames = num_frames
        self._frames_per_second = frames_per_second
        # Compiled twice: for pictures and for clips.
        self._encode = jax.jit(model.functions.encode_media)
        size = model.image_size
        picture = jax.ShapeDtypeStruct((1, 1, 1, size, size, 3), np.uint8)
        *_, R, D = jax.eval_shape(self._encode, model.params, picture).shape
        self.latents_shape = (R, D)

    def look(self, medium: EncodedImage | EncodedVideo) -> Picture:
        """Decodes and encodes a picture or a clip.

        Raises:
            UserError: it cannot be decoded, or is a clip and the model knows none.
        """
        is_clip = isinstance(medium, EncodedVideo)
        if is_clip and self._num_frames == 1:
            raise UserError(
                f"{medium.name}: this model was trained on pictures alone, not on clips"
            )
        try:
            frames_FHWC = decode(
                medium,
                self._num_frames if is_clip else 1,
                self._model.image_size,
                self._frames_per_second,
            )
        except BadSample as bad:
            raise UserError(f"cannot use {bad}") from None
        batch = to_global(self._model.mesh, {schema.MEDIA: frames_FHWC[None, None]})
        latents_11RD = self._encode(self._model.params, batch[schema.MEDIA])
        return Picture(name=medium.name, latents=np.asarray(latents_11RD)[0, 0])
