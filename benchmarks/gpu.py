"""Trains Flamingo-3B with random weights on one device in bfloat16 and says where the time goes.

    python -m benchmarks.gpu [--size=3b|small] [--batch=8] [--steps=10]

The default size is 3b where jax has an accelerator and small (same parts, tiny sizes) on CPU. The
step is the library's own, on interleaved pages of five pictures and 256 tokens. MFU is the formula
of `flamingo_jax.planning.flops` over the time of a step and the rate of the fastest measured
bfloat16 product. Components are timed one by one with programs of their own; "cross-attention" is
the decoder without the time of the language model alone, "update" what the step has besides (less
than nothing where parts take longer alone than within the step, as at the small size on CPU).
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from configs import flamingo_3b
from flamingo_jax.config import MeshConfig, RunConfig, resolve
from flamingo_jax.core.paths import Params, flatten, merge
from flamingo_jax.data import schema
from flamingo_jax.models import build
from flamingo_jax.planning.flops import step_flops
from flamingo_jax.sharding.mesh import make_mesh
from flamingo_jax.training.batches import abstract_batches
from flamingo_jax.training.compiled_step import abstract_state, initial_state, jit_step
from flamingo_jax.training.losses import next_token_loss
from flamingo_jax.training.optimizer import make_optimizer
from flamingo_jax.training.stages import make_stage
from flamingo_jax.training.state import TrainState

MATMUL_SIDE = {"3b": 8192, "small": 512}
REPEATS = 5


def run_config(size: str, batch: int) -> RunConfig:
    """Flamingo-3B on its pages alone and on one device; "small" has the same parts, tiny."""
    fields = flamingo_3b.get_config().to_dict()
    fields["mesh"] = {}
    pages = fields["data"][0] | {"batch_size": batch, "microbatches": 1}
    fields["data"] = [pages]
    if size == "small":
        fields["vision_encoder"] |= {"variant": "nfnet_tiny", "image_size": 32}
        fields["language_model"] |= {
            "num_layers": 2, "width": 64, "num_heads": 2, "head_dim": 32, "vocabulary_size": 512,
        }  # fmt: skip
        fields["resampler"] |= {"num_layers": 1, "width": 64, "num_heads": 2, "head_dim": 32}
    return resolve(fields)


def seconds(run: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Median seconds of a call, from its start to the end of all its work; the first is not timed.

    Args:
        run: returns arrays.
        repeats: calls that are timed.
    """
    jax.block_until_ready(run())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def matmul_rate(side: int) -> float:
    """Floating-point operations a second of a square bfloat16 product."""
    x = jnp.ones((side, side), jnp.bfloat16)
    product = jax.jit(jnp.matmul)
    return 2 * side**3 / seconds(lambda: product(x, x), 20)


def random_batches(config: RunConfig, mesh: jax.sharding.Mesh) -> dict[str, dict[str, jax.Array]]:
    """Random pictures and tokens of the config's shapes; pictures start evenly over the text."""
    random = np.random.default_rng(0)
    assert config.model.language_model is not None
    vocabulary = config.model.language_model.vocabulary_size
    batches = {}
    for dataset in config.data:
        abstract = abstract_batches(config, mesh)[dataset.name]
        text, media = abstract[schema.TEXT], abstract[schema.MEDIA]
        phi = 1 + np.arange(text.shape[1]) * dataset.max_images // text.shape[1]
        arrays = {
            schema.TEXT: random.integers(0, vocabulary, text.shape, np.int32),
            schema.MEDIA: random.integers(0, 256, media.shape, np.uint8),
            schema.MEDIA_INDEX: np.broadcast_to(phi.astype(np.int32), text.shape),
            schema.LOSS_WEIGHT: np.ones(text.shape, np.float32),
        }
        batches[dataset.name] = {
            key: jax.device_put(value, abstract[key].sharding) for key, value in arrays.items()
        }
    return batches


