"""Made-up results that look like a quickstart's, for the tests of tables and plots."""

from __future__ import annotations

from flamingo_jax.evaluation.results import Result

SHOTS = (0, 4, 8, 16)
HEADLINES = {
    "captioning": "exact_match",
    "question_answering": "vqa_accuracy",
    "classification": "accuracy",
    "video_question_answering": "exact_match",
    "attribute": "exact_match",
    "naming": "exact_match",
}


def make_result(**changes: object) -> Result:
    values: dict[str, object] = {
        "task": "captioning",
        "split": "test",
        "shots": 0,
        "selection": "random",
        "images": "real",
        "seed": 0,
        "metric": "exact_match",
        "value": 90.0,
        "stderr": 1.5,
        "n": 500,
        "config_hash": "ab12",
        "checkpoint": "flamingo/2000",
    }
    return Result(**(values | changes))


def quickstart_results() -> list[Result]:
    """Every task, shot count, selection and control; value = 50 + shots (+ 2 RICES), control 20."""
    few_shot = [
        make_result(
            task=task,
            metric=metric,
            shots=shots,
            selection=selection,
            images=images,
            value=50.0 + shots + 2 * (selection == "rices") if images == "real" else 20.0,
        )
        for task, metric in HEADLINES.items()
        for shots in SHOTS
        for selection in ("random", "rices")
        for images in ("real", "swapped")
    ]
    two_tower = [
        make_result(
            task=task, metric=metric, selection="none", images=images, value=value, n=539,
            checkpoint="contrastive/1500",
        )
        for task, metric in (
            ("zero_shot_classification", "accuracy"),
            ("retrieval", "image_to_text_recall_at_1"),
            ("retrieval", "text_to_image_recall_at_1"),
        )
        for images, value in (("real", 92.0), ("swapped", 9.5))
    ]  # fmt: skip
    return few_shot + two_tower
