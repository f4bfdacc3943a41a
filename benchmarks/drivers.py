"""The drivers that are compared: what pip calls them, how each connects, streams and pools."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

# Actions of a workload that drivers of one kind only are measured with.
ASYNCIO_ONLY = ("parallel", "borrow")
FLOOR_ACTIONS = ("fetch", "ask")


@dataclass(frozen=True)
class Driver:
    """One column of the tables. ``floor`` is no driver but the bare exchange of pymy's bytes."""

    name: str
    module: str
    requirement: str | None = None
    asynchronous: bool = False
    uvloop: bool = False
    floor: str = ""
    needs_connector_c: bool = False
    imports: tuple[str, ...] = ()
    database: str = "database"
    options: dict[str, Any] = field(default_factory=dict)
    # None: the module has PyMySQL's cursors.SSCursor
    unbuffered: dict[str, Any] | None = None

    @property
    def distribution(self) -> str:
        return (self.requirement or self.name).partition("==")[0]

    @property
    def world(self) -> str:
        return "asyncio" if self.asynchronous else "blocking"

    def does(self, action: str) -> bool:
        if self.floor:
            return action in FLOOR_ACTIONS
        return self.asynchronous or action not in ASYNCIO_ONLY

    def connect(self, address: dict[str, Any]) -> Any:
        """Connect; of an asynchronous driver, return the awaitable."""
        return self._imported().connect(**self._address(address))

    def pool(self, address: dict[str, Any], reset: bool) -> Any:
        """Make a pool with the driver's own defaults; only pymy's knows a reset on release."""
        more = {"reset_on_release": reset} if self.module == "pymy.aio" else {}
        return self._imported().create_pool(**self._address(address), **more)

    def unbuffered_cursor(self, connection: Any) -> Any:
        if self.unbuffered is not None:
            return connection.cursor(**self.unbuffered)
        return connection.cursor(import_module(f"{self.module}.cursors").SSCursor)

    def _imported(self) -> Any:
        for name in self.imports:
            import_module(name)
        return import_module(self.module)

    def _address(self, address: dict[str, Any]) -> dict[str, Any]:
        renamed = {self.database if key == "database" else key: address[key] for key in address}
        return renamed | self.options


DRIVERS = {
    driver.name: driver
    for driver in (
        Driver("floor", "pymy", floor="Floor"),
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
        # Without its C extension it would go on in Python and say nothing. MariaDB does not know
        # the collation that it asks for by default.
        Driver(
            "mysql-connector",
            "mysql.connector",
            "mysql-connector-python",
            imports=("_mysql_connector",),
            options={"use_pure": False, "collation": "utf8mb4_general_ci"},
            unbuffered={},
        ),
        Driver("asyncio floor", "pymy", asynchronous=True, floor="AwaitedFloor"),
        Driver("callback floor", "pymy", asynchronous=True, floor="CallbackFloor"),
        Driver("pymy.aio", "pymy.aio", asynchronous=True),
        Driver("pymy.aio+uvloop", "pymy.aio", "uvloop", asynchronous=True, uvloop=True),
        Driver("asyncmy", "asyncmy", "asyncmy", asynchronous=True),
        Driver("aiomysql", "aiomysql", "aiomysql", asynchronous=True, database="db"),
    )
}
