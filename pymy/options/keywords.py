"""From URL, keywords of three drivers and option files to the fields of Options."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from .. import optionfile
from ..constants import CR
from ..err import NotSupportedError
from . import FIELDS, SSLMode, default_ssl_mode, flags
from . import dsn as dsn_module
from .dsn import ALIASES, bad_option, suggestion

# Keywords that are settled here and have no field.
_OTHER = frozenset(
    [
        "ssl",
        "ssl_disabled",
        "ssl_verify_cert",
        "ssl_verify_identity",
        "read_default_file",
        "read_default_group",
        "named_pipe",
        "auth_plugin",
        "echo",
        "loop",
    ]
)
KEYWORDS = frozenset(FIELDS) | _OTHER | frozenset(ALIASES)

# None is a choice for these; for all others it means "not given", as PyMySQL has it.
_NONE_COUNTS = frozenset({"autocommit", "connect_timeout"})
# Likewise an empty string or zero.
_EMPTY_IS_ABSENT = frozenset(
    [
        "user",
        "password",
        "password2",
        "password3",
        "host",
        "port",
        "unix_socket",
        "database",
        "bind_address",
        "charset",
        "collation",
        "ssl_ca",
        "ssl_capath",
        "ssl_cert",
        "ssl_key",
        "ssl_key_password",
        "ssl_cipher",
    ]
)
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_BOOLS = frozenset(
    name for name, spec in FIELDS.items() if spec.type in ("bool", "bool | None")
) | {"local_infile"}
_MODE_KEYS = frozenset({"ssl", "ssl_mode", "ssl_disabled", "ssl_context"})

# What names a server and a login: what is for one server must not reach another.
ADDRESS = frozenset(
    {
        "host",
        "port",
        "unix_socket",
        "user",
        "password",
        "password2",
        "password3",
        "database",
        "ssl_server_hostname",
    }
)

# Names in option files that are not simply the option's own with dashes.
_FILE_NAMES = {
    "default-character-set": "charset",
    "init-command": "init_command",
    "multi-queries": "multi_statements",
    "local-infile": "local_infile",
    "ssl-verify-server-cert": "ssl_verify_identity",
    "skip-ssl": "ssl_disabled",
    "disable-ssl": "ssl_disabled",
    "protocol": "",  # tcp and socket follow from host and socket
}


def _file_layer(path: str, groups: list[str]) -> dict[str, Any]:
    """Return the options of a file that pymy knows; the rest is for other programs."""
    found: dict[str, Any] = {}
    for option, text in optionfile.read_options(path, groups).items():
        name = _FILE_NAMES.get(option, option.replace("-", "_"))
        name = ALIASES.get(name, name)
        if name not in dsn_module.PARSERS or name.startswith("read_default"):
            continue
        # "password" alone tells the servers' programs to ask; there is nobody to ask here.
        if text is not None or dsn_module.may_stand_alone(name):
            place = f"Option file {path}"
            found[name] = dsn_module.parse_text(name, "true" if text is None else text, place)
    return found


def _groups(group: Any) -> list[str]:
    if not group:
        return ["client", "pymy"]
    return [group] if isinstance(group, str) else list(group)


def _clean(layer: Mapping[str, Any]) -> dict[str, Any]:
    """Return a layer under the fields' names, without what stands for "not given"."""
    found: dict[str, Any] = {}
    for key, value in layer.items():
        name = ALIASES.get(key, key)
        if value is None and name not in _NONE_COUNTS:
            continue
        if name in _EMPTY_IS_ABSENT and not value:
            continue
        if name in found and key != name:
            continue  # PyMySQL prefers the name to its old alias
        if name in {"ssl_disabled", "named_pipe", "ssl_verify_identity"} and not value:
            continue
        if name in _BOOLS and isinstance(value, int):
            value = bool(value)
        found[name] = value
    return found


