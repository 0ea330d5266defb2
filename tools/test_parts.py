# SPDX-License-Identifier: BSD-2-Clause
"""The parts of the tools that need no machine."""

import importlib.machinery
import os
import subprocess
import sys
import tempfile
import types
import unittest

TOOLS = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, TOOLS)

import lint_fields  # noqa: E402
import lint_protocol  # noqa: E402
import machine      # noqa: E402
import newc         # noqa: E402
import tap          # noqa: E402
import testrows     # noqa: E402


def script(name):
    """Import a tool whose file has no suffix."""
    module = types.ModuleType(name)
    module.__file__ = os.path.join(TOOLS, name)
    importlib.machinery.SourceFileLoader(name, module.__file__).exec_module(module)
    return module


class NewcTest(unittest.TestCase):

    def test_order_does_not_matter(self):
        one, two = newc.Archive(), newc.Archive()
        one.add_bytes("/a/b", b"123")
        one.add_bytes("c", b"", executable=True)
        two.add_bytes("c", b"", executable=True)
        two.add_bytes("a/./b", b"123")
        self.assertEqual(one.bytes(), two.bytes())

    def test_members(self):
        archive = newc.Archive()
        archive.add_bytes("/x/y/z", b"12345")
        archive.add_link("x/l", "y/z")
        self.assertIn("/x/y/z", archive)
        self.assertEqual(list(newc.names(archive.bytes())), [
            ("x", 0o040755), ("x/l", 0o120777), ("x/y", 0o040755), ("x/y/z", 0o100644)])

    def test_cpio_reads_it(self):
        archive = newc.Archive()
        archive.add_bytes("dir/file", bytes(range(256)) * 3)
        with tempfile.TemporaryDirectory() as folder:
            try:
                subprocess.run(["cpio", "-id", "--quiet"], input=archive.bytes(), cwd=folder,
                               check=True)
            except FileNotFoundError:
                self.skipTest("no cpio here")
            with open(os.path.join(folder, "dir/file"), "rb") as file:
                self.assertEqual(file.read(), bytes(range(256)) * 3)

    def test_refuses(self):
        archive = newc.Archive()
        archive.add_dir("d")
        self.assertRaises(ValueError, archive.add_bytes, "d", b"")
        self.assertRaises(ValueError, archive.add_bytes, "/", b"")
        self.assertRaises(ValueError, list, newc.names(b"garbage"))


class TapTest(unittest.TestCase):

    def problems(self, text):
        return tap.Report(text).problems

    def test_good(self):
        self.assertEqual(self.problems("1..2\nok 1 - a\nok 2 - b # SKIP no\n"), [])
        self.assertEqual(self.problems("# x\nok 1 - a\n1..1\n"), [])
        self.assertEqual(self.problems("1..0 # SKIP nothing here\n"), [])

    def test_bad(self):
        for text in ("", "ok 1 - a\n", "1..2\nok 1 - a\n", "1..1\nnot ok 1 - a\n",
                     "1..1\nok 1\nok 1\n", "1..1\nok 1\nok 2\n", "1..1\n1..1\nok 1\n",
                     "1..1\nok 1\nBail out! x\n"):
            self.assertTrue(self.problems(text), text)

    def test_difference(self):
        ours = tap.Report("1..2\nok 1 - a\nok 2 - b\n")
        self.assertIsNone(tap.difference(ours, tap.Report("1..2\nok 1 - a\nok 2 # SKIP x\n")))
        self.assertIn("'b'", tap.difference(ours, tap.Report("1..2\nok 1 - a\nok 2 - c\n")))
        self.assertIn("only on", tap.difference(ours, tap.Report("1..1\nok 1 - a\n")))


class LogTest(unittest.TestCase):

    def log(self, *pieces):
        log = machine.Log()
        for piece in pieces:
            log.feed(piece)
        log.end()
        return log

    def test_status(self):
        self.assertEqual(self.log(b"a\nexit: sta", b"tus=139\n").status, 139)
        self.assertEqual(self.log(b"[  0.012345] exit: status=0").status, 0)
        self.assertIsNone(self.log(b"say exit: status=0\n").status)

    def test_panic(self):
        log = self.log(b"init: /bin/x\npanic: cpu0 lid1: oops\n  at f+0x1\nexit: status=0\n")
        self.assertEqual(log.lines[log.panic:][:2], ["panic: cpu0 lid1: oops", "  at f+0x1"])
        self.assertIsNone(log.status)
        self.assertTrue(log.ready)


