"""The contrastive stage that makes the vision encoder (arXiv 2204.14198, appendix B.1.3).

    python -m flamingo_jax.describe --config=configs/contrastive.py:nfnet_f6
    python -m flamingo_jax.train --config=configs/contrastive.py:nfnet_f6 --workdir=runs/flamingo_3b

Run these from the repository's folder. Argument: the vision encoder, `nfnet_f6` by default; its
choices are `VISION_ENCODERS` below.

What to expect, with the paper's data and 512 TPU v4 chips: 77.9 % on ImageNet without training on
it (table 7), recall at 1 of 65.9 % on COCO pictures to texts (table 9). `nfnet_f0` is the model of
the paper's study of how to combine data sets (table 11): BERT-mini, batches of 2,048 and 1M
gradient computations, 45.6 % on ImageNet.

The paper does not say: the size of BERT beside the F6 (here BERT-base), warm-up (ALIGN's 10,000
steps), the weights of the two data sets (1 each), Adam's numbers (Optax's). Its vocabulary is
ALIGN's wordpieces, which are not published; `vocabulary` is a SentencePiece model of 100,000
pieces of your own. CLIP towers are here for their sizes: their own recipe is not reproduced.
The sources align and ltip are names: no reader for them is registered yet.
"""

from __future__ import annotations

from typing import Any

from ml_collections import ConfigDict

from configs import full_size

VISION_ENCODERS = (
    "nfnet_f6",
    *(f"nfnet_f{number}" for number in (0, 1, 2, 3, 4, 5, 7)),
    *(f"nfnet_f{number}_plus" for number in range(8)),
    "clip_vit_l14",
    "clip_vit_b32",
)
VOCABULARY_SIZE = 100_000
TEXT_LENGTH = 64
CLIP_IMAGE_SIZE = 224


def get_config(vision_encoder: str = "") -> ConfigDict:
    """The config.

    Args:
      vision_encoder: one of `VISION_ENCODERS`; "" is the first.

    Returns:
      All fields of `flamingo_jax.config.RunConfig`, open to overrides.

    Raises:
      ValueError: no such vision encoder.
    """
    (variant,) = full_size.split_options(vision_encoder, [VISION_ENCODERS])
    is_ablation = variant == "nfnet_f0"
    is_clip = variant.startswith("clip")
    batch_size = 2048 if is_ablation else 16_384
    # Adaptive clipping is made for NFNet; a CLIP tower is clipped as the text tower is.
    by_norm = (r"text_tower/.*", r"two_tower/.*", *((r"vision_encoder/.*",) if is_clip else ()))
    config = {
        "stage": "contrastive",
        "seed": 0,
        "steps": 500_000 if is_ablation else 1_200_000,
        "vocabulary": "vocabularies/sentencepiece_100000.model",
        "data": [
            full_size.dataset(
                name, batch_size=batch_size, loss_weight=1.0, max_text_length=TEXT_LENGTH, seed=seed
            )
            for seed, name in enumerate(("align", "ltip"), start=5)
        ],
        "vision_encoder": {
            "variant": variant,
            "image_size": CLIP_IMAGE_SIZE if is_clip else full_size.CONTRASTIVE_IMAGE_SIZE,
            "images_at_once": 0,
        },
        "text_tower": _bert_mini() if is_ablation else _bert_base(),
        "embedding_width": 1376,
        "language_model": None,
        "resampler": None,
        "cross_attention": None,
        "precision": {"compute": "bfloat16", "frozen": "bfloat16"},
        "remat": "none",
        "layers_apart": False,
        "optimizer": full_size.optimizer(
            learning_rate=1e-3,
            schedule="linear",
            warmup_steps=10_000,
            adaptive_clip=0.0 if is_clip else 1e-2,
            adaptive_clip_paths=() if is_clip else (r"vision_encoder/.*",),
            global_clip=[{"paths": by_norm, "norm": 10.0}],
        ),
    }
    # The optimizer's state is split over `data`, which must divide widths of 768 and 1,536.
    config |= full_size.run_fields({"data": 64} if is_ablation else {"replica": 4, "data": 128})
    return ConfigDict(config | {"label_smoothing": 0.1})


def _bert_base() -> dict[str, Any]:
    return _bert(num_layers=12, width=768, num_heads=12)


def _bert_mini() -> dict[str, Any]:
    return _bert(num_layers=4, width=256, num_heads=4)


def _bert(**sizes: Any) -> dict[str, Any]:
    return {"vocabulary_size": VOCABULARY_SIZE, "max_length": TEXT_LENGTH} | sizes
