"""A development server with TF Serving's API, and its client.

It serves on machines that lack TF Serving, which production runs. `server.run` starts it.
"""