class RowTest(unittest.TestCase):

    def row(self, *words):
        return testrows.Row("guest", "name", "file", words, "here:1")

    def test_defaults(self):
        row = self.row()
        self.assertEqual((row.smp, row.flavour, row.host), ((1, 2, 4), "debug", True))

    def test_values(self):
        row = self.row("name=x", "smp=2,8", "append=fp=a:1", "args=1 'two words'")
        self.assertEqual((row.name, row.smp, row.host, row.args),
                         ("name-x", (2, 8), False, ["1", "two words"]))

    def test_mistakes(self):
        for word in ("smp=x", "cpus=1", "timeout=", "flavour=fast", "junk"):
            self.assertRaises(testrows.BadRow, self.row, word)

    def test_all_rows_are_well_formed(self):
        self.assertTrue(testrows.all_rows())


class JudgeTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.test = script("test")

    def judge(self, words, status, out="", err="", log=""):
        row = testrows.Row("guest", "n", "f", ["host=no", *words], "here")
        if row.status is None and not row.panic:
            row.status = 0
        return self.test.judge_guest(row, status, out, err, log)

    def test_pass(self):
        self.assertIsNone(self.judge(["tap=yes"], 0, "1..1\nok 1 - a\n"))
        self.assertIsNone(self.judge(["expect_status=3"], 3))
        self.assertIsNone(self.judge(["expect_panic=stack"], 125, err="panic: stack\n"))
        self.assertIsNone(self.judge(["expect_output=^hi$"], 0, "say\nhi\n"))

    def test_fail(self):
        self.assertIn("plan", self.judge(["tap=yes"], 0, ""))
        self.assertIn("not ok", self.judge(["tap=yes"], 1, "1..1\nnot ok 1 - a\n"))
        self.assertIn("exit status 1", self.judge(["tap=yes"], 1, "1..1\nok 1 - a\n"))
        self.assertIn("panic: x", self.judge([], 125, err="panic: x\n"))
        self.assertIn("longer", self.judge([], 124))
        self.assertIn("expected", self.judge(["expect_panic=x"], 0))
        self.assertIn("not the one", self.judge(["expect_panic=x"], 125, err="panic: y\n"))
        self.assertIn("match", self.judge(["expect_log=x"], 0, log="y\n"))


class FieldsTest(unittest.TestCase):

    def complaints(self, fields):
        with tempfile.NamedTemporaryFile("w", suffix=".h") as file:
            file.write("/* struct s, field locks: (a) atomic (p) p_lock */\nstruct s {\n%s};\n"
                       % fields)
            file.flush()
            return lint_fields.check(file.name)

    def test_good(self):
        self.assertEqual(self.complaints(
            "\tint a; /* (a) */\n\t/* (p)+(a) both */\n\tint b;\n"
            "\tstruct mutex lock;\n\tstruct { int x, y; } c[3]; /* (p) */\n"), [])

    def test_bad(self):
        self.assertIn("no lock letter", self.complaints("\tint a;\n")[0])
        self.assertIn("(q)", self.complaints("\tint a; /* (q) */\n")[0])
        self.assertEqual(len(self.complaints("\tint a; /* (a) */\n\tint b; /* it */\n")), 1)


