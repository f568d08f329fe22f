"""Checks the operations of a SavedModel before TensorFlow loads it."""

from __future__ import annotations

import collections
import functools
import importlib
import warnings
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

# TensorFlow's operations by the file that registers them (tensorflow/core/ops/*_ops.cc), from which
# the modules tensorflow.python.ops.gen_*_ops are made.
_FAMILIES = (
    "array_ops",
    "bitwise_ops",
    "clustering_ops",
    "control_flow_ops",
    "cudnn_rnn_ops",
    "functional_ops",
    "image_ops",
    "linalg_ops",
    "list_ops",
    "manip_ops",
    "math_ops",
    "nn_ops",
    "random_ops",
    "resource_variable_ops",
    "rnn_ops",
    "set_ops",
    "sparse_ops",
    "special_math_ops",
    "spectral_ops",
    "state_ops",
    "stateful_random_ops",
    "stateless_random_ops",
    "stateless_random_ops_v2",
    "string_ops",
)
# Of families that are not allowed as a whole.
_SINGLE = ("Assert", "DynamicPartition", "DynamicStitch", "ParallelDynamicStitch")
_TENSOR_ARRAY = "TensorArray"
_ALLOWED = "allowed: a folder that TensorFlow 2 saved"
# They end the process, read a file by the name in an attribute, call functions on other machines.
_EXCEPTIONS = ("Abort", "ImmutableConst", "RemoteCall")


def check(folder: str) -> None:
    """Checks that whatever TensorFlow 2 runs of a SavedModel only computes.

    A SavedModel is a program; its operations can read and write files, talk to other machines and
    call Python. This admits a list of families of operations rather than forbidding some: of about
    1,400 operations more than a hundred touch files (`ReadFile`, data sets, tables, summaries,
    checkpoints, debug copies, `GenerateVocabRemapping`), TensorFlow marks several of them as
    stateless, and each release adds more. It looks at every function, but for the two that save and
    restore checkpoints, unless something else calls these. TensorFlow runs neither those nor the
    main graph of a file that has an object graph.

    Args:
        folder: path or URI of the folder, which holds `saved_model.pb`.

    Raises:
        ValueError: the file is damaged or of TensorFlow 1, or something calls another operation;
            the message says what was found, and what is allowed.
    """
    with tf.io.gfile.GFile(f"{folder.rstrip('/')}/saved_model.pb", "rb") as file:
        content = file.read()
    saved = saved_model_pb2.SavedModel()
    try:
        with warnings.catch_warnings():
            # Protobuf 3.20 only warns of some damage; TensorFlow then loads what came before it.
            warnings.simplefilter("ignore")
            saved.ParseFromString(content)
    except DecodeError as error:
        raise ValueError(f"found a damaged saved_model.pb ({error}); {_ALLOWED}") from error
    graphs = saved.meta_graphs
    if len(graphs) != 1 or not graphs[0].HasField("object_graph_def"):
        raise ValueError(f"found no SavedModel of TensorFlow 2; {_ALLOWED}")
    for function, operation in _calls(graphs[0]):
        if operation not in _operations():
            raise ValueError(
                f"found the operation {operation:.100} in {function:.100}; allowed: operations that"
                " only compute, not those on files, networks, tables, data sets or Python"
            )


def _calls(graph: Any) -> Iterator[tuple[str, str]]:
    """Yields each function that can run with each of its operations that is not a function."""
    library = graph.graph_def.library
    functions = collections.defaultdict(list)  # a hostile file can have several of one name
    for function in library.function:
        functions[function.signature.name].append(function)
    checkpoints = _checkpoint_functions(graph)
    pending = [
        *_named_by_objects(graph.object_graph_def),
        *(gradient.gradient_func for gradient in library.gradient),
        *(gradient.gradient_func for gradient in library.registered_gradients),
        # The optimizer of graphs can replace a function by another one that nothing calls.
        *(name for name in functions if name not in checkpoints),
        *(one.signature.name for one in library.function if "api_implements" in one.attr),
    ]
    seen = set()
    while pending:
        name = pending.pop()
        if name in seen or name not in functions:
            continue
        seen.add(name)
        for node in (node for function in functions[name] for node in function.node_def):
            if node.op in functions:
                pending.append(node.op)
            else:
                yield name, node.op
            for value in node.attr.values():
                pending += [value.func.name, *(each.name for each in value.list.func)]


def _named_by_objects(objects: Any) -> Iterator[str]:
    yield from objects.concrete_functions
    for node in objects.nodes:
        yield from node.function.concrete_functions
        yield node.bare_concrete_function.concrete_function_name


def _checkpoint_functions(graph: Any) -> frozenset[str]:
    """Returns the functions that the main graph has for saving and restoring."""
    saver = graph.saver_def
    nodes = (saver.save_tensor_name.partition(":")[0], saver.restore_op_name)
    return frozenset(
        node.attr["f"].func.name for node in graph.graph_def.node if node.name in nodes
    )


@functools.cache
def _operations() -> frozenset[str]:
    known = set(dir(tf.raw_ops))
    allowed = {name for name in known if name.startswith(_TENSOR_ARRAY)} | set(_SINGLE)
    for family in _FAMILIES:
        module = importlib.import_module(f"tensorflow.python.ops.gen_{family}")
        allowed |= known & set(vars(module))
    return frozenset(name for name in allowed - set(_EXCEPTIONS) if not name.startswith("_"))
