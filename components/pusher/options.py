"""The options of the Pusher."""

from pydantic import Field

from trainer.section import Location, Section


class Push(Section):
    """Where models go that passed."""

    keep: int = Field(5, ge=1)
    """How many versions stay in the model store."""
    model_store: Location | None = Field(None, examples=["models/images"])
    """Folder of versions that TF Serving watches; its own name is the model's in requests. {name}
    stands for the pipeline's name. If left out, models/{name} in output."""
