"""A service of the test's own on NATS: plain sockets and Python's protobuf code, so that a test decides what storage answers and when."""
import importlib
import os
import socket
import subprocess
import sys
import threading
import uuid

from cluster import ROOT


def schema(folder):
    """The module that protoc makes of internal.proto; the client's stands in it as client_pb2."""
    subprocess.run(["protoc", f"--python_out={folder}", "client.proto", "internal.proto"], cwd=os.path.join(ROOT, "common/proto"), check=True)
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module("internal_pb2")
    finally:
        sys.path.remove(str(folder))


class Bus:
    """One connection as the NATS user of a service; handlers {subject: function(data, reply)} run on its reader thread."""

    def __init__(self, cluster, service, handlers):
        with open(os.path.join(cluster.data, "secrets", "nats-" + service), encoding="utf-8") as f:
            password = f.read().strip()
        self.socket = socket.create_connection(("127.0.0.1", cluster.base), 5)
        self.socket.settimeout(None)
        self.stream, self.lock = self.socket.makefile("rb"), threading.Lock()
        self.handlers, self.ponged, self.refusals = dict(enumerate(handlers.values(), 1)), threading.Event(), []
        self.write(f'CONNECT {{"verbose":false,"user":"{service}","pass":"{password}","headers":true,"no_responders":true}}\r\n')
        for number, subject in enumerate(handlers, 1):
            self.write(f"SUB {subject} {number}\r\n")
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.flush()

    def write(self, text, data=b""):
        with self.lock:
            self.socket.sendall(text.encode() + data)

    def flush(self):
        """Returns when the server has all that was written."""
        self.ponged.clear()
        self.write("PING\r\n")
        assert self.ponged.wait(5), "NATS does not answer"

    def publish(self, subject, message):
        data = message.SerializeToString()
        self.write(f"PUB {subject} {len(data)}\r\n", data + b"\r\n")

    def publish_to(self, user, events):
        """To a user: all share one subject (PGN_USER_SUBJECTS)."""
        for event in events.events:
            event.users[:] = [user]
        self.publish("user.0", events)

    def read(self):
        for line in self.stream:
            words = line.split()
            if words[:1] == [b"PING"]:
                self.write("PONG\r\n")
            elif words[:1] == [b"PONG"]:
                self.ponged.set()
            elif words[:1] == [b"MSG"]:
                data = self.stream.read(int(words[-1]) + 2)[:-2]
                self.handlers[int(words[2])](data, words[3].decode() if len(words) == 5 else None)
            elif words[:1] == [b"-ERR"]:
                self.refusals.append(line)
                print("NATS:", line)

    def close(self):
        self.socket.close()


def ask(cluster, service, subject, request, pb, timeout=15):
    """The Reply to a request that this service's NATS user sends, or None when NATS does not let it, or nothing comes."""
    came, answers = threading.Event(), []

    def on_answer(data, _reply):
        answers.append(pb.Reply.FromString(data))
        came.set()
    inbox = f"_INBOX.{service}.{uuid.uuid4().hex}"
    bus = Bus(cluster, service, {inbox: on_answer})
    try:
        data = request.SerializeToString()
        bus.write(f"PUB {subject} {inbox} {len(data)}\r\n", data + b"\r\n")
        bus.flush()
        return answers[0] if not bus.refusals and came.wait(timeout) else None
    finally:
        bus.close()
