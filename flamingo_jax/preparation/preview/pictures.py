"""The pictures and clips of an example as HTML, inside the page itself."""

from __future__ import annotations

import base64
import io

import numpy as np

_LARGEST_LOSSLESS = 64
_QUALITY = 90


def num_pictures(media_IFHWC: np.ndarray) -> int:
    """Pictures up to the last one that is not all zeros; the rest is padding (see `schema`)."""
    places = np.flatnonzero(media_IFHWC.any(axis=(1, 2, 3, 4)))
    return int(places[-1]) + 1 if len(places) else 0


def to_html(media_IFHWC: np.ndarray) -> str:
    """A numbered figure for every picture; the frames of a clip side by side.

    Args:
        media_IFHWC: uint8 [I, F, H, W, 3].

    Returns:
        HTML with the pixels in it: PNG, or JPEG above 64 pixels.
    """
    figures = []
    for number, frames_FHWC in enumerate(media_IFHWC[: num_pictures(media_IFHWC)], start=1):
        kind = "clip" if len(frames_FHWC) > 1 else "still"
        frames = "".join(_image(frame, number, k) for k, frame in enumerate(frames_FHWC, start=1))
        caption = f"{number}" if kind == "still" else f"{number}, {len(frames_FHWC)} frames"
        figures.append(
            f'<figure class="{kind} picture-{number}"><div>{frames}</div>'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    return f'<div class="pictures">{"".join(figures)}</div>' if figures else ""


def _image(frame_HWC: np.ndarray, number: int, frame: int) -> str:
    height, width, _ = frame_HWC.shape
    sharpness = ' class="pixels"' if max(height, width) <= _LARGEST_LOSSLESS else ""
    return (
        f'<img{sharpness} alt="picture {number}, frame {frame}, {width} x {height}"'
        f' src="{data_uri(frame_HWC)}">'
    )


def data_uri(frame_HWC: np.ndarray) -> str:
    """A picture as an address that holds it."""
    from PIL import Image  # The embedded world needs no Pillow.

    kind = "PNG" if max(frame_HWC.shape[:2]) <= _LARGEST_LOSSLESS else "JPEG"
    file = io.BytesIO()
    Image.fromarray(frame_HWC).save(file, kind, quality=_QUALITY)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
