"""Assigns data without splits to splits by a hash, so that no image or group changes its split."""

from __future__ import annotations

import bisect
import hashlib
import itertools
from dataclasses import dataclass


@dataclass(frozen=True)
class Cut:
    """How records are cut into splits: `buckets` is the number of hash buckets of each name."""

    names: tuple[str, ...]
    buckets: tuple[int, ...]

    def split(self, key: bytes) -> str:
        """Returns the split of a serialised feature, independent of all other records.

        The hash is that of TFX's ExampleGen: SHA-256.
        """
        ends = list(itertools.accumulate(self.buckets))
        bucket = int(hashlib.sha256(key).hexdigest(), 16) % ends[-1]
        return self.names[bisect.bisect(ends, bucket)]
