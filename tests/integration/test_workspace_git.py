"""The store: fetch, commit, merge, diff, and main moved by compare-and-swap."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from agents.workspace.exceptions import (
    GitFailed,
    MainMoved,
    NoSuchBranch,
    PushRefused,
    RepositoryUnreachable,
)
from agents.workspace.git import Store
from agents.workspace.listings import TreeEntry
from tests.workspace_fixtures import git, grow, make_repository

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(
        tmp_path / "origin.git", {"a.txt": "one\ntwo\nthree\n", "b/c.txt": "c\n"}
    )


@pytest.fixture
def store(tmp_path: Path, repository: Path) -> Store:
    return Store(tmp_path / "store.git", repository=str(repository), main="main")


def test_fetch_returns_the_head_of_main_and_is_repeatable(store, repository):
    head = git(repository, "rev-parse", "main")
    assert store.fetch() == head == store.fetch() == store.main_now()
    assert [entry.path for entry in store.paths(head)] == ["a.txt", "b/c.txt"]
    assert store.blob(head, "a.txt") == b"one\ntwo\nthree\n"
    assert store.blob(head, "b") is None
    assert store.blob(head, "no such file") is None


def test_the_same_commit_is_the_same_object(store):
    head = store.fetch()
    tree = store.tree_of(head)
    facts = {"parents": [head], "message": "Say it\n\nCountersign-Task: T-1\n", "at": AT}
    assert store.commit(tree, **facts) == store.commit(tree, **facts)


def test_main_moves_once_from_the_expected_commit(store, repository):
    head = store.fetch()
    new = grow(store, head, {"a.txt": "one\n2\nthree\n"}, at=AT)
    store.push_main(new, expected=head)
    assert git(repository, "rev-parse", "main") == new
    store.push_main(new, expected=head)  # twice: nothing happens
    late = grow(store, head, {"a.txt": "other\n"}, at=AT)
    with pytest.raises(MainMoved) as moved:
        store.push_main(late, expected=head)
    assert moved.value.actual == new
    assert git(repository, "rev-parse", "main") == new


def test_of_two_pushes_at_once_exactly_one_lands(tmp_path, repository):
    stores = [
        Store(tmp_path / f"store-{n}.git", repository=str(repository), main="main")
        for n in range(2)
    ]
    for round_number in range(10):
        heads = [store.fetch() for store in stores]
        news = [
            grow(store, head, {"a.txt": f"{round_number} {n}\n"}, at=AT)
            for n, (store, head) in enumerate(zip(stores, heads, strict=True))
        ]

        def attempt(number: int, heads=heads, news=news) -> bool:
            try:
                stores[number].push_main(news[number], expected=heads[number])
            except MainMoved:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            won = list(pool.map(attempt, range(2)))
        assert sorted(won) == [False, True]
        assert git(repository, "rev-parse", "main") == news[won.index(True)]
    assert git(repository, "rev-list", "--count", "main") == "11"


def test_a_change_that_does_not_build_on_main_is_refused(store, repository):
    head = store.fetch()
    orphan = store.commit(store.tree_of(head), parents=[], message="Orphan", at=AT)
    with pytest.raises(PushRefused, match="does not build on"):
        store.push_main(orphan, expected=head)
    assert git(repository, "rev-parse", "main") == head


def test_two_workers_use_one_store_at_once(store):
    head = store.fetch()

    def work(number: int) -> str:
        store.fetch()
        return grow(store, head, {f"file-{number}.txt": "x\n"}, at=AT)

    with ThreadPoolExecutor(8) as pool:
        commits = list(pool.map(work, range(16)))
    for number, commit in enumerate(commits):
        assert store.blob(commit, f"file-{number}.txt") == b"x\n"
    assert list((store.git_dir / "tmp").iterdir()) == []


def test_merge_names_the_conflicts(store):
    head = store.fetch()
    left = grow(store, head, {"a.txt": "one\nleft\nthree\n"}, at=AT)
    right = grow(store, head, {"a.txt": "one\nright\nthree\n", "d.txt": "d\n"}, at=AT)
    apart = grow(store, head, {"b/c.txt": "C\n"}, at=AT)
    assert store.merge(left, right).conflicts == ["a.txt"]
    clean = store.merge(left, apart)
    assert clean.conflicts == []
    assert store.blob(clean.tree, "a.txt") == b"one\nleft\nthree\n"
    assert store.blob(clean.tree, "b/c.txt") == b"C\n"


def test_a_commit_is_found_by_its_trailer(store):
    head = store.fetch()
    message = "Merge\n\nCountersign-Task: BILL-7\nCountersign-Approval: 0199\nApproved-by: Dana\n"
    new = store.commit(
        grow(store, head, {"a.txt": "x\n"}, at=AT, tree_only=True),
        parents=[head],
        message=message,
        at=AT,
    )
    assert store.find_on_main("Countersign-Approval", "0199") is None
    store.push_main(new, expected=head)
    assert store.find_on_main("Countersign-Approval", "0199") == new
    assert store.find_on_main("Countersign-Approval", "019") is None
    assert store.find_on_main("Countersign-Task", "BILL-7") == new


def test_a_repository_that_is_gone_says_so(tmp_path, store, repository):
    head = store.fetch()
    new = grow(store, head, {"a.txt": "x\n"}, at=AT)
    repository.rename(tmp_path / "moved.git")
    for call in (store.fetch, store.main_now, lambda: store.push_main(new, expected=head)):
        with pytest.raises(RepositoryUnreachable, match="cannot be reached"):
            call()
    (tmp_path / "moved.git").rename(repository)
    store.push_main(new, expected=head)


def test_a_push_nobody_answered_is_not_called_refused(store, repository, monkeypatch):
    head = store.fetch()
    new = grow(store, head, {"a.txt": "x\n"}, at=AT)
    monkeypatch.setattr("agents.workspace.remotes.REMOTE_SECONDS", 0.000_1)
    with pytest.raises(RepositoryUnreachable, match="is not known yet"):
        store.push_main(new, expected=head)


def test_a_refusal_of_the_repository_is_told(store, repository):
    git(repository, "config", "receive.maxInputSize", "1")
    head = store.fetch()
    new = grow(store, head, {"a.txt": "x\n"}, at=AT)
    with pytest.raises(PushRefused, match=r"refused the change: .*\. Nothing was merged"):
        store.push_main(new, expected=head)
    assert store.main_now() == head


def test_a_missing_branch_is_named(tmp_path, repository):
    store = Store(tmp_path / "s.git", repository=str(repository), main="trunk")
    for call in (store.fetch, store.main_now):
        with pytest.raises(NoSuchBranch, match="trunk"):
            call()


def test_an_unreachable_url_is_an_error_of_the_repository(tmp_path):
    store = Store(tmp_path / "s.git", repository="http://me:hush@127.0.0.1:1/x.git", main="main")
    with pytest.raises(RepositoryUnreachable) as failure:
        store.fetch()
    assert "hush" not in str(failure.value)


@pytest.fixture
def working(tmp_path: Path) -> Path:
    folder = tmp_path / "working"
    make_repository(folder, {"a.txt": "one\n", "keep.txt": "k\n"}, bare=False)
    return folder


def test_a_working_repository_gets_the_change_in_its_files(tmp_path, working):
    store = Store(tmp_path / "s.git", repository=str(working), main="main")
    head = store.fetch()
    new = grow(store, head, {"a.txt": "two\n"}, at=AT)
    store.push_main(new, expected=head)
    assert (working / "a.txt").read_text() == "two\n"
    assert git(working, "status", "--porcelain") == ""


@pytest.mark.parametrize("staged", [False, True])
def test_a_dirty_working_repository_is_refused_and_left_alone(tmp_path, working, staged):
    store = Store(tmp_path / "s.git", repository=str(working), main="main")
    head = store.fetch()
    new = grow(store, head, {"a.txt": "two\n"}, at=AT)
    (working / "a.txt").write_text("mine\n")
    if staged:
        git(working, "add", "a.txt")
    with pytest.raises(PushRefused, match="changes that are not committed"):
        store.push_main(new, expected=head)
    assert (working / "a.txt").read_text() == "mine\n"
    assert git(working, "rev-parse", "main") == head


def test_a_file_in_the_way_of_a_working_repository_is_kept(tmp_path, working):
    store = Store(tmp_path / "s.git", repository=str(working), main="main")
    head = store.fetch()
    new = grow(store, head, {"notes.txt": "theirs\n"}, at=AT)
    (working / "notes.txt").write_text("mine, never added\n")
    with pytest.raises(PushRefused, match="changes that are not committed"):
        store.push_main(new, expected=head)
    assert (working / "notes.txt").read_text() == "mine, never added\n"
    assert store.main_now() == head


def test_a_branch_that_is_not_checked_out_moves_without_touching_files(tmp_path, working):
    git(working, "switch", "-q", "-c", "feature")
    store = Store(tmp_path / "s.git", repository=str(working), main="main")
    head = store.fetch()
    (working / "a.txt").write_text("mine\n")
    store.push_main(grow(store, head, {"a.txt": "two\n"}, at=AT), expected=head)
    assert (working / "a.txt").read_text() == "mine\n"


def test_a_git_that_was_killed_leaves_no_lock_behind(store, repository):
    head = store.fetch()
    new = grow(store, head, {"a.txt": "x\n"}, at=AT)
    store.push_main(new, expected=head)
    (store.git_dir / "refs/countersign/main.lock").touch()
    assert store.fetch() == new


def test_a_repository_with_other_object_names_says_so(tmp_path):
    folder = tmp_path / "sha256"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main", "--object-format=sha256")
    git(folder, "commit", "-q", "--allow-empty", "-m", "Begin")
    store = Store(tmp_path / "s.git", repository=str(folder), main="main")
    with pytest.raises(RepositoryUnreachable, match=r"algorithm|format"):
        store.fetch()


def test_a_repository_of_another_user_is_used_all_the_same(tmp_path, working, repository):
    try:
        subprocess.run(["chown", "-R", "65534", str(working), str(repository)], check=True)
    except subprocess.CalledProcessError:
        pytest.skip("only root can give files away")
    for number, place in enumerate((working, repository)):
        store = Store(tmp_path / f"s{number}.git", repository=str(place), main="main")
        head = store.fetch()
        store.push_main(grow(store, head, {"a.txt": "two\n"}, at=AT), expected=head)
        assert store.main_now() != head


def test_object_names_and_branches_cannot_become_options(store, repository):
    store.fetch()
    with pytest.raises(GitFailed, match="not an object name"):
        store.paths("--output=/tmp/x")
    with pytest.raises(GitFailed):
        store.tree_of("main")
    for branch in ("-x", "a..b", "a b", "a~1", "", "x.lock", "a//b", "a\nb", "@{1}", ".a", "a/.b"):
        with pytest.raises(RepositoryUnreachable, match="branch"):
            Store(store.git_dir, repository=str(repository), main=branch)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "--upload-pack=touch /tmp/pwned",
        "-x",
        "ext::sh -c touch% /tmp/pwned",
        "fd::17",
        "ftp://host/x",
        "ssh://-oProxyCommand=x/y",
        "-oProxyCommand=x:y",
        "git@-oProxyCommand=x:y",
        "http://[::1/x",
        "git://host/x",
        "a\nb",
    ],
)
def test_addresses_that_run_commands_are_refused(tmp_path, address):
    with pytest.raises(RepositoryUnreachable, match="refused"):
        Store(tmp_path / "s.git", repository=address, main="main")


def test_a_missing_object_is_an_error(store):
    head = store.fetch()
    with pytest.raises(GitFailed):
        store.tree_of("1" * 40)
    with pytest.raises(GitFailed):
        list(store.blobs(["1" * 40]))
    with pytest.raises(GitFailed, match="Ignoring path"):
        store.write_tree([TreeEntry(".git/x", "100644", store.paths(head)[0].blob)])
