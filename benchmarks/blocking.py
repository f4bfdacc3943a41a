"""What a blocking driver is asked to do."""

from __future__ import annotations

from typing import Any

from drivers import Driver
from measuring import Clock, check, check_answer
from workloads import Workload, keys, rows_to_insert


class Blocking:
    def __init__(self, driver: Driver, address: dict[str, Any]) -> None:
        self.driver = driver
        self.address = address
        self.connection = driver.connect(address)

    def run(self, workload: Workload) -> Clock:
        clock: Clock = getattr(self, workload.action)(workload)
        return clock

    def fetch(self, workload: Workload) -> Clock:
        with Clock() as clock:
            cursor = self.connection.cursor()
            cursor.execute(workload.sql)
            rows = cursor.fetchall()
            cursor.close()
        check(workload, len(rows))
        return clock

    def stream(self, workload: Workload) -> Clock:
        count = 0
        with Clock() as clock:
            cursor = self.driver.unbuffered_cursor(self.connection)
            cursor.execute(workload.sql)
            for _row in cursor:
                count += 1
            cursor.close()
        check(workload, count)
        return clock

    def ask(self, workload: Workload) -> Clock:
        arguments = keys(workload.count) if workload.keyed else [None] * workload.count
        cursor = self.connection.cursor()
        row = None
        with Clock() as clock:
            if workload.keyed:
                for argument in arguments:
                    cursor.execute(workload.sql, argument)
                    row = cursor.fetchone()
            else:
                for _ in arguments:
                    cursor.execute(workload.sql)
                    row = cursor.fetchone()
        cursor.close()
        check_answer(workload, row)
        return clock

    def insert(self, workload: Workload) -> Clock:
        cursor = self.connection.cursor()
        cursor.execute("truncate table target")
        self.connection.commit()
        rows = rows_to_insert(workload.count)
        with Clock() as clock:
            cursor.executemany(workload.sql, rows)
            self.connection.commit()
        cursor.execute("select count(*) from target")
        check(workload, cursor.fetchone()[0])
        self.connection.commit()  # an open transaction would stop the others' TRUNCATE
        cursor.close()
        return clock

    def connect(self, workload: Workload) -> Clock:
        with Clock() as clock:
            for _ in range(workload.count):
                self.driver.connect(self.address).close()
        return clock

    def close(self) -> None:
        self.connection.close()
