"""Cuts data without splits, so that an image or a group never moves to another split."""

from __future__ import annotations

import bisect
import hashlib
import itertools
from dataclasses import dataclass


@dataclass(frozen=True)
class Cut:
    """The number of hash buckets of each split, in the order of the names."""

    names: tuple[str, ...]
    buckets: tuple[int, ...]

    def split(self, key: bytes) -> str:
        """Returns the split of a key, which does not depend on the rest of the data.

        The hash is that of TFX's ExampleGen: SHA-256 of the serialised feature.
        """
        ends = list(itertools.accumulate(self.buckets))
        bucket = int(hashlib.sha256(key).hexdigest(), 16) % ends[-1]
        return self.names[bisect.bisect(ends, bucket)]
