"""The batch contract: what a batch holds, for whoever makes one and whoever reads one.

Keys of a batch and the shape letters of their arrays (B examples, I images or clips, F frames,
H W pixels, C = 3 colours, T tokens):

| key           | dtype   | shape       | meaning                                                  |
|---------------|---------|-------------|----------------------------------------------------------|
| `media`       | uint8   | B I F H W C | pictures in reading order, zeros after the last          |
| `text`        | int32   | B T         | token ids, `PAD_ID` after the last                       |
| `media_index` | int32   | B T         | phi: picture that a token may see; 0 none, i the i-th    |
| `loss_weight` | float32 | B T         | weight of predicting `text[t]` from what is before it    |
| `segment`     | int32   | B T         | document that a token belongs to, from 1; 0 padding      |

A batch of text alone has `text` and `loss_weight`, in the Flamingo stage too; and `segment` if its
rows hold several documents, which do not see each other. A contrastive batch has `media` (I = F =
1) and `text`. Source: paper section 3.2 and appendix A.1 (model inputs per example).
"""

from __future__ import annotations

MEDIA = "media"
TEXT = "text"
MEDIA_INDEX = "media_index"
LOSS_WEIGHT = "loss_weight"
SEGMENT = "segment"

PAD_ID = 0
EOS_ID = 1
UNKNOWN_ID = 2
BOS_ID = 3

# The tag that stands for a picture in text. It is plain text for the vocabulary, not a token of
# its own (paper, section 3.2.1).
IMAGE_TAG = "<image>"


def end_of_chunk_id(vocabulary_size: int) -> int:
    """Id of `<EOC>`: the first row after the `vocabulary_size` pieces of the vocabulary."""
    return vocabulary_size
