"""A development server with TF Serving's API, and a client of that API.

Production runs TF Serving; this server is for machines that lack it. `server.run` starts it.
"""
