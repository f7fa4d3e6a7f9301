"""The one place where Haiku modules become pure functions.

Past this file a model is `(params, arrays) -> arrays`. Every function casts the parameters to the
compute dtype once, at its head; the layers themselves keep norms, softmax, gates and logits in
float32.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import haiku as hk
import jax
import jax.numpy as jnp

from flamingo_jax.config import ModelConfig, VisionConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.data import schema
from flamingo_jax.models.attention_masses import AttentionMasses
from flamingo_jax.models.cache import AnswerCache, PromptCache
from flamingo_jax.models.decoder_stacks import BLOCKS, decoder_stacks
from flamingo_jax.models.flamingo import OUTPUT, FlamingoDecoder
from flamingo_jax.models.induction_initialization import induction_initialization
from flamingo_jax.models.language_model import LanguageModel, output_logits
from flamingo_jax.models.layers.linear import in_panels
from flamingo_jax.models.layers_apart import Stacks, with_panels
from flamingo_jax.models.resampler import LAYERS
from flamingo_jax.models.resamplers import make_resampler
from flamingo_jax.models.two_tower import TwoTower
from flamingo_jax.models.variants import vision_variant
from flamingo_jax.models.vision.encoder import make_vision_encoder
from flamingo_jax.sharding.logical import BATCH, IMAGES, constrain

Params = Mapping[str, Mapping[str, jax.Array]]

Part = TypeVar("Part")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlamingoFunctions:
    """Flamingo as pure functions.

    Attributes:
        init: rng -> params of all parts, vision encoder and language model included.
        encode_features: (params, media uint8 [B, I, F, H, W, 3]) -> features [B, I, F, P, D]; no
            gradient flows into the vision encoder.
        resample: (params, features) -> latents [B, I, R, D].
        forward: (params, text [B, T], media_index [B, T], latents) -> logits float32 [B, T, V+1].
        activations: arguments as `forward` -> (normalised activations [B, T, D] behind the last
            layer, the output embedding's two parts [V, D] and [1, D]): what `forward` multiplies.
        text_activations: (params, text [B, T], segment [B, T] or None) -> the same of text without
            pictures; `segment` as in `LanguageModelFunctions`.
        prefill: (params, text [B, T], length [B], media_index [B, T], latents, max_length) ->
            (logits float32 [B, V+1] after the last of the `length` tokens, cache). Prompts are
            padded on the right; `max_length` is of prompt and answer together, T included.
        go_on: (params, token [B, T], place, cache, answers) -> (logits float32 [B, T, V+1],
            answers): tokens of any number of answers to each prompt, see `models.cache`; answers
            start as `start_answers(cache, num_slots)`.
        attention_masses: (params, text [B, T], media_index [B, T], cache, I) -> how much the last
            token of each prompt attends to its I pictures and to what is about them,
            `models.attention_masses.AttentionMasses`; text, media_index and cache of `prefill`.
        layers_apart: params -> params for `prefill`, `go_on` and `attention_masses` in which every
            layer of the decoder has arrays of its own, see `models.layers_apart`, and the output
            embedding lies in panels as well.
        stacks: which parameters are stacked. `resample`, `activations` and `text_activations` take
            them apart as well.
        end_of_chunk_id: the id of `<EOC>`.
    """

    init: Callable[[jax.Array], Params]
    encode_features: Callable[[Params, jax.Array], jax.Array]
    resample: Callable[[Params, jax.Array], jax.Array]
    forward: Callable[[Params, jax.Array, jax.Array, jax.Array], jax.Array]
    activations: Callable[
        [Params, jax.Array, jax.Array, jax.Array], tuple[jax.Array, tuple[jax.Array, jax.Array]]
    ]
    text_activations: Callable[..., tuple[jax.Array, tuple[jax.Array, jax.Array]]]
    prefill: Callable[..., tuple[jax.Array, PromptCache]]
    go_on: Callable[..., tuple[jax.Array, AnswerCache]]
    attention_masses: Callable[..., AttentionMasses]
    layers_apart: Callable[[Params], Params]
    stacks: Stacks
    end_of_chunk_id: int

    def encode_media(self, params: Params, media_BIFHWC: jax.Array) -> jax.Array:
        """Vision encoder and resampler in one: uint8 media -> latents [B, I, R, D]."""
        return self.resample(params, self.encode_features(params, media_BIFHWC))


@dataclasses.dataclass(frozen=True, kw_only=True)
class LanguageModelFunctions:
    """The language model alone.

    Attributes:
        init: rng -> params.
        forward: (params, text [B, T], segment [B, T] or None) -> logits float32 [B, T, V].
            `segment` is the document of each token in rows that hold several, which do not see each
            other; without it a row is one document.
        activations: arguments as `forward` -> (normalised activations [B, T, D] behind the last
            layer, (output embedding [V, D],)): what `forward` multiplies.
    """

    init: Callable[[jax.Array], Params]
    forward: Callable[..., jax.Array]
    activations: Callable[..., tuple[jax.Array, tuple[jax.Array]]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoTowerFunctions:
    """The contrastive model.

    Attributes:
        init: rng -> params.
        forward: (params, images uint8 [B, H, W, 3], text [B, T]) -> (image embeddings [B, E], text
            embeddings [B, E], inverse temperature []), embeddings of unit length, float32.
        encode_image: (params, images) -> embeddings [B, E].
        encode_text: (params, text) -> embeddings [B, E].
    """

    init: Callable[[jax.Array], Params]
    forward: Callable[..., tuple[jax.Array, jax.Array, jax.Array]]
    encode_image: Callable[[Params, jax.Array], jax.Array]
    encode_text: Callable[[Params, jax.Array], jax.Array]


def build_flamingo(config: ModelConfig) -> FlamingoFunctions:
    """Builds Flamingo from `config`; needs all parts but the text tower."""
    vision_encoder = _required(config.vision_encoder, "vision_encoder", "Flamingo")
    language_model = _required(config.language_model, "language_model", "Flamingo")
    resampler_config = _required(config.resampler, "resampler", "Flamingo")
    cross_attention = _required(config.cross_attention, "cross_attention", "Flamingo")
    dtype = jnp.dtype(config.precision.compute)
    variant = vision_variant(vision_encoder.variant)
    vision = _pure(
        lambda images: make_vision_encoder(variant, compute_dtype=dtype, name="vision_encoder")(
            images
        )
    )
    stack_names = [s.name for s in decoder_stacks(language_model.num_layers, cross_attention)]
    resampler_stacks = [f"resampler/{LAYERS}"] if resampler_config.kind == "perceiver" else []
    stacks = Stacks((*stack_names, *resampler_stacks), BLOCKS)

    def make_resampler_of(params: Params) -> hk.Transformed:
        apart = any(path.startswith(f"resampler/{LAYERS}_") for path in params)
        return _pure(lambda features: make_resampler(resampler_config, apart=apart)(features))

    def make_decoder(*, apart: bool = False) -> FlamingoDecoder:
        return FlamingoDecoder(
            language_model,
            cross_attention,
            resampler_config.num_latents,
            dtype,
            config.remat,
            apart=apart,
        )

    def run_decoder(
        method: Callable[..., Any], params: Params, *arguments: Any, **named: Any
    ) -> Any:
        """Runs a method of the decoder over stacks, or layers apart, whichever `params` are."""
        apart = not any(path.split("/")[0] in stack_names for path in params)
        run = _pure(lambda *inputs, **more: method(make_decoder(apart=apart), *inputs, **more))
        return run.apply(_cast(params, dtype), *arguments, **named)

    def encode_features(params: Params, media_BIFHWC: jax.Array) -> jax.Array:
        B, I, F, H, W, C = media_BIFHWC.shape
        images = jnp.reshape(media_BIFHWC, (B * I * F, H, W, C))
        # Every device encodes some of the pictures, those of the model axis too.
        images = constrain(images, (IMAGES, None, None, None))
        features = vision.apply(_cast(params, dtype), images)
        features = constrain(features, (IMAGES, None, None, None))
        return jnp.reshape(features, (B, I, F, -1, features.shape[-1]))

    def resample(params: Params, features_BIFPD: jax.Array) -> jax.Array:
        B, I, F, P, D = features_BIFPD.shape
        flat = constrain(jnp.reshape(features_BIFPD, (B * I, F, P, D)), (IMAGES, None, None, None))
        latents = make_resampler_of(params).apply(_cast(params, dtype), flat)
        latents = constrain(latents, (IMAGES, None, None))
        latents = jnp.reshape(latents, (B, I, *latents.shape[1:]))
        return constrain(latents, (BATCH, None, None, None))

    def text_activations(
        params: Params, text_BT: jax.Array, segment_BT: jax.Array | None = None
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        activations: tuple[jax.Array, tuple[jax.Array, jax.Array]] = run_decoder(
            FlamingoDecoder.activations, params, text_BT, segment_BT=segment_BT
        )
        return activations

    def layers_apart(params: Params) -> Params:
        tables = [params["language_model"]["embedding"], params["extra_embeddings"]["end_of_chunk"]]
        w = jnp.concatenate(tables).T
        output = {OUTPUT: in_panels(w) or {"w": w}}
        return stacks.take_apart(with_panels(params, stack_names)) | output

    def init(rng: jax.Array) -> Params:
        vision_rng, resampler_rng, decoder_rng = jax.random.split(rng, 3)
        image = _example_images(vision_encoder)
        vision_params = vision.init(vision_rng, image)
        features = vision.apply(vision_params, image)
        features = jnp.reshape(features, (1, 1, -1, features.shape[-1]))
        resampler = make_resampler_of({})
        resampler_params = resampler.init(resampler_rng, features)
        latents = resampler.apply(resampler_params, features)[None]
        text = jnp.zeros((1, 2), jnp.int32)
        return {
            **vision_params,
            **resampler_params,
            **_pure(make_decoder().__call__).init(decoder_rng, text, text, latents),
        }

    return FlamingoFunctions(
        init=init,
        encode_features=encode_features,
        resample=resample,
        forward=functools.partial(run_decoder, FlamingoDecoder.__call__),
        activations=functools.partial(run_decoder, FlamingoDecoder.activations),
        text_activations=text_activations,
        prefill=functools.partial(run_decoder, FlamingoDecoder.prefill),
        go_on=functools.partial(run_decoder, FlamingoDecoder.go_on),
        attention_masses=functools.partial(run_decoder, FlamingoDecoder.attention_masses),
        layers_apart=layers_apart,
        stacks=stacks,
        end_of_chunk_id=schema.end_of_chunk_id(language_model.vocabulary_size),
    )


def build_language_model(config: ModelConfig) -> LanguageModelFunctions:
    """Builds the language model of `config.language_model`."""
    language_model = _required(config.language_model, "language_model", "language")
    dtype = jnp.dtype(config.precision.compute)
    model = _pure(
        lambda text, segment=None: LanguageModel(
            language_model, dtype, config.remat, name="language_model"
        )(text, segment)
    )

    def init(rng: jax.Array) -> Params:
        params = model.init(rng, jnp.zeros((1, 2), jnp.int32))
        if language_model.initialization == "induction":
            params = induction_initialization(params, language_model)
        return params

    def forward(
        params: Params, text_BT: jax.Array, segment_BT: jax.Array | None = None
    ) -> jax.Array:
        return output_logits(*model.apply(_cast(params, dtype), text_BT, segment_BT))

    def activations(
        params: Params, text_BT: jax.Array, segment_BT: jax.Array | None = None
    ) -> tuple[jax.Array, tuple[jax.Array]]:
        x_BTD, embedding_VD = model.apply(_cast(params, dtype), text_BT, segment_BT)
        return x_BTD, (embedding_VD,)

    return LanguageModelFunctions(
        init=init,
        forward=forward,
        activations=activations,
    )


def build_two_tower(config: ModelConfig) -> TwoTowerFunctions:
    """Builds the contrastive model of `config.vision_encoder` and `config.text_tower`."""
    vision_encoder = _required(config.vision_encoder, "vision_encoder", "contrastive")
    text_config = _required(config.text_tower, "text_tower", "contrastive")
    dtype = jnp.dtype(config.precision.compute)
    variant = vision_variant(vision_encoder.variant)

    def towers() -> TwoTower:
        return TwoTower(variant, text_config, config.embedding_width, dtype)

    both = _pure(lambda images, text: towers()(images, text))
    image_tower = _pure(lambda images: towers().encode_image(images))
    text_tower = _pure(lambda text: towers().encode_text(text))
    return TwoTowerFunctions(
        init=lambda rng: both.init(
            rng, _example_images(vision_encoder), jnp.zeros((1, 2), jnp.int32)
        ),
        forward=lambda params, images, text: both.apply(_cast(params, dtype), images, text),
        encode_image=lambda params, images: image_tower.apply(_cast(params, dtype), images),
        encode_text=lambda params, text: text_tower.apply(_cast(params, dtype), text),
    )


def _required(part: Part | None, field: str, model: str) -> Part:
    """The part `config.model.<field>`; a UserError if the config leaves it out."""
    if part is None:
        raise UserError(f"config.model.{field} is not set: the {model} model needs it")
    return part


def _example_images(config: VisionConfig) -> jax.Array:
    """One black picture of the config's size, for `init`."""
    size = config.image_size
    return jnp.zeros((1, size, size, 3), jnp.uint8)


def _pure(function: Callable[..., Any]) -> hk.Transformed:
    """A function that makes modules -> init and apply, without a random state."""
    return hk.without_apply_rng(hk.transform(function))


def _cast(params: Params, dtype: jnp.dtype) -> Params:
    """Floating-point parameters in the compute dtype."""
    return jax.tree.map(
        lambda leaf: leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf,
        params,
    )
