"""The quickstart: a Flamingo of two million parameters, from nothing, on two CPU cores.

    python -m flamingo_jax.train --config=configs/quickstart.py:contrastive --workdir=runs/x
    python -m flamingo_jax.train --config=configs/quickstart.py:language_model --workdir=runs/x
    python -m flamingo_jax.train --config=configs/quickstart.py:flamingo --workdir=runs/x
    python -m flamingo_jax.evaluate --config=configs/quickstart.py:flamingo --workdir=runs/x

`make quickstart` runs these four with --workdir=runs/quickstart.
Any field below can be overridden: `--config.optimizer.learning_rate=3e-4`, and in the list of
datasets `--config.data[0].batch_size=8`.
"""

from __future__ import annotations

from typing import Any

from ml_collections import ConfigDict

VOCABULARY_SIZE = 1024
PICTURES_OF_A_PAGE = 9  # eight shots and a query


def get_config(stage: str = "") -> ConfigDict:
    """The config of a stage.

    Args:
      stage: "contrastive", "language_model" or "flamingo"; "language_model_pretraining" is the
        longer run that made the shipped language model.

    Returns:
      All fields of `flamingo_jax.config.RunConfig`, open to overrides.

    Raises:
      ValueError: no such stage.
    """
    stages = {
        "contrastive": _contrastive,
        "language_model": _language_model,
        "language_model_pretraining": _language_model_pretraining,
        "flamingo": _flamingo,
    }
    if stage not in stages:
        raise ValueError(f"stage {stage!r} does not exist: expected one of {', '.join(stages)}")
    config = ConfigDict(
        {
            "stage": stage,
            "seed": 0,
            "steps": 1000,
            "vocabulary": "world",
            "mesh": {
                "replica": 1,
                "data": 1,
                "model": 1,
                "shard_optimizer": True,
                "shard_frozen": False,
            },
            "checkpoint": {"every_steps": 100, "keep": 2},
            "log_every_steps": 10,
            "init_from": "",
            "label_smoothing": 0.0,
            "round_robin": False,
            "data_dir": "",
            "reader_threads": 0,
            "frozen": {"vision_encoder": "", "language_model": ""},
            "unfrozen": {"vision_encoder": "", "language_model": ""},
            "evaluation": _evaluation(),
        }
    )
    config.update(stages[stage]())
    return config


def _contrastive() -> dict[str, Any]:
    """NFNet and BERT on two sets of pairs (paper, appendix B.1.3)."""
    return {
        "steps": 400,
        "data": [
            _pairs("noisy_pairs", source="world/noisy_pairs", batch_size=96, seed=1),
            _pairs("clean_pairs", source="world/clean_pairs", batch_size=48, seed=2),
        ],
        "model": _model(
            text_tower={
                "num_layers": 2,
                "width": 128,
                "num_heads": 4,
                "vocabulary_size": VOCABULARY_SIZE,
                "max_length": 48,
            },
            embedding_width=128,
            vision_encoder=_vision_encoder(),
        ),
        "optimizer": _optimizer(
            learning_rate=3e-3,
            schedule="linear",
            warmup_steps=20,
            adaptive_clip=1e-2,
            adaptive_clip_paths=(r"vision_encoder/.*",),
            global_clip=[{"paths": (r"text_tower/.*", r"two_tower/.*"), "norm": 10.0}],
        ),
        "label_smoothing": 0.1,
    }


def _language_model_pretraining() -> dict[str, Any]:
    """The Chinchilla architecture on the world's text and on technical English, from scratch.

    `make language-model` runs it and keeps the result as
    flamingo_jax/pretrained/world_language_model. Half of the world's texts make the model look
    things up (lists, dictionaries, pages of names): see data/text_world.py.
    """
    return {
        "stage": "language_model",
        "steps": 900,
        "data": [
            _text("world_text", source="world/text", batch_size=32, seed=3),
            _text(
                "documentation",
                source="text/documentation",
                batch_size=6,
                loss_weight=0.2,
                seed=4,
            ),
        ],
        "model": _model(language_model=_decoder()),
        "optimizer": _optimizer(
            learning_rate=2e-3,
            schedule="linear",
            warmup_steps=100,
            weight_decay=0.01,
            no_decay=(r".*_norm[/_]scale",),
            clip_global_norm=1.0,
            b2=0.98,
        ),
    }


def _language_model() -> dict[str, Any]:
    """Goes on from the shipped language model for some steps on fresh text."""
    config = _language_model_pretraining()
    config["init_from"] = "world_language_model"
    config["steps"] = 60
    config["data"] = [dataset | {"seed": dataset["seed"] + 100} for dataset in config["data"]]
    config["optimizer"] |= {"learning_rate": 2e-4, "warmup_steps": 10}
    return config


