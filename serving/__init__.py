"""A development server with TF Serving's API, and a client.

Production runs TF Serving itself; this is for machines without it. `server.start` is the way in.
"""
