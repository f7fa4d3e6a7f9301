"""The optimizer of a stage, from its config: clipping, Adam(W), decay by path, schedule.

Flamingo (paper, section 4.1.4 and appendix B.1.2): AdamW, gradient clipped to global norm 1, decay
0.1 on all but the resampler, linear warm-up to a constant rate. Contrastive (appendix B.1.3):
Adam, adaptive clipping 1e-2 on the NFNet, global norm 10 on BERT, rate decayed linearly to 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import optax

from flamingo_jax.config import OptimizerConfig
from flamingo_jax.core.paths import PathRules, flatten, unflatten
from flamingo_jax.models.vision import encoder
from flamingo_jax.training.adaptive_gradient_clipping import adaptive_gradient_clipping

Mask = Callable[[Mapping[str, Mapping[str, Any]]], dict[str, dict[str, bool]]]
"""A tree of parameters -> a tree of bools, for optax."""


def learning_rate_schedule(config: OptimizerConfig, steps: int) -> optax.Schedule:
    """Learning rate of the update that leads from step s to s + 1.

    Args:
      config: `learning_rate`, `warmup_steps`, `schedule`.
      steps: updates of the whole run, at which a linear decay reaches 0.

    Returns:
      `schedule(s)`: (s + 1) / warmup_steps of the rate during warm-up (the first update is not
      wasted on rate 0), then the rate, constant or falling linearly to 0 at `steps`.
    """

    def schedule(step: Any) -> jax.Array:
        rate = jax.numpy.float32(config.learning_rate)
        if config.schedule == "linear":
            remaining = (steps - step) / max(steps - config.warmup_steps, 1)
            rate = rate * jax.numpy.clip(remaining, 0.0, 1.0)
        if config.warmup_steps:
            rate = rate * jax.numpy.minimum((step + 1) / config.warmup_steps, 1.0)
        return rate

    return schedule


def make_optimizer(
    config: OptimizerConfig, steps: int, path_together: Callable[[str], str] = str
) -> optax.GradientTransformation:
    """The transformation of gradients to updates.

    The order: adaptive clipping, clipping by group, clipping of the whole gradient, Adam's
    moments, decoupled weight decay, learning rate, its scale by group.

    Args:
      config: the optimizer's numbers.
      steps: updates of the whole run (for the schedule).
      path_together: the path by which the config knows a parameter, see `layers_apart.Stacks`.

    Returns:
      An optax transformation for two-level parameter dicts. Its `init` raises UserError when an
      expression of `config` matches no parameter.
    """

    def mask(patterns: Iterable[str], name: str, *, selected: bool = True) -> Mask:
        return path_mask(patterns, f"optimizer.{name}", selected, path_together)

    transformations: list[optax.GradientTransformation] = []
    if config.adaptive_clip:
        transformations.append(
            optax.masked(
                adaptive_gradient_clipping(config.adaptive_clip, layer_axes=encoder.layer_axes),
                mask(config.adaptive_clip_paths, "adaptive_clip_paths"),
            )
        )
    for group in config.global_clip:
        transformations.append(
            optax.masked(
                clip_by_global_norm(group.norm),
                mask(group.paths, "global_clip.paths"),
            )
        )
    if config.clip_global_norm:
        transformations.append(clip_by_global_norm(config.clip_global_norm))
    transformations.append(optax.scale_by_adam(b1=config.b1, b2=config.b2, eps=config.epsilon))
    if config.weight_decay:
        transformations.append(
            optax.add_decayed_weights(
                config.weight_decay, mask(config.no_decay, "no_decay", selected=False)
            )
        )
    transformations.append(optax.scale_by_learning_rate(learning_rate_schedule(config, steps)))
    for rate in config.rate_scales:
        transformations.append(
            optax.masked(optax.scale(rate.scale), mask(rate.paths, "rate_scales.paths"))
        )
    return optax.chain(*transformations)


def clip_by_global_norm(largest: float) -> optax.GradientTransformation:
    """Scales a gradient whose norm is larger than `largest` down to it.

    The values are those of `optax.clip_by_global_norm`, which divides every number by the norm: XLA
    does not repeat a division, so that the quotients would be written to memory and read again by
    the update of each moment. A factor is multiplied with on the way.
    """

    def clip(updates: optax.Updates, state: Any, params: Any = None) -> tuple[optax.Updates, Any]:
        del params
        factor = jax.numpy.minimum(1.0, largest / optax.tree.norm(updates))
        return jax.tree.map(lambda g: g * factor.astype(g.dtype), updates), state

    return optax.GradientTransformation(optax.init_empty_state, clip)


def path_mask(
    patterns: Iterable[str],
    name: str,
    selected: bool = True,
    path_together: Callable[[str], str] = str,
) -> Mask:
    """A mask function for optax: which parameters the patterns select.

    Args:
      patterns: regular expressions of whole paths; each must decide at least one parameter.
      name: the config field that they come from, for error messages.
      selected: the mask's value where a pattern matches; its contrary elsewhere.
      path_together: as of `make_optimizer`.

    Returns:
      A function from a parameter tree to a tree of bools.
    """
    rules = PathRules(((pattern, selected) for pattern in patterns), name=f"config.{name}")

    def mask(params: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, bool]]:
        known = {path: path_together(path) for path in flatten(params)}
        chosen = rules.assign([path for path in known.values() if rules.covers(path)])
        return unflatten({path: chosen.get(known[path], not selected) for path in known})

    return mask
