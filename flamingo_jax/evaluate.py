"""Evaluates a run: few-shot tasks of its Flamingo, zero-shot tasks of its contrastive model.

    python -m flamingo_jax.evaluate --config=configs/quickstart.py:flamingo --workdir=runs/x

Writes `results.jsonl`, `table.md` and `shots.png` into the workdir. With a config without a stage,
the run's Flamingo is asked the paper's benchmarks (docs/evaluation.md):

    python -m flamingo_jax.evaluate --config=configs/evaluation/paper.py --workdir=runs/x \
        --config.tasks=coco,vqav2 --config.data_dir=DIR

This writes `predictions/`, `results.jsonl` and `table.md`, and goes on where it was stopped. Its
contrastive model has tasks there too (docs/evaluation_two_tower.md). Exit codes: 0 finished; 3
something to correct (a missing checkpoint, a misspelt field), said in one line.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flamingo_jax import command_line
from flamingo_jax.config import RunConfig, config_hash, resolve
from flamingo_jax.config_evaluation import BenchmarkEvaluationConfig, resolve_evaluation
from flamingo_jax.core.errors import UserError

if TYPE_CHECKING:
    from jax.sharding import Mesh

    from flamingo_jax.evaluation.answering import FewShotModel
    from flamingo_jax.evaluation.contrastive import TwoTowerModel
    from flamingo_jax.evaluation.two_tower_tasks import OpenedTask
    from flamingo_jax.training.trained import Trained

_FLAMINGO, _CONTRASTIVE = "flamingo", "contrastive"
_RESULTS, _TABLE, _PLOT = "results.jsonl", "table.md", "shots.png"


def resolve_either(config: Mapping[str, Any]) -> RunConfig | BenchmarkEvaluationConfig:
    """The config of a run, or one of benchmarks, which has no stage."""
    return resolve(config) if "stage" in config else resolve_evaluation(config)


def main(config: RunConfig | BenchmarkEvaluationConfig, workdir: Path) -> int:
    """Evaluates the run in `workdir`; returns the exit code."""
    if isinstance(config, BenchmarkEvaluationConfig):
        return _rescore(config, workdir) if config.rescore else _benchmarks(config, workdir)
    return _own_tasks(config, workdir)


def _own_tasks(config: RunConfig, workdir: Path) -> int:
    """Asks the tasks of a run's config."""
    start = time.monotonic()
    if config.stage != _FLAMINGO:
        raise UserError(
            f"the config is that of stage {config.stage!r}; evaluation takes the whole run: write"
            f" --config=FILE.py:{_FLAMINGO}"
        )
    # These load JAX, which takes seconds: not for a misspelt field.
    with command_line.quiet_loading():
        from flamingo_jax.checkpoint.compatibility import check_config
        from flamingo_jax.core.files import prepare_folder
        from flamingo_jax.evaluation import runner
        from flamingo_jax.sharding.mesh import make_mesh
        from flamingo_jax.tables.plot import write_plot
        from flamingo_jax.tables.render import write_table
        from flamingo_jax.tables.tasks import FEW_SHOT_TASKS
        from flamingo_jax.training import stages

    mesh = make_mesh(config.mesh)
    trained = stages.load_stage(workdir, _FLAMINGO, mesh)
    check_config(_identity(trained.config), _identity(config), ignored=())
    few_shot = _few_shot_model(trained, mesh)
    needs_two_tower = not set(runner.TWO_TOWER_TASKS).isdisjoint(config.evaluation.tasks)
    two_tower = None
    if needs_two_tower:
        two_tower = _two_tower_model(stages.load_stage(workdir, _CONTRASTIVE, mesh), mesh)

    folder = prepare_folder(workdir)
    runner.evaluate(config.evaluation, few_shot, two_tower, folder / _RESULTS, config_hash(config))
    write_table(folder / _RESULTS, folder / _TABLE)
    print(f"evaluated in {time.monotonic() - start:.0f}s")
    print(f"results: {folder / _RESULTS}")
    print(f"table:   {folder / _TABLE}")
    # The plot has a panel for each of these tasks; others are in the table alone.
    if any(task.name in config.evaluation.tasks for task in FEW_SHOT_TASKS):
        write_plot(folder / _RESULTS, folder / _PLOT, split=config.evaluation.split)
        print(f"plot:    {folder / _PLOT}")
    return 0


