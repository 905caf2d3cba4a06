"""Keeps the libraries quiet: no progress bars, no logged prompts, no warnings about their own insides.

What is set here is process-wide state of other libraries. It is idempotent and never undone: undoing it per request
would race with a model that runs in another thread.
"""

from __future__ import annotations

import warnings

_ARRAY_COPY = "__array__ implementation doesn't accept a copy keyword"
"""numpy 2 about ``torch.Tensor.__array__``, raised where diffusers' schedulers turn tensors into arrays."""

_SECOND_ADAPTER = "Already found a `peft_config` attribute"
"""peft at the second adapter of a request; several adapters are what was asked for."""


def quiet_libraries() -> None:
    """Turn off progress bars and the libraries' own log warnings, some of which quote the prompt (CLIP truncation)."""
    import diffusers
    import transformers

    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def ignore_library_warnings() -> None:
    """Ignore warnings of diffusers and peft about their own insides, which neither we nor an operator can act on.

    ``FutureWarning``: scheduler settings of older model folders, which diffusers corrects while it loads them.
    """
    warnings.filterwarnings("ignore", message=_ARRAY_COPY, category=DeprecationWarning, module=r"diffusers\.")
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"diffusers\.")
    warnings.filterwarnings("ignore", message=_SECOND_ADAPTER, category=UserWarning, module=r"peft\.")
