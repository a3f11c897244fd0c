"""Many at once: every kind of request from many threads; nothing is lost, nothing fails but by overload."""
import threading

from rest import PASSWORD, call

THREADS, ROUNDS = 24, 8


def test_a_crowd(node, join):
    people = join(*["crowd"] * 4)
    conv = people[0].group("crowd", people[1:])
    problems, sent = [], []

    def one(number):
        me = people[number % len(people)]

        def expect(answer, *statuses):
            if answer.status not in statuses and answer.code != "overloaded":
                problems.append(f"{answer}, expected {statuses}")
            return answer
        for i in range(ROUNDS):
            text = f"{number}-{i}"
            if expect(me.call("POST", f"/convs/{conv}/messages", {"client_id": text, "body": {"text": text}}), 201).status == 201:
                sent.append(text)
            made = expect(me.upload(text.encode() * 50, text), 201)
            if made.status == 201:
                got = expect(me.call("GET", "/files/" + made.json["file_id"]), 200)
                if got.status == 200 and got.raw != text.encode() * 50:
                    problems.append("another file's bytes")
            expect(me.call("PATCH", "/me", {"about": text}), 200)
            expect(call(node, "POST", "/v1/login", {"user": me.user, "password": PASSWORD, "device": f"d{number}"}), 200)
            expect(call(node, "POST", "/v1/login", {"user": me.user, "password": "a wrong password"}), 401)
            expect(me.call("GET", f"/convs/{conv}/messages?limit=5"), 200)
            expect(me.call("GET", "/me/sessions"), 200)
            expect(me.call("DELETE", f"/me/sessions/d{number}"), 204, 404)
            expect(me.call("GET", "/nothing"), 404)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(THREADS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not problems, problems[:5]
    assert sorted(people[0].texts(conv)) == sorted(sent) and len(sent) > THREADS * ROUNDS // 2
