"""The Perceiver Resampler: any number of visual features in, a fixed number of latents out.

Semantics of the paper's figure 5 (v1: figure 4): learned time embeddings are added to the features,
latents attend to features and latents together, every layer has a squared-ReLU feed-forward block.

Shape letters: B batch, F frames, P positions, R latents, D width, C channels.
"""

from __future__ import annotations

import haiku as hk
import jax
import jax.numpy as jnp

from flamingo_jax.config import ResamplerConfig
from flamingo_jax.models.layers.attention import attend, merge_heads, project_heads
from flamingo_jax.models.layers.feed_forward import FeedForward, squared_relu
from flamingo_jax.models.layers.linear import Linear
from flamingo_jax.models.layers.normalization import LayerNorm
from flamingo_jax.models.layers_apart import run_layers

LAYERS = "layers"
"""Name of the Perceiver's stack."""


def time_embeddings(num_frames: int, num_trained: int, width: int) -> jax.Array:
    """One embedding a frame, linearly interpolated between the learned ones for longer clips.

    A picture is a clip of one frame and takes the first embedding; clips up to the trained length
    take the first F.

    Args:
        num_frames: F, frames of the clip at hand.
        num_trained: learned embeddings.
        width: D.

    Returns:
        float32 [F, D].
    """
    init = hk.initializers.TruncatedNormal(0.02)
    table_FD = hk.get_parameter("time_embeddings", (num_trained, width), init=init)
    if num_frames <= num_trained:
        return table_FD[:num_frames]
    position = jnp.linspace(0.0, num_trained - 1.0, num_frames)
    low = jnp.clip(jnp.floor(position).astype(jnp.int32), 0, max(num_trained - 2, 0))
    high = jnp.minimum(low + 1, num_trained - 1)
    weight = (position - low)[:, None]
    return table_FD[low] * (1 - weight) + table_FD[high] * weight


def project_features(config: ResamplerConfig, features_BFPC: jax.Array) -> jax.Array:
    """Features at the resampler's width, with the time embeddings of their frames.

    Makes the parameters `input_projection/{w,b}` and `time_embeddings` of the module that calls it.

    Args:
        config: width and number of time embeddings.
        features_BFPC: visual features, P positions of each of F frames.

    Returns:
        [B, F, P, width] in the dtype of the features.
    """
    x_BFPD = Linear(config.width, name="input_projection")(features_BFPC)
    time_FD = time_embeddings(features_BFPC.shape[1], config.num_frames, config.width)
    return x_BFPD + time_FD[:, None].astype(x_BFPD.dtype)


def initial_latents(config: ResamplerConfig, batch_size: int, dtype: jnp.dtype) -> jax.Array:
    """The learned latents, the same for every example: [B, R, width] of `dtype`.

    Makes the parameter `latents` [R, width] of the module that calls it.
    """
    shape = (config.num_latents, config.width)
    latents_RD = hk.get_parameter("latents", shape, init=hk.initializers.TruncatedNormal(1.0))
    return jnp.broadcast_to(latents_RD.astype(dtype), (batch_size, *shape))


class ResamplerLayer(hk.Module):
    """Attention of the latents to features and latents, and a feed-forward block."""

    def __init__(self, config: ResamplerConfig, name: str) -> None:
        super().__init__(name=name)
        self.config = config

    def __call__(self, latents_BRD: jax.Array, features_BPD: jax.Array) -> jax.Array:
        """Updates the latents, [B, R, D], or [1, R, D] if they are the same for all examples."""
        heads = (self.config.num_heads, self.config.head_dim)
        # One norm for keys and values and one for queries (paper v1, section 3.1.2); the latents
        # among the keys pass through the queries' norm.
        query_input = LayerNorm(name="query_norm")(latents_BRD)
        media_input = LayerNorm(name="media_norm")(features_BPD)
        query = project_heads(query_input, *heads, with_bias=False, name="query")
        query = _for_examples(query, len(features_BPD))
        key, value = (
            self._project_both(media_input, query_input, name) for name in ("key", "value")
        )
        attended = merge_heads(attend(query, key, value))
        output = Linear(latents_BRD.shape[-1], with_bias=False, name="output")
        latents_BRD = _for_examples(latents_BRD, len(features_BPD)) + output(attended)
        feed_forward = FeedForward(activation=squared_relu, with_bias=False, name="feed_forward")
        return latents_BRD + feed_forward(LayerNorm(name="feed_forward_norm")(latents_BRD))

    @hk.transparent  # Without it the layers' names would have the method's in them.
    def _project_both(self, media_BPD: jax.Array, latents_BRD: jax.Array, name: str) -> jax.Array:
        """Keys or values of the features and behind them of the latents: [B, P+R, N, K]."""
        heads = (self.config.num_heads, self.config.head_dim)
        B, P, D = media_BPD.shape
        # Rows of examples are joined to others' in the second case alone: where examples are on
        # several devices, that would move them.
        if len(latents_BRD) == B:
            input_BSD = jnp.concatenate([media_BPD, latents_BRD], axis=1)
            return project_heads(input_BSD, *heads, with_bias=False, name=name)
        rows = jnp.concatenate([jnp.reshape(media_BPD, (B * P, D)), latents_BRD[0]])
        projected = project_heads(rows, *heads, with_bias=False, name=name)
        media_BPNK = jnp.reshape(projected[: B * P], (B, P, *heads))
        latents_BRNK = _for_examples(projected[None, B * P :], B)
        return jnp.concatenate([media_BPNK, latents_BRNK], axis=1)


def _for_examples(x: jax.Array, num_examples: int) -> jax.Array:
    """Repeats what all B examples share: [1, ...] -> [B, ...]; [B, ...] stays as it is."""
    if len(x) == num_examples:
        return x
    # A product with ones, since its gradient is one as well: XLA:CPU takes 17 times as long to add
    # numbers up over the first axis.
    rows = jnp.ones((num_examples, 1), x.dtype) @ jnp.reshape(x, (1, -1))
    return jnp.reshape(rows, (num_examples, *x.shape[1:]))


class PerceiverResampler(hk.Module):
    """Maps the features of a picture or clip to `num_latents` visual tokens."""

    def __init__(self, config: ResamplerConfig, name: str, *, apart: bool = False) -> None:
        """Makes the module; `apart` as of `layers_apart.run_layers`."""
        super().__init__(name=name)
        self.config = config
        self.apart = apart

    def __call__(self, features_BFPC: jax.Array) -> jax.Array:
        """Resamples.

        Args:
            features_BFPC: visual features, P positions of each of F frames.

        Returns:
            Latents [B, R, width] in the dtype of the features, independent of F and P in shape.
        """
        x_BFPD = project_features(self.config, features_BFPC)
        B = x_BFPD.shape[0]
        features_BPD = jnp.reshape(x_BFPD, (B, -1, self.config.width))
        # All examples begin with the same latents, and what the first of layers apart makes of them
        # alone is made once. A loop's body makes it for every example.
        latents_BRD = initial_latents(self.config, 1 if self.apart else B, features_BPD.dtype)

        def layer(latents_BRD: jax.Array) -> tuple[jax.Array, None]:
            return ResamplerLayer(self.config, name="layer")(latents_BRD, features_BPD), None

        run = run_layers(layer, LAYERS, self.config.num_layers, apart=self.apart)
        latents_BRD, _ = run(latents_BRD)
        return LayerNorm(name="final_norm")(latents_BRD)