def _merge(layers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the layers as one, later ones first; an address or a TLS mode counts as a whole."""
    merged: dict[str, Any] = {}
    for layer in layers:
        if "host" in layer and "unix_socket" not in layer:
            merged.pop("unix_socket", None)
        if "unix_socket" in layer and "host" not in layer:
            merged.pop("host", None)
        if layer.keys() & _MODE_KEYS:
            for key in _MODE_KEYS:
                merged.pop(key, None)
        merged |= layer
    return merged


def parse_ssl_mode(value: Any) -> SSLMode:
    """Return the mode of a name such as "verify-ca", in any case; else ProgrammingError."""
    if isinstance(value, SSLMode):
        return value
    name = value.upper().replace("-", "_") if isinstance(value, str) else ""
    if name not in SSLMode.__members__:
        known = [mode.lower() for mode in SSLMode.__members__]
        shown = repr(value) if isinstance(value, str) else type(value).__name__
        raise bad_option(f"ssl_mode is one of {', '.join(known)}, not {shown}.")
    return SSLMode[name]


def _verifies(value: Any) -> bool:
    """Read PyMySQL's ssl_verify_cert and verify_mode: bools, words, ssl.CERT_* numbers."""
    word = str(value).lower()
    if word in {"none", "0", "false", "no"} or value == 0:
        return False
    # "Optional" checks a certificate whenever there is one, and a server always has one.
    if word in {"required", "optional", "1", "2", "true", "yes"} or value in (1, 2):
        return True
    raise bad_option("ssl_verify_cert is true or false.")


def _from_dict(given: Mapping[str, Any], options: dict[str, Any]) -> SSLMode | None:
    """Take over PyMySQL's and mysqlclient's ssl={...}; return the mode it stands for."""
    if not given:
        return None
    fields = {
        "ca": "ssl_ca",
        "capath": "ssl_capath",
        "cert": "ssl_cert",
        "key": "ssl_key",
        "password": "ssl_key_password",
        "cipher": "ssl_cipher",
    }
    # Programs write {"ssl": True} or a made-up key to have a dict that is not empty.
    others = {"check_hostname", "verify_mode", "ssl", "fake_flag_to_enable_tls"}
    for key, value in given.items():
        if key in fields:
            if value is not None:
                options.setdefault(fields[key], value)
        elif key not in others:
            known = [*fields, "check_hostname", "verify_mode"]
            raise bad_option(f"ssl has an unknown key {key!r}.{suggestion(str(key), known)}")
    has_authority = bool(given.get("ca") or given.get("capath"))
    mode = given.get("verify_mode")
    verify = has_authority if mode is None else _verifies(mode)
    check_hostname = given.get("check_hostname")
    if not verify:
        if check_hostname:
            raise bad_option(
                "ssl: check_hostname needs ca, or verify_mode=True for the system's authorities."
            )
        return SSLMode.REQUIRED
    if check_hostname is None:
        check_hostname = has_authority
    return SSLMode.VERIFY_IDENTITY if check_hostname else SSLMode.VERIFY_CA


def _from_context(context: Any) -> SSLMode:
    if context.check_hostname:
        return SSLMode.VERIFY_IDENTITY
    return SSLMode.VERIFY_CA if context.verify_mode else SSLMode.REQUIRED


def _is_context(value: Any) -> bool:
    # Who has a context has imported ssl; who has not need not wait for it.
    ssl = sys.modules.get("ssl")
    return ssl is not None and isinstance(value, ssl.SSLContext)


def resolve_tls(options: dict[str, Any]) -> None:
    """Replace PyMySQL's ways to ask for TLS by `ssl_mode` and the ssl_* fields, in place.

    Nothing asked for is weakened: names and flags that contradict each other are an error.
    """
    given = options.pop("ssl", None)
    named = parse_ssl_mode(options["ssl_mode"]) if "ssl_mode" in options else None
    implied: SSLMode | None = None
    if isinstance(given, bool):
        if given:
            implied = SSLMode.REQUIRED
        elif named is None:
            named = SSLMode.DISABLED
    elif isinstance(given, Mapping):
        implied = _from_dict(given, options)
    elif _is_context(given):
        options["ssl_context"] = given
    elif given is not None:
        mode = parse_ssl_mode(given)
        if named not in (None, mode):
            raise bad_option("ssl and ssl_mode name different modes; give one of them.")
        named = mode

    if "ssl_context" in options:
        if not _is_context(options["ssl_context"]):
            raise TypeError(
                f"ssl_context is an ssl.SSLContext, not {type(options['ssl_context']).__name__}"
            )
        implied = _from_context(options["ssl_context"])

    verify_cert = options.pop("ssl_verify_cert", None)
    demanded = SSLMode.DISABLED
    if options.pop("ssl_verify_identity", False):
        demanded = SSLMode.VERIFY_IDENTITY
    elif verify_cert is not None and _verifies(verify_cert):
        demanded = SSLMode.VERIFY_CA
    if options.pop("ssl_disabled", False):
        if named or demanded:
            raise bad_option(
                "ssl_disabled contradicts the other ssl options; leave one of them out."
            )
        options["ssl_mode"] = SSLMode.DISABLED
        return
    if named is not None and demanded > named:
        raise bad_option(
            f"ssl mode {named.name.lower()} checks less than another ssl option asks for."
        )

    if not isinstance(given, Mapping) or not given:
        # As in MySQL's programs: who names an authority wants it asked.
        if verify_cert is None and ("ssl_ca" in options or "ssl_capath" in options):
            demanded = max(demanded, SSLMode.VERIFY_CA)
        elif "ssl_cert" in options or "ssl_key" in options or "ssl_ca" in options:
            demanded = max(demanded, SSLMode.REQUIRED)
    implied = max(implied or SSLMode.DISABLED, demanded)
    if named is None and not implied:
        options["ssl_mode"] = default_ssl_mode(options.get("unix_socket"))
    else:
        options["ssl_mode"] = implied if named is None else named


def _os_user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        return ""  # a container's bare user id has no name


def _public_key(value: Any) -> Any:
    """Return PEM bytes of PEM text, PEM bytes or a path."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str) and "-----BEGIN" in value:
        return value.encode("ascii", "replace")
    try:
        return Path(value).expanduser().read_bytes()
    except OSError as error:
        raise bad_option(
            f"server_public_key: {value} cannot be read ({error.strerror})."
        ) from error


def without_address(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of some options may be used for another server, too."""
    return {key: value for key, value in options.items() if ALIASES.get(key, key) not in ADDRESS}


def check_names(keywords: Iterable[str], call: str, known: Collection[str]) -> None:
    """Raise TypeError for the first keyword that a call does not have."""
    for name in keywords:
        if name not in known:
            raise TypeError(f"{call} has no keyword {name!r}.{suggestion(name, known)}")


def gather(
    dsn: str | None, keywords: Mapping[str, Any], *, elsewhere: bool = False
) -> tuple[dict[str, Any], bool]:
    """Return the constructor arguments of Options; see `Options.from_keywords`.

    elsewhere: an option file that the keywords name is for another server than the URL.
    With them: whether they will be the same next time, no file nor the environment having a say.
    """
    check_names(keywords, "connect()", KEYWORDS)
    layers = [_clean(dsn_module.parse_dsn(dsn)) if dsn is not None else {}, _clean(keywords)]
    settings = layers[0] | layers[1]
    path = settings.get("read_default_file")
    group = settings.get("read_default_group")
    if path and not Path(path).expanduser().is_file():
        raise bad_option(f"read_default_file: there is no file {str(path)!r}.")
    if group and not path:
        path = "c:\\my.ini" if sys.platform == "win32" else "/etc/my.cnf"
    if path:
        found = _clean(_file_layer(path, _groups(group)))
        if elsewhere and layers[1].keys() & {"read_default_file", "read_default_group"}:
            found = without_address(found)
        layers.insert(0, found)

    options = _merge(layers)
    options.pop("read_default_file", None)
    options.pop("read_default_group", None)
    if options.pop("named_pipe", False):
        raise NotSupportedError(
            CR.CR_NOT_SUPPORTED, "named_pipe is not supported; use host and port.", sent=False
        )

    # The login plugin to begin with is a guess that saves nothing here: the server names its own.
    if options.pop("auth_plugin", None) == "mysql_clear_password":
        options.setdefault("allow_cleartext_password", True)
    for name in ("echo", "loop"):  # aiomysql's; the loop is the running one
        options.pop(name, None)

    if "unix_socket" in options and options.get("host", "localhost") not in _LOCAL_HOSTS:
        raise bad_option("Give host or unix_socket, not both.")
    resolve_tls(options)
    flags.resolve(options)
    lasts = not path and "user" in options and "server_public_key" not in options
    if "user" not in options:
        options["user"] = _os_user()
    if options.get("compress") is True:
        options["compress"] = "zlib"
    elif options.get("compress") is False:
        del options["compress"]
    if "server_public_key" in options:
        options["server_public_key"] = _public_key(options["server_public_key"])
    host = options.get("host")
    if isinstance(host, str) and host.startswith("[") and host.endswith("]"):
        options["host"] = host[1:-1]
    if isinstance(options.get("charset"), str):
        name = options["charset"].lower()
        options["charset"] = "utf8mb4" if name == "utf8" else name
    if isinstance(options.get("restricted_auth"), list | tuple | set):
        options["restricted_auth"] = frozenset(options["restricted_auth"])
    if isinstance(options.get("local_infile"), list):
        options["local_infile"] = tuple(options["local_infile"])
    for name in ("session_variables", "connection_attributes"):
        if isinstance(options.get(name), Mapping):
            # Frozen options must not change with the caller's dict.
            options[name] = dict(options[name])
    return options, lasts
