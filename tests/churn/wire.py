"""A WebSocket client of its own for the churn: asyncio, and able to stop anywhere, also in the middle of a frame."""
import asyncio
import base64
import itertools
import json
import os
import socket
import struct


def text_frame(data):
    """A masked frame as a client sends it."""
    mask = os.urandom(4)
    head = struct.pack("!BB", 0x81, 0x80 | len(data)) if len(data) < 126 else struct.pack("!BBH", 0x81, 0x80 | 126, len(data))
    return head + mask + bytes(b ^ mask[i & 3] for i, b in enumerate(data))


class Gone(Exception):
    """The connection ended."""


class Wire:
    """One socket. `frames` are those that came unasked; `late` what came after bye, which must stay empty."""

    def __init__(self, port):
        self.port, self.ids = port, itertools.count(1)
        self.answers, self.frames, self.late = {}, [], []
        self.bye, self.ended, self.task = None, asyncio.Event(), None

    async def open(self):
        self.input, self.output = await asyncio.open_connection("127.0.0.1", self.port)
        key = base64.b64encode(os.urandom(16)).decode()
        self.output.write(f"GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: pigeon.v1.json\r\n\r\n".encode())
        head = await self.input.readuntil(b"\r\n\r\n")
        if b" 101 " not in head:
            raise Gone(head.split(b"\r\n")[0].decode())
        self.task = asyncio.create_task(self.read())
        return self

    async def read(self):
        try:
            while True:
                first, second = await self.input.readexactly(2)
                size = second & 0x7F
                if size == 126:
                    (size,) = struct.unpack("!H", await self.input.readexactly(2))
                elif size == 127:
                    (size,) = struct.unpack("!Q", await self.input.readexactly(8))
                data = await self.input.readexactly(size)
                if first & 0x0F == 1:
                    self.take(json.loads(data))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.ended.set()
            for answer in self.answers.values():
                if not answer.done():
                    answer.set_exception(Gone("closed"))
                    answer.exception()  # whoever waited has it; the others do not care

    def take(self, frame):
        if self.bye:
            self.late.append(frame)
        if "bye" in frame:
            self.bye = frame["bye"]["code"]
        elif frame.get("id"):
            answer = self.answers.pop(frame["id"], None)
            if answer and not answer.done():
                answer.set_result(frame)
        else:
            self.frames.append(frame)

    def post(self, op, **fields):
        """Sends without waiting for the answer; gives what can be awaited."""
        number = next(self.ids)
        answer = self.answers[number] = asyncio.get_running_loop().create_future()
        if self.ended.is_set() or self.output.is_closing():
            answer.cancel()
            raise Gone("closed")
        self.output.write(text_frame(json.dumps({"id": number, op: fields}).encode()))
        return answer

    async def call(self, op, **fields):
        return await asyncio.wait_for(self.post(op, **fields), 30)

    def cut(self, op, upto, **fields):
        """The beginning of a frame: `upto` of it, from 0 to 1."""
        data = text_frame(json.dumps({"id": next(self.ids), op: fields}).encode())
        self.output.write(data[:max(1, int(len(data) * upto))])

    def abort(self):
        """Ends with a reset."""
        sock = self.output.get_extra_info("socket")
        if sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.output.transport.abort()

    async def close(self):
        if self.task:
            self.output.close()
            try:
                await asyncio.wait_for(self.ended.wait(), 5)
            except asyncio.TimeoutError:
                self.output.transport.abort()
            self.task.cancel()
