"""Transform: TFX's Transform, which counts the images that it embeds."""
