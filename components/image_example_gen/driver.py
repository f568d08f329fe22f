"""Finds the spans to read: TFX's driver finds one span, this driver a window of spans.

TFX provides windows by a Resolver over earlier runs. Open-source Kubeflow does not run a Resolver,
and a Resolver cannot find spans that no run has read. This driver looks at the files only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from tfx.components.example_gen import driver as tfx_driver
from tfx.components.example_gen import input_processor
from tfx.proto import example_gen_pb2, range_config_pb2
from tfx.utils import io_utils

# Separates the patterns of a split's spans; no span or split folder contains it in its name.
SEPARATOR = ","


class Driver(tfx_driver.FileBasedDriver):
    """TFX's driver, extended to accept a range of several spans."""

    def get_input_processor(
        self,
        splits: Iterable[example_gen_pb2.Input.Split],
        range_config: range_config_pb2.RangeConfig | None = None,
        input_base_uri: str | None = None,
    ) -> input_processor.InputProcessor:
        """Returns the processor that finds spans and fingerprints their files."""
        return _Window(input_base_uri, list(splits), range_config)


class _Window(input_processor.FileBasedInputProcessor):
    """Resolves a range to its newest span as the run's span, and to the files of all its spans."""

    def __init__(
        self,
        input_base: str | None,
        splits: list[example_gen_pb2.Input.Split],
        spans: range_config_pb2.RangeConfig | None,
    ) -> None:
        super().__init__(input_base, splits, _newest(spans))
        self._base = input_base or ""
        self._spans = spans

    def get_pattern_for_span_version(self, pattern: str, span: int, version: int | None) -> str:
        """Returns the patterns of all spans of the window, oldest first, joined by `SEPARATOR`."""
        fill = super().get_pattern_for_span_version
        return SEPARATOR.join(fill(pattern, number, version) for number in self._numbers(span))

    def get_input_fingerprint(self, span: int, version: int | None) -> str:
        """Joins TFX's fingerprints of the files of all spans of the window."""
        fill = super().get_pattern_for_span_version
        return "\n".join(
            io_utils.generate_fingerprint(
                split.name, os.path.join(self._base, fill(split.pattern, number, version))
            )
            for number in self._numbers(span)
            for split in self._splits
        )

    def _numbers(self, newest: int) -> range:
        first = newest
        if self._spans is not None and self._spans.HasField("static_range"):
            first = self._spans.static_range.start_span_number
        elif self._spans is not None:
            first = newest + 1 - self._spans.rolling_range.num_spans
        return range(max(first, 0), newest + 1)


def _newest(spans: range_config_pb2.RangeConfig | None) -> range_config_pb2.RangeConfig | None:
    """Reduces a range to its last span, because TFX's own processor accepts only one span."""
    if spans is None:
        return None
    if spans.HasField("static_range"):
        last = spans.static_range.end_span_number
        alone = range_config_pb2.StaticRange(start_span_number=last, end_span_number=last)
        return range_config_pb2.RangeConfig(static_range=alone)
    latest = range_config_pb2.RollingRange(num_spans=1)
    return range_config_pb2.RangeConfig(rolling_range=latest)
