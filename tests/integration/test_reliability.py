"""Promises that hang on who hears of what: commits in doubt, memberships that change while somebody asks, news that were lost."""
import time

import pytest

from bus import Bus, schema
from client import Client, Refused
from cluster import Cluster, wait_until

GROUP = "cabcdefghijklmnop"


# ---- a commit whose sync failed may be stored ----

def test_what_a_doubtful_commit_changed_is_told_once_the_store_works_again(fresh):
    """The kick is stored, but its commit is said to have failed: nobody is told, until storage can be written again."""
    cluster = fresh({"PIGEON_FAULT": "uncertain-at=2"})
    tokens = cluster.add_users("alice", "bob", "carol")
    with Client(cluster.ws_url, tokens["alice"]) as alice, Client(cluster.ws_url, tokens["bob"]) as bob, Client(cluster.ws_url, tokens["carol"]) as carol:
        conv = alice.call("create", kind="group", title="g", members=["bob", "carol"])["conv"]
        assert bob.call("fetch", conv=conv, limit=5)["messages"], "the policy is cached now"
        _, cursor = carol.sync()
        assert carol.call("ping")["cursor"] == cursor
        with pytest.raises(Refused) as refused:
            alice.call("kick", conv=conv, user="bob")
        assert refused.value.code == "uncertain"
        wait_until(lambda: "can be written again" in cluster.log("storage"), 10, "storage to recover")

        def refused_now():
            try:
                bob.call("fetch", conv=conv, limit=5)
                return False
            except Refused as answer:
                return answer.code in ("forbidden", "not_found")
        wait_until(refused_now, 5, "the kick to count for the one who was kicked")
        assert carol.call("ping")["cursor"] != cursor, "who was not told of the commit is told to sync"
        wait_until(lambda: not any(m["user"] == "bob" for m in carol.call("members", conv=conv)["members"]), 5, "the new member list")
        carol.send(conv, "after")
        alice.wait_message("after")
        assert not bob.messages(conv) or bob.messages(conv)[-1].get("body", {}).get("text") != "after"


# ---- memberships that change while somebody asks ----

class Stage:
    """NATS and one gateway; storage and message are the test's."""

    def __init__(self, folder):
        self.pb = schema(folder)
        self.cluster = Cluster(folder, services=("gateway",))
        self.cluster.start("nats")
        self.commit = 10
        self.checks, self.groups, self.first_seq, self.before_check, self.on_op = 0, [], 1, None, None
        self.storage = Bus(self.cluster, "storage", {"pgn.sto.check": self.session})
        self.message = Bus(self.cluster, "message", {"pgn.msg.op": self.op})
        self.cluster.start("gateway")

    def session(self, data, reply):
        request = self.pb.SessionRequest.FromString(data)
        answer = self.pb.Reply()
        answer.checked.epoch, answer.checked.commit = "e1", self.commit
        if request.check.hashes:
            self.checks += 1
            for _ in request.check.hashes:
                answer.checked.sessions.add(user="bob", device="test", groups=self.groups, first_seqs=[self.first_seq] * len(self.groups))
            if self.before_check:
                self.before_check()
        self.storage.publish(reply, answer)

    def op(self, data, reply):
        self.on_op(self.pb.OpRequest.FromString(data), reply)

    def membership(self, bus, joined):
        events = self.pb.Events()
        events.events.add(commit=11).membership.MergeFrom(self.pb.Membership(conv=GROUP, joined=joined, version=2, first_seq=self.first_seq))
        bus.publish_to("bob", events)

    def write(self, text, seq):
        """A message to the group."""
        events = self.pb.Events()
        message = events.events.add(commit=20 + seq).message
        message.conv, message.seq, message.message_id = GROUP, seq, f"m{seq}"
        setattr(message, "from", "alice")
        message.device, message.body.text, message.kind = "test", text, 1
        self.storage.publish("conv." + GROUP, events)
        self.storage.flush()

    def tell(self, text):
        """Something on bob's own subject, behind all that was published before."""
        events = self.pb.Events()
        events.events.add(commit=99).changed.conv = text
        self.storage.publish_to("bob", events)

    def hears(self, bob, seq):
        """Whether a message to the group reaches bob."""
        self.write("to the group", seq)
        self.tell(f"c{seq:016d}")
        bob.wait_event("changed", lambda c: c["conv"] == f"c{seq:016d}")
        return any(m["seq"] == seq for m in bob.messages(GROUP))

    def close(self):
        self.storage.close()
        self.message.close()
        self.cluster.down()


