"""Rewards over HTTP, where a training asks for them. `app.build_app` makes the server.

A request is read (`protocols`, which knows what each client sends and wants, and `reading`, which
makes token ids of it), waits (`queue`), and is computed by the one thread that the model has
(`worker`), together with all else that waits. `guard` stands before all of it.
"""
