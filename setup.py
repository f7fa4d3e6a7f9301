"""Package metadata of flamingo_jax; requirements.txt pins the versions that are tested together."""

from setuptools import find_packages, setup

setup(
    name="flamingo_jax",
    version="0.1.0",
    description="Trains and evaluates Flamingo, a visual language model, in JAX and Haiku.",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["flamingo_jax", "flamingo_jax.*"]),
    package_data={
        "flamingo_jax": ["data/vocabularies/*", "evaluation/templates/*", "pretrained/**"]
    },
    install_requires=[
        "absl-py",
        "av",
        "chex",
        "clu",
        "dm-haiku",
        "etils[epath]",
        "importlib-resources",  # tensorflow-datasets needs it and does not say so.
        "jax",
        "matplotlib",
        "ml-collections",
        "numpy",
        "optax",
        "orbax-checkpoint",
        "pillow",
        "pyarrow",
        "scikit-learn",
        "scipy",
        "sentencepiece",
        "seqio",
        "tensorboard",
        "tensorflow",
        "tensorflow-datasets",
    ],
    extras_require={
        # jax for Cloud TPU, and libtpu for compiling a pod's program without one.
        "tpu": ["jax[tpu]"],
        # Reads the published checkpoints of other projects.
        "import": ["safetensors", "torch"],
        # The web page to talk to a model.
        "serve": ["gradio>=6"],
        # Prepares pages of WARC files, and on many machines. Beam wants older versions of some
        # packages than requirements.txt has: an environment of its own (docs/data/prepare_m3w.md).
        "beam": ["apache-beam", "warcio"],
        # Tests and lint.
        "dev": ["mypy", "pytest", "pytest-xdist", "ruff"],
    },
)
