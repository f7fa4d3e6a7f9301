"""The thresholds of `prepare m3w` that differ from Gopher's and the paper's: none.

    python -m flamingo_jax.prepare m3w --input='crawl/*.warc.gz' --output=data/m3w \
        --config=configs/prepare_m3w.py --config.num_shards=64

Every field of `flamingo_jax/preparation/m3w/config.py` can be set here or on the command line.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Fields of M3WConfig; what is not set keeps its default."""
    return ConfigDict(
        {
            # Stand-in for the paper's SafeSearch: a page with one of these words is dropped.
            "blocked_words": (),
            "min_english_share": 0.2,
            # What the paper and Gopher leave open.
            "single_colour_range": 8,
            "near_duplicate_cosine": 0.95,
            "max_image_side": 640,
            "num_shards": 16,
        }
    )
