"""What the full-size configs share: the parts of the paper's models, its data and its optimizer.

No config of its own: `configs/flamingo_3b.py` and its neighbours are put together from these
pieces. Every function returns a fresh dict of plain values, so that whoever gets one may change it.
Numbers are those of arXiv 2204.14198 unless the text beside them says that they are ours;
docs/fidelity.md has the reasons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

VOCABULARY_SIZE = 32_000  # SentencePiece (model card; Gopher, arXiv 2112.11446)
# The paper's vocabulary is not published. This path is a placeholder for a SentencePiece model of
# 32,000 pieces of your own: --config.vocabulary=PATH.
VOCABULARY = "vocabularies/sentencepiece_32000.model"

IMAGE_SIZE = 320
CONTRASTIVE_IMAGE_SIZE = 288
FRAMES_OF_A_CLIP = 8

# num_layers, width and num_heads of the language models; heads are 128 wide (Chinchilla, arXiv
# 2203.15556, table A9, by the counts of table 5 of the paper). "9B table 4" is what the paper's
# table of hyper-parameters has for Flamingo-9B; its 8.9 billion parameters contradict the 7.1
# billion of its table of counts.
LANGUAGE_MODELS: Mapping[str, tuple[int, int, int]] = {
    "1.4B": (24, 2048, 16),
    "7B": (32, 4096, 32),
    "70B": (80, 8192, 64),
    "9B table 4": (40, 4096, 32),
}

# Examples of one step: the paper's ablations, the only batch sizes that it gives (section 3.3 and
# appendix B.3.1).
SHORT_SCHEDULE_BATCHES: Mapping[str, int] = {"m3w": 256, "align": 512, "ltip": 512, "vtp": 64}
SHORT_SCHEDULE_STEPS = 250_000  # 1M gradient computations over four datasets

# What each data set is read from, and its files in the folder of its name (docs/data/).
SOURCES: Mapping[str, tuple[str, str]] = {
    "m3w": ("pages/obelics", "*.tar"),
    "align": ("pairs/webdataset", "*.tar"),
    "ltip": ("pairs/webdataset", "*.tar"),
    "laion_400m": ("pairs/webdataset", "*.tar"),
    "vtp": ("clips/webdataset", "*.tar"),
    "massive_text": ("text/json_lines", "*.jsonl"),
}


def split_options(argument: str, groups: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The comma-separated words of a config's argument, one from each group.

    Args:
      argument: "" or, for example, "table4,head96".
      groups: words that exclude each other; the first of a group is its default.

    Returns:
      One word for each group.

    Raises:
      ValueError: a word of no group, or two of the same one; lists the words.
    """
    words = [word for word in argument.split(",") if word]
    choices = "; ".join(" or ".join(group) for group in groups)
    for word in words:
        if not any(word in group for group in groups):
            raise ValueError(f"{word!r} does not exist: expected {choices}")
    chosen = [[word for word in words if word in group] for group in groups]
    if max(map(len, chosen)) > 1:
        raise ValueError(f"{argument!r} chooses twice: expected, separated by commas, {choices}")
    return tuple(word[0] if word else group[0] for word, group in zip(chosen, groups, strict=True))


def flamingo(
    size: str,
    *,
    every: int,
    mesh: Mapping[str, int],
    batch_sizes: Mapping[str, int],
    microbatches: Mapping[str, int],
    resampler_head: str = "head128",
) -> dict[str, Any]:
    """A Flamingo run: all fields of `RunConfig`, the parts of its model at the top.

    Args:
      size: of the language model, a key of `LANGUAGE_MODELS`.
      every: language-model blocks for each cross-attention layer.
      mesh: sizes of the mesh's axes that are not 1.
      batch_sizes: examples of a step, for each of m3w, align, ltip and vtp.
      microbatches: parts that each batch is computed in.
      resampler_head: "head128" (v1, and the counts) or "head96" (v2).
    """
    return {
        "stage": "flamingo",
        "seed": 0,
        "steps": 500_000,
        "vocabulary": VOCABULARY,
        "data": [
            dataset | {"microbatches": microbatches[dataset["name"]]}
            for dataset in datasets(batch_sizes)
        ],
        "vision_encoder": {
            "variant": "nfnet_f6",
            "image_size": IMAGE_SIZE,
            "images_at_once": 0,
        },
        "text_tower": None,
        "embedding_width": 0,
        "language_model": language_model(size),
        "resampler": resampler(head_dim=int(resampler_head.removeprefix("head"))),
        "cross_attention": cross_attention(every=every),
        "precision": {"compute": "bfloat16", "frozen": "bfloat16"},
        "remat": "layer",
        "layers_apart": False,
        "optimizer": optimizer(
            learning_rate=1e-4,
            warmup_steps=5000,
            weight_decay=0.1,
            no_decay=(r"resampler/.*",),
            clip_global_norm=1.0,
        ),
    } | run_fields(mesh)


