"""The base class of drivers that read a store before their component runs."""

from tfx.dsl.components.base import base_driver
from tfx.orchestration import metadata
from tfx.orchestration.portable import base_driver as portable_driver


class StoreDriver(base_driver.BaseDriver, portable_driver.BaseDriver):
    """A driver that subclasses both of TFX's base classes; its subclasses implement `run`.

    TFX checks for one base class when it builds the graph, and calls the other one in a run.
    """

    def __init__(self, metadata_handle: metadata.Metadata) -> None:
        """Passes TFX's metadata handle to both base classes; stores do not need it."""
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_driver.BaseDriver.__init__(self, metadata_handle)
