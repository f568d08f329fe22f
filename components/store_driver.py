"""The base of drivers that look at a store before their component runs."""

from tfx.dsl.components.base import base_driver
from tfx.orchestration import metadata
from tfx.orchestration.portable import base_driver as portable_driver


class StoreDriver(base_driver.BaseDriver, portable_driver.BaseDriver):
    """A driver of both of TFX's kinds; subclasses implement `run`.

    TFX checks for one base class when it builds the graph, and calls the other when it runs.
    """

    def __init__(self, metadata_handle: metadata.Metadata) -> None:
        """Passes TFX's metadata handle on; stores need none."""
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_driver.BaseDriver.__init__(self, metadata_handle)