@pytest.fixture
def stage(tmp_path):
    made = Stage(tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_who_is_kicked_between_the_check_and_the_subscription_hears_no_more(stage):
    def kicked():
        """After the list was read, before anybody listens on user.bob."""
        stage.before_check = None
        stage.groups = []
        stage.membership(stage.storage, False)
    stage.groups = [GROUP]
    stage.before_check = kicked
    with Client(stage.cluster.ws_url, "token") as bob:
        wait_until(lambda: stage.checks >= 2, 5, "the gateway to ask again")
        seqs = iter(range(1, 1000))
        wait_until(lambda: not stage.hears(bob, next(seqs)), 5, "the route to go")


def test_who_is_invited_between_the_check_and_the_subscription_hears_the_group(stage):
    def invited():
        stage.before_check = None
        stage.groups = [GROUP]
        stage.membership(stage.storage, True)
    stage.before_check = invited
    with Client(stage.cluster.ws_url, "token") as bob:
        seqs = iter(range(1, 1000))
        wait_until(lambda: stage.hears(bob, next(seqs)), 5, "the route to come")


def test_who_is_found_in_a_group_only_after_his_sync_is_told_to_sync_again(stage):
    """The news of it were lost; he synced before storage was asked about the sessions, and something came in between (seed 24827)."""
    def sync(_request, reply):
        answer = stage.pb.Reply()
        answer.ok.sync.cursor = str(stage.commit)
        stage.message.publish(reply, answer)

    def synced_just_before():
        stage.before_check = None
        bob.sync()
        stage.commit = 12
    stage.on_op = sync
    with Client(stage.cluster.ws_url, "token") as bob:
        wait_until(lambda: stage.checks >= 2, 5, "the gateway to ask again")
        stage.groups, stage.before_check = [GROUP], synced_just_before
        stage.storage.publish("pgn.up.store", stage.pb.StoreUp(epoch="e1", commit=10))
        wait_until(lambda: bob.call("ping").get("cursor") == "12", 5, "a ping's answer that makes him sync")


def test_a_sync_answer_that_is_older_than_a_kick_does_not_undo_it(stage):
    def sync(_request, reply):
        """Read before the kick, answered after it."""
        stage.groups = []
        stage.membership(stage.message, False)
        answer = stage.pb.Reply()
        answer.ok.sync.cursor = "10"
        answer.ok.sync.convs.add(conv=GROUP, kind=2, last_seq=1)
        stage.message.publish(reply, answer)
    stage.groups, stage.on_op = [GROUP], sync
    with Client(stage.cluster.ws_url, "token") as bob:
        wait_until(lambda: stage.hears(bob, 1), 5, "the route")
        convs, _ = bob.sync()
        assert list(convs) == [GROUP]
        assert not stage.hears(bob, 2), "the kick came later than what the answer tells"


def test_what_was_before_a_member_came_is_not_pushed_to_him(stage):
    """Storage answered with the new group before it had published what it committed until then (seed 864 of the simulation)."""
    stage.groups, stage.first_seq = [GROUP], 4
    with Client(stage.cluster.ws_url, "token") as bob:
        wait_until(lambda: stage.hears(bob, 4), 5, "the route")
        assert not stage.hears(bob, 3) and stage.hears(bob, 5)
        stage.membership(stage.storage, False)
        assert not stage.hears(bob, 6)
        stage.first_seq = 8
        stage.membership(stage.storage, True)
        assert not stage.hears(bob, 7) and stage.hears(bob, 8)


def test_what_a_sync_told_of_a_new_group_is_not_pushed_again(stage):
    def sync(_request, reply):
        answer = stage.pb.Reply()
        answer.ok.sync.cursor = "10"
        answer.ok.sync.convs.add(conv=GROUP, kind=2, last_seq=4)
        stage.message.publish(reply, answer)
    stage.on_op = sync
    with Client(stage.cluster.ws_url, "token") as bob:
        wait_until(lambda: stage.checks >= 2, 5, "the gateway to ask again")
        assert not stage.hears(bob, 5)
        bob.sync()
        wait_until(lambda: stage.hears(bob, 5), 5, "the route")
        assert not stage.hears(bob, 4)


# ---- one session a device in all gateways ----

def test_news_of_a_login_elsewhere_ends_an_older_session_and_no_younger_one(stage):
    """Another gateway's clock is not ours, and what it sends may be held up on its way."""
    other, numbers = Bus(stage.cluster, "gateway", {}), iter(range(1, 1000))

    def says(login_ago_ms=None, held_up_ms=0):
        m = stage.pb.PresenceEvents(gateway="another", number=next(numbers), sent_at=int(time.monotonic() * 1000) + 5_000_000 - held_up_ms)
        if login_ago_ms is not None:
            m.events.add(user="bob", device="test", up=True, login=True, at=m.sent_at - login_ago_ms)
        other.publish("pgn.prs.events", m)
        other.flush()
    says()
    stage.groups = [GROUP]
    seqs = iter(range(1, 1000))
    with Client(stage.cluster.ws_url, "token") as bob:
        wait_until(lambda: stage.hears(bob, next(seqs)), 5, "the route")
        time.sleep(0.5)  # older than the doubt there always is
        says(login_ago_ms=10_000)
        says(login_ago_ms=50, held_up_ms=10_000)
        assert stage.hears(bob, next(seqs)) and not bob.closed

        def ended():
            says(login_ago_ms=0)
            return bob.closed
        wait_until(ended, 5, "the session to be old enough to end")
        assert bob.wait_event("bye")["code"] == "replaced"
    other.close()
