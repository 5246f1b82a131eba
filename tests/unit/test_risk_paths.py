"""Paths that may do harm by what they are raise the risk; those that only sound alike do not."""

from __future__ import annotations

import pytest

from approvals.models import Risk
from approvals.risk import score

RUNS = "build server or a git hook"
TOLD = "agents are told"
ENTRY = "authentication"
INSTALLED = "packages are installed"
BUILT = "build files"
DEPLOYED = "deployed"
SCHEMA = "migrations"
ACCESS = "sessions, tokens or middleware"
HIGH = {RUNS, TOLD, ENTRY}


def scored(path: str, text: str = "", section: str = "") -> tuple[Risk, list[str]]:
    file = {"path": path, "old_path": "", "status": "modified", "binary": False}
    file |= {"added": 3, "removed": 1, "old_mode": "100644", "new_mode": "100644"}
    snapshot = {
        "files": [{**file, "hunks": [{"section": section, "text": text}] if text else []}],
        "effects": [{"kind": "git.merge", "reversible": True}],
        "checks": {"ran": True, "exit_code": 0},
        "claims": [],
        "warnings": [],
        "proposal": {},
    }
    return score(snapshot)


@pytest.mark.parametrize(
    ("word", "paths"),
    [
        (TOLD, "AGENTS.md web/AGENTS.md CLAUDE.md .cursorrules .claude/settings.json"),
        (TOLD, ".github/copilot-instructions.md .mcp.json .cursor/rules/a.mdc GEMINI.md"),
        (TOLD, ".github/prompts/fix.prompt.md .windsurfrules .vscode/mcp.json .kiro/steering/a.md"),
        (RUNS, ".gitlab-ci/deploy.yml .travis.yml bitbucket-pipelines.yml .drone.yml .cirrus.yml"),
        (RUNS, ".woodpecker.yml .woodpecker/a.yml appveyor.yml .buildkite/x.yml JENKINSFILE"),
        (RUNS, ".husky/pre-commit .githooks/post-merge lefthook.yml .GitHub/workflows/ci.yml"),
        (RUNS, "web/.github/workflows/ci.yml .gitlab-ci-deploy.yaml .gitea/workflows/a.yml"),
        (BUILT, "GNUmakefile makefile MAKEFILE rules.mk tox.ini noxfile.py CMakeLists.txt"),
        (BUILT, "usercustomize.py sub/.vscode/tasks.json justfile Taskfile.yml build.rs .npmrc"),
        (BUILT, "Vagrantfile web/vite.config.ts Containerfile compose.yaml lib/BUILD.bazel"),
        (BUILT, ".cargo/config.toml .devcontainer/devcontainer.json .eslintrc.js PyProject.toml"),
        (DEPLOYED, "Procfile terraform/prod.tf k8s/app.yaml chart/Chart.yaml helm/values.yaml"),
        (DEPLOYED, "ops/kustomization.yml serverless.yml fly.toml"),
        (INSTALLED, "Pipfile Gemfile composer.json environment.yml requirements/base.txt"),
        (INSTALLED, "constraints-3.12.txt src/App.csproj Package.swift mix.exs pubspec.yaml"),
        (INSTALLED, "build.sbt deno.json dev-requirements.in npm-shrinkwrap.json UV.LOCK"),
        (ENTRY, "src/authz.py src/AuthService.java jwt.py lib/acl.rb rbac.go web/sso.ts saml.py"),
        (ENTRY, "Auth/rights.py UserAuthProvider.tsx OAuth2Client.go JWTUtil.java LOGIN.php"),
        (ENTRY, "src/oidc/client.py certs/client.p12 keys/id_ed25519 .netrc src/userauth.py"),
        (ACCESS, "src/session.py web/middleware.ts SessionStore.kt app/TokenService.cs cors.py"),
        (SCHEMA, "db/migrate/20_add.rb db/schema.rb prisma/schema.prisma sql/V1__x.sql"),
        (SCHEMA, "src/db/migration/V2__Fill.java App/Migrations/1_x.cs drizzle/0001.ts X.SQL"),
    ],
)
def test_what_may_do_harm_raises_the_risk_whatever_its_case(word, paths):
    for path in paths.split():
        level, reasons = scored(path)
        assert any(word in reason and path in reason for reason in reasons), (path, reasons)
        assert level == (Risk.HIGH if word in HIGH else level)
        assert level != Risk.LOW


