"""What a kernel of TensorFlow says, without the names of graph nodes around it."""

from __future__ import annotations

import re

# What TensorFlow writes about its graph, before, in and after the sentence of a kernel.
_GRAPH = re.compile(r"\[\[.*?\]\]|\{\{.*?\}\}|\[Op:\w+\]", re.DOTALL)
_ROOT = re.compile(r"\s*\d+ root error\(s\) found\.\s*\(0\)\s*(?:[A-Z_]+|[\w ]+):\s*")
_OTHER_ROOTS = re.compile(r"\n\s*(?:\(1\)|\d+ successful operations\.).*", re.DOTALL)
_ASSERTION = re.compile(r"assertion failed: \[(.*)\]", re.DOTALL)


def sentence(message: str) -> str:
    """Returns the sentence of a kernel, of all that TensorFlow says when the kernel fails.

    A message without such a sentence is returned as it is.
    """
    root = _ROOT.match(message)
    told = _OTHER_ROOTS.sub("", message[root.end() :]) if root else message
    told = " ".join(_GRAPH.sub(" ", told).split())
    asserted = _ASSERTION.fullmatch(told)
    return (asserted[1].strip() if asserted else told) or message
