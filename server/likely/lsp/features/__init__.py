"""One file per request: which methods, with which options, and how it is answered.

A feature is a module with `METHODS`, `options(client, settings)`, which says what a client is
told of it (None: it is off), and `handle(session, params)`. What needs numpy or the engines is
imported when the first request comes, since `initialize` is answered before.
"""
