"""The drivers that are compared: what pip calls them, how each connects and streams."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Driver:
    name: str
    module: str
    requirement: str | None = None
    asynchronous: bool = False
    needs_connector_c: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    # None: the module has PyMySQL's cursors.SSCursor
    unbuffered: dict[str, Any] | None = None

    @property
    def distribution(self) -> str:
        return (self.requirement or self.name).partition("==")[0]

    def connect(self, address: dict[str, Any]) -> Any:
        """Connect; of an asynchronous driver, return the awaitable."""
        return import_module(self.module).connect(**address, **self.options)

    def unbuffered_cursor(self, connection: Any) -> Any:
        if self.unbuffered is not None:
            return connection.cursor(**self.unbuffered)
        return connection.cursor(import_module(f"{self.module}.cursors").SSCursor)


DRIVERS = {
    driver.name: driver
    for driver in (
        Driver("pymy", "pymy"),
        Driver("PyMySQL", "pymysql", "PyMySQL"),
        # Its default charset is that of the C library's build; all others default to utf8mb4.
        Driver(
            "mysqlclient",
            "MySQLdb",
            "mysqlclient",
            needs_connector_c=True,
            options={"charset": "utf8mb4"},
        ),
        Driver(
            "mariadb",
            "mariadb",
            "mariadb==1.1.14",
            needs_connector_c=True,
            unbuffered={"buffered": False},
        ),
        Driver("asyncmy", "asyncmy", "asyncmy", asynchronous=True),
    )
}
