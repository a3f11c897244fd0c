"""Points 2 and 8: what a service that was taken over could ask of storage, and what the command line may not be kept from."""
import pytest
from bus import Bus, ask, schema
from rest import PASSWORD


@pytest.fixture(scope="module")
def pb(tmp_path_factory):
    return schema(tmp_path_factory.mktemp("schema"))


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


@pytest.mark.parametrize("service", ["message", "presence", "api", "storage", "cli"])
def test_only_gateways_keep_mqtt_sessions_and_log_in_over_the_bus(shared, join, pb, service):
    alice, = join("alice")
    keep = pb.MqttRequest(put=pb.MqttSession(user=alice.user, device=alice.device, cursor="1"))
    login = pb.LoginRequest(user=alice.user, password=PASSWORD, device="planted", address="10.0.0.1")
    assert ask(shared, service, "pgn.sto.mqtt", keep, pb, 3) is None
    assert ask(shared, service, "pgn.api.login", login, pb, 3) is None
    kept = ask(shared, "gateway", "pgn.sto.mqtt", pb.MqttRequest(get=pb.MqttSession(user=alice.user, device=alice.device)), pb)
    assert kept.error == 0 and not kept.mqtt.user
    assert [s["device"] for s in alice.ok("GET", "/me/sessions")["sessions"]] == [alice.device]


def test_an_mqtt_session_needs_a_device_that_is_logged_in(shared, join, pb):
    """A gateway that was taken over cannot fill the store with sessions of devices and users that are not there."""
    alice, = join("alice")
    kept = pb.MqttSession(user=alice.user, device=alice.device, cursor="12", state=b"x" * 16384)
    refused = [pb.MqttSession(user=alice.user, device="planted"), pb.MqttSession(user="nobody-here", device="test"), pb.MqttSession(user=alice.user, device="no device"),
               pb.MqttSession(user=alice.user, device=alice.device, state=b"x" * 16385), pb.MqttSession(user=alice.user, device=alice.device, cursor="x")]

    def tell(**what):
        return ask(shared, "gateway", "pgn.sto.mqtt", pb.MqttRequest(**what), pb)
    assert tell(put=kept).error == 0
    for session in refused:
        assert tell(put=session).error, session
    assert ask(shared, "gateway", "pgn.sto.mqtt", pb.MqttRequest(), pb).error
    assert tell(release=pb.MqttRelease(user=alice.user, device=alice.device, client_id="no key")).error
    answer = tell(get=kept)
    assert answer.mqtt.cursor == "12" and answer.mqtt.state == b"x" * 16384
    alice.ok("POST", "/logout", status=204)
    assert not tell(get=kept).mqtt.user
