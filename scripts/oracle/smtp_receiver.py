"""usage: smtp_receiver.py JOURNAL [PORT] [ANSWER_MS]

A mail server that keeps what it takes: each mail becomes a line of JSON in JOURNAL, `at` (Unix time), `to`, `id` (its
Message-ID) and `raw`, which is on the disk before the mail is answered; the answer comes ANSWER_MS later. Listens on a
free loopback port, or on PORT, and prints it.
"""

import asyncio
import email
import json
import os
import random
import sys
import time

from aiosmtpd.smtp import SMTP


class Journal:
    """Appends lines; those that come while one write is under way share the next."""

    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self.waiting, self.writer = [], None

    async def append(self, line):
        written = asyncio.get_running_loop().create_future()
        self.waiting.append((line, written))
        if self.writer is None:
            self.writer = asyncio.create_task(self.write())
        await written

    async def write(self):
        while self.waiting:
            batch, self.waiting = self.waiting, []
            os.write(self.file, "".join(line for line, _ in batch).encode())
            await asyncio.to_thread(os.fsync, self.file)
            for _, written in batch:
                if not written.done():  # a client that left takes its handler with it
                    written.set_result(None)
        self.writer = None


class Keeper:
    def __init__(self, journal, answer_seconds):
        self.journal, self.answer_seconds = journal, answer_seconds

    async def handle_DATA(self, server, session, envelope):
        raw = envelope.original_content.decode("latin-1")
        mail = {"at": time.time(), "to": envelope.rcpt_tos, "id": email.message_from_string(raw)["Message-ID"], "raw": raw}
        await self.journal.append(json.dumps(mail) + "\n")
        await asyncio.sleep(self.answer_seconds)
        return "250 taken"


async def listen(keeper, port):
    server = lambda: SMTP(keeper, hostname="receiver.test", enable_SMTPUTF8=True)
    while True:
        # Below the ephemeral ports, so that nobody takes it while it is stopped.
        wanted = port or random.randint(10_000, 32_000)
        try:
            return wanted, await asyncio.get_running_loop().create_server(server, "127.0.0.1", wanted)
        except OSError:
            if port:
                raise


async def main():
    path, port, answer_ms = (sys.argv[1:] + ["0", "0"][len(sys.argv) - 2 :])[:3]
    port, server = await listen(Keeper(Journal(path), int(answer_ms) / 1000), int(port))
    print(port, flush=True)
    await server.serve_forever()


asyncio.run(main())
