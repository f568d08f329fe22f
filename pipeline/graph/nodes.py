"""The nodes of the graph, named once, in the order in which they run."""

from trainer import progress

EXAMPLE_GEN = "example-gen"
SCHEMA_GEN = "schema-gen"
STATISTICS_GEN = "statistics-gen"
EXAMPLE_VALIDATOR = "example-validator"
SPAN_DRIFT = "span-drift"
DATA_GATE = "data-gate"
TRANSFORM = "transform"
TUNER = "tuner"  # only with a section tuner
TRAINER = "trainer"
PRODUCTION_MODEL = "production-model"
EVALUATOR = "evaluator"
SERVING_VALIDATOR = "serving-validator"
EDGE_GATE = "edge-gate"  # only with export.tflite
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

# What a node counts while it runs; the others count nothing.
COUNTED = {
    EXAMPLE_GEN: progress.CHECKED,
    TRANSFORM: progress.TRANSFORMED,
    EVALUATOR: progress.EVALUATED,
}
# These tell epochs, steps and the time left.
TRAINING = (TUNER, TRAINER)