class ProtocolTest(unittest.TestCase):

    SPEC = ("## 1. Ids\n\nSee 1.1 (1.1).\n\n### 1.1 Entry\n\n**Table.** T1 a size.\n\n"
            "| bug | | cause | guard |\n|---|---|---|---|\n"
            "| B%d | C | lost | `one`, `two-fp`; asserted in `f()` |\n| B%d | R | - | none: no such part |\n\n"
            "| situation | at the boundary | test |\n|---|---|---|\n| stop | STOP | `one` |\n\n"
            % (1, 2))
    CITE = "docs/protocol" ".md "

    def setUp(self):
        self.spec = lint_protocol.Spec(self.SPEC)

    def complaints(self, text):
        return self.spec.check("file.c", text)

    def test_good(self):
        self.assertEqual(self.complaints(
            "/* %s1.1, 1; docs/ids.md. B%d. */ \"T%d: size\", B38400\n" % (self.CITE, 2, 1)), [])
        self.assertEqual(self.spec.check_itself(), [])

    def test_not_there(self):
        self.assertEqual(self.complaints("\n%s1.1, 4.9\n" % self.CITE),
                         ["file.c:2: docs/protocol.md has no section 4.9"])
        self.assertIn("no row for B%d" % 3, self.complaints("B%d" % 3)[0])
        self.assertIn("no invariant T%d" % 2, self.complaints('"T%d: x"' % 2)[0])
        self.assertIn("cite as", self.complaints("PROTO" "COL 1.1")[0])

    def test_own_references(self):
        spec = lint_protocol.Spec(self.SPEC.replace("(1.1)", "(1.2)").replace("| B%d | R" % 2, "| B%d | R" % 7))
        self.assertEqual(len(spec.check_itself()), 2)

    def test_guards(self):
        tests = {"one": "/* b%d */" % 1, "two-fp": 'ok(1, "B%d: good");' % 1}
        self.assertEqual(self.spec.check_guards(tests.get), [])
        for shown in ("test: name=b%d smp", "/* ---- B%d: a race", "# two-fp is B%d"):
            self.assertEqual(self.spec.check_guards({**tests, "two-fp": shown % 1}.get), [])
        self.assertIn("no test has a result", self.spec.check_guards({**tests, "two-fp": "B%d" % 1}.get)[0])
        for guard in ("planned", "none: "):
            spec = lint_protocol.Spec(self.SPEC.replace("none: no such part", guard))
            self.assertIn("neither a test nor", spec.check_guards(tests.get)[0])
        self.assertIn("does not name it", self.spec.check_guards({**tests, "one": "B11"}.get)[0])
        self.assertIn("no test `two-fp`", self.spec.check_guards({"one": '"B%d"' % 1}.get)[0])

    def test_bugs_of_tests(self):
        files = {"one": ["one.c"], "two-fp": ["k.c", "l.c"]}
        for path, bug, wrong in (("one.c", 1, 0), ("l.c", 1, 0), ("m.c", 1, 1), ("one.c", 2, 1), ("one.c", 9, 0)):
            self.assertEqual(len(self.spec.check_test(path, "/* B%d */" % bug, files.get)), wrong)

    def test_table(self):
        self.assertEqual(self.spec.check_table({"one": self.CITE + "1.1, 4.3"}.get), [])
        self.assertIn("does not cite it", self.spec.check_table({"one": self.CITE + "1.1"}.get)[0])
        spec = lint_protocol.Spec(self.SPEC.replace("| `one` |", "| |"))
        self.assertIn("no test", spec.check_table({}.get)[0])


class BugsTest(unittest.TestCase):

    @staticmethod
    def run_it(*args):
        return subprocess.run([os.path.join(TOOLS, "bugs"), *args], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)

    def test_all(self):
        run = self.run_it()
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        head = [line for line in run.stdout.split("\n") if line.startswith("B")]
        self.assertEqual([line.split("\t")[0] for line in head], ["B%d" % i for i in range(1, 67)])

    def test_one(self):
        self.assertRegex(self.run_it("b37").stdout,
                         r"^B37\n\twait +cpus 1,2,4, fp .*wait-scan-to-sleep.*\n\trace_wait ")
        self.assertIn("none: ", self.run_it("B39").stdout)
        self.assertEqual(self.run_it("B%d" % 67).returncode, 1)


class PicturesTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.pictures = script("pictures")
        os.chdir(cls.pictures.TOP)

    def test_tables(self):
        rows = self.pictures.table("kernel/lwp.h", "LWP_STATES", "LWP_TRANSITIONS")
        states = [name for name, _ in rows["LWP_STATES"]]
        self.assertIn(["RUN", "ONPROC", "L", "mi_switch() picks it"], rows["LWP_TRANSITIONS"])
        for before, after, lock, _ in rows["LWP_TRANSITIONS"]:
            self.assertTrue({before, after} <= set(states) and lock in "LP")
        self.assertRaises(self.pictures.CannotDraw, self.pictures.table, "kernel/lwp.h", "NONE")

    def test_every_state_and_rank_is_drawn(self):
        self.assertIn('SUSPENDED [label="SUSPENDED (U)', self.pictures.lwp_states())
        self.assertRegex(self.pictures.lock_order(), r'RANK_PROC .*p_lock"')

    def test_stale(self):
        drawn = self.pictures.marked("<svg><!-- Generated by graphviz\n2 --><g/></svg>", "digraph a {}")
        for svg, dot, stale in ((drawn, "digraph a {}", False), (drawn, "digraph b {}", True),
                                (drawn.replace("<g/>", "<b/>"), "digraph a {}", True),
                                ("<svg/>", "digraph a {}", True)):
            with tempfile.NamedTemporaryFile("w", suffix=".svg") as file:
                file.write(svg)
                file.flush()
                self.assertEqual(self.pictures.is_stale(file.name, dot), stale, svg)
        self.assertTrue(self.pictures.is_stale("/nowhere.svg", ""))


class SymbolsTest(unittest.TestCase):

    def test_choice(self):
        lines = ["ffffffff80100000 T __text_start", "ffffffff80100000 t local",
                 "ffffffff80100000 T entry", "ffffffff80100040 t helper",
                 "ffffffff80200000 D data", "0000000000100000 T low"]
        self.assertEqual(list(script("mksyms").functions(lines)),
                         [(0x100000, "entry"), (0x100040, "helper")])


if __name__ == "__main__":
    unittest.main()
