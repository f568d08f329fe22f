"""Transform: TFX's, telling how many images are embedded."""

from components.transform.component import Transform

__all__ = ["Transform"]
