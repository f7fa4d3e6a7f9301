"""The paper's evaluation of a Flamingo: 18 benchmarks at 0, 4 and 32 shots.

    python -m flamingo_jax.evaluate --config=configs/evaluation/paper.py --workdir=RUN \
        --config.tasks=coco,vqav2 --config.shots=0,4,32 --config.seeds=3 --config.data_dir=DIR

RUN is the folder of a trained run; its own config says what the model is. DIR has a folder for each
benchmark (docs/evaluation.md says which files). The command goes on where it was stopped;
`--config.rescore=true` computes the numbers anew from the predictions.

The paper ranks ImageNet and Kinetics with shots chosen by RICES and averages over six orders:
`--config.tasks=imagenet,kinetics700 --config.selections=rices --config.shots=16
--config.ensemble=6`.
"""

from __future__ import annotations

from ml_collections import ConfigDict

BENCHMARKS = (
    "coco", "flickr30k", "vqav2", "okvqa", "vizwiz", "textvqa", "visdial", "hateful_memes",
    "imagenet", "kinetics700", "vatex", "msvdqa", "msrvttqa", "youcook2", "ivqa", "rareact",
    "nextqa", "star",
)  # fmt: skip


def get_config() -> ConfigDict:
    """The config; its fields are those of `flamingo_jax.config_evaluation`."""
    return ConfigDict(
        {
            # Texts, since flags take no tuples of texts.
            "tasks": ",".join(BENCHMARKS),
            "selections": "random",
            "controls": "zeroed,swapped",
            "data_dir": "benchmarks_data",
            "shots": (0, 4, 32),
            "first_seed": 0,
            "seeds": 1,
            "split": "test",
            "num_queries": 0,
            "num_support": 0,
            "num_control_queries": 256,
            "ensemble": 1,
            "mean_log_likelihood": False,
            "beam_width": 3,
            "length_penalty": 0.0,
            "max_decode_length": 0,
            "max_prompt_length": 2048,
            "num_frames": 0,
            "wordnet": "/usr/share/wordnet",
            "stop_words": "",
            "templates": "",
            "batch_size": 8,
            "reader_threads": 4,
            "rescore": False,
            "mesh": {"replica": 1, "data": 1, "model": 1},
        }
    )
