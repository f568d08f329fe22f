"""Pusher: TFX's Pusher, which publishes atomically into the model store."""
