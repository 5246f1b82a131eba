"""Which paths may do harm by what they are: what runs, who gets in, what is installed.

Read whatever the case: make reads `MAKEFILE` where file names have none, and `Auth/` is auth.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from agents.workspace.paths import matches


@dataclass(frozen=True, kw_only=True)
class Paths:
    """A class of files, in small letters: by a file's own name, by a folder above it, or by both."""

    names: tuple[str, ...] = ()  # globs of the name, in any folder
    folders: tuple[str, ...] = ()  # globs of one folder; all below belongs to it
    whole: tuple[str, ...] = ()  # globs of the path from the root
    words: re.Pattern[str] | None = None  # of a part of the path, as its writer set them apart

    def holds(self, path: str) -> bool:
        """Tell whether the path is one of them."""
        *folders, name = path.casefold().split("/")
        return (
            self._names.match(name) is not None
            or any(self._folders.match(folder) for folder in folders)
            or (bool(self.whole) and matches(path.casefold(), self.whole))
            or (self.words is not None and _says(path, self.words))
        )

    @cached_property
    def _names(self) -> re.Pattern[str]:
        return _one_of(self.names)

    @cached_property
    def _folders(self) -> re.Pattern[str]:
        return _one_of(self.folders)


def _one_of(globs: tuple[str, ...]) -> re.Pattern[str]:
    """Return one pattern for all: hundreds of globs are asked of each file."""
    return re.compile("|".join(map(fnmatch.translate, globs)) or r"(?!)")


# What a path says of itself: AuthService.java is auth and service, tokenizer.py neither. Texts,
# pictures and styles only speak of it, and tests of it are read as tests.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_TOLD = re.compile(r"\.(?:md|rst|txt|adoc|pdf|svg|png|jpe?g|gif|webp|ico|css|s[ac]ss|less)$", re.I)
_TESTED = re.compile(r"(?:^|/)(?:tests?|specs?|__tests__)/|(?:^|/)test_|(?:_test|\.spec|\.test)\.")


def _says(path: str, words: re.Pattern[str]) -> bool:
    if _TOLD.search(path) or _TESTED.search(path):
        return False
    return any(words.fullmatch(word.lower()) for word in _WORD.findall(path))


