"""Freezes a model into a small graph of constants.

A Keras backbone has hundreds of variables and normalisation layers. TensorFlow pays for each of
them whenever a graph is traced, saved or loaded, which Transform, Trainer and Evaluator do about
twenty times in a run, and at every inference. In a frozen graph the weights are constants, and
TensorFlow's own graph optimizer folds the normalisation into them.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

# TensorFlow offers both only under its internal names; TF Lite's and TF-TRT's converters are built
# on them, and their signatures have been stable since TensorFlow 2.0.
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2, rewriter_config_pb2
from tensorflow.python.eager import wrap_function
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tensorflow.python.grappler import tf_optimizer


def freeze(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """Turns a model of one input and one output into a graph function without variables.

    The function's results equal the model's with `training=False` up to rounding, as folding a
    normalisation into a convolution reorders a multiplication.
    """
    specification = tf.TensorSpec(model.input_shape, model.inputs[0].dtype)
    call = tf.function(lambda batch: model(batch, training=False), autograph=False)
    constant = convert_variables_to_constants_v2(call.get_concrete_function(specification))
    (source,), (result,) = constant.inputs, constant.outputs
    optimized = wrap_function.function_from_graph_def(
        _folded(constant.graph, source.name, result.name), [source.name], [result.name]
    )

    def frozen(batch: tf.Tensor) -> tf.Tensor:
        (output,) = optimized(batch)
        return tf.ensure_shape(output, model.output_shape)

    return frozen


def _folded(graph: tf.Graph, source: str, result: str) -> tf.compat.v1.GraphDef:
    """Returns the graph with constants folded; this merges normalisation into convolutions."""
    meta_graph = meta_graph_pb2.MetaGraphDef(graph_def=graph.as_graph_def())
    kept = meta_graph_pb2.CollectionDef()
    kept.node_list.value.extend([source, result])
    meta_graph.collection_def["train_op"].CopyFrom(kept)
    config = config_pb2.ConfigProto()
    rewrite = config.graph_options.rewrite_options
    rewrite.optimizers.extend(["constfold", "dependency", "constfold"])
    rewrite.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.TWO
    return tf_optimizer.OptimizeGraph(config, meta_graph)
