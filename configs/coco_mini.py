"""A small Flamingo from nothing on real photographs with COCO's own files: it learns them by heart.

    python -m flamingo_jax.train --config=configs/coco_mini.py:flamingo --workdir=runs/coco_mini \
        --config.data_dir=/path/to/coco-mini
    python -m flamingo_jax.evaluate --config=configs/coco_mini.py:flamingo \
        --workdir=runs/coco_mini --config.data_dir=/path/to/coco-mini

Run these from the repository's folder. `data_dir` has COCO's layout, `annotations/` and
`train2017/`, with some eighty pictures; see docs/data/coco_mini.md.

What to expect, with 80 photographs, in 3 to 6 minutes on two CPU cores: CIDEr of 287 on those of
training, 3 with each picture replaced by another one.
"""

from __future__ import annotations

from typing import Any

from ml_collections import ConfigDict

VOCABULARY_SIZE = 1024
WIDTH = 128
NUM_HEADS = 4

ANNOTATIONS = "annotations/captions_train2017.json"
IMAGES = "train2017"


def get_config(stage: str = "flamingo") -> ConfigDict:
    """The config.

    Args:
      stage: "flamingo", the only one: nothing here was trained before.

    Returns:
      All fields of `flamingo_jax.config.RunConfig`, open to overrides.

    Raises:
      ValueError: another stage.
    """
    if stage != "flamingo":
        raise ValueError(f"stage {stage!r} does not exist: expected flamingo")
    return ConfigDict(
        {
            "stage": stage,
            "seed": 0,
            "steps": 400,
            "vocabulary": "world",
            "round_robin": False,
            "data_dir": "",
            "reader_threads": 0,
            "data": [_captions()],
            "vision_encoder": {"variant": "nfnet_tiny", "image_size": 64, "images_at_once": 0},
            "text_tower": None,
            "embedding_width": 0,
            "precision": {"compute": "float32", "frozen": "float32"},
            "remat": "none",
            "layers_apart": True,
            **_language_side(),
            "optimizer": _optimizer(),
            "mesh": {
                "replica": 1,
                "data": 1,
                "model": 1,
                "shard_optimizer": True,
                "shard_frozen": False,
            },
            "checkpoint": {"every_steps": 200, "keep": 2},
            "log_every_steps": 20,
            "init_from": "",
            "label_smoothing": 0.0,
            "frozen": {"vision_encoder": "", "language_model": ""},
            # Both parts begin at random numbers and learn with the rest.
            "unfrozen": {"vision_encoder": "random", "language_model": "random"},
            "evaluation": _evaluation(),
        }
    )


def _captions() -> dict[str, Any]:
    """Every caption with its picture, all of them in a new order every epoch."""
    return {
        "name": "captions",
        "source": "pairs/coco_captions",
        "paths": (ANNOTATIONS,),
        "data_dir": "",
        "options": {
            "images": IMAGES,
            "image_field": "image",
            "text_field": "text",
            "min_similarity": 0.24,
            "min_image_bytes": 0,
            "single_image_probability": 1.0,
            "index_dir": "",
        },
        "batch_size": 32,
        "loss_weight": 1.0,
        # Of 100 captions three are longer, with tag and end, in the quickstart's vocabulary.
        "max_text_length": 48,
        "max_images": 1,
        "num_frames": 1,
        "p_next": 0.0,
        "leading_space_probability": 0.0,
        "seed": 1,
        "split": "train",
        "microbatches": 1,
        "shuffle": True,
        "image_size": 0,
        "frames_per_second": 1.0,
        # None: what is learnt by heart should look the same every time.
        "augmentation": {
            "flip_probability": 0.0,
            "brightness": 0.0,
            "contrast": 0.0,
            "saturation": 0.0,
            "hue": 0.0,
            "spare_pictures_of_text": False,
        },
        "random_subsequence": False,
        "scored": "all",
        "documents_per_row": 1,
        "max_bad_share": 0.0,
    }


def _language_side() -> dict[str, Any]:
    """Language model, resampler and what joins them."""
    return {
        "language_model": {
            "num_layers": 4,
            "width": WIDTH,
            "num_heads": NUM_HEADS,
            "head_dim": 0,
            "vocabulary_size": VOCABULARY_SIZE,
            "shortest_period": 2.0,
            "longest_period": 512.0,
            "initialization": "standard",
        },
        "resampler": {
            "num_layers": 2,
            "width": WIDTH,
            "num_heads": NUM_HEADS,
            "head_dim": 0,
            "num_latents": 8,
            "num_frames": 0,
            "kind": "perceiver",
            "mlp_width": 0,
        },
        "cross_attention": {
            "every": 2,
            "num_heads": 0,
            "head_dim": 0,
            "conditioning": "gated_xattn_dense",
            "placement": "every",
            "attend_to": "last_image",
            # A gate that starts at 0 guards what a language model has learnt before. Here there is
            # nothing to guard, and all captions would be learnt before the gates open.
            "tanh_gate": False,
            "num_grafted": 0,
        },
    }


def _optimizer() -> dict[str, Any]:
    return {
        "learning_rate": 3e-3,
        "schedule": "linear",
        "warmup_steps": 20,
        "weight_decay": 0.0,
        "no_decay": (),
        "b1": 0.9,
        "b2": 0.98,
        "epsilon": 1e-8,
        "clip_global_norm": 1.0,
        "adaptive_clip": 0.0,
        "adaptive_clip_paths": (),
        "global_clip": [],
        "rate_scales": [],
    }


def _evaluation() -> dict[str, Any]:
    """CIDEr on the pictures of training, with the picture as the whole prompt."""
    return {
        "tasks": ("coco_captions",),
        "benchmarks": [
            {
                "name": "coco_captions",
                "source": "coco_captions",
                "annotations": ANNOTATIONS,
                "images": IMAGES,
                "support_annotations": "",
                "support_images": "",
                "data_dir": "",
                # The model has seen nothing but pairs, so it is asked with the beginning of one.
                "lead": "",
                "text_examples": 0,
            }
        ],
        "shots": (0,),
        "selections": (),
        "split": "train",
        "num_queries": 80,
        "more_queries": (),
        "num_support": 2,
        "batch_size": 20,
        "beam_width": 3,
        "length_penalty": 0.0,
        "max_decode_length": 42,
        "seed": 0,
    }
