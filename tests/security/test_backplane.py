"""Points 2 and 8: what a service that was taken over could ask of storage, and what the command line may not be kept from."""
import threading

import pytest
from bus import Bus, schema
from rest import PASSWORD



@pytest.fixture(scope="module")
def pb(tmp_path_factory):
    return schema(tmp_path_factory.mktemp("schema"))


def ask(cluster, service, subject, request, pb):
    """The Reply to a request that this service's NATS user sends, or None when nothing comes."""
    came, answers = threading.Event(), []

    def on_answer(data, _reply):
        answers.append(pb.Reply.FromString(data))
        came.set()
    inbox = f"_INBOX.{service}.test"
    bus = Bus(cluster, service, {inbox: on_answer})
    try:
        data = request.SerializeToString()
        bus.write(f"PUB {subject} {inbox} {len(data)}\r\n", data + b"\r\n")
        bus.flush()
        return answers[0] if came.wait(5) else None
    finally:
        bus.close()


def test_a_gateway_can_only_check_sessions(shared, join, pb):
    alice, = join("alice")
    request = pb.SessionRequest()
    request.check.hashes.append(b"x" * 32)
    assert ask(shared, "gateway", "pgn.sto.check", request, pb).error == 0
    for make in (lambda r: r.create.MergeFrom(pb.Session(hash=b"x" * 32, user=alice.user, device="mine")),
                 lambda r: r.revoke.MergeFrom(pb.SessionRevoke(user=alice.user, all=True)), lambda r: r.list.MergeFrom(pb.SessionUser(user=alice.user))):
        request = pb.SessionRequest()
        make(request)
        answer = ask(shared, "gateway", "pgn.sto.check", request, pb)
        assert answer.error and not answer.HasField("sessions"), request
    assert alice.call("GET", "/me").status == 200


def test_presence_can_only_keep_presence(shared, join, pb):
    alice, = join("alice")
    request = pb.DirRequest()
    request.users_get.values.append(alice.user)
    answer = ask(shared, "presence", "pgn.sto.seen", request, pb)
    assert answer.error == 0 and answer.users.users[0].user == alice.user and not answer.users.users[0].password_hash
    for make in (lambda r: r.user_credentials.MergeFrom(pb.UserName(user=alice.user)), lambda r: r.user_patch.MergeFrom(pb.UserPatch(user=alice.user, fields=["admin"], values=pb.User(admin=True))),
                 lambda r: r.user_create.MergeFrom(pb.User(user="planted", password_hash="x")), lambda r: r.audit_list.MergeFrom(pb.UserQuery())):
        request = pb.DirRequest()
        make(request)
        answer = ask(shared, "presence", "pgn.sto.seen", request, pb)
        assert answer.error and answer.WhichOneof("payload") is None, request
    assert not alice.ok("GET", "/me").get("admin")


def test_an_answer_cannot_be_forged_into_another_inbox(shared, join, pb):
    """Presence says to the gateway that a token is good: NATS does not let it."""
    said = []
    bus = Bus(shared, "gateway", {"_INBOX.gateway.test2": lambda data, _: said.append(data)})
    try:
        forger = Bus(shared, "presence", {})
        forger.publish("_INBOX.gateway.test2", pb.Reply())
        forger.flush()
        forger.close()
        bus.flush()
        assert not said
        right = Bus(shared, "storage", {})  # who is asked may
        right.publish("_INBOX.gateway.test2", pb.Reply(text="x"))
        right.flush()
        right.close()
        bus.flush()
        assert said
    finally:
        bus.close()


def test_the_password_hash_leaves_storage_for_nobody_but_the_api(shared, join, pb):
    alice, = join("alice")
    for path in ("/me", f"/users/{alice.user}", "/users?q=" + alice.user, "/me/sessions"):
        answer = alice.call("GET", path)
        assert answer.status == 200 and b"argon2" not in answer.raw and b"password_hash" not in answer.raw and PASSWORD.encode() not in answer.raw, path
