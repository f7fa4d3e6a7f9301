"""A Chinchilla language model of any size (arXiv 2203.15556), the frozen one of Flamingo.

    python -m flamingo_jax.describe --config=configs/language_model.py
    python -m flamingo_jax.train --config=configs/language_model.py:1.4B --workdir=runs/flamingo_3b
    python -m flamingo_jax.describe --config=configs/language_model.py \
        --config.language_model.num_layers=8 --config.language_model.width=512 \
        --config.language_model.num_heads=8 --config.language_model.head_dim=64

Run these from the repository's folder. The last one is the smallest of Chinchilla's table A9, 44
million parameters; any row of that table goes the same way.

Argument: `1.4B` (default), `7B` or `70B`, the language models of Flamingo-3B, -9B and -80B.
Batches and learning rates of the first two are those of the Gopher models of the same size (arXiv
2112.11446, table 1: 0.25M and 2M tokens, 2e-4 and 1.2e-4), of the last those of Chinchilla
(3M tokens, after its first part at 1.5M; 1e-4). Warm-up and clipping are Gopher's (section 3.2).

Not published, or not as published: the text (MassiveText; the source `massive_text` is a name, no
reader for it is registered yet), hence the vocabulary; weight decay; the number of steps, here 20
tokens for each parameter, Chinchilla's own finding; Gopher and Chinchilla let the rate fall along a
cosine to a tenth, here it falls linearly to 0. The chips are ours: 4, 32 and 1,536 of TPU v4.
"""

from __future__ import annotations

from typing import Any

from ml_collections import ConfigDict

from configs import full_size

CONTEXT = 2048

_RECIPES: dict[str, dict[str, Any]] = {
    "1.4B": {
        "batch_size": 128,
        "learning_rate": 2e-4,
        "clip_global_norm": 1.0,
        "steps": 105_000,
        "microbatches": 16,
        "mesh": {"data": 4},
    },
    "7B": {
        "batch_size": 1024,
        "learning_rate": 1.2e-4,
        "clip_global_norm": 0.25,
        "steps": 68_000,
        "microbatches": 64,
        "mesh": {"data": 8, "model": 4},
    },
    "70B": {
        "batch_size": 1536,
        "learning_rate": 1e-4,
        "clip_global_norm": 1.0,
        "steps": 445_000,
        "microbatches": 16,
        "mesh": {"replica": 3, "data": 16, "model": 32},
    },
}


def get_config(size: str = "") -> ConfigDict:
    """The config.

    Args:
      size: "1.4B" (also if empty), "7B" or "70B".

    Returns:
      All fields of `flamingo_jax.config.RunConfig`, open to overrides.

    Raises:
      ValueError: no such size.
    """
    (size,) = full_size.split_options(size, [tuple(_RECIPES)])
    recipe = _RECIPES[size]
    text = full_size.dataset(
        "massive_text",
        batch_size=recipe["batch_size"],
        loss_weight=1.0,
        max_text_length=CONTEXT,
        max_images=0,
        seed=7,
    )
    return ConfigDict(
        {
            "stage": "language_model",
            "seed": 0,
            "steps": recipe["steps"],
            "vocabulary": full_size.VOCABULARY,
            "data": [text | {"microbatches": recipe["microbatches"]}],
            "vision_encoder": None,
            "text_tower": None,
            "embedding_width": 0,
            "language_model": full_size.language_model(size),
            "resampler": None,
            "cross_attention": None,
            "precision": {"compute": "bfloat16", "frozen": "bfloat16"},
            "remat": "layer",
            "layers_apart": False,
            "optimizer": full_size.optimizer(
                learning_rate=recipe["learning_rate"],
                schedule="linear",
                warmup_steps=1500,
                weight_decay=0.1,
                clip_global_norm=recipe["clip_global_norm"],
            ),
        }
        | full_size.run_fields(recipe["mesh"])
    )
