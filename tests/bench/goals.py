"""The goals P1-P10 against what was measured: one row each, and what is missing to it."""
KB = 1024
PIGEONS = ("pigeon-native", "pigeon-mqtt")


class Medians:
    """Figures by (contender, run): the median of the rounds, void runs left out."""

    def __init__(self, results):
        self.rows = {}
        for r in results:
            self.rows.setdefault((r["goal"], r["contender"], r["run"]), []).append(r["figures"])

    def valid(self, goal, contender, begins):
        return [f for (g, c, name), all_of in self.rows.items() if (g, c) == (goal, contender) and name.startswith(begins) for f in all_of if not f.get("void")]

    def of(self, goal, contender, begins, key):
        values = sorted(f[key] for f in self.valid(goal, contender, begins) if isinstance(f.get(key), (int, float)))
        if not values:
            return None
        mid = len(values) // 2
        return values[mid] if len(values) % 2 else (values[mid - 1] + values[mid]) / 2

    def spread(self, goal, contender, begins, key):
        values = [f[key] for f in self.valid(goal, contender, begins) if isinstance(f.get(key), (int, float))]
        return (min(values), max(values), len(values)) if values else None

    def voids(self):
        return [(g, c, name, f["void"]) for (g, c, name), all_of in sorted(self.rows.items()) for f in all_of if f.get("void")]


def ratio(a, b):
    return a / b if a is not None and b else None


def number(x, digits=3):
    if x is None:
        return "-"
    if isinstance(x, float) and abs(x) < 100:
        return f"{x:.{digits}g}"
    return f"{x:,.0f}"


def at_least(value, goal, unit=""):
    if value is None:
        return "not measured"
    return "met" if value >= goal else f"missed: {number(value / goal * 100)} % of it{unit}"


def at_most(value, goal):
    if value is None:
        return "not measured"
    return "met" if value <= goal else f"missed: {number(value / goal)} times as much"


def rows(m):
    """[(goal, workload, aim, measured, verdict)]"""
    out = []
    for c in PIGEONS:
        v = m.of("P1", c, "silent", "bytes_per_user")
        peer = m.of("P1", "mosquitto", "silent", "bytes_per_user")
        xmpp = m.of("P1", "ejabberd-xmpp", "silent", "bytes_per_user")
        beside = f"; mosquitto {number(peer)}, ejabberd XMPP {number(xmpp)}"
        out.append(("P1", f"silent user, {c}", "<= 819 bytes (0.8 KB)", f"{number(v)} bytes{beside}", at_most(v, 0.8 * KB)))
    for c in PIGEONS:
        v = m.of("P2", c, "storm", "logins_per_s")
        a, b = ratio(v, m.of("P2", "mosquitto", "storm", "logins_per_s")), ratio(v, m.of("P2", "ejabberd-xmpp", "storm", "logins_per_s"))
        out.append(("P2", f"login storm, {c}", ">= mosquitto, 10 x ejabberd", f"{number(v)}/s: {number(a)} x mosquitto, {number(b)} x ejabberd", both(at_least(a, 1), at_least(b, 10))))
    for users in (200, 4000):
        for c in PIGEONS:
            v = plain(m, c, users)
            a, b = ratio(v, plain(m, "mosquitto", users)), ratio(v, plain(m, "ejabberd-xmpp", users))
            p99 = m.of("P3", c, f"pairs {users} at 80%", "p99_us")
            late = None if p99 is None else p99 / 1000
            out.append(("P3", f"1:1 after fsync, {users} users, {c}", ">= mosquitto, 15 x ejabberd's archive; p99 < 50 ms at 80 %",
                        f"{number(v)}/s: {number(a)} x mosquitto, {number(b)} x ejabberd; p99 {number(late)} ms", both(at_least(a, 1), at_least(b, 15), at_most(late, 50))))
    for c in PIGEONS:
        (v, rate), (peer, peers_rate) = saturated(m, c), saturated(m, "mosquitto")
        last = m.of("P4", c, "fanout 4000 at 10/s", "last_p99_us")
        late = None if last is None else last / 1000
        out.append(("P4", f"group of 4,000, {c}", ">= 5 x mosquitto's deliveries; last reader p99 < 100 ms at 10 posts/s",
                    f"{number(v)}/s at {rate} posts/s: {number(ratio(v, peer))} x mosquitto's most, at {peers_rate}; {number(late)} ms", both(at_least(ratio(v, peer), 5), at_most(late, 100))))
    out += once(m)
    return out


