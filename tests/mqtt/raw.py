"""MQTT 3.1.1 and 5.0 by hand, for what no library would send or tell. A codec of its own, written from the standard, not from the gateway's."""
import socket
import ssl
import struct

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(1, 16)
# Properties: how each is written. B, H, I: numbers; s: text; b: bytes; v: variable byte integer; p: pair of texts
KINDS = {1: "B", 2: "I", 3: "s", 8: "s", 9: "b", 11: "v", 17: "I", 18: "s", 19: "H", 21: "s", 22: "b", 23: "B", 24: "I", 25: "B", 26: "s", 28: "s",
         31: "s", 33: "H", 34: "H", 35: "H", 36: "B", 37: "B", 38: "p", 39: "I", 40: "B", 41: "B", 42: "B"}
CONTENT_TYPE, SUBSCRIPTION_ID, SESSION_EXPIRY, ASSIGNED_ID, WILL_DELAY, REASON, RECEIVE_MAX, ALIAS_MAX, ALIAS, USER, PACKET_MAX = 3, 11, 17, 18, 24, 31, 33, 34, 35, 38, 39


def varint(n):
    out = b""
    while True:
        n, low = n >> 7, n & 127
        out += bytes([low | (128 if n else 0)])
        if not n:
            return out


def text(s):
    raw = s.encode() if isinstance(s, str) else s
    return struct.pack(">H", len(raw)) + raw


def props(pairs):
    out = b""
    for key, value in pairs:
        kind = KINDS[key]
        out += bytes([key])
        if kind == "p":
            out += text(value[0]) + text(value[1])
        else:
            out += text(value) if kind in "sb" else varint(value) if kind == "v" else struct.pack(">" + kind, value)
    return varint(len(out)) + out


def packet(first, *parts):
    body = b"".join(parts)
    return bytes([first]) + varint(len(body)) + body


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        assert self.at + n <= len(self.data), "the server's packet is too short"
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, kind):
        return struct.unpack(">" + kind, self.take(struct.calcsize(">" + kind)))[0]

    def text(self):
        return self.take(self.number("H")).decode()

    def varint(self):
        value, shift = 0, 0
        while True:
            byte = self.number("B")
            value |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                return value

    def props(self):
        """{id: value}; user properties as a dict under USER; no other property twice."""
        found, end = {}, self.varint()
        end += self.at
        while self.at < end:
            key = self.varint()
            kind = KINDS[key]
            if kind == "p":
                name = self.text()
                found.setdefault(key, {})[name] = self.text()
                continue
            assert key not in found or key == SUBSCRIPTION_ID
            found[key] = self.varint() if kind == "v" else self.take(self.number("H")) if kind == "b" else self.text() if kind == "s" else self.number(kind)
        assert self.at == end
        return found

    @property
    def left(self):
        return len(self.data) - self.at


class Got:
    """A packet of the server's: kind, and what it says."""

    def __init__(self, first, body, version):
        self.kind, self.flags, r = first >> 4, first & 15, Reader(body)
        five, self.props, self.reason = version == 5, {}, 0
        if self.kind == CONNACK:
            self.present, self.reason = r.number("B"), r.number("B")
            self.props = r.props() if five else {}
        elif self.kind == PUBLISH:
            self.qos, self.dup, self.retain = self.flags >> 1 & 3, bool(self.flags & 8), bool(self.flags & 1)
            self.topic, self.id = r.text(), r.number("H") if self.qos else 0
            self.props = r.props() if five else {}
            self.payload = r.take(r.left).decode()
        elif self.kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
            self.id = r.number("H")
            self.reason = r.number("B") if r.left else 0
            self.props = r.props() if r.left else {}
        elif self.kind in (SUBACK, UNSUBACK):
            self.id = r.number("H")
            self.props = r.props() if five else {}
            self.codes = list(r.take(r.left))
        elif self.kind == DISCONNECT:
            self.reason = r.number("B") if r.left else 0
            self.props = r.props() if r.left else {}
        assert r.left == 0, f"bytes behind the packet: {body!r}"

    def __repr__(self):
        return f"<{ {k: v for k, v in vars(self).items() if v} }>"