@pytest.mark.parametrize(
    "paths",
    [
        "src/author.py src/authors.py src/AuthorList.tsx src/authored.go src/authoring/page.py",
        "src/tokenizer.py src/latest_results.py src/lesson.py src/oracle.py src/miracle.py",
        "docs/keyboard.md docs/session.md docs/jwt.md docs/tokens-and-costs.md docs/makefile.md",
        "docs/agents/overview.md agents/models.py src/agent.py src/mcp.py docs/migration-guide.md",
        "billing/tasks.py src/compose.py src/environment.py src/build_report.py charts/bars.py",
        "docs/build/index.md web/user.service.ts src/requirements.py tests/test_session.py",
        "web/tokens.css web/middleware-diagram.svg src/classic/accent.py src/rules.py",
        "src/cid.py src/deploy_notes.txt src/schema.py data/prices.csv README.md LICENSE",
    ],
)
def test_what_only_sounds_alike_stays_low(paths):
    for path in paths.split():
        assert scored(path)[0] == Risk.LOW, path


@pytest.mark.parametrize(
    ("path", "text", "names"),
    [
        (
            "requirements.txt",
            " a==1\n+evil==2\n+# no\n+-r more.txt\n+    --hash=sha256:0\n",
            "evil",
        ),
        ("requirements/base.txt", "+evil\n+Other[x]>=1 ; python_version<'3'\n", "evil, Other"),
        ("dev-requirements.in", "+git+https://evil.example/x\n", "git+https://evil.example/x"),
        ("pyproject.toml", ' dependencies = [\n   "a",\n+  "evil",\n ]\n', "evil"),
        ("pyproject.toml", '+dependencies = ["x", "y>2"]\n+version = "1.2"\n', "x, y"),
        ("pyproject.toml", '   "a>=1",\n+  "evil>=2",\n', "evil"),
        ("pyproject.toml", ' [tool.poetry.dependencies]\n+evil = "^1"\n+python = "^3"\n', "evil"),
        ("package.json", ' "dependencies": {\n+  "evil": "evil/evil",\n', "evil"),
        ("web/package.json", '   "a": "^1.0",\n+  "@x/evil": "^2.0.1",\n', "@x/evil"),
        ("go.mod", " require (\n+\tevil.example/x v1.2.3 // indirect\n )\n", "evil.example/x"),
        ("go.mod", "+replace good.example/c => ../evil\n", "../evil"),
        ("Cargo.toml", ' [dependencies]\n+evil = "1"\n+two = { git = "x" }\n', "evil, two"),
        ("Cargo.toml", '+[dev-dependencies.evil]\n+version = "1"\n', "evil"),
        ("Gemfile", "+gem 'evil', '~> 1'\n+# gem 'no'\n", "evil"),
    ],
)
def test_an_added_dependency_is_named(path, text, names):
    count = names.count(",") + 1
    what = "a dependency" if count == 1 else f"{count} dependencies"
    assert f"Adds {what}: {names}." in scored(path, text)[1]


def test_a_list_that_begins_above_the_hunk_is_known_by_what_git_says_of_it():
    assert (
        "Adds a dependency: evil."
        in scored("pyproject.toml", '+  "evil",\n', "dependencies = [")[1]
    )


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("requirements.txt", "-Some_Thing==1\n+some-thing==2\n"),
        ("package.json", '-  "a": "^1.0.0",\n+  "a": "^2.0.0",\n'),
        ("package.json", '+  "version": "1.2.3",\n+  "license": "0BSD",\n'),
        ("package.json", ' "scripts": {\n+  "x": "1.2"\n }\n'),
        ("package.json", ' "engines": {\n+  "node": ">=20.1"\n }\n'),
        ("pyproject.toml", '+requires-python = ">=3.11"\n+version = "1.2"\n'),
        ("pyproject.toml", ' [tool.ruff.lint]\n select = [\n+  "E4",\n ]\n'),
        ("pyproject.toml", ' [tool.mypy]\n+python_version = "3.12"\n'),
        ("Cargo.toml", ' [package]\n+name = "x"\n+version = "1.2"\n'),
        ("go.mod", "+go 1.22\n-\ta.example/x v1.0.0\n+\ta.example/x v1.1.0\n"),
        ("src/app.py", '+dependencies = ["x"]\n'),
    ],
)
def test_what_adds_no_dependency_is_not_named(path, text):
    assert not any(reason.startswith("Adds") for reason in scored(path, text)[1])
