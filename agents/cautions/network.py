"""Looks for new ways out of the machine: calls into the network, and hosts not named before."""

from __future__ import annotations

import re
from collections import Counter
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from agents.cautions import lines
from agents.cautions.listing import warning
from agents.cautions.testing import TESTS
from agents.workspace.diffs import readable
from agents.workspace.paths import matches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.cautions.lines import Moves
    from agents.cautions.listing import Caution
    from agents.workspace.diffs import FileDiff

_METHODS = "(?:get|post|put|patch|delete|head|options|request|stream|send)"
_CALL = re.compile(
    # Python
    r"\b(?:urlopen|urlretrieve|create_connection|open_connection|getaddrinfo|gethostbyname)\s*\("
    rf"|\b(?:requests|httpx)\.(?:{_METHODS}|Session|Client|AsyncClient)\s*\("
    r"|\baiohttp\.(?:ClientSession|request)\s*\(|\burllib3\.\w+\s*\(|\bHTTPS?Connection\s*\("
    r"|\bsocket\.socket\s*\(|\b(?:smtplib|ftplib|telnetlib|paramiko)\.\w+\s*\("
    r"|\bwebsockets?\.(?:connect|create_connection)\s*\("
    r"|\bfrom (?:urllib\.request|requests|httpx|aiohttp|urllib3|http\.client|socket|smtplib) import\b"
    r"|\bimport (?:urllib\.request|requests|httpx|aiohttp|urllib3|http\.client|smtplib|ftplib)\b"
    # JavaScript; a path of one's own is no way out
    r"|(?<![.\w])(?<!def )(?<!function )(?<!fn )(?:window\.|globalThis\.)?fetch\s*\(\s*(?![\"'`](?:\.|/(?!/))|\))"
    rf"|\baxios(?:\.{_METHODS})?\s*\(\s*(?![\"'`](?:\.|/(?!/)))|\bsendBeacon\s*\("
    r"|\bnew (?:XMLHttpRequest|WebSocket|EventSource|Socket)\b"
    r"|(?:\bfrom|\brequire\(|\bimport\()\s*[\"'](?:node:)?(?:https?|net|tls|dgram|undici|got|node-fetch)[\"']"
    # Go, Java, .NET, Rust, Ruby, PHP
    r"|\bnet\.Dial\w*\(|\bhttp\.(?:Get|Post|PostForm|Head|NewRequest\w*)\(|\bhttp\.Client\{"
    r"|\bHttpClient\b|\bHttpURLConnection\b|\bopenConnection\(|\bWebRequest\.|\bWebClient\b"
    r"|\breqwest::|\bTcpStream::connect|\bureq::|\bNet::HTTP\b|\bURI\.open\b|\bTCPSocket\b"
    r"|\bcurl_(?:init|exec)\s*\(|\bfsockopen\s*\("
    # Shells
    r"|(?:^|[\s;&|(\"'`$@])(?:curl|wget)\s+(?:-|[\"']?(?:\w+://|\$|[\w.-]+\.\w))|[\"'](?:curl|wget)[\"']"
    r"|\bInvoke-(?:WebRequest|RestMethod)\b|/dev/(?:tcp|udp)/|(?:^|[\s;&|(])(?:nc|ncat|telnet)\s+-?\w"
)
# One of them is in every line that calls; few lines have one, and most of the time goes to calls.
_SIGNS = (
    *("urlopen", "urlretrieve", "_connection", "getaddrinfo", "gethostbyname", "requests", "httpx"),
    *("aiohttp", "urllib", "http.client", "HTTPConnection", "HTTPSConnection", "socket", "smtplib"),
    *("ftplib", "telnet", "paramiko", "fetch", "axios", "sendBeacon", "XMLHttpRequest", "Socket"),
    *("EventSource", "'http", '"http', '"node:', "'node:", "'net'", '"net"', "'tls'", '"tls"'),
    *("dgram", "undici", "'got'", '"got"', "node-fetch", "net.Dial", "http.", "HttpClient"),
    *("HttpURLConnection", "openConnection", "WebRequest", "WebClient", "reqwest::", "TcpStream"),
    *("ureq::", "Net::HTTP", "URI.open", "TCPSocket", "curl", "fsockopen", "wget", "Invoke-"),
    *("/dev/tcp/", "/dev/udp/", "nc ", "nc\t", "ncat"),
)
_SHELL = re.compile(r"nc|ncat|telnet")
_URL = re.compile(
    r"\b[a-z][a-z0-9+.-]{1,15}://(?:[^\s/@\"'<>]{0,200}@)?([\w-]+(?:\.[\w-]+)+|\[[0-9a-f:.]+\])",
    re.I,
)
_HOST = re.compile(r"(?<![\w.-])(?:[\w-]+(?:\.[\w-]+)*|\[[0-9a-f:.]+\])")
# A host by itself, where configuration says what it is.
_SETTING = re.compile(
    r"(?:host|hostname|server|endpoint|url|uri|proxy|addr|address|webhook|registry|dsn|upstream"
    r"|remote|domain)[\"']?\s*[:=]\s*[\"']?([\w-]+(?:\.[\w-]+)*\.[a-z]{2,18})(?::\d+)?[\"',;]?\s*$",
    re.I,
)
_NAMED = re.compile(
    r"(?:url|uri|host|endpoint|server|base|webhook|api|dsn|proxy|addr|registry)\w{0,30}[\"']?\s*[:=]",
    re.I,
)
_LOADED = re.compile(
    r"(?:\bsrc|\baction|\bsrcset|\bformaction)\s*=|<link\b|@import\b|\burl\(", re.I
)
_SETTINGS = (
    *("yml", "yaml", "toml", "ini", "cfg", "conf", "env", "json", "properties", "tf", "tfvars"),
    *("xml", "lock", "npmrc", "dockerfile", "makefile", "sum", "gradle", "hcl", "config", "txt"),
)
_SHELLS = ("sh", "bash", "zsh", "yml", "yaml", "dockerfile", "makefile", "ps1", "bat", "")
_PAGES = ("html", "htm", "vue", "svelte", "jsx", "tsx", "css", "scss", "svg", "erb", "jinja", "j2")
_FILES = ("py", "js", "ts", "json", "yml", "yaml", "toml", "md", "html", "css", "sh", "sock", "xml")
_LONG = 1_000  # characters of a line; no setting is so long
# Nobody sends anything there: names of kinds of documents, examples, the machine itself.
_NOWHERE = re.compile(
    r"(?:.*\.)?(?:example(?:\.(?:com|org|net))?|test|invalid|localhost|local)|127(?:\.\d+){3}|0\.0\.0\.0"
    r"|\[::1?\]|(?:www\.)?w3\.org|json-schema\.org|json\.schemastore\.org|spdx\.org"
    r"|schemas\.(?:xmlsoap\.org|microsoft\.com|openxmlformats\.org|android\.com)|maven\.apache\.org"
    r"|www\.(?:apache|gnu)\.org|opensource\.org|creativecommons\.org|java\.sun\.com|purl\.org"
)
# Where packages come from anyway, in the files that name them.
_PACKAGES = re.compile(
    r"lock[^/]*$|\.sum$|requirements[^/]*$|(?:^|/)(?:package\.json|pyproject\.toml|Cargo\.toml|pom\.xml"
    r"|composer\.json|\.pre-commit-config\.yaml)$"
)
_REGISTRIES = re.compile(
    r"registry\.(?:npmjs\.org|yarnpkg\.com)|files\.pythonhosted\.org|(?:test\.)?pypi\.org|rubygems\.org"
    r"|(?:static\.)?crates\.io|proxy\.golang\.org|repo1?\.maven\.(?:org|apache\.org)|(?:www\.)?github\.com"
    r"|opencollective\.com|(?:www\.)?patreon\.com|tidelift\.com"
)


