"""The section about the pixels that the network sees."""

from typing import Annotated

from pydantic import Field

from trainer.section import Section


class Image(Section):
    """What becomes of an image before the backbone sees it."""

    size: Annotated[int, Field(ge=32, le=1024)] | None = Field(None, examples=[160])
    """Side in pixels of the square given to the backbone; smaller is faster. If left out, the
    backbone's own size."""
    crop: float = Field(1.0, gt=0, le=1)
    """Side of the central square that is kept, as a share of the image's shorter side; 0.875 is
    ImageNet's evaluation crop."""