def profile(config: RunConfig, state: TrainState, batch: dict[str, jax.Array]) -> dict[str, float]:
    """Seconds of the parts of a step, each measured alone or as the difference of two."""
    functions = build.build_flamingo(config.model)
    text, phi = batch[schema.TEXT], batch[schema.MEDIA_INDEX]
    weight = batch[schema.LOSS_WEIGHT]

    def loss_of_latents(trainable: Params, frozen: Params, latents: jax.Array) -> jax.Array:
        logits = functions.forward(merge(trainable, frozen), text, phi, latents)
        return next_token_loss(logits, text, weight)[0]

    def language_loss(frozen: Params, text: jax.Array) -> jax.Array:
        model = build.build_language_model(config.model)
        return next_token_loss(model.forward(frozen, text), text, weight)[0]

    def resampled(trainable: Params, features: jax.Array) -> jax.Array:
        return jnp.sum(functions.resample(trainable, features).astype(jnp.float32))

    encode = jax.jit(functions.encode_features)
    features = encode(state.frozen, batch[schema.MEDIA])
    resampler = {k: v for k, v in state.trainable.items() if k.startswith("resampler")}
    latents = jax.jit(functions.resample)(resampler, features)
    forward = jax.jit(loss_of_latents)
    gradient = jax.jit(jax.grad(loss_of_latents, argnums=(0, 2)))
    resample_gradient = jax.jit(jax.grad(resampled))
    alone = jax.eval_shape(build.build_language_model(config.model).init, jax.random.key(0))
    language = jax.jit(language_loss)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.bfloat16), alone)
    decoder_forward = seconds(lambda: forward(state.trainable, state.frozen, latents))
    decoder = seconds(lambda: gradient(state.trainable, state.frozen, latents))
    language_forward = seconds(lambda: language(zeros, text))
    return {
        "vision encoder": seconds(lambda: encode(state.frozen, batch[schema.MEDIA])),
        "resampler, forward and backward": seconds(lambda: resample_gradient(resampler, features)),
        "language model, forward": language_forward,
        "cross-attention, forward": decoder_forward - language_forward,
        "language model and cross-attention, backward": decoder - decoder_forward,
    }


def main() -> None:
    """Measures and prints."""
    on_cpu = jax.default_backend() == "cpu"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=sorted(MATMUL_SIDE), default="small" if on_cpu else "3b")
    parser.add_argument("--batch", type=int, default=2 if on_cpu else 8, help="pages a step")
    parser.add_argument("--steps", type=int, default=10, help="timed steps")
    arguments = parser.parse_args()
    measure(run_config(arguments.size, arguments.batch), arguments.size, arguments.steps)


def measure(config: RunConfig, size: str, steps: int) -> dict[str, float]:
    """Times the step and its parts, prints both, and returns the seconds by part."""
    mesh = make_mesh(MeshConfig(), jax.devices()[:1])
    stage, optimizer = make_stage(config, "."), make_optimizer(config.optimizer, config.steps)
    abstract = abstract_state(stage, optimizer, config.seed, mesh, config.mesh)
    # Random parameters of the whole model, made on the device.
    make_state = functools.partial(initial_state, stage, optimizer, config.seed)
    state = jax.jit(make_state, out_shardings=jax.tree.map(lambda x: x.sharding, abstract))()
    batches = random_batches(config, mesh)
    step = jit_step(config, stage, optimizer, abstract, mesh)
    dataset = config.data[0]
    parts = profile(config, state, batches[dataset.name])
    holder = {"state": state}
    del state

    def run() -> jax.Array:
        holder["state"], metrics = step(holder["state"], batches)
        return metrics["loss/total"]

    time_of_step = seconds(run, steps)
    parts["update, and all else"] = time_of_step - sum(parts.values())
    flops, rate = step_flops(config).per_step, matmul_rate(MATMUL_SIDE[size])
    parameters = sum(leaf.size for leaf in flatten(holder["state"].trainable).values())
    tokens = dataset.batch_size * dataset.max_text_length
    print(
        f"{jax.devices()[0].device_kind}, size {size}: {parameters / 1e6:.1f}M trained parameters"
    )
    print(f"{time_of_step:.4f} s a step of {dataset.batch_size} pages, loss {float(run()):.4f}")
    images = dataset.batch_size * dataset.max_images
    print(f"{tokens / time_of_step:.0f} tokens/s, {images / time_of_step:.1f} images/s")
    mfu = flops.total / time_of_step / rate
    print(f"{flops.total / 1e9:.1f} GFLOP a step, {rate / 1e12:.2f} TFLOP/s matmul: MFU {mfu:.1%}")
    vision = parts["vision encoder"]
    in_vision = step_flops(config).per_step_of_component["vision_encoder"].total
    rest = (flops.total - in_vision) / (time_of_step - vision) / rate
    print(f"MFU of the step without the vision encoder {rest:.1%}")
    for name, value in parts.items():
        print(f"  {name:46s} {value:9.4f} s {value / time_of_step:6.1%}")
    return parts


if __name__ == "__main__":
    main()