class Raw:
    """One connection. What comes is taken by expect(kind), in the order of its coming; deliveries wait in `inbox`."""

    def __init__(self, port, version=5, context=None):
        self.version, self.context = version, context
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.buffer, self.waiting, self.ids = b"", [], iter(range(1, 65536))

    def send(self, *raw):
        self.socket.sendall(b"".join(raw))

    def _props(self, pairs):
        return props(pairs) if self.version == 5 else b""

    def _read(self, n):
        while len(self.buffer) < n:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError
            self.buffer += more
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def read(self, timeout=10.0):
        """The next packet; None at the connection's end."""
        if self.waiting:
            return self.waiting.pop(0)
        self.socket.settimeout(timeout)
        try:
            first, length, shift = self._read(1)[0], 0, 0
            while True:
                byte = self._read(1)[0]
                length |= (byte & 127) << shift
                shift += 7
                if not byte & 128:
                    break
            return Got(first, self._read(length), self.version)
        except (EOFError, ConnectionError, ssl.SSLError):
            return None

    def expect(self, kind, timeout=10.0):
        """The next packet of this kind; what comes before it waits."""
        before = []
        while True:
            got = self.read(timeout)
            assert got, f"the connection ended before a packet of kind {kind}; before that: {before}"
            if got.kind == kind:
                self.waiting = before + self.waiting
                return got
            before.append(got)

    def quiet(self):
        """What had come by the time the server answered a ping."""
        self.send(packet(PINGREQ << 4))
        self.expect(PINGRESP)
        came, self.waiting = self.waiting, []
        return came

    def connect(self, user=None, password=None, client_id="", clean=True, keep_alive=0, will=None, properties=(), answer=True, flags=0):
        """will: (topic, payload, qos, properties)"""
        flags |= (2 if clean else 0) | (0x80 if user is not None else 0) | (0x40 if password is not None else 0)
        payload = text(client_id)
        if will:
            flags |= 4 | will[2] << 3
            payload += self._props(will[3] if len(will) > 3 else ()) + text(will[0]) + text(will[1])
        payload += b"".join(text(s) for s in (user, password) if s is not None)
        self.send(packet(CONNECT << 4, text("MQTT"), bytes([self.version if self.version == 5 else 4, flags]), struct.pack(">H", keep_alive), self._props(properties), payload))
        return self.expect(CONNACK) if answer else None

    def publish(self, topic, payload, qos=0, id_=None, properties=(), dup=False, retain=False):
        """Sends it; gives the packet id."""
        number = (id_ or next(self.ids)) if qos else 0
        self.send(packet(PUBLISH << 4 | dup << 3 | qos << 1 | retain, text(topic), struct.pack(">H", number) if qos else b"", self._props(properties),
                         payload.encode() if isinstance(payload, str) else payload))
        return number

    def published(self, topic, payload, qos=1, **more):
        """Publishes and goes through to the end; the reason."""
        number = self.publish(topic, payload, qos, **more)
        answer = self.expect(PUBACK if qos == 1 else PUBREC)
        assert answer.id == number
        if qos == 1 or answer.reason >= 0x80:
            return answer.reason
        self.ack(PUBREL, number)
        done = self.expect(PUBCOMP)
        assert (done.id, done.reason) == (number, 0)
        return answer.reason

    def ack(self, kind, number):
        self.send(packet(kind << 4 | (2 if kind == PUBREL else 0), struct.pack(">H", number)))

    def subscribe(self, *filters, options=1, properties=()):
        """The codes of SUBACK."""
        number = next(self.ids)
        self.send(packet(SUBSCRIBE << 4 | 2, struct.pack(">H", number), self._props(properties), *(text(f) + bytes([options]) for f in filters)))
        answer = self.expect(SUBACK)
        assert answer.id == number
        return answer.codes

    def unsubscribe(self, *filters):
        number = next(self.ids)
        self.send(packet(UNSUBSCRIBE << 4 | 2, struct.pack(">H", number), self._props(()), *map(text, filters)))
        answer = self.expect(UNSUBACK)
        assert answer.id == number
        return answer.codes

    def message(self, payload=None, ack=True):
        """The next delivery, acknowledged; which must be this one."""
        got = self.expect(PUBLISH)
        if payload is not None:
            assert got.payload == payload, got
        if ack and got.qos:
            self.ack(PUBACK, got.id)
        return got

    def ended(self):
        """Reads to the connection's end; the reason of DISCONNECT, or None when there was none."""
        reason = None
        while True:
            got = self.read()
            if not got:
                return reason
            reason = got.reason if got.kind == DISCONNECT else reason

    def disconnect(self, reason=0, properties=()):
        self.send(packet(DISCONNECT << 4, *([bytes([reason]), self._props(properties)] if self.version == 5 else [])))
        self.ended()
        self.close()

    def close(self):
        self.socket.close()

    def cut(self):
        """Ends without a word, by a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
