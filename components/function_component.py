"""Turns a function into a TFX component with this project's cache key and refusals.

TFX derives spec, executor and class from the function's annotations. It reads them as objects, so
modules with such functions must not have `from __future__ import annotations`.
"""

import inspect
import json
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel
from tfx.dsl.component.experimental import decorators
from tfx.dsl.components.base import base_driver

from components import refusal
from trainer import fingerprint


def component(
    *sources: str, driver: type[Any] = base_driver.BaseDriver
) -> Callable[[Callable[..., None]], Any]:
    """Returns a decorator that turns a function into a component's class.

    The function declares its artifacts and parameters by TFX's annotations `InputArtifact`,
    `OutputArtifact` and `Parameter`. Its last parameter, `code`, gets the fingerprint of the code,
    so that a change of the code changes the cache key. The component's constructor takes keyword
    arguments only and passes sections, lists and dicts as JSON. If the function raises
    `RefusedError`, it refuses the run; see `refusal`.

    Args:
        sources: files and folders in `components` that the fingerprint covers.
        driver: class that sets some parameters before each run, so that their values are part of
            the cache key. In the graph these parameters have the function's defaults.
    """

    def declare(function: Callable[..., None]) -> Any:
        base = decorators.component(function)
        executor = base.EXECUTOR_SPEC.executor_class
        executor.Do = refusal.as_result(executor.Do)
        parameters = inspect.signature(function).parameters.values()
        defaults = {one.name: one.default for one in parameters if one.default is not one.empty}

        def initialize(self: Any, **arguments: Any) -> None:
            code = fingerprint.digest(sources, {}, "components")
            values = {**defaults, **arguments, "code": code}
            base.__init__(self, **{name: _plain(value) for name, value in values.items()})

        members = {"__init__": initialize, "DRIVER_CLASS": driver}
        about = {"__module__": function.__module__, "__doc__": function.__doc__}
        return type(function.__name__, (base,), {**members, **about})

    return declare


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    return json.dumps(value) if isinstance(value, (list, tuple, dict)) else value
