"""Starts one run for each new span, however often the watcher restarts.

The watcher stores nothing: it asks the host whether a span has a run, so it resumes after a crash
or on another machine. It starts a run once two checks in a row find the same files in the span,
because a run on a half-copied span would train on a part of the data.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from kubeflow import compile as compiler
from kubeflow.blueprint import SPAN, name_of
from kubeflow.host import Host, HostError
from pipeline.config import Config, ConfigError
from pipeline.data import spans

# Seconds between the two checks with `once`: longer than a copy usually pauses.
_SETTLING = 10.0

# A span's number, and file path -> size in bytes.
_Look = tuple[int, dict[str, int]]
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Submitted:
    """The id of a span's run, and whether this watcher started it."""

    span: int
    run: str
    new: bool


def submissions(
    config: Config,
    address: str | None,
    namespace: str | None,
    every: float,
    tell: Callable[[str], None],
    *,
    once: bool,
) -> Iterator[Submitted]:
    """Yields the run of the newest span in `data.root`, and of each newer span that appears.

    It checks the folder every `every` seconds, and passes one line to `tell` if a check fails. With
    `once` it ends after the newest span, which it checks twice if that span has no run yet.

    Raises:
        HostError: the host fails at the start or, with `once`, at any time.
        ConfigError: the config cannot be compiled at the start; with `once`, also if it cannot be
            compiled later, or if `data.root` holds no span.
    """

    def attempt(action: Callable[[], _Result]) -> _Result | None:
        try:
            return action()
        except (ConfigError, HostError) as error:
            if once:
                raise
            tell(str(error))
            return None

    latest = config.model_copy(update={"data": config.data.model_copy(update={"span": "latest"})})
    host = Host(address, namespace)
    known: int | None = None
    before: _Look | None = None
    for number in itertools.count():
        look = attempt(partial(_look, latest))
        if look and number == 0:
            # A wrong config ends the watcher while the person who started it is still there.
            compiler.compile_for_kubeflow(latest)
        submitted = None
        if look and look[0] != known:
            submitted = attempt(partial(_submit, host, latest, look[0], settled=look == before))
        if submitted:
            known = submitted.span
            yield submitted
        elif look and once and before:
            tell(f"span {look[0]}: its files still change; look again after the copy has ended")
        if once and (submitted or before):
            return
        before = look
        time.sleep(_SETTLING if once else every)


def _look(latest: Config) -> _Look:
    # Heavy, but compiling loads it anyway.
    import tensorflow as tf

    span = spans.find(latest)
    try:
        walked = tf.io.gfile.walk(span.path)
        files = [f"{folder}/{name}" for folder, _, names in walked for name in names]
        return span.number, {file: tf.io.gfile.stat(file).length for file in files}
    except tf.errors.OpError as error:
        raise ConfigError(f"data.root: {span.path} cannot be listed: {error.message}") from error


def _submit(host: Host, config: Config, span: int, *, settled: bool) -> Submitted | None:
    name = compiler.pipeline_name(config)
    run_name = f"{name}-span-{span}"
    existing = host.runs(name, run_name)
    if existing:
        return Submitted(span, existing[0], new=False)
    if not settled:
        return None
    # Each span is compiled anew, because its class names and split folders may have changed.
    text = compiler.compile_for_kubeflow(config)
    parameters = {name_of(SPAN): str(span)}
    root = config.kubeflow.pipeline_root
    run = host.submit(host.upload(name, text), name, run_name, parameters, root)
    return Submitted(span, run, new=True)
