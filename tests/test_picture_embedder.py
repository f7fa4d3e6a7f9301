"""The embedder out of a contrastive run."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.ops.decode_image import decode_image
from flamingo_jax.models import build, variants
from flamingo_jax.picture_embedder import load_picture_embedder
from flamingo_jax.training import stages
from flamingo_jax.training.trained import Trained
from tests.e2e import tiny_run
from tests.e2e.test_stages import ONE_BLOCK, VISION
from tests.preparation.m3w.pictures import picture


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no checkpoint of the contrastive stage"):
        load_picture_embedder(str(tmp_path))


def test_pictures_are_embedded_by_the_image_tower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(variants.NFNET_VARIANTS, "one_block", ONE_BLOCK)
    config = tiny_run.make_config("contrastive", VISION)
    functions = build.build_two_tower(config.model)
    params = jax.jit(functions.init)(jax.random.key(0))
    asked = []

    def load_stage(workdir: str, stage: str, mesh: jax.sharding.Mesh) -> Trained:
        asked.append((workdir, stage, mesh.size))
        return Trained(config=config, params=params, step=1, checkpoint=Path("1"))

    monkeypatch.setattr(stages, "load_stage", load_stage)
    embed = load_picture_embedder("runs/x")
    assert asked == [("runs/x", "contrastive", 1)]

    files = [picture(seed=1), picture(100, 60, seed=2, kind="PNG"), picture(seed=3)]
    assert config.model.vision_encoder is not None
    size = config.model.vision_encoder.image_size
    images = [decode_image(EncodedImage(data=data, name="a"), size) for data in files]
    expected = jax.jit(functions.encode_image)(params, np.stack(images))
    found = embed(files)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # However many are embedded together.
    np.testing.assert_allclose(embed(files[1:2]), found[1:2], atol=1e-5)
