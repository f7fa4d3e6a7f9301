"""The fields of one dataset: where it lies, what is done to an example, how much a step takes.

Below `config.py` these are frozen values; see `docs/data.md` for every source and its files.
"""

from __future__ import annotations

import dataclasses

from flamingo_jax.config_fields import check, check_choice

SPLITS = ("train", "validation", "test")
SCORED = ("all", "after_first_image", "text_of_images")
_PROBABILITY = "a probability from 0 to 1"


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """Random changes of pictures, drawn for every picture of a page on its own (paper, section 3).

    The paper names flip and colour, without numbers.

    Attributes:
      flip_probability: probability of a flip left to right.
      brightness: largest change, as a share of full brightness.
      contrast: largest change of the distance from mid-grey, as a share of it.
      saturation: largest change of the distance from grey, as a share of it.
      hue: largest turn of the colour circle, as a share of the whole circle, at most 0.5.
      spare_pictures_of_text: leaves alone all pictures of an example that its record marks with
        `"text_in_images": true`: mirrored letters teach nothing.
    """

    flip_probability: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    spare_pictures_of_text: bool = False

    def __post_init__(self) -> None:
        for name in ("flip_probability", "brightness", "contrast", "saturation"):
            value = getattr(self, name)
            check(0.0 <= value <= 1.0, f"augmentation.{name}", value, "from 0 to 1")
        check(0.0 <= self.hue <= 0.5, "augmentation.hue", self.hue, "from 0 to 0.5")

    @property
    def is_off(self) -> bool:
        """Whether no picture is ever changed."""
        return not any(
            (self.flip_probability, self.brightness, self.contrast, self.saturation, self.hue)
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """What only some sources read; each source says which in `docs/data.md`.

    Attributes:
      images: folder, or tar shards by pattern, in which pictures or clips that records name lie.
      image_field: field of a record that holds or names its picture or clip.
      text_field: field of a record that holds its text.
      min_similarity: MMC4: least cosine of a picture and its sentence.
      min_image_bytes: MMC4: least size of a picture's file.
      single_image_probability: pages of one picture are kept with this probability.
      index_dir: folder for indexes of the files; empty: `~/.cache/flamingo_jax`.
    """

    images: str = ""
    image_field: str = "image"
    text_field: str = "text"
    min_similarity: float = 0.24
    min_image_bytes: int = 0
    single_image_probability: float = 1.0
    index_dir: str = ""

    def __post_init__(self) -> None:
        value = self.single_image_probability
        check(0.0 <= value <= 1.0, "options.single_image_probability", value, _PROBABILITY)
        check(
            self.min_image_bytes >= 0, "options.min_image_bytes", self.min_image_bytes, "at least 0"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """One dataset of the step: what it reads, and how much of it with what weight.

    Attributes:
      name: names the dataset in metrics and checkpoints; unique within a run.
      source: one of `data.sources.catalog.SOURCES` ("pairs/webdataset", "world/pages", ...).
      batch_size: examples a step, over all devices and microbatches.
      loss_weight: lambda of the dataset in the total loss (paper, section 4).
      max_text_length: tokens of an example (T); longer text is cut.
      max_images: pictures of an example (I); 0 for text alone.
      num_frames: frames of a picture (F): 1 for stills, more for clips.
      p_next: probability that a page's tokens see the next picture and not the previous one.
      leading_space_probability: probability of one space before a pair's text.
      seed: seed of the dataset's examples, of their order and of their augmentation.
      split: "train", "validation" or "test".
      microbatches: parts that the batch is computed in, to save memory; divides batch_size.
      paths: files, with `{0000..0999}` and `*`; local or gs://. Relative ones lie in `data_dir`.
      data_dir: folder that relative paths lie in; empty: that of the run.
      options: what only some sources read.
      shuffle: a new order of all examples every epoch; otherwise the order of the files.
      image_size: height and width of pictures in pixels; 0: the vision encoder's.
      frames_per_second: at which frames are taken from a clip (paper: 1 in training, 3 in
        evaluation).
      augmentation: random changes of pictures.
      random_subsequence: takes `max_text_length` tokens at a random place of a longer page (paper,
        section 3); otherwise its beginning.
      scored: which tokens have a loss: "all" (the paper's formula), "after_first_image", or
        "text_of_images" (after the first picture, without tags: as OpenFlamingo).
      documents_per_row: documents of text that share a row without seeing each other.
      max_bad_share: stops the run when more than this share of the examples cannot be read.
    """

    name: str
    source: str
    batch_size: int
    loss_weight: float
    max_text_length: int
    max_images: int = 1
    num_frames: int = 1
    p_next: float = 0.0
    leading_space_probability: float = 0.0
    seed: int = 0
    split: str = "train"
    microbatches: int = 1
    paths: tuple[str, ...] = ()
    data_dir: str = ""
    options: SourceOptions = SourceOptions()
    shuffle: bool = True
    image_size: int = 0
    frames_per_second: float = 1.0
    augmentation: AugmentationConfig = AugmentationConfig()
    random_subsequence: bool = False
    scored: str = "all"
    documents_per_row: int = 1
    max_bad_share: float = 0.1

    def __post_init__(self) -> None:
        field = f"data[{self.name}]"
        for name in (
            "batch_size",
            "max_text_length",
            "num_frames",
            "microbatches",
            "documents_per_row",
        ):
            value = getattr(self, name)
            check(value >= 1, f"{field}.{name}", value, "at least 1")
        for name in ("p_next", "leading_space_probability", "max_bad_share"):
            value = getattr(self, name)
            check(0.0 <= value <= 1.0, f"{field}.{name}", value, _PROBABILITY)
        for name in ("max_images", "loss_weight", "image_size", "seed"):
            value = getattr(self, name)
            check(value >= 0, f"{field}.{name}", value, "at least 0")
        check(
            self.frames_per_second > 0,
            f"{field}.frames_per_second",
            self.frames_per_second,
            "above 0",
        )
        check(
            self.batch_size % self.microbatches == 0,
            f"{field}.microbatches",
            self.microbatches,
            f"a divisor of batch_size {self.batch_size}",
        )
        check_choice(f"{field}.split", self.split, SPLITS)
        check_choice(f"{field}.scored", self.scored, SCORED)
