"""ImageExampleGen: brings a span into the pipeline and checks every image on the way."""

from components.image_example_gen.component import ImageExampleGen

__all__ = ["ImageExampleGen"]