def look(file: FileDiff, content: bytes, moves: Moves) -> Iterator[Caution]:
    """Yield each new way into the network that a file with this content has, once."""
    path = lines.shown(file.path)
    if file.binary or lines.is_prose(path):
        return
    new = [
        (number, line)
        for number, line in lines.added(file)
        if not lines.is_comment(path, line) and moves.is_new(line)
    ]
    before = Counter(way for line in lines.removed(file) for way in _ways(path, line))
    now = Counter(way for _, line in new for way in _ways(path, line))
    fresh = now - before
    for number, line in new:
        for way in _ways(path, line):
            if fresh.pop(way, 0):
                yield warning("egress", path, number, f"A new way into the network: {way}.")
    yield from _hosts(path, new, _Known(file, content, moves))


def _ways(path: str, line: str) -> list[str]:
    if not any(sign in line for sign in _SIGNS):
        return []
    found = (_short(match[0]) for match in _CALL.finditer(line))
    return [way for way in found if not _SHELL.fullmatch(way) or lines.ending(path) in _SHELLS]


def _short(call: str) -> str:
    """Return what is called, without what it is given."""
    words = re.sub(r"[\"'`(){};&|$@]", " ", call).split()
    return " ".join(words[: 2 if words[0] in {"from", "import", "require", "new"} else 1])


