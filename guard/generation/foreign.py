"""The exceptions that torch, diffusers, transformers, peft and safetensors raise, named in one place."""

from __future__ import annotations

RUN_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    NotImplementedError,
    AssertionError,
    OSError,
    MemoryError,
)
"""While a pipeline runs: torch raises RuntimeError for nearly everything, the others are the pipelines' own checks."""


def load_errors() -> tuple[type[Exception], ...]:
    """Return what loading raises for files that are missing, damaged or made for another architecture."""
    import safetensors

    return (*RUN_ERRORS, ImportError, safetensors.SafetensorError)
