"""The names of the data contract and of the exported model's signatures, each declared once.

This module imports nothing, so a name can be read without loading TensorFlow.
"""

# Features of an example: the ImageNet names of TF-Slim.
IMAGE = "image/encoded"
LABEL = "image/class/label"
TEXT = "image/class/text"
FILENAME = "image/filename"
FORMAT = "image/format"
SOURCE = "image/source"
HEIGHT = "image/height"
WIDTH = "image/width"
BYTES = "image/bytes"

# Most pixels of an image: the config's default, and the most that it allows. The latter is just
# below twice Pillow's own limit, where Pillow refuses.
MAX_PIXELS = 100_000_000
MOST_PIXELS = 178_000_000

# What ImageExampleGen measures of each image; `components.image_example_gen.measures` explains it.
MEASURED = (
    HEIGHT,
    WIDTH,
    "image/aspect",
    "image/brightness",
    "image/contrast",
    "image/sharpness",
    "image/colourfulness",
    "image/entropy",
    BYTES,
)
# Those of them that are whole numbers.
WHOLE = (HEIGHT, WIDTH, BYTES)

# The name of the feature that holds embeddings: this prefix, then the recipe's fingerprint.
EMBEDDING_PREFIX = "embedding/"

# Signatures of the exported model. TF Serving offers all of them.
SERVING_DEFAULT = "serving_default"
SERVING_EXAMPLES = "serving_examples"
CLASSIFY = "classify"
EVALUATION = "evaluation"

# Their inputs.
IMAGE_BYTES = "image_bytes"
EXAMPLES = "examples"
INPUTS = "inputs"

# Their outputs.
PROBABILITIES = "probabilities"
UNCALIBRATED = "uncalibrated"
PREDICTED_LABEL = "label"
SCORE = "score"
CLASSES = "classes"
SCORES = "scores"
FAMILIARITY = "familiarity"

# An image whose familiarity is lower is unfamiliar. Familiarity is a share of val, so that this
# share of val lies below it, in every model; `trainer.familiarity` explains it.
UNFAMILIAR_BELOW = 0.05
