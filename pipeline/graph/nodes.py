"""The ids of the graph's nodes, in the order in which they run."""

from trainer import progress

EXAMPLE_GEN = "example-gen"
SCHEMA_GEN = "schema-gen"
STATISTICS_GEN = "statistics-gen"
EXAMPLE_VALIDATOR = "example-validator"
SPAN_DRIFT = "span-drift"
DATA_GATE = "data-gate"
TRANSFORM = "transform"
TUNER = "tuner"  # only if the config has a section tuner
TRAINER = "trainer"
PRODUCTION_MODEL = "production-model"
EVALUATOR = "evaluator"
SERVING_VALIDATOR = "serving-validator"
EDGE_GATE = "edge-gate"  # only if export.tflite is not none
PUSHER = "pusher"
REPORT = "report"

NODES = (
    EXAMPLE_GEN,
    SCHEMA_GEN,
    STATISTICS_GEN,
    EXAMPLE_VALIDATOR,
    SPAN_DRIFT,
    DATA_GATE,
    TRANSFORM,
    TUNER,
    TRAINER,
    PRODUCTION_MODEL,
    EVALUATOR,
    SERVING_VALIDATOR,
    EDGE_GATE,
    PUSHER,
    REPORT,
)

# Node -> name of the counter of images that it updates while it runs; other nodes have none.
COUNTED = {
    EXAMPLE_GEN: progress.CHECKED,
    TRANSFORM: progress.TRANSFORMED,
    EVALUATOR: progress.EVALUATED,
}
# Nodes that report epochs, steps and the time left.
TRAINING = (TUNER, TRAINER)
