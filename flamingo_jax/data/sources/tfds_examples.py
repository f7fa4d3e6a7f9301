"""Examples of datasets that TFDS has prepared, by number: nothing is downloaded here.

TFDS stores examples as TFRecord files, in which there is no telling where record n begins;
`indexes.records` finds out. Pictures stay encoded. See `docs/data/pairs.md`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from flamingo_jax.config import DatasetConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.data import files
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.indexes.records import RecordIndex, open_record_index
from flamingo_jax.data.sources.pair import text_of

# What a split of the config may be called in a dataset, in the order of preference.
_SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test", "testing"),
}
_FILE_FORMAT = "tfrecord"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparedDataset:
    """A dataset that TFDS has prepared, as a dataset's config wants it.

    Attributes:
        dataset: the config; its options name the features to read.
        field: how messages name it: "config.data[pairs]".
        info: TFDS's description.
    """

    dataset: DatasetConfig
    field: str
    info: Any

    def open_index(self) -> RecordIndex:
        """The examples of the config's split.

        Raises:
            UserError: no such split, or its files are missing or not those of the description.
        """
        return _open_split(self.info, self.dataset, self.field)

    def image_reader(self) -> Callable[[Any, str], bytes]:
        """Reads the picture `options.image_field`: (values, name for messages) -> encoded bytes.

        The reader raises `BadSample`.

        Raises:
            UserError: there is no such feature, or it is no picture.
        """
        key, option = self.dataset.options.image_field, f"{self.field}.options.image_field"
        _check_is_image(_feature(self.info.features, key, option), key, option)

        def read(values: Any, name: str) -> bytes:
            image = _first(values, key, Reason.MISSING_MEDIA, name)
            if not isinstance(image, bytes):
                detail = f"feature {key!r} holds {type(image).__name__}: expected a picture"
                raise BadSample(Reason.BROKEN_RECORD, name, detail)
            if not image:
                raise BadSample(Reason.EMPTY_FILE, name, f"feature {key!r}")
            return image

        return read

    def text_reader(self) -> Callable[[Any, str], str]:
        """Reads the text `options.text_field`, or a class as its name; as `image_reader`.

        Raises:
            UserError: there is no such feature, or it is neither.
        """
        key, option = self.dataset.options.text_field, f"{self.field}.options.text_field"
        read_text = _text_reader(_feature(self.info.features, key, option), key, option)
        return lambda values, name: read_text(_first(values, key, Reason.MISSING_TEXT, name), name)


def open_prepared(dataset: DatasetConfig) -> PreparedDataset:
    """The dataset that `dataset.paths` names: "name", "name:version".

    Raises:
        UserError: it is not prepared, or not stored as TFRecord.
    """
    field = f"config.data[{dataset.name}]"
    info = _prepared(dataset, f"{field}.paths").info
    if info.file_format.value != _FILE_FORMAT:
        raise UserError(
            f"{field}.paths: {info.full_name} is stored as {info.file_format.value}: expected"
            f" {_FILE_FORMAT}; prepare it with file_format={_FILE_FORMAT!r}"
        )
    return PreparedDataset(dataset=dataset, field=field, info=info)


def values_of(index: RecordIndex, n: int) -> Any:
    """The values of example n by feature. Raises BadSample."""
    # Loads TensorFlow, which takes seconds; other sources do without.
    import tensorflow as tf

    try:
        return tf.train.Example.FromString(index.read(n)).features.feature
    except DecodeError as error:
        raise BadSample(Reason.BROKEN_RECORD, index.name(n), str(error)) from error


def _first(values: Any, key: str, missing: Reason, name: str) -> int | bytes:
    """The first value of a feature: of a sequence, its first item."""
    # Sequences in sequences are stored flat, under a name of their own.
    for stored_key in (key, f"{key}/ragged_flat_values"):
        if stored_key in values:
            for items in (values[stored_key].bytes_list, values[stored_key].int64_list):
                if items.value:
                    first: int | bytes = items.value[0]
                    return first
    raise BadSample(missing, name, f"feature {key!r} is empty")


def _prepared(dataset: DatasetConfig, field: str) -> Any:
    """The builder of the prepared dataset."""
    # Loads TensorFlow, which takes seconds; other sources do without.
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import constants, read_only_builder

    if len(dataset.paths) != 1 or not dataset.paths[0]:
        raise UserError(
            f"{field} is {dataset.paths}: expected the name of one dataset of TFDS, such as"
            " 'coco_captions:1.1.0'"
        )
    name, images = dataset.paths[0], dataset.options.images
    if images:
        folders = [files.join(dataset.data_dir, images)]
    else:
        own = [files.join("", dataset.data_dir)] if dataset.data_dir else []
        folders = [constants.DATA_DIR, *own]
    for folder in folders:
        try:
            # Looks for prepared files; `tfds.builder` would go on to the code that downloads.
            return read_only_builder.builder_from_files(name, data_dir=folder)
        except tfds.core.DatasetNotFoundError:
            continue
        except Exception as error:  # Whatever is wrong with the name or with the files.
            raise UserError(f"{field}: cannot open {name!r}: {error}") from error
    raise UserError(
        f"{field}: TFDS has not prepared {name!r} in {' or '.join(map(repr, folders))}; prepare it"
        f' with: python -c "import tensorflow_datasets as tfds; tfds.builder({name!r},'
        f' data_dir={folders[-1]!r}).download_and_prepare()"'
    )


def _open_split(info: Any, dataset: DatasetConfig, field: str) -> RecordIndex:
    names = [name for name in _SPLIT_NAMES[dataset.split] if name in info.splits]
    if not names:
        raise UserError(
            f"{field}.split is {dataset.split!r}: {info.full_name} has"
            f" {', '.join(map(repr, sorted(info.splits))) or 'no split'}"
        )
    split = info.splits[names[0]]
    paths = [str(path) for path in split.filepaths]
    index = open_record_index(paths, dataset.options.index_dir, f"{field}.paths")
    if index.num_records != split.num_examples and not index.problems:
        raise UserError(
            f"{field}.paths: {info.full_name} has {index.num_records} examples in its files of"
            f" {names[0]!r}, and {split.num_examples} in its description; prepare it again"
        )
    return index


def _feature(features: Any, key: str, field: str) -> Any:
    """The feature of that name, "captions/text" for one within another; of a sequence, its item."""
    found: Any = _item(features)
    for name in key.split("/"):
        if not _is_group(found) or name not in found:
            raise UserError(f"{field} is {key!r}: the dataset has {', '.join(_leaves(features))}")
        found = _item(found[name])
    return found


def _item(feature: Any) -> Any:
    """What a sequence is a sequence of; any other feature itself, clips among them."""
    kinds = _kinds()
    while isinstance(feature, kinds.Sequence) and not isinstance(
        feature, (kinds.Video, kinds.Dataset)
    ):
        feature = feature.feature
    return feature


def _is_group(feature: Any) -> bool:
    return isinstance(feature, _kinds().FeaturesDict)


def _kinds() -> Any:
    """TFDS's kinds of features."""
    # Loads TensorFlow, which takes seconds; other sources do without.
    import tensorflow_datasets as tfds

    return tfds.features


