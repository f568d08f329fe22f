"""Pusher: TFX's, publishing atomically into the model store."""

from components.pusher.component import Pusher

__all__ = ["Pusher"]