def _benchmarks(config: BenchmarkEvaluationConfig, workdir: Path) -> int:
    """Asks the paper's benchmarks: the Flamingo, the contrastive model, or both."""
    from flamingo_jax.evaluation.benchmark_opening import open_benchmarks, open_two_tower_tasks

    start = time.monotonic()
    benchmarks = open_benchmarks(config)
    two_tower_tasks = open_two_tower_tasks(config)
    with command_line.quiet_loading():
        from flamingo_jax.core.files import prepare_folder
        from flamingo_jax.evaluation import benchmark_runner
        from flamingo_jax.sharding.mesh import make_mesh
        from flamingo_jax.training import stages

    mesh = make_mesh(config.mesh)
    two_tower = model = None
    if two_tower_tasks:
        two_tower = stages.load_stage(workdir, _CONTRASTIVE, mesh)
    if benchmarks:
        model = _few_shot_model(stages.load_stage(workdir, _FLAMINGO, mesh), mesh)
    folder = prepare_folder(workdir)
    if two_tower is not None:
        _evaluate_two_tower(config, two_tower_tasks, two_tower, mesh, folder)
    if model is not None:
        benchmark_runner.evaluate(config, benchmarks, model, folder, folder / _RESULTS)
    print(f"evaluated in {time.monotonic() - start:.0f}s")
    _tell_benchmark_results(folder)
    return 0


def _evaluate_two_tower(
    config: BenchmarkEvaluationConfig,
    tasks: Sequence[OpenedTask],
    trained: Trained,
    mesh: Mesh,
    folder: Path,
) -> None:
    """Measures the contrastive model; a line of results for each number."""
    from flamingo_jax.config_evaluation import evaluation_hash
    from flamingo_jax.evaluation import results, two_tower_scoring
    from flamingo_jax.evaluation.benchmark_scoring import PREDICTIONS
    from flamingo_jax.evaluation.two_tower_files import evaluate_two_tower_files

    vision_encoder = trained.config.model.vision_encoder
    assert vision_encoder is not None, "every config of the contrastive stage has one"
    for result in evaluate_two_tower_files(
        tasks,
        _two_tower_model(trained, mesh),
        folder=folder / PREDICTIONS,
        image_size=vision_encoder.image_size,
        config_hash=evaluation_hash(config),
        num_frames=config.num_frames,
        reader_threads=config.reader_threads,
    ):
        results.append(folder / _RESULTS, result)
        print(two_tower_scoring.told(result), flush=True)


def _rescore(config: BenchmarkEvaluationConfig, workdir: Path) -> int:
    """Computes the numbers anew from the predictions; loads no JAX."""
    from flamingo_jax.core.files import prepare_folder
    from flamingo_jax.evaluation import benchmark_scoring, two_tower_scoring, two_tower_tasks

    folder = prepare_folder(workdir)
    is_two_tower = {name in two_tower_tasks.TASKS for name in config.tasks}
    for scoring, is_meant in (
        (benchmark_scoring.rescore, False in is_two_tower),
        (two_tower_scoring.rescore, True in is_two_tower),
    ):
        if is_meant:
            lines = scoring(config, folder / benchmark_scoring.PREDICTIONS, folder / _RESULTS)
            print("\n".join(lines))
    _tell_benchmark_results(folder)
    return 0


def _tell_benchmark_results(folder: Path) -> None:
    """Writes the table of the results, if there are any."""
    from flamingo_jax.tables.render import write_table

    if not (folder / _RESULTS).exists():
        return  # Nothing but questions whose answers are not given out.
    write_table(folder / _RESULTS, folder / _TABLE)
    print(f"results: {folder / _RESULTS}")
    print(f"table:   {folder / _TABLE}")


def _few_shot_model(trained: Trained, mesh: Mesh) -> FewShotModel:
    """The Flamingo of a run."""
    from flamingo_jax.data import vocabulary
    from flamingo_jax.evaluation.answering import FewShotModel
    from flamingo_jax.models import build

    vision_encoder = trained.config.model.vision_encoder
    assert vision_encoder is not None, "every config of the flamingo stage has one"
    return FewShotModel(
        functions=build.build_flamingo(trained.config.model),
        params=trained.params,
        mesh=mesh,
        vocabulary=vocabulary.load(trained.config.vocabulary),
        image_size=vision_encoder.image_size,
        checkpoint=_name(trained),
    )


def _two_tower_model(trained: Trained, mesh: Mesh) -> TwoTowerModel:
    """The contrastive model that the vision encoder comes from."""
    from flamingo_jax.data import vocabulary
    from flamingo_jax.evaluation.contrastive import TwoTowerModel
    from flamingo_jax.models import build

    text_tower = trained.config.model.text_tower
    assert text_tower is not None, "every config of the contrastive stage has a text tower"
    return TwoTowerModel(
        functions=build.build_two_tower(trained.config.model),
        params=trained.params,
        mesh=mesh,
        vocabulary=vocabulary.load(trained.config.vocabulary),
        max_text_length=text_tower.max_length,
        checkpoint=_name(trained),
    )


def _identity(config: RunConfig) -> dict[str, Any]:
    """What of a config must fit the parameters."""
    return {"vocabulary": config.vocabulary, "model": dataclasses.asdict(config.model)}


def _name(trained: Trained) -> str:
    """Stage, step and content: "flamingo/2000/9f86d081884c7d65"."""
    from flamingo_jax.core.files import content_hash

    return f"{trained.config.stage}/{trained.step}/{content_hash(trained.params)}"


if __name__ == "__main__":
    command_line.run_resolved(main, resolve_either)
