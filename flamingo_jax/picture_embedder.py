"""A trained contrastive model as the embedder of `prepare m3w --embedder=RUN_FOLDER`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from flamingo_jax.preparation.m3w.near_duplicates import Embedder

_MOST_AT_ONCE = 64


def load_picture_embedder(name: str) -> Embedder:
    """Loads the image tower of a run.

    Args:
        name: the run's folder, with the folder `contrastive` of its first stage in it.

    Returns:
        A function from picture files to the tower's embeddings, float32 [N, E]. The pictures are
        decoded as in training.

    Raises:
        UserError: there is no trained contrastive model in the folder.
    """
    # JAX takes seconds to load, and the workers of a run without an embedder need none.
    import jax

    from flamingo_jax.config import MeshConfig
    from flamingo_jax.data.media import EncodedImage
    from flamingo_jax.data.ops.decode_image import decode_image
    from flamingo_jax.evaluation.pictures import in_batches
    from flamingo_jax.models import build
    from flamingo_jax.sharding.mesh import make_mesh
    from flamingo_jax.training import stages

    mesh = make_mesh(MeshConfig())  # One device: a worker may have fewer than the run had.
    trained = stages.load_stage(name, stages.CONTRASTIVE, mesh)
    vision_encoder = trained.config.model.vision_encoder
    assert vision_encoder is not None, "every config of the contrastive stage has one"
    size = vision_encoder.image_size
    encode = jax.jit(build.build_two_tower(trained.config.model).encode_image)

    def embed(pictures: list[bytes]) -> np.ndarray:
        images = [EncodedImage(data=data, name="picture") for data in pictures]
        images_NHWC = np.stack([decode_image(image, size) for image in images])
        # Pages have few pictures. Each size of batch is compiled, so there are only seven.
        at_once = min(_MOST_AT_ONCE, 1 << (len(pictures) - 1).bit_length())
        return in_batches(mesh, trained.params, encode, images_NHWC, at_once)

    return embed
