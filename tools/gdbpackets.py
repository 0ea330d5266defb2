# SPDX-License-Identifier: BSD-2-Clause
"""Packets to the kernel's gdb stub without a gdb, for tests: short visits, and what no gdb would send."""

import re
import socket


class RawPackets:
    """Mixed into a TestCase."""

    @staticmethod
    def connect(port, seconds):
        return socket.create_connection(("127.0.0.1", port), timeout=seconds)

    def look_in(self, port, thread=b"p1\\.", last_ack=b"+"):
        """A short visit without gdb."""
        with self.connect(port, 60) as link:
            self.assertIn(b"PacketSize=", self.ask(link, b"qSupported:multiprocess+;swbreak+"))
            self.assertRegex(self.ask(link, b"?"), b"^T..")
            self.assertRegex(self.ask(link, b"qfThreadInfo"), b"^m.*" + thread)
            self.assertGreater(len(self.ask(link, b"g")), 16 * 20)
            self.assertEqual(self.ask(link, b"D"), b"OK")
            link.sendall(last_ack)

    def anew(self, port):
        """A gdb dies while an answer of many packets comes; the next one acknowledges only its own."""
        with self.connect(port, 60) as link:
            self.ask(link, b"qSupported:x")
            link.sendall(b"+" + self.frame(b"qRcmd,68656c70"))
            self.await_(link, b"$O")
        with self.connect(port, 60) as link:
            link.sendall(self.frame(b"qSupported:x"))
            self.await_(link, b"PacketSize=")
        self.look_in(port)

    def lone_step(self, port, getppid):
        """
        gdb dies when it lets one thread step, and another one is told to have stopped. The program is `sleepers`:
        the first thread sleeps, and does not step, its child calls getppid now and then.
        """
        stop = b"Z0,%x,1" % getppid
        with self.connect(port, 60) as link:
            self.ask(link, b"qSupported:multiprocess+;swbreak+;hwbreak+")
            self.assertEqual(self.ask(link, stop), b"OK")
            self.assertEqual(self.ask(link, b"vCont;t"), b"E16")    # nothing is left to run
            told = self.ask(link, b"vCont;c")
            while b"SLEEP wait" not in bytes.fromhex(
                    self.ask(link, b"qThreadExtraInfo,p1.1").decode()):
                hit = re.match(rb"T05swbreak:;thread:(\S+?);", told).group(1)
                self.assertEqual(self.ask(link, b"z" + stop[1:]), b"OK")
                self.assertIn(b"thread:" + hit, self.ask(link, b"vCont;s:" + hit))
                self.assertEqual(self.ask(link, stop), b"OK")
                told = self.ask(link, b"vCont;c")
            # The child runs into the breakpoint again: that is the end of the step.
            self.assertRegex(self.ask(link, b"vCont;s:p1.1"), b"^T05thread:p1\\.1;")
            told = self.ask(link, b"vCont;c")
            self.assertRegex(told, b"^T05swbreak:;thread:p")
            self.assertNotIn(b"thread:p1.1;", told)
            self.assertEqual(self.ask(link, b"z" + stop[1:]), b"OK")
            # And so is a ^C.
            link.sendall(b"+" + self.frame(b"vCont;s:p1.1"))
            self.await_(link, b"+")
            link.sendall(b"\x03")
            self.await_(link, b"$T02thread:p1.1;")
            self.assertEqual(self.ask(link, b"D"), b"OK")
            link.sendall(b"+")

    @staticmethod
    def frame(data):
        return b"$" + data + b"#%02x" % (sum(data) & 0xff)

    def ask(self, link, data):
        """The answer to a packet, in ack mode."""
        link.sendall(b"+" + self.frame(data))
        got = b""
        while not re.search(rb"\$[^#]*#..", got):
            more = link.recv(65536)
            if not more:
                raise AssertionError("the stub closed the connection")
            got += more
        return re.search(rb"\$([^#]*)#", got).group(1)

    def fuzz(self, port, rand, packets):
        number = lambda: b"%x" % rand.choice(  # noqa: E731
            (0, 1, 5, rand.getrandbits(7), rand.getrandbits(31), rand.getrandbits(64),
             0x7ffffffff000, 0xffffffff80100000, 0xffffc00000000000 + rand.getrandbits(20)))
        name = lambda: rand.choice((  # noqa: E731
            b"p" + number() + b"." + number(), b"-1", b"p-1.-1", number(), b"p", b"p1.-1"))
        good = (
            lambda: b"m" + number() + b"," + number(),
            lambda: rand.choice(b"Zz").to_bytes(1, "little") + number() + b",0,1",
            lambda: b"Z%d,%x,%x" % (rand.randrange(2, 5), rand.getrandbits(40), rand.randrange(9)),
            lambda: b"Hg" + name(), lambda: b"T" + name(),
            lambda: b"qThreadExtraInfo," + name(),
            lambda: b"qXfer:" + rand.choice((b"threads", b"features", b"nothing")) + b":read:"
            + rand.choice((b"", b"target.xml")) + b":" + number() + b"," + number(),
            lambda: rand.choice((b"?", b"g", b"qfThreadInfo", b"qsThreadInfo", b"qC", b"vCont?",
                                 b"qAttached:1", b"qSupported:swbreak+", b"qRcmd,68656c70")),
            lambda: b"p" + number(),
            lambda: b"X" + b"%x" % rand.getrandbits(16) + b"," + number() + b":" + bytes(
                rand.getrandbits(8) for _ in range(rand.randrange(40))),
            lambda: b"M0," + number() + b":" + number(),
            lambda: b"vCont;" + rand.choice((b"c", b"s:" + name(), b"t", b"x", b"c:" + name())),
            lambda: b"P" + number() + b"=",
            lambda: bytes(rand.getrandbits(8) for _ in range(rand.randrange(200))),
        )
        with self.connect(port, 30) as link:
            link.settimeout(0.02)
            for _ in range(packets):
                data = bytearray(rand.choice(good)())
                # What is asked for in earnest is not a bad packet.
                if bytes(data[:1]) in (b"k", b"D", b"G", b"R") or data[:5] == b"vKill":
                    continue
                packet = bytearray(self.frame(bytes(data)))
                kind = rand.randrange(8)
                if kind == 0 and len(packet) > 4:
                    del packet[rand.randrange(len(packet)):]
                elif kind == 1:
                    packet[-1] ^= 1
                elif kind == 2 and rand.randrange(8) == 0:      # the port has the speed of a modem
                    packet = bytearray(b"$" + b"m" * rand.choice((4096, 4097, 6000)) + b"#00")
                elif kind == 3:
                    packet += b"\x03"
                elif kind == 4:
                    packet = bytearray(rand.getrandbits(8) for _ in range(50))
                    packet = bytearray(b for b in packet if b != 0x24)
                try:
                    link.sendall(b"+" + bytes(packet))
                    link.recv(65536)
                except TimeoutError:
                    pass
            # End whatever is half sent, and go on.
            link.settimeout(60)
            link.sendall(b"#00+" + self.frame(b"qSupported:x") + b"+")
            self.await_(link, b"PacketSize=")
            link.sendall(b"+" + self.frame(b"D"))
            self.await_(link, b"$OK#")
            link.sendall(b"+")

    @staticmethod
    def await_(link, text):
        """Read up to a text."""
        got = b""
        while text not in got:
            more = link.recv(65536)
            if not more:
                raise AssertionError("the stub closed the connection")
            got += more