AGENTS = Paths(
    names=(
        *("agents.md", "agents.override.md", "claude.md", "claude.local.md", "gemini.md"),
        *("copilot-instructions.md", "*.instructions.md", "*.prompt.md", "*.chatmode.md"),
        *("*.agent.md", "skill.md", ".cursorrules", ".windsurfrules", ".clinerules", ".roorules"),
        *(".roomodes", ".goosehints", ".continuerules", ".rules", ".mcp.json", "mcp.json"),
        *("opencode.json*", ".opencode.json", "crush.json", ".crush.json", ".aider.*"),
        *(".cursorignore", ".aiexclude", ".clineignore", ".rooignore", ".geminiignore"),
    ),
    folders=(
        *(".claude", ".cursor", ".windsurf", ".clinerules", ".roo", ".codex", ".gemini"),
        *(".continue", ".amazonq", ".kiro", ".junie", ".augment", ".openhands", ".opencode"),
        *(".agents", ".agent", ".goose", ".qwen", ".trae", ".mcp", ".crush"),
    ),
    whole=tuple(
        f"**/.github/{each}/**" for each in ("instructions", "prompts", "agents", "chatmodes")
    ),
)
CI = Paths(
    names=(
        *("*.gitlab-ci.y*ml", ".gitlab-ci*.y*ml", "jenkinsfile*", "*.jenkinsfile"),
        *("azure-pipelines*.y*ml", ".azure-pipelines*.y*ml", "bitbucket-pipelines.y*ml"),
        *(".travis.y*ml", "appveyor.y*ml", ".appveyor.y*ml", ".drone.*", ".woodpecker.*"),
        *(".cirrus.*", ".build.yml", "buildspec*.y*ml", "cloudbuild*.*", "bitrise.yml"),
        *("codemagic.yaml", "wercker.yml", "circle.yml", ".readthedocs.y*ml", "renovate.json*"),
        *(".renovaterc*", ".pre-commit-config.y*ml", ".pre-commit-hooks.y*ml"),
        *("lefthook*.*", ".lefthook*.*", ".overcommit.yml", ".lintstagedrc*", ".huskyrc*"),
    ),
    folders=(
        *(".github", ".gitlab", ".gitlab-ci", ".circleci", ".ci", ".buildkite", ".semaphore"),
        *(".woodpecker", ".drone", ".teamcity", ".gitea", ".forgejo", ".jenkins", ".tekton"),
        *(".azure-pipelines", ".azuredevops", ".builds", ".husky", ".githooks", ".git-hooks"),
        *(".lefthook", "githooks"),
    ),
    whole=("ci/**",),
)
BUILD = Paths(
    names=(
        *(".gitattributes", ".gitmodules", ".gitconfig", ".envrc", ".bazelrc", ".tool-versions"),
        *("makefile", "gnumakefile", "bsdmakefile", "makefile.am", "makefile.in", "*.mk", "*.mak"),
        *("dockerfile*", "*.dockerfile", "containerfile*", "docker-compose*", "docker-bake.*"),
        *("compose.y*ml", "compose.*.y*ml", "earthfile", "vagrantfile", "tiltfile"),
        *("pyproject.toml", "setup.py", "setup.cfg", "hatch_build.py", "build.py", "tox.ini"),
        *("noxfile.py", "pytest.ini", ".pytest.ini", "conftest.py", "sitecustomize.py"),
        *("usercustomize.py", "*.pth", ".pylintrc", "pylintrc", "mypy.ini"),
        *("package.json", ".npmrc", ".yarnrc*", ".pnpmfile.*", "pnpm-workspace.y*ml"),
        *("bunfig.toml", "*.config.js", "*.config.ts", "*.config.[cm]js", "*.config.[cm]ts"),
        *("gulpfile*", "gruntfile*", ".babelrc*", ".eslintrc*", ".prettierrc.*", "karma.conf.*"),
        *("tsconfig*.json", "angular.json", "nx.json", "turbo.json", "lerna.json", "binding.gyp"),
        *("pom.xml", "build.gradle*", "settings.gradle*", "gradle.properties", "init.gradle*"),
        *("gradlew*", "mvnw*", "build.xml", "build.sbt", "build.sc", "cargo.toml", "build.rs"),
        *("build.zig*", "go.mod", "go.work", "cmakelists.txt", "*.cmake", "cmakepresets.json"),
        *("configure", "configure.ac", "meson.build", "meson_options.txt", "meson.options"),
        *("sconstruct", "sconscript", "wscript", "build", "build.bazel", "workspace"),
        *("workspace.bazel", "module.bazel", "*.bzl", "justfile", ".justfile", "*.just"),
        *("taskfile.y*ml", "taskfile.*.y*ml", "magefile.go", "rakefile", "*.rake", "extconf.rb"),
        *("*.csproj", "*.fsproj", "*.vbproj", "directory.build.*", "nuget.config", "build.cake"),
        *("pip.conf", "pip.ini", ".condarc", "mise.toml", ".mise.toml", "build.sh", "*.nix"),
        *("build.ps1", ".bashrc", ".profile", ".bash_profile", ".zshrc", ".zshenv"),
    ),
    folders=(".vscode", ".idea", ".fleet", ".zed", ".devcontainer", ".cargo", ".mvn", ".yarn"),
    whole=("**/gradle/wrapper/**", "**/.bundle/config", "**/.config/dotnet-tools.json"),
)
DEPLOYMENT = Paths(
    names=(
        *("procfile*", "fly.toml", "fly.*.toml", "heroku.yml", "netlify.toml", "vercel.json"),
        *("render.yaml", "railway.json", "serverless.y*ml", "skaffold.y*ml", "wrangler.toml"),
        *("chart.yaml", "helmfile*.y*ml", "kustomization.y*ml", "*.tf", "*.tf.json", "*.tofu"),
        *("*.tfvars", "*.hcl", "*.bicep", "pulumi*.y*ml", "cdk.json", "ansible.cfg", "*.cron"),
        *("playbook*.y*ml", "crontab", "*.service", "*.timer", "dockerrun.aws.json"),
    ),
    folders=(
        *("k8s", "kubernetes", "helm", "terraform", "ansible", "kustomize", "argocd", ".argocd"),
        *("flux-system", ".platform", ".ebextensions"),
    ),
)
PACKAGES = Paths(
    names=(
        *("*.lock", "*.lockb", "*.lockfile", "package-lock.json", "npm-shrinkwrap.json"),
        *("pnpm-lock.y*ml", "go.sum", "go.work.sum", "packages.lock.json", "package.resolved"),
        *("*requirements*.txt", "*requirements*.in", "*constraints*.txt", "*constraints*.in"),
        *("pipfile", "environment*.y*ml", "conda*.y*ml", "pixi.toml", "gemfile*", "gems.rb"),
        *("*.gemspec", "composer.json", "bower.json", "deno.json*", "jsr.json", "import_map.json"),
        *("*.csproj", "*.fsproj", "*.vbproj", "directory.packages.props", "packages.config"),
        *("paket.dependencies", "package.swift", "podfile", "cartfile*", "mix.exs"),
        *("rebar.config", "gleam.toml", "pubspec*.yaml", "build.sbt", "libs.versions.toml"),
        *("project.clj", "deps.edn", "*.cabal", "cabal.project*", "stack.yaml", "package.yaml"),
        *("*.opam", "dune-project", "shard.yml", "*.rockspec", "conanfile.*", "vcpkg.json"),
        *("cpanfile", "elm.json", "project.toml", "manifest.toml", "dub.json", "*.nimble"),
    ),
    whole=tuple(
        f"**/{folder}/**/*.{ending}"
        for folder in ("requirements", "constraints")
        for ending in ("txt", "in")
    ),
)
MIGRATIONS = Paths(
    names=(
        *("*.sql", "*.psql", "*.pgsql", "*.plsql", "*.ddl", "schema.rb", "*.prisma"),
        *("v[0-9]*__*.java", "v[0-9]*__*.kt", "r__*.java", "db.changelog*", "sqitch.plan"),
        *("knexfile.*", "ormconfig.*", "alembic.ini"),
    ),
    folders=("migrations",),
    whole=(
        *("**/alembic/versions/**", "**/db/migrate/**", "**/db/*_migrate/**"),
        *("**/db/migration/**", "**/db/changelog/**", "**/drizzle/**", "**/alembic/env.py"),
    ),
)
SECRETS = Paths(
    names=(
        *("auth.*", "auth_*", "*_auth.*", "authentication*", "authorization*", "*oauth*"),
        *("login*", "*secret*", "*credential*", "*password*", "tokens.py", "*_tokens.*", ".env*"),
        *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk", "id_rsa*"),
        *("id_ecdsa*", "id_ed25519*", ".netrc", ".htpasswd", ".pgpass", ".pypirc", "sudoers"),
        *("sshd_config", "authorized_keys", "permissions*.*"),
    ),
    folders=("auth",),
    words=re.compile(
        r"\w*(?:oauth|jwt|saml|oidc|rbac|webauthn|passw|credential|secret)\w*"
        r"|auth(?!or)\w*|authori[sz]\w*|(?:user|basic|http|api)auth"
        r"|acls?|abac|iam|sso|ldap|kerberos|openid|j[wo]s|jwe|jwks?|mfa|totp|otp|passkeys?"
        r"|login|logins|logout|signin|permissions?|csrf|xsrf|impersonat\w+|privileges?"
    ),
)
ACCESS = Paths(words=re.compile(r"sessions?|tokens?|middlewares?|cors|security"))
_GRAVE = (AGENTS, CI, SECRETS, MIGRATIONS, BUILD, DEPLOYMENT)


@lru_cache(maxsize=20_000)
def is_grave(path: str) -> bool:
    """Tell whether a file may do more than its lines say, so that it is read first."""
    return any(paths.holds(path) for paths in _GRAVE)
