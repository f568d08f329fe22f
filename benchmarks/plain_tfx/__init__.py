"""An image pipeline of TFX's standard parts, as it is commonly written, to hold ours against."""
