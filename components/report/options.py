"""The config's section `card`: what only people know of a model."""

from pydantic import Field

from trainer.section import Section


class Card(Section):
    """What people say of the model; the model card shows it beside what is measured."""

    intended_use: str = Field("", examples=["Sorts photographs."])
    """What the model is for, and for whom."""
    out_of_scope: str = ""
    """What it must not be used for."""
    limitations: str = ""
    """Where it is known to do badly, and what its data leaves out."""
    owner: str = ""
    """Who answers questions about it."""
    licence: str = ""
    """Under which terms model and data may be used."""