def _flamingo() -> dict[str, Any]:
    """Resampler and gated cross-attention on four datasets (paper, section 4.1.4)."""
    pages = _dataset(
        "pages",
        source="world/pages",
        batch_size=16,
        loss_weight=1.0,
        max_text_length=72,
        max_images=PICTURES_OF_A_PAGE,
        p_next=0.5,
        seed=5,
    )
    clips = _pairs(
        "clips", source="world/clips", batch_size=8, seed=8, loss_weight=0.2, num_frames=8
    )
    return {
        "steps": 1200,
        "data": [
            pages,
            _pairs("noisy_pairs", source="world/noisy_pairs", batch_size=16, seed=6),
            _pairs(
                "clean_pairs", source="world/clean_pairs", batch_size=32, loss_weight=0.5, seed=7
            ),
            clips,
        ],
        "model": _model(
            vision_encoder=_vision_encoder(),
            language_model=_decoder(),
            resampler={
                "num_layers": 2,
                "width": 128,
                "num_heads": 4,
                "head_dim": 0,
                "num_latents": 4,
                "num_frames": 0,
                "kind": "perceiver",
                "mlp_width": 0,
            },
            cross_attention={
                "every": 2,
                "num_heads": 0,
                "head_dim": 0,
                "conditioning": "gated_xattn_dense",
                "placement": "every",
                "attend_to": "last_image",
                "tanh_gate": True,
                "num_grafted": 0,
            },
        ),
        "optimizer": _optimizer(
            learning_rate=2e-3,
            warmup_steps=20,
            weight_decay=0.1,
            no_decay=(r"resampler/.*",),
            clip_global_norm=1.0,
        ),
    }


def _evaluation() -> dict[str, Any]:
    """100 queries a number, 500 for the numbers that the project's bars name."""
    return {
        "tasks": (
            "captioning",
            "question_answering",
            "classification",
            "video_question_answering",
            "attribute",
            "naming",
            "zero_shot_classification",
            "retrieval",
        ),
        "shots": (0, 4, 8, 16),
        "selections": ("random", "rices"),
        "split": "test",
        "num_queries": 100,
        "more_queries": (
            _more_queries("captioning", shots=4, selection="random"),
            _more_queries("question_answering", shots=4, selection="random"),
            _more_queries("attribute", shots=0, selection="none"),
            _more_queries("attribute", shots=8, selection="random"),
            _more_queries("naming", shots=8, selection="random"),
            _more_queries("zero_shot_classification", shots=0, selection="none"),
            _more_queries("retrieval", shots=0, selection="none"),
        ),
        "num_support": 256,
        "batch_size": 20,
        "beam_width": 3,
        "length_penalty": 0.0,
        "max_decode_length": 12,
        "seed": 0,
        "benchmarks": (),
    }


def _more_queries(task: str, shots: int, selection: str) -> dict[str, Any]:
    return {"task": task, "shots": shots, "selection": selection, "num_queries": 500}


def _vision_encoder() -> dict[str, Any]:
    return {"variant": "nfnet_tiny", "image_size": 24, "images_at_once": 0}


def _decoder() -> dict[str, Any]:
    return {
        "num_layers": 4,
        "width": 128,
        "num_heads": 4,
        "head_dim": 0,
        "vocabulary_size": VOCABULARY_SIZE,
        "shortest_period": 2.0,
        "longest_period": 512.0,
        "initialization": "induction",
    }


def _model(**parts: Any) -> dict[str, Any]:
    """The parts of a stage's model; those that it does not use are None."""
    return {
        "vision_encoder": None,
        "text_tower": None,
        "embedding_width": 0,
        "language_model": None,
        "resampler": None,
        "cross_attention": None,
        "precision": {"compute": "float32", "frozen": "float32"},
        "remat": "none",
        "layers_apart": False,
    } | parts


def _optimizer(**numbers: Any) -> dict[str, Any]:
    return {
        "schedule": "constant",
        "warmup_steps": 0,
        "weight_decay": 0.0,
        "no_decay": (),
        "b1": 0.9,
        "b2": 0.999,
        "epsilon": 1e-8,
        "clip_global_norm": 0.0,
        "adaptive_clip": 0.0,
        "adaptive_clip_paths": (),
        "global_clip": [],
        "rate_scales": [],
    } | numbers


# What the embedded world has no use for: it is painted, not read from files (docs/data/).
_OF_FILES: dict[str, Any] = {
    "paths": (),
    "data_dir": "",
    "options": {
        "images": "",
        "image_field": "image",
        "text_field": "text",
        "min_similarity": 0.24,
        "min_image_bytes": 0,
        "single_image_probability": 1.0,
        "index_dir": "",
    },
    "shuffle": True,
    "image_size": 0,
    "frames_per_second": 1.0,
    "augmentation": {
        "flip_probability": 0.0,  # Mirrored digits are other digits, or none.
        "brightness": 0.0,
        "contrast": 0.0,
        "saturation": 0.0,
        "hue": 0.0,
        "spare_pictures_of_text": False,
    },
    "random_subsequence": False,
    "scored": "all",
    "documents_per_row": 1,
    "max_bad_share": 0.1,
}


def _dataset(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "loss_weight": 1.0,
        "max_text_length": 24,
        "max_images": 1,
        "num_frames": 1,
        "p_next": 0.0,
        "leading_space_probability": 0.0,
        "split": "train",
        "microbatches": 1,
        **_OF_FILES,
    } | fields


def _pairs(name: str, **fields: Any) -> dict[str, Any]:
    """One picture or clip with its text; half of the texts begin with a space."""
    return _dataset(name, **({"loss_weight": 0.2, "leading_space_probability": 0.5} | fields))


def _text(name: str, **fields: Any) -> dict[str, Any]:
    return _dataset(name, **({"max_text_length": 96, "max_images": 0} | fields))
