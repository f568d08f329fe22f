"""Starts a run whenever a new span appears, and one only, however often the watcher restarts.

What was started is not remembered here: the host is asked for a run of the span's name, so a
watcher on another machine, or after a crash, goes on where the last one was. A span counts once its
files were the same in two looks, as one that is still being copied would be learnt from in part.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kubeflow import compile as compiler
from kubeflow.blueprint import SPAN, name_of
from kubeflow.host import Host, HostError
from pipeline.config import Config, ConfigError
from pipeline.data import spans

# Seconds between the two looks of a watcher that looks once: longer than copying pauses for.
_SETTLING = 10.0

# A span's number, and the sizes in bytes of its files by their paths.
_Look = tuple[int, dict[str, int]]


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
    config: Config,
    address: str | None,
    namespace: str | None,
    every: float,
    tell: Callable[[str], None],
    *,
    once: bool,
) -> Iterator[Submitted]:
    """Yields the run of the newest span, now and whenever there is a newer one.

    Args:
        config: the config; spans are looked for in its `data.root`.
        address: see `Host`.
        namespace: see `Host`.
        every: seconds between two looks.
        tell: is given, in one line, why a look came to nothing.
        once: whether to end after the newest span, which is looked at twice if it is new.

    Raises:
        HostError: at the start, the host cannot be reached or refuses; with `once`, ever.
        ConfigError: at the start, the config cannot be compiled with the span that is there; with
            `once`, ever, and if `data.root` holds no span.
    """

    @contextlib.contextmanager
    def going_on() -> Iterator[None]:
        try:
            yield
        except (ConfigError, HostError) as error:
            if once:
                raise
            tell(str(error))

    latest = config.model_copy(update={"data": config.data.model_copy(update={"span": "latest"})})
    host = Host(address, namespace)
    starting = True
    known: int | None = None
    before: _Look | None = None
    while True:
        look: _Look | None = None
        submitted: Submitted | None = None
        with going_on():
            look = _look(latest)
        if look and starting:
            # Whoever started it with a wrong config is still there to be told.
            compiler.compile_for_kubeflow(latest)
        starting = False
        if look and look[0] != known:
            with going_on():
                submitted = _submit(host, latest, look[0], settled=look == before)
        if submitted:
            known = submitted.span
            yield submitted
        elif look and once and before:
            tell(f"span {look[0]}: its files still change; look again when it is copied")
        if once and (submitted or before):
            return
        before = look
        time.sleep(_SETTLING if once else every)


def _look(latest: Config) -> _Look:
    # Heavy; compiling has loaded it, or will.
    import tensorflow as tf

    span = spans.find(latest)
    try:
        files = [
            f"{folder}/{name}" for folder, _, names in tf.io.gfile.walk(span.path) for name in names
        ]
        return span.number, {file: tf.io.gfile.stat(file).length for file in files}
    except tf.errors.OpError as error:
        raise ConfigError(f"data.root: {span.path} cannot be listed: {error.message}") from error


def _submit(host: Host, config: Config, span: int, *, settled: bool) -> Submitted | None:
    name = compiler.pipeline_name(config)
    run_name = f"{name}-span-{span}"
    there = host.runs(name, run_name)
    if there:
        return Submitted(span, there[0], new=False)
    if not settled:
        return None
    # Anew for each span: its class names and split folders may be others than those before.
    text = compiler.compile_for_kubeflow(config)
    parameters = {name_of(SPAN): str(span)}
    root = config.kubeflow.pipeline_root
    run = host.submit(host.upload(name, text), name, run_name, parameters, root)
    return Submitted(span, run, new=True)
