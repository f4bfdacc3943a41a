"""SSL contexts for the modes of `SSLMode`.

Building a context costs about 15 ms, most of it the certificates of the system, so contexts are
kept per settings and modification times of the files.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from .constants import CR
from .err import OperationalError
from .options import Options, SSLMode

T = TypeVar("T")

# Each file rotation adds a context; a program that rotates often must not collect them for ever.
_CACHE_SIZE = 32
_cache: dict[tuple[object, ...], ssl.SSLContext] = {}


def _error(option: str, problem: object) -> OperationalError:
    return OperationalError(CR.CR_SSL_CONNECTION_ERROR, f"{option}: {problem}.", sent=False)


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        # ssl raises some of these itself, without the attribute.
        return (getattr(error, "reason", None) or str(error)).replace("_", " ").rstrip(".").lower()
    return (getattr(error, "strerror", None) or str(error)).rstrip(".")


def _is_path(value: object) -> bool:
    return isinstance(value, os.PathLike) or (isinstance(value, str) and "-----BEGIN" not in value)


def _stamp(option: str, value: object) -> object:
    """Return what tells one content of a setting from another without reading the file."""
    if not _is_path(value):
        return value
    path = _path(value)
    try:
        facts = Path(path).stat()
    except OSError as error:
        raise _error(
            option, f"{path} cannot be read ({_reason(error)}); give the path of a file"
        ) from error
    return path, facts.st_mtime_ns, facts.st_size


def _load(option: str, advice: str, load: Callable[[], T]) -> T:
    try:
        return load()
    except (OSError, ValueError, TypeError) as error:  # ssl.SSLError is an OSError
        raise _error(option, f"{_reason(error)}; {advice}") from error


def _path(value: object) -> str:
    return str(Path(value).expanduser())  # type: ignore[arg-type]


def _load_authorities(context: ssl.SSLContext, options: Options) -> None:
    authority = options.ssl_ca
    if authority is None and options.ssl_capath is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return
    if authority is not None:
        advice = "give PEM text, DER bytes or the path of a PEM file"
        if _is_path(authority):
            path = _path(authority)
            _load("ssl_ca", advice, lambda: context.load_verify_locations(cafile=path))
        else:
            # PEM arrives as bytes too, e.g. from a secret store.
            data: str | bytes = authority  # type: ignore[assignment]
            if isinstance(data, bytes) and b"-----BEGIN" in data:
                data = data.decode("ascii", "replace")
            _load("ssl_ca", advice, lambda: context.load_verify_locations(cadata=data))
    if options.ssl_capath is not None:
        folder = _path(options.ssl_capath)
        _load(
            "ssl_capath",
            "give a folder made by openssl rehash",
            lambda: context.load_verify_locations(capath=folder),
        )


def _load_own_certificate(context: ssl.SSLContext, options: Options) -> None:
    if options.ssl_cert is None:
        return
    cert = _path(options.ssl_cert)
    key = None if options.ssl_key is None else _path(options.ssl_key)
    # Without a password OpenSSL would ask for one on the terminal.
    password = options.ssl_key_password if options.ssl_key_password is not None else ""
    _load(
        "ssl_cert and ssl_key",
        "give PEM files that belong together, and ssl_key_password when the key is encrypted",
        lambda: context.load_cert_chain(cert, key, password),
    )


def _build(options: Options) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = options.ssl_mode is SSLMode.VERIFY_IDENTITY
    # A certificate's common name is text for people (RFC 9525); authorities check the other names.
    context.hostname_checks_common_name = False
    verify = options.ssl_mode >= SSLMode.VERIFY_CA
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    # The certificates that MySQL makes for itself have no key usage, which 3.13 began to demand.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if verify:
        _load_authorities(context, options)
    _load_own_certificate(context, options)
    if options.ssl_cipher:
        cipher = options.ssl_cipher
        _load(
            "ssl_cipher", "see `openssl ciphers` for the names", lambda: context.set_ciphers(cipher)
        )
    return context


def build_context(options: Options) -> ssl.SSLContext:
    """Return the SSL context for these options; the same object for the same settings and files.

    PREFERRED and REQUIRED encrypt without looking at the certificate, VERIFY_CA checks where it
    comes from, VERIFY_IDENTITY also whom it was made for. Without `ssl_ca` and `ssl_capath` the
    system's authorities count. `options.ssl_context` is returned as it is.
    Raises OperationalError naming the option whose file is missing or unusable. Nothing is sent.
    """
    context = kept_context(options)
    if context is None:
        key = _key(options)
        context = _build(options)
        while len(_cache) >= _CACHE_SIZE:
            _cache.pop(next(iter(_cache)), None)
        _cache[key] = context
    return context


def kept_context(options: Options) -> ssl.SSLContext | None:
    """Return what ``build_context`` would, None when that takes its 15 ms."""
    return options.ssl_context or _cache.get(_key(options))


def _key(options: Options) -> tuple[object, ...]:
    stamps = (
        _stamp(name, getattr(options, name))
        for name in ("ssl_ca", "ssl_capath", "ssl_cert", "ssl_key")
    )
    return (options.ssl_mode, *stamps, options.ssl_key_password, options.ssl_cipher)


def server_name(options: Options, local: bool) -> str:
    """Return the name to send as SNI and to check the certificate against."""
    return options.ssl_server_hostname or ("localhost" if local else options.host)


def not_started(error: Exception) -> str:
    """Return the text for a TLS handshake that failed, with the options to look at."""
    advice = "See the ssl options"
    if isinstance(error, ssl.SSLCertVerificationError):
        advice = (
            "ssl_ca= names the authority to trust; ssl_mode='required' encrypts without asking one"
        )
    return f"TLS could not start: {error}. {advice}"
