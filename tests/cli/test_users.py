"""pigeon user ...: who may log in, and how many at once."""
import json
import os
import stat

from cluster import wait_until


def login(node, user, password):
    return node.rest("POST", "/v1/login", {"user": user, "password": password, "device": "web"})


def logged_out(node, token):
    """Within 5 s: the api may remember a session for a moment."""
    return wait_until(lambda: node.rest("GET", "/v1/me", token=token)[0] == 401, 5, "the session to end")


def add(node, user, password):
    node.pigeon("user", "add", user, "--password-stdin", text=password + "\n")


def test_a_password_from_standard_input(node):
    node.pigeon("user", "add", "pw-alice", "--name", "Alice Ünicode", "--password-stdin", text="correct horse\n")
    status, answer = login(node, "pw-alice", "correct horse")
    assert status == 200 and answer["user"]["name"] == "Alice Ünicode" and not answer["must_change_password"]
    assert login(node, "pw-alice", "wrong horse!")[0] == 401


def test_a_one_time_password_must_be_changed(node):
    made = json.loads(node.pigeon("user", "add", "ot-alice", "--admin", "--one-time", "--json").stdout)
    status, answer = login(node, "ot-alice", made["one_time_password"])
    assert status == 200 and answer["must_change_password"] and answer["user"]["admin"]


def test_without_a_password_nobody_gets_in(node):
    said = node.pigeon("user", "add", "no-pw").stdout
    assert "no password yet" in said
    assert login(node, "no-pw", "")[0] in (400, 401)


def test_twice_is_refused_with_advice(node):
    node.pigeon("user", "add", "twice")
    refused = node.pigeon("user", "add", "twice", check=False)
    assert refused.returncode == 1 and "already" in refused.stderr and "passwd" in refused.stderr


def test_bad_names_and_passwords_are_usage_errors(node):
    for args, text in [(("Alice",), ""), (("a b",), ""), (("short-pw", "--password-stdin"), "1234567\n"), (("same-as-id", "--password-stdin"), "same-as-id\n"),
                       (("no-stdin", "--password-stdin"), ""), (("both", "--password-stdin", "--one-time"), "long enough\n")]:
        done = node.pigeon("user", "add", *args, text=text, check=False)
        assert done.returncode == 2 and done.stderr.startswith("pigeon: "), (args, done)


def test_passwd_logs_devices_out(node):
    add(node, "changer", "first password")
    _, answer = login(node, "changer", "first password")
    assert node.rest("GET", "/v1/me", token=answer["token"])[0] == 200
    node.pigeon("user", "passwd", "changer", "--password-stdin", text="second password\n")
    assert logged_out(node, answer["token"])
    assert login(node, "changer", "first password")[0] == 401
    assert login(node, "changer", "second password")[0] == 200
    assert node.pigeon("user", "passwd", "nobody-here", "--one-time", check=False).returncode == 1


def test_disable_and_enable(node):
    add(node, "leaver", "leaver's password")
    _, answer = login(node, "leaver", "leaver's password")
    node.pigeon("user", "disable", "leaver")
    assert logged_out(node, answer["token"])
    assert login(node, "leaver", "leaver's password")[0] in (401, 403)
    assert json.loads(node.pigeon("user", "show", "leaver", "--json").stdout.splitlines()[0])["disabled"]
    node.pigeon("user", "enable", "leaver")
    assert login(node, "leaver", "leaver's password")[0] == 200


def test_show_and_logout(node):
    add(node, "shown", "shown's password")
    _, answer = login(node, "shown", "shown's password")
    assert "device web" in node.pigeon("user", "show", "shown").stdout
    assert node.pigeon("user", "logout", "shown", "toaster", check=False).returncode in (0, 1)
    node.pigeon("user", "logout", "shown", "web")
    assert logged_out(node, answer["token"])
    assert node.pigeon("user", "show", "nobody-here", check=False).returncode == 1


def test_list_pages_and_shows_no_hashes(node, tmp_path):
    people = tmp_path / "p.csv"
    people.write_text("".join(f"many{i:04}\n" for i in range(1200)))
    node.pigeon("user", "import", str(people))
    lines = [json.loads(line) for line in node.pigeon("user", "list", "many", "--json").stdout.splitlines()]
    assert [u["user"] for u in lines] == [f"many{i:04}" for i in range(1200)]
    assert not any(u.get("password_hash") for u in lines)
    assert len(node.pigeon("user", "list", "many", "--limit", "3", "--json").stdout.splitlines()) == 3


def test_import(node, tmp_path):
    people, out = tmp_path / "p.csv", tmp_path / "t.csv"
    people.write_text('\ufeffName,User,Password\r\n"Example, ""Eve""",im-eve,eve\'s password\r\n\r\nBob,im-bob,\r\n')
    said = json.loads(node.pigeon("user", "import", str(people), "--tokens", str(out), "--device", "lab", "--json").stdout)
    assert (said["rows"], said["added"]) == (2, 2)
    status, answer = login(node, "im-eve", "eve's password")
    assert status == 200 and answer["user"]["name"] == 'Example, "Eve"'
    assert login(node, "im-bob", "")[0] in (400, 401)
    assert stat.S_IMODE(os.stat(out).st_mode) == 0o600
    rows = dict(line.split(",") for line in out.read_text().splitlines()[1:])
    assert node.rest("GET", "/v1/me", token=rows["im-bob"])[1]["user"] == "im-bob"
    again = json.loads(node.pigeon("user", "import", str(people), "--json").stdout)
    assert (again["added"], again["there_already"]) == (0, 2)


def test_an_import_with_wrong_rows_does_nothing(node, tmp_path):
    people = tmp_path / "p.csv"
    for text, words in [("user,name\ngood-one,A\nBad One,B\n", (":3:", "Bad One")), ("dup-one\ndup-one\n", ("twice",)), ("good-one,A,short\n", (":1:", "8 characters")),
                        ('good-one,"never closed\n', (":1:", "quote")), ('good-one,"x"y\n', ("quote",)), ("", ("no rows",)), ("user,name\n", ("no rows",))]:
        people.write_text(text)
        done = node.pigeon("user", "import", str(people), check=False)
        assert done.returncode == 2 and all(w in done.stderr for w in words), done.stderr
    people.write_bytes(b"good-one,\xff\xfe\n")
    assert "UTF-8" in node.pigeon("user", "import", str(people), check=False).stderr
    assert node.pigeon("user", "import", str(tmp_path / "nowhere"), check=False).returncode == 2
    assert node.pigeon("user", "show", "good-one", check=False).returncode == 1


def test_invitations(node):
    code = json.loads(node.pigeon("invite", "--uses", "1", "--days", "2", "--json").stdout)["code"]
    assert code in node.pigeon("invite", "list").stdout
    node.pigeon("invite", "delete", code)
    assert code not in node.pigeon("invite", "list").stdout
    assert node.pigeon("invite", "delete", code, check=False).returncode == 1


def test_what_was_done_is_in_the_audit_log(node):
    node.pigeon("user", "add", "audited")
    assert "audited" in node.pigeon("audit").stdout