class _Known:
    """The hosts that were named before, in the file or in what the change takes away."""

    def __init__(self, file: FileDiff, content: bytes, moves: Moves) -> None:
        self._file, self._content, self._moves = file, content, moves

    def calls(self) -> bool:
        """Tell whether the file calls into the network anywhere."""
        text = readable(self._content)
        return any(sign in text for sign in _SIGNS) and bool(_CALL.search(text))

    def has(self, host: str) -> bool:
        """Tell whether a host was named before."""
        return host in self._hosts

    @cached_property
    def _hosts(self) -> frozenset[str]:
        """All that may be a host, read once: a change may name thousands."""
        new = {number for number, _ in lines.added(self._file)}
        rows = readable(self._content).lower().split("\n")
        kept = [row for number, row in enumerate(rows, start=1) if number not in new]
        before = (*kept, *(line.lower() for line in self._moves.lost))
        return frozenset(name for row in before for name in _HOST.findall(row))


def _hosts(path: str, new: list[tuple[int, str]], known: _Known) -> Iterator[Caution]:
    settings = _is_settings(path)
    told: set[str] = set()
    if not settings and matches(path, TESTS):
        return
    calls: bool | None = None
    for number, line in new:
        for host in _named(path, line, settings=settings):
            if host in told or known.has(host):
                continue
            if not settings and not _used(path, line):
                calls = known.calls() if calls is None else calls
                if not calls:
                    continue
            told.add(host)
            yield warning("egress", path, number, f"A host not named here before: {host}.")


def _is_settings(path: str) -> bool:
    name = path.rpartition("/")[2].lower()
    return lines.ending(path) in _SETTINGS or name.startswith((".env", "dockerfile", "makefile"))


def _used(path: str, line: str) -> bool:
    return bool(_NAMED.search(line) or (lines.ending(path) in _PAGES and _LOADED.search(line)))


def _named(path: str, line: str, *, settings: bool) -> list[str]:
    hosts = [match[1].lower() for match in _URL.finditer(line)] if "://" in line else []
    if settings and "." in line and len(line) < _LONG and (match := _SETTING.search(line)):
        hosts += [match[1].lower()] if match[1].rpartition(".")[2].lower() not in _FILES else []
    locks = bool(_PACKAGES.search(path))
    return [host for host in hosts if not _is_nowhere(host, locks)]


@lru_cache(maxsize=4_096)
def _is_nowhere(host: str, locks: bool) -> bool:  # noqa: FBT001
    return bool(_NOWHERE.fullmatch(host) or (locks and _REGISTRIES.fullmatch(host)))
