"""The Flamingo decoder: the language model's blocks with cross-attention layers among them.

A group is one cross-attention layer and the frozen blocks behind it; how groups make a decoder is
said in `decoder_stacks`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from flamingo_jax.config import CrossAttentionConfig, LanguageModelConfig
from flamingo_jax.models.attention_masses import AttentionMasses, Look, attention_masses
from flamingo_jax.models.cache import (
    AnswerCache,
    AnswerPlace,
    GroupCache,
    History,
    KeysAndValues,
    PromptCache,
    of_picture,
    start_answers,
)
from flamingo_jax.models.cross_attention import CrossAttention
from flamingo_jax.models.decoder_stacks import BLOCKS, Stack, decoder_stacks
from flamingo_jax.models.extra_embeddings import ExtraEmbeddings, look_up
from flamingo_jax.models.language_model import Block, LanguageModel, output_logits
from flamingo_jax.models.layers.linear import Linear, is_few
from flamingo_jax.models.layers_apart import run_layers
from flamingo_jax.models.masks import media_mask
from flamingo_jax.models.picture_attention import OwnPicture
from flamingo_jax.models.rematerialization import remat

OUTPUT = "output_embedding"
"""Name of the output embedding as a linear layer, where layers are apart."""


class FlamingoDecoder:
    """Text with pictures in, logits of the next token out; to be called within `hk.transform`.

    It is no module itself, so that parameter paths start with the component they belong to:
    `language_model`, `extra_embeddings`, `media_projection`, and the names of the stacks.
    """

    def __init__(
        self,
        language_model: LanguageModelConfig,
        cross_attention: CrossAttentionConfig,
        num_latents: int,
        dtype: jnp.dtype,
        remat_policy: str = "none",
        *,
        apart: bool = False,
    ) -> None:
        self.language_model = language_model
        self.cross_attention = cross_attention
        self.num_latents = num_latents
        self.dtype = dtype
        self.remat_policy = remat_policy
        self.apart = apart

    def __call__(
        self,
        text_BT: jax.Array,
        media_index_BT: jax.Array | None = None,
        latents_BIRD: jax.Array | None = None,
        segment_BT: jax.Array | None = None,
    ) -> jax.Array:
        """Runs all layers and multiplies with the output embedding.

        Args as of `activations`.

        Returns:
            Logits float32 [B, T, V+1].
        """
        x_BTD, embeddings = self.activations(text_BT, media_index_BT, latents_BIRD, segment_BT)
        return self._logits(x_BTD, embeddings)

    def activations(
        self,
        text_BT: jax.Array,
        media_index_BT: jax.Array | None = None,
        latents_BIRD: jax.Array | None = None,
        segment_BT: jax.Array | None = None,
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """Runs all layers.

        Args:
            text_BT: token ids; V is `<EOC>`.
            media_index_BT: phi; None if there are no pictures.
            latents_BIRD: visual tokens of the pictures. None: no pictures, and every token is what
                it would be with a phi of 0.
            segment_BT: int32, the document of each token of rows that hold several. None: a row is
                one document.

        Returns:
            The normalised activations [B, T, D] behind the last layer, and the two parts of the
            output embedding, [V, D] and [1, D].
        """
        has_pictures = latents_BIRD is not None
        assert has_pictures == (media_index_BT is not None), "phi goes with pictures"
        model, x_BTD, embeddings = self._embed(text_BT)
        media_BMD, sight = None, None
        if latents_BIRD is not None and media_index_BT is not None:
            media_BMD = self._project_media(latents_BIRD)
            sight = self._sight(media_index_BT, latents_BIRD.shape[1], by_picture=self.apart)
        x_BTD, _ = self._run(
            model, x_BTD, lambda stack: self._group_function(stack, sight, media_BMD, segment_BT)
        )
        return x_BTD, embeddings

    def prefill(
        self,
        text_BT: jax.Array,
        length_B: jax.Array,
        media_index_BT: jax.Array,
        latents_BIRD: jax.Array,
        max_length: int,
    ) -> tuple[jax.Array, PromptCache]:
        """Runs prompts, which answers then go on with.

        Args:
            text_BT: prompts, padded on the right.
            length_B: int32, tokens of each, at least 1.
            media_index_BT: phi. Answers have that of their prompt's last token.
            latents_BIRD: visual tokens of the pictures.
            max_length: of prompt (T) and answer together.

        Returns:
            Logits float32 [B, V+1] behind the last token of each prompt, and what is to be kept.
        """
        model, x_BTD, embeddings = self._embed(text_BT)
        sight = self._sight(media_index_BT, latents_BIRD.shape[1], by_picture=True)
        media_BMD = self._project_media(latents_BIRD)
        x_BTD, stacks = self._run(
            model,
            x_BTD,
            lambda stack: self._group_function(stack, sight, media_BMD, num_distances=max_length),
        )
        last_B = length_B - 1
        phi_B = jnp.take_along_axis(media_index_BT, last_B[:, None], axis=1)[:, 0]
        if self._attends_to_all:
            media_mask = self._media_mask(phi_B[:, None], latents_BIRD.shape[1])
        else:
            # Answers see one picture: the others' keys and values need not be read for each token.
            stacks = self._keep_picture(stacks, phi_B)
            shape = (len(length_B), 1, 1, self.num_latents)
            media_mask = jnp.broadcast_to((phi_B > 0)[:, None, None, None], shape)
        x_BD = jnp.take_along_axis(x_BTD, last_B[:, None, None], axis=1)[:, 0]
        return self._logits(x_BD, embeddings), PromptCache(length_B, media_mask, stacks)

    def go_on(
        self, token_BT: jax.Array, place: AnswerPlace, prompt: PromptCache, answers: AnswerCache
    ) -> tuple[jax.Array, AnswerCache]:
        """Runs tokens of answers, any number of answers to every prompt.

        Args:
            token_BT: int32, T tokens of answers to prompt B.
            place: where they stand.
            prompt: of `prefill`.
            answers: slots for all tokens that `place` speaks of.

        Returns:
            Logits float32 [B, T, V+1] behind each of the tokens, and the answers with them.
        """
        model, x_BTD, embeddings = self._embed(token_BT)
        x_BTD, answers = self._run(
            model,
            x_BTD,
            lambda stack: self._group_function(
                stack, prompt.media_mask, length_B=prompt.length, place=place
            ),
            prompt.stacks,
            answers,
        )
        return self._logits(x_BTD, embeddings), answers

    def attention_masses(
        self,
        text_BT: jax.Array,
        media_index_BT: jax.Array,
        prompt: PromptCache,
        num_media: int,
    ) -> AttentionMasses:
        """How much the last token of each prompt attends to the pictures and to what is about them.

        Args:
            text_BT: as of `prefill`.
            media_index_BT: as of `prefill`.
            prompt: of `prefill`.
            num_media: I, pictures of a prompt.
        """
        # Once more through all layers, as the first token behind a prompt that ends in front of it.
        last_B1 = prompt.length[:, None] - 1
        token_B1, phi_B1 = (
            jnp.take_along_axis(array, last_B1, axis=1) for array in (text_BT, media_index_BT)
        )
        model, x_B1D, _ = self._embed(token_B1)
        place = AnswerPlace(jnp.zeros_like(last_B1), jnp.zeros_like(last_B1)[:, None], jnp.int32(0))
        _, groups = self._run(
            model,
            x_B1D,
            lambda stack: self._group_function(
                stack, prompt.media_mask, length_B=last_B1[:, 0], place=place, is_watched=True
            ),
            prompt.stacks,
            start_answers(prompt, 1),
        )
        key_phi = jnp.concatenate([media_index_BT, phi_B1], axis=1)
        return attention_masses(
            groups, key_phi, phi_B1[:, 0], num_media, sees_all=self._attends_to_all
        )

    def _embed(
        self, text_BT: jax.Array
    ) -> tuple[LanguageModel, jax.Array, tuple[jax.Array, jax.Array]]:
        """The module of both ends, the tokens' embeddings, and the tables [V, D] and [1, D]."""
        model = LanguageModel(self.language_model, self.dtype, name="language_model")
        embedding_VD = model.embedding()
        extra = ExtraEmbeddings(self.language_model.width, name="extra_embeddings")
        extra_ED = extra().astype(self.dtype)
        return model, look_up(text_BT, embedding_VD, extra_ED), (embedding_VD, extra_ED)

    def _run(
        self,
        model: LanguageModel,
        x_BTD: jax.Array,
        make_group: Callable[[Stack], Callable[..., tuple[jax.Array, GroupCache]]],
        *caches: tuple[Any, ...],
    ) -> tuple[jax.Array, tuple[Any, ...]]:
        """All stacks and the last norm.

        Args:
            model: has the norm.
            x_BTD: embeddings.
            make_group: stack -> the function of one of its groups: (x, *caches) -> (x, cache).
            *caches: what the groups take, of every stack.

        Returns:
            The activations, and the groups' caches by stack.
        """
        outputs = []
        stacks = decoder_stacks(self.language_model.num_layers, self.cross_attention)
        for index, stack in enumerate(stacks):
            run = run_layers(make_group(stack), stack.name, stack.num_groups, apart=self.apart)
            x_BTD, output = run(x_BTD, *(cache[index] for cache in caches))
            outputs.append(output)
        return model.normalize(x_BTD), tuple(outputs)

    def _group_function(
        self,
        stack: Stack,
        sight: jax.Array | OwnPicture | None,
        media_BMD: jax.Array | None = None,
        segment_BT: jax.Array | None = None,
        *,
        num_distances: int = 0,
        length_B: jax.Array | None = None,
        place: AnswerPlace | None = None,
        is_watched: bool = False,
    ) -> Callable[..., tuple[jax.Array, GroupCache]]:
        """The function of one group, for `run_layers`: (x[, prompt, answers]) -> (x, cache).

        Args:
            stack: the group's.
            sight: of cross-attention.
            media_BMD: visual tokens; not with `place`.
            segment_BT: as of `activations`.
            num_distances: of a prompt; 0 if no cache is wanted.
            length_B: of the prompts; with `place`.
            place: of tokens of answers.
            is_watched: whether the group tells how the one token of each row attends, in place of
                its cache: `text` is then weights, `media` a `Look`; with `place`.
        """

        def block(x_BTD: jax.Array, *caches: Any) -> tuple[jax.Array, Any]:
            history = None
            if place is not None and length_B is not None:
                history = History(length_B, place, *caches)._replace(is_watched=is_watched)
            layer = Block(self.language_model, name="block")
            return layer(x_BTD, segment_BT, num_distances, history)

        def look(
            x_BTD: jax.Array, *cache: KeysAndValues | None
        ) -> tuple[jax.Array, KeysAndValues | Look | None]:
            layer = CrossAttention(self.cross_attention, name="cross_attention")
            return layer(x_BTD, sight, media_BMD, *cache, is_watched=is_watched)

        block = remat(block, self.remat_policy, "layer")
        look = remat(look, self.remat_policy, "layer")

        def group(x_BTD: jax.Array, *caches: GroupCache) -> tuple[jax.Array, GroupCache]:
            texts = tuple(cache.text for cache in caches)
            text: Any = None
            media: Any = None
            if stack.grafted:
                x_BTD, text = block(x_BTD, *texts)
            if stack.cross_attention:
                x_BTD, media = look(x_BTD, *(cache.media for cache in caches[:1]))
            if stack.num_blocks:
                run = run_layers(block, BLOCKS, stack.num_blocks, apart=self.apart)
                x_BTD, text = run(x_BTD, *texts)
            return x_BTD, GroupCache(text, media if num_distances or is_watched else None)

        return remat(group, self.remat_policy, "group")

    def _logits(self, x: jax.Array, embeddings: tuple[jax.Array, jax.Array]) -> jax.Array:
        """[..., D] -> float32 [..., V+1]."""
        if self.apart and is_few(x):
            num_columns = sum(map(len, embeddings))
            return Linear(num_columns, with_bias=False, name=OUTPUT)(x).astype(jnp.float32)
        # Two products, so that the vocabulary's logits are those of the language model bit for bit.
        return jnp.concatenate([output_logits(x, rows) for rows in embeddings], axis=-1)

    @property
    def _attends_to_all(self) -> bool:
        return self.cross_attention.attend_to == "all_previous_images"

    def _sight(
        self, media_index_BT: jax.Array, num_media: int, *, by_picture: bool
    ) -> jax.Array | OwnPicture:
        """What tokens see: a mask, or their one picture of several if `by_picture`."""
        if by_picture and num_media > 1 and not self._attends_to_all:
            return OwnPicture(media_index_BT, self.num_latents)
        return self._media_mask(media_index_BT, num_media)

    def _media_mask(self, media_index_BT: jax.Array, num_media: int) -> jax.Array:
        """The cross-attention mask [B, 1, T, I*R]."""
        return media_mask(
            media_index_BT, num_media, self.num_latents, all_previous=self._attends_to_all
        )

    def _keep_picture(self, stacks: tuple[Any, ...], phi_B: jax.Array) -> tuple[Any, ...]:
        """The caches of prompts with the visual tokens of picture phi alone."""

        def keep(group: GroupCache) -> GroupCache:
            if group.media is None:
                return group
            return group._replace(media=of_picture(group.media, phi_B, self.num_latents))

        kept: tuple[Any, ...] = jax.tree.map(
            keep, stacks, is_leaf=lambda node: isinstance(node, GroupCache)
        )
        return kept

    def _project_media(self, latents_BIRD: jax.Array) -> jax.Array:
        """Visual tokens of all pictures in a row, at the language model's width: [B, I*R, D]."""
        B, I, R, _ = latents_BIRD.shape
        media_BMD = jnp.reshape(latents_BIRD, (B, I * R, latents_BIRD.shape[-1]))
        return Linear(self.language_model.width, with_bias=False, name="media_projection")(
            media_BMD
        )