def plain(m, contender, users):
    """Without the run at 80 %, whose name begins alike."""
    values = sorted(f["delivered_per_s"] for (g, c, name), all_of in m.rows.items() if (g, c, name) == ("P3", contender, f"pairs {users}") for f in all_of if not f.get("void"))
    if not values:
        return None
    mid = len(values) // 2
    return values[mid] if len(values) % 2 else (values[mid - 1] + values[mid]) / 2


def saturated(m, contender):
    """(deliveries/s, posts/s): the most it delivered in any of the fan-out's rates."""
    found = [(m.of("P4", contender, f"fanout 4000 at {rate}/s", "delivered_per_s"), rate) for rate in (5, 10, 40, 80, 160)]
    return max(((v, rate) for v, rate in found if v is not None), default=(None, None))


def both(*verdicts):
    missed = [v for v in verdicts if v != "met"]
    return "; ".join(dict.fromkeys(missed)) or "met"


def campus(m, way, said):
    get = lambda key: m.of("P5", "pigeon", f"campus {way}", key)  # noqa: E731
    late = None if get("p999_us") is None else get("p999_us") / 1000
    by = (m.of("P5", "pigeon", f"campus {way}", "cores_nginx") or 0) if way == "nginx" else 0
    return ("P5", f"campus of 4,000, {said}", "< 0.5 core, < 150 MB without Nginx, p99.9 < 50 ms, none lost",
            f"{number(get('cores'))} cores{f' (Nginx {number(by)})' if by else ''}, {number(get('memory_mb_without_nginx'))} MB, p99.9 {number(late)} ms, {number(get('lost'))} lost",
            both(at_most(get("cores"), 0.5), at_most(get("memory_mb_without_nginx"), 150), at_most(late, 50), at_most(get("lost"), 0) if not get("lost") else "messages lost"))


def once(m):
    out = []
    out += [campus(m, "nginx", "through Nginx"), campus(m, "tls", "TLS ended by the gateway")]
    for c in PIGEONS:
        v, peer = m.of("P6", c, "resync", "delivered_per_s"), m.of("P6", "ejabberd-xmpp", "resync", "delivered_per_s")
        out.append(("P6", f"4,000 come back, 500 missed each, {c}", "10 times ejabberd's", f"{number(v)} messages/s: {number(ratio(v, peer))} x ejabberd; all in {number(m.of('P6', c, 'resync', 'drain_s'))} s",
                    at_least(ratio(v, peer), 10)))
    v = m.of("P7", "pigeon", "connected", "connected")
    out.append(("P7", "100,000 connected, 1,000 messages/s", "holds", "-" if v is None else f"{number(v)} connected, {number(m.of('P7', 'pigeon', 'connected', 'bytes_per_user'))} bytes each",
                at_least(v, 100000)))
    for c in PIGEONS:
        v = m.of("P1", c, "silent", "cpu_us_per_user_s")
        out.append(("P8", f"CPU of a silent user, heartbeat each 30 s, {c}", "<= 0.5 us/s", f"{number(v)} us/s; mosquitto {number(m.of('P1', 'mosquitto', 'silent', 'cpu_us_per_user_s'))}", at_most(v, 0.5)))
    v, nginx = m.of("P9", "pigeon", "silent", "bytes_per_user_over_plain"), m.of("P9", "pigeon", "silent", "nginx_bytes_per_user")
    out.append(("P9", "silent user over TLS 1.3 at the gateway", "<= 8,192 bytes over P1's", "see [TLS.md](TLS.md)" if v is None else f"{number(v)} bytes more; in Nginx {number(nginx)}",
                at_most(v, 8 * KB)))
    get = lambda key: m.of("P10", "pigeon", "store", key)  # noqa: E731
    out.append(("P10", "store alone", ">= 100,000/s at 256 a commit, <= 800 bytes, page <= 1 ms",
                f"{number(get('committed_per_s_256'))}/s ({number(get('cpu_us_256'))} us of CPU; bare engine {number(get('bare_per_s'))}/s), {number(get('bytes_256'))} bytes, {number(get('page_ms'))} ms",
                both(at_least(get("committed_per_s_256"), 100000), at_most(get("bytes_256"), 800), at_most(get("page_ms"), 1))))
    return out
