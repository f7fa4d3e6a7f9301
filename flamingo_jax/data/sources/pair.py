"""What the sources of pictures with texts share."""

from __future__ import annotations

from collections.abc import Callable

from flamingo_jax.config import DatasetConfig
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.image_store import ImageStore
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.sources.source import Content, RawExample, Source


def pair_source(
    dataset: DatasetConfig,
    read: Callable[[int], RawExample],
    num_examples: int,
    problems: tuple[BadSample, ...] = (),
) -> Source:
    """A source of pairs in files.

    Args:
        dataset: the dataset's config.
        read: makes example n, of 0 to `num_examples` - 1.
        num_examples: how many there are.
        problems: what was found wrong at opening.
    """
    return Source(
        name=dataset.source,
        content=Content.PAIR,
        read=read,
        num_examples=num_examples,
        media_shape=(dataset.num_frames, dataset.image_size, dataset.image_size),
        problems=problems,
    )


def text_of(text: object, name: str) -> str:
    """The text of a pair, without NUL and without white space around it.

    Args:
        text: a string, or bytes of UTF-8.
        name: where it stands, for messages.

    Raises:
        BadSample: it is something else, is not UTF-8, or nothing is left of it.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise BadSample(Reason.NOT_UTF8, name, f"byte {error.start}") from error
    if not isinstance(text, str):
        raise BadSample(Reason.BROKEN_RECORD, name, f"the text is {text!r:.60}, not a string")
    try:
        text.encode()
    except UnicodeEncodeError as error:  # JSON can spell halves of characters.
        raise BadSample(Reason.NOT_UTF8, name, f"character {error.start}") from error
    text = text.replace("\0", "").strip()
    if not text:
        raise BadSample(Reason.EMPTY_TEXT, name)
    return text


def encoded_image(images: ImageStore, file_name: str, place: str) -> EncodedImage:
    """The picture that a record names.

    Args:
        images: where it lies.
        file_name: what the record calls it.
        place: where the record is, for messages.

    Raises:
        BadSample: the name is not safe, there is no such file, or it is empty.
    """
    data = images.read(file_name, place)
    if data is None:
        detail = f"there is no {file_name!r} in {images.place!r}"
        raise BadSample(Reason.MISSING_MEDIA, place, detail)
    if not data:
        raise BadSample(Reason.EMPTY_FILE, place, f"{file_name!r}")
    return EncodedImage(data=data, name=f"{place}: {file_name}")
