"""What users of webdataset and Grain write around them: pictures through Pillow, text to tokens.

Decode, resize with an antialiasing filter, pad, flip, brightness and contrast are Pillow's own
functions for these; torchvision's transforms of Pillow's pictures call the same ones.
"""

from __future__ import annotations

import functools
import io

import numpy as np
import sentencepiece
from PIL import Image, ImageEnhance, ImageOps

from benchmarks import reader_process

MEAN_COLOUR = (124, 116, 104)
_BOS, _EOS = 3, 1
_TAG = "<image>"


def picture(data: bytes, random: np.random.Generator) -> np.ndarray:
    """An image file as uint8 [IMAGE_SIZE, IMAGE_SIZE, 3], augmented."""
    image: Image.Image = Image.open(io.BytesIO(data)).convert("RGB")
    size = (reader_process.IMAGE_SIZE, reader_process.IMAGE_SIZE)
    image = ImageOps.pad(image, size, Image.Resampling.BILINEAR, color=MEAN_COLOUR)
    if random.random() < reader_process.FLIP_PROBABILITY:
        image = ImageOps.mirror(image)
    for enhance, most in (
        (ImageEnhance.Brightness, reader_process.BRIGHTNESS),
        (ImageEnhance.Contrast, reader_process.CONTRAST),
    ):
        image = enhance(image).enhance(1.0 + most * random.uniform(-1.0, 1.0))
    return np.asarray(image)


def text(caption: bytes, vocabulary: str) -> np.ndarray:
    """A caption as int32 [TEXT_LENGTH]: `<BOS><image>caption<EOC><EOS>` and zeros."""
    processor = _processor(vocabulary)
    tokens = [_BOS, *processor.encode(_TAG), *processor.encode(caption.decode().strip())]
    tokens = [*tokens, processor.get_piece_size(), _EOS][: reader_process.TEXT_LENGTH]
    row = np.zeros(reader_process.TEXT_LENGTH, np.int32)
    row[: len(tokens)] = tokens
    return row


@functools.cache
def _processor(vocabulary: str) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_file=vocabulary)
