"""Lists, cursors, marks, unread counts, what was missed."""
from client import Client


def test_sync_shows_everything_then_only_changes(people):
    alice, bob, carol = people.join("alice", "bob", "carol")
    one = bob.send(alice.user, "one")["conv"]
    two = carol.send(alice.user, "two")["conv"]
    convs, cursor = alice.sync()
    assert set(convs) == {one, two}
    assert convs[one]["peer"] == bob.user and convs[one]["unread"] == 1 and convs[one]["last_message"]["body"]["text"] == "one"
    assert alice.sync(cursor)[0] == {}
    carol.send(two, "again")
    changed, _ = alice.sync(cursor)
    assert set(changed) == {two} and changed[two]["unread"] == 2


def test_pages_of_many_conversations(shared, people):
    (alice,) = people.join("alice")
    others = people.names(*[f"o{i}" for i in range(60)])
    shared.add_users(*others)
    for name in others:
        alice.send(name, "hi " + name)
    page = alice.call("sync", limit=25)
    assert len(page["convs"]) == 25 and page["more"] is True
    assert len(alice.sync()[0]) == 60


def test_reading_moves_the_count_and_never_goes_back(people):
    alice, bob = people.join("alice", "bob")
    for i in range(5):
        conv = bob.send(alice.user, f"m{i}")["conv"]
    alice.call("mark", conv=conv, read=3, delivered=5)
    bob.wait_event("mark", lambda m: m["read"] == 3 and m["delivered"] == 5)
    assert alice.sync()[0][conv]["unread"] == 2
    alice.call("mark", conv=conv, read=1)
    assert alice.sync()[0][conv]["read_seq"] == 3
    alice.call("mark", conv=conv, read=5)
    assert alice.sync()[0][conv]["unread"] == 0
    assert bob.sync()[0][conv]["peer_read"] == 5


def test_a_mark_beyond_the_end_is_cut_or_refused(people):
    alice, bob = people.join("alice", "bob")
    conv = bob.send(alice.user, "only one")["conv"]
    try:
        alice.call("mark", conv=conv, read=1000)
    except Exception as refused:  # noqa: BLE001
        assert getattr(refused, "code", "") == "invalid"
    bob.send(conv, "second")
    assert alice.sync()[0][conv]["unread"] >= 1


def test_operations_are_not_unread(people):
    alice, bob = people.join("alice", "bob")
    conv = bob.send(alice.user, "hello")["conv"]
    alice.call("mark", conv=conv, read=1)
    bob.call("react", conv=conv, seq=1, emoji="👍", on=True)
    bob.call("edit", conv=conv, seq=1, body={"text": "hello!"})
    assert alice.sync()[0][conv]["unread"] == 0


def test_writing_reads_what_was_before(people):
    alice, bob = people.join("alice", "bob")
    conv = bob.send(alice.user, "hello")["conv"]
    alice.send(conv, "hi")
    assert alice.sync()[0][conv]["unread"] == 0


def test_history_pages_both_ways(people):
    alice, bob = people.join("alice", "bob")
    for i in range(30):
        conv = alice.send(bob.user, f"m{i}")["conv"]
    def seqs(**kw):
        page = bob.call("fetch", conv=conv, **kw)
        return [m["seq"] for m in page["messages"]], page["more"]
    assert seqs(limit=10) == (list(range(21, 31)), True)
    assert seqs(before=21, limit=10) == (list(range(11, 21)), True)
    assert seqs(before=11, limit=10) == (list(range(1, 11)), False)
    assert seqs(after=25, limit=10) == (list(range(26, 31)), False)
    assert seqs(after=5, limit=5) == ([6, 7, 8, 9, 10], True)


def test_ping_tells_when_something_was_missed(shared, people):
    alice, bob = people.join("alice", "bob")
    _, cursor = alice.sync()
    assert alice.call("ping")["cursor"] == cursor
    alice.close()
    bob.send(alice.user, "while you were away")
    with Client(shared.ws_url, alice.token, cursor=cursor) as again:
        changed, _ = again.sync(cursor)
        assert [c["last_message"]["body"]["text"] for c in changed.values()] == ["while you were away"]


def test_recall_edit_react_show_in_later_reads(people):
    alice, bob = people.join("alice", "bob")
    conv = alice.send(bob.user, "teh first")["conv"]
    alice.send(conv, "a mistake")
    assert alice.call("edit", conv=conv, seq=1, body={"text": "the first"})["seq"] == 3
    alice.call("recall", conv=conv, seq=2)
    bob.call("react", conv=conv, seq=1, emoji="🎉", on=True)
    first, second = bob.history(conv)[:2]
    assert first["body"]["text"] == "the first" and first["edited_at"] > 0 and first["reactions"] == [{"emoji": "🎉", "users": [bob.user]}]
    assert second["recalled"] is True and "text" not in second.get("body", {})
    bob.call("react", conv=conv, seq=1, emoji="🎉", on=False)
    assert "reactions" not in bob.history(conv)[0]
    texts = str(bob.history(conv))
    assert "a mistake" not in texts


def test_a_recalled_edit_leaves_no_trace(people):
    alice, bob = people.join("alice", "bob")
    conv = alice.send(bob.user, "v1-secret")["conv"]
    alice.call("edit", conv=conv, seq=1, body={"text": "v2-secret"})
    alice.call("recall", conv=conv, seq=1)
    assert "secret" not in str(bob.history(conv))


def test_a_heartbeat_in_an_empty_store_is_no_news(fresh):
    """Else every silent client of a new node would sync at each heartbeat."""
    cluster = fresh()
    with Client(cluster.ws_url, cluster.add_users("ann")["ann"]) as ann:
        assert ann.call("sync").get("cursor", "") == ann.call("ping").get("cursor", "")
