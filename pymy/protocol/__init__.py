"""The protocol core: every exchange with a server, and no I/O.

Read in this order: ``needs`` (what the core asks of the outside), ``state`` (what a connection can
be in), ``framing`` (bytes to packets), ``session`` (who owns all that), then the conversations:
``handshake``, ``query``, ``commands``. A conversation is a generator that holds one exchange with
the server from top to bottom; it yields a ``Need`` when it cannot go on by itself and its return
value is the result.

Everything here is private to pymy: the public face is ``pymy.Connection`` and ``pymy.Cursor``.
"""