def _leaves(feature: Any, name: str = "") -> Iterator[str]:
    """The names of all features, those within others with a slash."""
    feature = _item(feature)
    if not _is_group(feature):
        yield repr(name)
        return
    for child in sorted(feature):
        yield from _leaves(feature[child], f"{name}/{child}" if name else child)


def _check_is_image(feature: Any, key: str, field: str) -> None:
    if not isinstance(feature, _kinds().Image):
        raise UserError(f"{field} is {key!r}, a {type(feature).__name__}: expected an Image")


def _text_reader(feature: Any, key: str, field: str) -> Callable[[Any, str], str]:
    """Reads texts, and the numbers of classes as their names."""
    kinds = _kinds()
    if isinstance(feature, kinds.ClassLabel):
        return _label_reader(feature.names)
    # Strings of any name: a Text is such a Tensor, too.
    if isinstance(feature, kinds.Tensor) and np.dtype(feature.np_dtype).kind == "O":
        return text_of
    raise UserError(
        f"{field} is {key!r}, a {type(feature).__name__}: expected a Text or a ClassLabel"
    )


def _label_reader(names: Sequence[str]) -> Callable[[Any, str], str]:
    def read(number: Any, name: str) -> str:
        # Examples of a test whose labels are kept secret have -1.
        if not isinstance(number, int) or not 0 <= number < len(names):
            raise BadSample(Reason.MISSING_TEXT, name, f"there is no class {number}")
        return text_of(names[number], name)

    return read
