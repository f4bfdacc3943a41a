"""The sandbox's one exception."""

from __future__ import annotations


class SandboxError(RuntimeError):
    """A server could not be had or did not start; the text says why and what to do next."""
