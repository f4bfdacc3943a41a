"""The release number, in one place."""

__version__ = "0.1.0"
# What programs written for MySQLdb compare with: Django asks for 2.2.1 at least.
version_info = (2, 2, 8, "final", 0)
