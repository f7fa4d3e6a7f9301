"""Normalisation layers; statistics are float32 whatever the dtype of the activations."""

from __future__ import annotations

import haiku as hk
import jax
import jax.numpy as jnp

EPSILON = 1e-5


class RMSNorm(hk.Module):
    """`x / rms(x) * scale` over the last axis (Zhang and Sennrich 2019), as Gopher uses it."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalises [..., D]; the result has the dtype of `x`."""
        return rms_norm(x, hk.get_parameter("scale", (x.shape[-1],), init=jnp.ones))


def rms_norm(x: jax.Array, scale: jax.Array) -> jax.Array:
    """`x / rms(x) * scale`: [..., D] and [D] -> [..., D] in the dtype of `x`."""
    x32 = x.astype(jnp.float32)
    inverse = jax.lax.rsqrt(jnp.mean(jnp.square(x32), axis=-1, keepdims=True) + EPSILON)
    return (x32 * inverse * scale.astype(jnp.float32)).astype(x.dtype)


class LayerNorm(hk.Module):
    """Layer normalisation with learned scale and offset (paper, section 3.1.2)."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalises [..., D]; the result has the dtype of `x`."""
        scale = hk.get_parameter("scale", (x.shape[-1],), init=jnp.ones)
        offset = hk.get_parameter("offset", (x.shape[-1],), init=jnp.zeros)
        x32 = x.astype(jnp.float32)
        centred = x32 - jnp.mean(x32, axis=-1, keepdims=True)
        inverse = jax.lax.rsqrt(jnp.mean(jnp.square(centred), axis=-1, keepdims=True) + EPSILON)
        y = centred * inverse * scale.astype(jnp.float32) + offset.astype(jnp.float32)
        return y.astype(x.dtype)
