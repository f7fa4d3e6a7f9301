"""Trains one stage of a run, or goes on with it.

    python -m flamingo_jax.train --config=configs/quickstart.py:flamingo --workdir=runs/quickstart

Stages: `contrastive`, `language_model`, then `flamingo`, which freezes what the first two made.
Exit codes: 0 finished; 130 and 42 stopped by Ctrl-C and SIGTERM, saved (the same command goes on);
3 something to correct, said in one line.
"""

from __future__ import annotations

import functools
from pathlib import Path

from flamingo_jax import command_line
from flamingo_jax.config import RunConfig


def main(config: RunConfig, workdir: Path) -> int:
    """Trains the stage of `config` in `workdir`; returns the exit code."""
    # These load JAX and TensorFlow, which takes seconds: not for a misspelt field.
    with command_line.quiet_loading():
        from flamingo_jax.core.host_memory import compute_in_calling_thread
        from flamingo_jax.data import mixtures, vocabulary
        from flamingo_jax.data.bad_samples import Tally
        from flamingo_jax.training.loop import train
        from flamingo_jax.training.stages import make_stage

    compute_in_calling_thread()
    pieces = vocabulary.load(config.vocabulary)
    tallies = {dataset.name: Tally(dataset.name, dataset.max_bad_share) for dataset in config.data}
    datasets = {
        dataset.name: functools.partial(
            mixtures.batches,
            dataset,
            pieces,
            config.stage,
            num_threads=config.reader_threads,
            tally=tallies[dataset.name],
        )
        for dataset in config.data
    }

    def data_metrics() -> dict[str, float]:
        return {name: n for tally in tallies.values() for name, n in tally.metrics().items()}

    return train(config, workdir, make_stage(config, workdir), datasets, data_metrics)


if __name__ == "__main__":
    command_line.run(main)
