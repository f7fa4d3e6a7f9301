"""The machine that the tests see: eight CPU devices and no accelerator, set before jax loads.

Eight devices let one process test every mesh shape. To run a test on a real accelerator, set
JAX_PLATFORMS; then TensorFlow still leaves the accelerator's memory alone.
"""

from __future__ import annotations

import os

DEVICES = 8


def _add_xla_flag(name: str, value: str) -> None:
    flags = os.environ.get("XLA_FLAGS", "")
    if name not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --{name}={value}".strip()


os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
_add_xla_flag("xla_force_host_platform_device_count", str(DEVICES))
# What is compiled here runs a few times. XLA's newer way to compile what is not a product takes
# twice as long as the older one. Processes that a test starts inherit it. What runs take by default
# is tested with XLA_FLAGS=--xla_cpu_use_fusion_emitters=true, in twice the time.
_add_xla_flag("xla_cpu_use_fusion_emitters", "false")
_add_xla_flag("xla_cpu_parallel_codegen_split_count", "1")
if os.environ["JAX_PLATFORMS"] == "cpu":
    # Hides GPUs from TensorFlow too, without loading it into tests that do not use it.
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
if "PYTEST_XDIST_WORKER" in os.environ:
    # Several workers share the cores: one XLA and one TensorFlow thread pool each would
    # otherwise be as wide as the machine.
    _add_xla_flag("xla_cpu_multi_thread_eigen", "false")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
