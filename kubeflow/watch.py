"""Starts a run whenever a new span appears, and one only, however often the watcher restarts.

What was started is not remembered here: the host is asked for a run of the span's name, so a
watcher on another machine, or after a crash, goes on where the last one was.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from kubeflow import compile as compiler
from kubeflow.blueprint import name_of
from kubeflow.host import Host
from pipeline import spans
from pipeline.config import Config

_SPAN = "data.span"


@dataclass(frozen=True)
class Submitted:
    """The run of a span.

    Attributes:
        span: the span's number.
        run: the run's id.
        new: whether this watcher started it.
    """

    span: int
    run: str
    new: bool


def submissions(
    config: Config, address: str | None, namespace: str | None, every: float, *, once: bool
) -> Iterator[Submitted]:
    """Yields the run of the newest span, now and whenever there is a newer one.

    Args:
        config: the config; spans are looked for in its `data.root`.
        address: see `Host`.
        namespace: see `Host`.
        every: seconds between two looks.
        once: whether to look only once.

    Raises:
        HostError: the host cannot be reached or refuses.
        ConfigError: `data.root` holds no span.
    """
    latest = config.model_copy(update={"data": config.data.model_copy(update={"span": "latest"})})
    host = Host(address, namespace)
    name, text = compiler.pipeline_name(latest), compiler.compile_for_kubeflow(latest)
    seen = None
    while True:
        span = spans.find(latest).number
        if span != seen:
            seen = span
            yield _submit(host, latest, name, text, span)
        if once:
            return
        time.sleep(every)


def _submit(host: Host, config: Config, name: str, text: str, span: int) -> Submitted:
    run_name = f"{name}-span-{span}"
    there = host.runs(name, run_name)
    if there:
        return Submitted(span, there[0], new=False)
    parameters = {name_of(_SPAN): str(span)}
    root = config.kubeflow.pipeline_root
    run = host.submit(host.upload(name, text), name, run_name, parameters, root)
    return Submitted(span, run, new=True)