def run_fields(mesh: Mapping[str, int]) -> dict[str, Any]:
    """The fields of a run that the paper has no say in, for every stage."""
    return {
        "mesh": {
            "replica": 1,
            "data": 1,
            "model": 1,
            "shard_optimizer": True,
            "shard_frozen": False,
            **mesh,
        },
        "checkpoint": {"every_steps": 1000, "keep": 2},
        "log_every_steps": 10,
        "init_from": "",
        "label_smoothing": 0.0,
        "round_robin": False,
        "data_dir": "",
        "reader_threads": 0,
        "frozen": {"vision_encoder": "", "language_model": ""},
        "unfrozen": {"vision_encoder": "", "language_model": ""},
        "evaluation": {
            "tasks": (),
            "shots": (0, 4, 8, 16, 32),
            "selections": ("random", "rices"),
            "split": "test",
            "num_queries": 1024,
            "more_queries": (),
            "num_support": 2048,
            "batch_size": 16,
            "beam_width": 3,
            "length_penalty": 0.0,
            "max_decode_length": 20,
            "seed": 0,
            "benchmarks": (),
        },
    }


def language_model(size: str) -> dict[str, Any]:
    """Chinchilla of one of `LANGUAGE_MODELS`, with Transformer-XL's periods of positions."""
    num_layers, width, num_heads = LANGUAGE_MODELS[size]
    return {
        "num_layers": num_layers,
        "width": width,
        "num_heads": num_heads,
        "head_dim": 128,
        "vocabulary_size": VOCABULARY_SIZE,
        "shortest_period": 6.283185307179586,
        "longest_period": 62831.853071795864,
        "initialization": "standard",
    }


def resampler(**changes: Any) -> dict[str, Any]:
    """The Perceiver Resampler of all three models (table 4; section 2.1)."""
    return {
        "num_layers": 6,
        "width": 1536,
        "num_heads": 16,
        "head_dim": 128,
        "num_latents": 64,
        "num_frames": FRAMES_OF_A_CLIP,
        "kind": "perceiver",
        "mlp_width": 0,
    } | changes


def cross_attention(**changes: Any) -> dict[str, Any]:
    """GATED XATTN-DENSE; 0 heads of width 0 stand for the language model's own."""
    return {
        "every": 1,
        "num_heads": 0,
        "head_dim": 0,
        "conditioning": "gated_xattn_dense",
        "placement": "every",
        "attend_to": "last_image",
        "tanh_gate": True,
        "num_grafted": 0,
    } | changes


def datasets(batch_sizes: Mapping[str, int]) -> list[dict[str, Any]]:
    """M3W, ALIGN, LTIP and VTP (sections 2.4 and 3, appendices A.3 and B.1.2).

    Pairs have 32 or 64 tokens "depending on the dataset": which has which is not said. LTIP's
    longer texts (20.5 tokens on average against ALIGN's 12.4) get the 64.
    """
    return [
        dataset(
            "m3w",
            batch_size=batch_sizes["m3w"],
            loss_weight=1.0,
            max_text_length=256,
            max_images=5,
            random_subsequence=True,
            p_next=0.5,
            seed=1,
        ),
        pairs("align", batch_size=batch_sizes["align"], max_text_length=32, seed=2),
        pairs("ltip", batch_size=batch_sizes["ltip"], max_text_length=64, seed=3),
        pairs(
            "vtp",
            batch_size=batch_sizes["vtp"],
            loss_weight=0.03,
            max_text_length=32,
            num_frames=FRAMES_OF_A_CLIP,
            seed=4,
        ),
    ]


def pairs(name: str, **fields: Any) -> dict[str, Any]:
    """Pairs of a picture or clip and its text; half of the texts begin with a space."""
    return dataset(name, **({"loss_weight": 0.2, "leading_space_probability": 0.5} | fields))


def dataset(name: str, **fields: Any) -> dict[str, Any]:
    """One dataset of the paper, read from files of one's own in the folder of its name.

    `--config.data_dir=FOLDER` says where these folders lie; docs/data/ says what the files hold.
    """
    source, files = SOURCES[name]
    return {
        "name": name,
        "source": source,
        "paths": (f"{name}/{files}",),
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
        "augmentation": augmentation(),
        "random_subsequence": False,
        "scored": "all",
        "documents_per_row": 1,
        "max_bad_share": 0.1,
        "max_images": 1,
        "num_frames": 1,
        "p_next": 0.0,
        "leading_space_probability": 0.0,
        "split": "train",
        "microbatches": 1,
    } | fields


def augmentation() -> dict[str, Any]:
    """Flip and colour, as the paper does without giving numbers: those are common ones."""
    return {
        "flip_probability": 0.5,
        "brightness": 0.1,
        "contrast": 0.2,
        "saturation": 0.2,
        "hue": 0.02,
        "spare_pictures_of_text": False,
    }


def optimizer(**numbers: Any) -> dict[str, Any]:
    """AdamW with Optax's moments (the paper gives none), and all that is off by default."""
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
