"""``manage.py dbshell``: the servers' own shell, with what pymy's options mean to it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.db.backends.mysql.client import DatabaseClient as MySQLClient

from pymy.options import SSLMode
from pymy.options.keywords import resolve_tls

_TLS = ("ssl", "ssl_mode", "ssl_disabled", "ssl_verify_cert", "ssl_verify_identity")
_FILES = {"ca": "ssl_ca", "cert": "ssl_cert", "key": "ssl_key"}


class DatabaseClient(MySQLClient):
    """Starts ``mysql``, or ``mariadb`` where that is what is installed."""

    @classmethod
    def settings_to_cmd_args_env(
        cls, settings_dict: dict[str, Any], parameters: Sequence[str]
    ) -> tuple[list[str], dict[str, str] | None]:
        """Return the command line and what its environment needs on top."""
        options = dict(settings_dict["OPTIONS"])
        for name in ("password", "passwd"):
            if name in options:
                options[name] = _text(options[name])
        if options.get("unix_socket"):
            options["host"] = options.pop("unix_socket")
        host = options.get("host", settings_dict["HOST"])
        if not host and "read_default_file" not in options:
            options["host"] = host = "127.0.0.1"
        tls = {name: options.pop(name) for name in (*_TLS, *_FILES.values()) if name in options}
        asked = bool(tls)
        resolve_tls(tls)
        files = {key: str(tls[name]) for key, name in _FILES.items() if name in tls}
        args, env = super().settings_to_cmd_args_env(
            {
                **settings_dict,
                "PASSWORD": _text(settings_dict["PASSWORD"]),
                "OPTIONS": {**options, "ssl": files},
            },
            [],
        )
        program = cls._program()
        more = []
        if host and "/" not in host:
            more.append("--protocol=TCP")  # the shell takes localhost for a socket
        if asked:
            more += _tls_flags(tls["ssl_mode"], program)
        named = bool(args[1:]) and not args[-1].startswith("--")
        database = [args.pop()] if named else []
        return [Path(program).name, *args[1:], *more, *database, *parameters], env

    @classmethod
    def _program(cls) -> str:
        return shutil.which(cls.executable_name) or shutil.which("mariadb") or cls.executable_name


def _text(password: Any) -> str:
    found: Any = password() if callable(password) else password
    return found.decode() if isinstance(found, bytes) else found or ""


def _tls_flags(mode: SSLMode, program: str) -> list[str]:
    if not Path(program).resolve().name.startswith("mariadb"):
        return [f"--ssl-mode={mode.name}"]
    if mode is SSLMode.DISABLED:
        return ["--skip-ssl"]
    # MariaDB's shell checks the host whenever it checks the certificate
    checks = mode >= SSLMode.VERIFY_CA
    return ["--ssl", "--ssl-verify-server-cert" if checks else "--skip-ssl-verify-server-cert"]
