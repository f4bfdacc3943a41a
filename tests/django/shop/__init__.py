"""A small application of Django's."""
