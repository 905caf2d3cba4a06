"""Sampling schedulers by short name, built from the model's own scheduler configuration.

A scheduler keeps state between steps, so every generation gets a fresh one; the model's own object is never used.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from guard.errors import RequestError


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerEntry:
    """A scheduler class of diffusers, the settings that make it the named one, and what it can sample.

    Attributes:
        class_name: attribute of the ``diffusers`` package.
        flow: True for rectified-flow models (SD3, FLUX), False for noise- or v-prediction models (SD, SDXL).
        settings: overrides of the model's scheduler configuration.
    """

    class_name: str
    flow: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


_PLAIN = MappingProxyType({"use_karras_sigmas": False})
_KARRAS = MappingProxyType({"use_karras_sigmas": True})

SCHEDULERS: Mapping[str, SchedulerEntry] = MappingProxyType(
    {
        "ddim": SchedulerEntry(class_name="DDIMScheduler"),
        "ddpm": SchedulerEntry(class_name="DDPMScheduler"),
        "pndm": SchedulerEntry(class_name="PNDMScheduler"),
        "euler": SchedulerEntry(class_name="EulerDiscreteScheduler", settings=_PLAIN),
        "euler_karras": SchedulerEntry(class_name="EulerDiscreteScheduler", settings=_KARRAS),
        "euler_a": SchedulerEntry(class_name="EulerAncestralDiscreteScheduler"),
        "heun": SchedulerEntry(class_name="HeunDiscreteScheduler", settings=_PLAIN),
        "dpmpp_2m": SchedulerEntry(class_name="DPMSolverMultistepScheduler", settings=_PLAIN),
        "dpmpp_2m_karras": SchedulerEntry(class_name="DPMSolverMultistepScheduler", settings=_KARRAS),
        "dpmpp_2m_sde": SchedulerEntry(
            class_name="DPMSolverMultistepScheduler",
            settings=MappingProxyType({"use_karras_sigmas": False, "algorithm_type": "sde-dpmsolver++"}),
        ),
        "unipc": SchedulerEntry(class_name="UniPCMultistepScheduler", settings=_PLAIN),
        "lcm": SchedulerEntry(class_name="LCMScheduler"),
        "flow_euler": SchedulerEntry(class_name="FlowMatchEulerDiscreteScheduler", flow=True),
        "flow_heun": SchedulerEntry(class_name="FlowMatchHeunDiscreteScheduler", flow=True),
    }
)
"""Source: names as in the common interfaces (k-diffusion, A1111); classes from the diffusers schedulers overview."""


def is_flow(scheduler: Any) -> bool:
    """Return whether a model's own scheduler samples a rectified flow."""
    config = scheduler.config
    return (
        type(scheduler).__name__.startswith("FlowMatch")
        or bool(config.get("use_flow_sigmas", False))
        or config.get("prediction_type") == "flow_prediction"
    )


def _fits(entry: SchedulerEntry, own: Any) -> bool:
    """Return whether a table entry can take the place of the model's own scheduler.

    Pipelines for rectified flows hand their own ``sigmas`` and shift ``mu`` to ``set_timesteps``; a scheduler whose
    method lacks what the model's own one takes would fail there (FLUX with Heun).
    """
    import diffusers

    if entry.flow != is_flow(own):
        return False
    wanted = {"sigmas", "mu"} & set(inspect.signature(own.set_timesteps).parameters) if entry.flow else set()
    offered = inspect.signature(getattr(diffusers, entry.class_name).set_timesteps).parameters
    return wanted <= set(offered)


def compatible_names(own: Any) -> tuple[str, ...]:
    """Return the short names that can replace a model's own scheduler, in table order."""
    return tuple(name for name, entry in SCHEDULERS.items() if _fits(entry, own))


def build_scheduler(own: Any, name: str | None) -> tuple[Any, str]:
    """Return a fresh scheduler and the name under which it is recorded.

    Args:
        own: the scheduler that came with the model; only its class and configuration are used.
        name: short name of ``SCHEDULERS``, or None for the model's own kind.

    Returns:
        (scheduler, short name, or the class name for the model's own).

    Raises:
        RequestError: an unknown name, or one that cannot sample this model.
    """
    import diffusers

    if name is None:
        return _from_first_step(type(own).from_config(own.config)), type(own).__name__
    entry = SCHEDULERS.get(name)
    if entry is None or not _fits(entry, own):
        problem = "is not known" if entry is None else "cannot sample this model"
        raise RequestError(
            f"The scheduler {name!r} {problem}; possible here: {', '.join(compatible_names(own))}.",
            next_step="Use one of the listed names, or leave the scheduler out.",
        )
    return _from_first_step(getattr(diffusers, entry.class_name).from_config(own.config, **entry.settings)), name


def _from_first_step(scheduler: Any) -> Any:
    """Return the scheduler, made to start at index 0 unless the pipeline says otherwise.

    Left alone, it looks the first time step up among its own, and takes the second entry when rounding made two equal
    (Karras spacing of a cosine schedule in few steps): one step is skipped and the last one fails with an IndexError.
    FLUX's pipeline sets the index itself for this reason; image-to-image classes set their own afterwards.
    """
    if not hasattr(scheduler, "set_begin_index"):
        return scheduler
    set_timesteps = scheduler.set_timesteps

    @functools.wraps(set_timesteps)  # pipelines inspect its signature
    def and_begin(*args: Any, **kwargs: Any) -> None:
        set_timesteps(*args, **kwargs)
        scheduler.set_begin_index(0)

    scheduler.set_timesteps = and_begin
    return scheduler
