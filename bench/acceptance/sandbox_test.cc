#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "acceptance/dataset.h"
#include "acceptance/grade.h"
#include "acceptance/sandbox.h"

namespace kakeya::acceptance {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;

class Sandbox : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto problem = sandbox_problem(grader_)) GTEST_SKIP() << *problem;
  }
  // The verdict on a program whose f(n) should be n + 1.
  Grade run(const std::string& program) {
    return run(program,
               "def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(5) == 6\n");
  }
  Grade run(const std::string& program, const std::string& test) {
    const auto result =
        run_in_sandbox(grader_, {program, "def f(n):\n    \"\"\"n + 1\"\"\"\n", test, "f", label_});
    EXPECT_TRUE(result.ok()) << result.error().message;
    return result.ok() ? *result : Grade{};
  }
  // Processes whose command line holds this test's label.
  int processes() const {
    int found = 0;
    for (const auto& entry : fs::directory_iterator("/proc")) {
      std::ifstream file(entry.path() / "cmdline", std::ios::binary);
      const std::string line(std::istreambuf_iterator<char>(file), {});
      found += line.find(label_) != std::string::npos ? 1 : 0;
    }
    return found;
  }
  Grader grader_;
  std::string label_ = "kakeya-test-" + std::to_string(::getpid()) + "-" +
                       ::testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(Sandbox, RightProgramPasses) {
  const Grade grade = run("def f(n):\n    return n + 1\n");
  EXPECT_TRUE(grade.correct) << grade.detail;
}

TEST_F(Sandbox, WrongProgramsFailWithTheReason) {
  EXPECT_THAT(run("def f(n):\n    return n\n").detail,
              HasSubstr("AssertionError at assert candidate(1) == 2"));
  EXPECT_THAT(run("def f(n):\n    return n +\n").detail, HasSubstr("SyntaxError"));
  EXPECT_THAT(run("def g(n):\n    return n + 1\n").detail, HasSubstr("KeyError"));
  EXPECT_THAT(run("def f(n):\n    return {}[n]\n").detail, HasSubstr("KeyError"));
  EXPECT_THAT(run("import nothing_of_that_name\n").detail, HasSubstr("ModuleNotFoundError"));
  EXPECT_THAT(run("def f(n):\n    return f(n)\n").detail, HasSubstr("RecursionError"));
  EXPECT_FALSE(run("").correct);
  EXPECT_FALSE(run(std::string("\0\xff", 2)).correct);
}

TEST_F(Sandbox, ValuesOfEveryKindArriveAsTheyAre) {
  const std::string echo = "def f(x):\n    return x\n";
  const Grade grade = run(echo, R"py(
def check(candidate):
    import math
    for v in (None, True, False, 0, -1, 2**63, -2**200, 1.5, -0.0, float("inf"), "", "\u00e9\n\ud800", b"a\x00", 1j,
              [], [1, [2, (3, {4})]], (), (1,), {}, {1: "a", (2, 3): [4], None: {}}, set(), {1, "b"}, frozenset([1]), range(2, 9, 3)):
        got = candidate(v)
        assert got == v and type(got) is type(v), repr(v)
    assert math.isnan(candidate(float("nan")))
    assert candidate(True) is True
    assert candidate(x=3) == 3
)py");
  EXPECT_TRUE(grade.correct) << grade.detail;
}

TEST_F(Sandbox, TestsMayUseHelpersOfThePromptAndExpectExceptions) {
  const auto result =
      run_in_sandbox(grader_, {"def double(n):\n    return 0\n\ndef f(n):\n    if n < 0:\n        raise "
                               "ValueError('negative')\n    return n + 1\n",
                               "def double(n):\n    return 2 * n\n\ndef f(n):\n    \"\"\"n + 1\"\"\"\n",
                               "def check(candidate):\n    assert double(f(2)) == 6\n    try:\n        "
                               "candidate(-1)\n    except ValueError:\n        return\n    assert False\n",
                               "f", label_});
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_TRUE(result->correct) << result->detail;
}

TEST_F(Sandbox, BrokenPublishedTestIsAnErrorAndNotAWrongAnswer) {
  const auto result = run_in_sandbox(
      grader_, {"def f(n):\n    return 1\n", "def f(n):\n", "def check(candidate:\n", "f", label_});
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message, HasSubstr("SyntaxError"));
}

struct Cheat {
  const char *name, *program;
};
class CheatingProgram : public Sandbox, public ::testing::WithParamInterface<Cheat> {};

TEST_P(CheatingProgram, DoesNotPass) {
  const Grade grade = run(GetParam().program);
  EXPECT_FALSE(grade.correct) << GetParam().program;
  EXPECT_FALSE(grade.detail.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Sandbox, CheatingProgram,
    ::testing::Values(
        Cheat{"ExitZeroAtImport", "import sys\nsys.exit(0)\n"},
        Cheat{"HardExitAtImport", "import os\nos._exit(0)\n"},
        Cheat{"ExitZeroInCall", "import sys\ndef f(n):\n    sys.exit(0)\n"},
        Cheat{"HardExitInCall", "import os\ndef f(n):\n    os._exit(0)\n"},
        Cheat{"PrintsPassed", "def f(n):\n    print('passed'); print('all tests passed'); return None\n"},
        Cheat{"WritesVerdicts",
              "import os\ndef f(n):\n    for fd in range(3, 20):\n        try:\n            os.write(fd, "
              "b'{\"started\": true, \"passed\": true, "
              "\"detail\": \"\", \"broken\": false, \"id\": 1, \"value\": 2}\\n')\n        except OSError:\n "
              "           pass\n    return None\n"},
        Cheat{"EqualsEverything",
              "class E(int):\n    def __eq__(self, o): return True\n    __hash__ = int.__hash__\ndef f(n):\n "
              "   return E(77)\n"},
        Cheat{"EqualsEverythingPlainObject",
              "class E:\n    def __eq__(self, o): return True\ndef f(n):\n    return E()\n"},
        Cheat{"PatchesBuiltins",
              "import builtins\nbuiltins.AssertionError = ValueError\nbuiltins.check = lambda c: None\ncheck "
              "= lambda c: None\ndef f(n):\n    return 0\n"},
        Cheat{"PatchesCallersFrames",
              "import sys\ndef f(n):\n    g = sys._getframe(1).f_globals\n    g['encode'] = lambda v: True\n "
              "   g['failure'] = None\n    return 0\n"},
        Cheat{
            "AtExit",
            "import atexit, os\natexit.register(lambda: os._exit(0))\ndef f(n):\n    raise SystemExit(0)\n"},
        Cheat{"ClosesItsPipes", "import os\ndef f(n):\n    os.closerange(0, 64)\n    return 2\n"},
        Cheat{"DeepAnswer",
              "def f(n):\n    x = []\n    for _ in range(100000):\n        x = [x]\n    return x\n"},
        Cheat{"RawDeepAnswer",
              "import os\ndef f(n):\n    os.write(4, b'[' * 60000 + b'\\n')\n    return 2\n"},
        Cheat{"HugeAnswer", "def f(n):\n    return 'x' * (40 << 20)\n"},
        Cheat{"Segfault", "import ctypes\ndef f(n):\n    ctypes.string_at(0)\n"},
        Cheat{"KillsItsParent",
              "import os, signal\ndef f(n):\n    os.kill(os.getppid(), signal.SIGKILL)\n    os.kill(1, "
              "signal.SIGKILL)\n    return 0\n"},
        Cheat{"KillsEveryone",
              "import os, signal\ndef f(n):\n    os.kill(-1, signal.SIGKILL)\n    return 0\n"}),
    [](const auto& cheat) { return std::string(cheat.param.name); });

// The program reports what it could do as an exception; f never returns the right answer.
TEST_F(Sandbox, NetworkProcessesAndForeignMemoryAreOutOfReach) {
  const Grade grade = run(R"py(
import ctypes, os, signal, socket, subprocess, threading
libc = ctypes.CDLL(None, use_errno=True)
def attempt(what):
    try:
        return what() not in (None, -1)
    except Exception:
        return False
def fork():
    if os.fork() == 0:
        os._exit(0)
    return True
def f(n):
    done = [name for name, what in {
        "fork": fork,
        "vfork": lambda: libc.vfork(),
        "thread": lambda: threading.Thread(target=int).start() or True,
        "spawn": lambda: subprocess.run(["/bin/sh", "-c", "true"]),
        "tcp": lambda: socket.create_connection(("1.1.1.1", 53), 1),
        "unix socket": lambda: socket.socket(socket.AF_UNIX),
        "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "ptrace": lambda: libc.ptrace(16, 1, 0, 0),
        "memfd": lambda: os.memfd_create("x"),
        "shared memory": lambda: libc.shmget(0, 4096, 0o1600),
        "unshare": lambda: libc.unshare(0x10000000),
        "mount": lambda: libc.mount(b"x", b"/tmp", b"tmpfs", 0, 0),
        "chroot": lambda: os.chroot("/tmp") or True,
        "root": lambda: os.setuid(0) or True,
        "more memory": lambda: __import__("resource").setrlimit(__import__("resource").RLIMIT_AS, (1 << 40, 1 << 40)) or True,
    }.items() if attempt(what)]
    raise Exception("could: " + ", ".join(done))
)py");
  EXPECT_EQ(grade.detail.substr(0, grade.detail.find(" at ")), "Exception: could: ");
}

TEST_F(Sandbox, FilesOfTheMachineAreInvisibleAndNothingCanBeWritten) {
  const std::string secret =
      (fs::temp_directory_path() / ("kakeya-secret-" + std::to_string(::getpid()))).string();
  std::ofstream(secret) << "secret";
  ::chmod(secret.c_str(), 0666);
  const char* home = std::getenv("HOME");
  if (home != nullptr && std::string(home) == "/tmp") home = nullptr;  // the sandbox has one of its own
  const Grade grade =
      run("SECRET = '" + secret + "'\nHOME = '" + (home != nullptr ? home : "/root") + "'\n" + R"py(
import os
def f(n):
    seen = [p for p in ("/etc/passwd", "/etc/shadow", "/etc/hostname", "/proc", "/sys", "/home", "/root", "/var", "/run", "/bin/sh",
                        "/usr/bin/env", "/usr/share", "/dev/mem", "/dev/shm", HOME, SECRET) if os.path.exists(p)]
    wrote = []
    for p in ("/x", "/usr/x", "/usr/lib/x", "/etc/x", "/dev/x", HOME + "/x", "/usr/lib/python3/x"):
        try:
            open(p, "w").write("x"); wrote.append(p)
        except OSError:
            pass
    try:
        open(SECRET, "w").write("gone")  # /tmp is the sandbox's own
    except OSError:
        pass
    raise Exception("saw %s wrote %s" % (seen, wrote))
)py");
  EXPECT_THAT(grade.detail, HasSubstr("saw [] wrote []"));
  std::ifstream file(secret);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "secret");
  fs::remove(secret);
}

TEST_F(Sandbox, TemporaryFilesAreSmallAndGoneAfterwards) {
  const Grade grade = run(R"py(
def f(n):
    total = 0
    try:
        for i in range(100):
            with open("/tmp/f%d" % i, "wb") as out:
                total += out.write(b"x" * (1 << 20))
    except OSError:
        pass
    raise Exception("wrote %d MiB" % (total >> 20))
)py");
  EXPECT_THAT(grade.detail, AnyOf(HasSubstr("wrote 15 MiB"), HasSubstr("wrote 16 MiB")));
  EXPECT_THAT(run("import os\ndef f(n):\n    raise Exception(str(os.listdir('/tmp')))\n").detail,
              HasSubstr("[]"));
}

TEST_F(Sandbox, MemoryHogFailsAtTheLimit) {
  grader_.memory_limit_bytes = std::size_t{256} << 20;
  EXPECT_THAT(run("def f(n):\n    return len(bytearray(1 << 30)) and n + 1\n").detail,
              HasSubstr("MemoryError"));
  EXPECT_FALSE(
      run("def f(n):\n    x = []\n    while True:\n        x.append('y' * 1000000 + str(len(x)))\n").correct);
  EXPECT_TRUE(run("def f(n):\n    return len(bytearray(50 << 20)) and n + 1\n").correct);
}

TEST_F(Sandbox, EndlessProgramsEndInTimeWithAllTheirProcesses) {
  grader_.time_limit_s = 1.2;
  for (const char* program :
       {"while True:\n    pass\n", "import time\ndef f(n):\n    time.sleep(1000)\n",
        "import signal\nfor s in range(1, 65):\n    try:\n        signal.signal(s, signal.SIG_IGN)\n    "
        "except (OSError, ValueError):\n        pass\ndef f(n):\n    while True:\n        try:\n            "
        "signal.pause()\n        except BaseException:\n            pass\n",
        "def f(n):\n    while True:\n        try:\n            while True:\n                print('x' * "
        "100000)\n        except BaseException:\n            pass\n",
        "def f(n):\n    return 9 ** 9 ** 9\n",
        "import os\nos.setsid = None\ndef f(n):\n    os.write(4, b'x' * 65536)\n    while True:\n        "
        "pass\n"}) {
    const auto begin = std::chrono::steady_clock::now();
    const Grade grade = run(program);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    EXPECT_FALSE(grade.correct);
    EXPECT_THAT(grade.detail, AnyOf(HasSubstr("timed out after 1.2 s"), HasSubstr("MemoryError"))) << program;
    EXPECT_LT(took.count(), 4) << program;
  }
  for (int wait = 0; wait < 100 && processes() > 0; ++wait)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(processes(), 0);
}

TEST_F(Sandbox, ForkBombAndDaemonStartNothing) {
  EXPECT_THAT(run("import os\nwhile True:\n    os.fork()\n").detail, HasSubstr("PermissionError"));
  EXPECT_FALSE(run("import os\ndef f(n):\n    if os.fork() == 0:\n        os.setsid()\n        while True: "
                   "pass\n    return n + 1\n")
                   .correct);
  for (int wait = 0; wait < 100 && processes() > 0; ++wait)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(processes(), 0);
}

TEST_F(Sandbox, AnswersThatExhaustTheTestsAreWrongAndNotAnError) {
  grader_.memory_limit_bytes = std::size_t{96} << 20;
  EXPECT_FALSE(run("def f(n):\n    return [0] * 4000000\n").correct);
  EXPECT_FALSE(run("def f(n):\n    return [[]] * 1500000\n").correct);
  EXPECT_TRUE(run("def f(n):\n    return n + 1\n").correct);
}

TEST_F(Sandbox, RootFallsBackToItsOwnNamespaceWhereNobodyMayNotHaveOne) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root has a fallback";
  const std::string script =
      (fs::temp_directory_path() / ("kakeya-bwrap-" + std::to_string(::getpid()))).string();
  std::ofstream(script)
      << "#!/bin/sh\n[ $(id -u) = 0 ] || { echo no namespace >&2; exit 1; }\nexec bwrap \"$@\"\n";
  ::chmod(script.c_str(), 0755);
  grader_.bwrap = script;
  EXPECT_TRUE(run("def f(n):\n    return n + 1\n").correct);
  EXPECT_THAT(run("import os\nwhile True:\n    os.fork()\n").detail, HasSubstr("PermissionError"));
  EXPECT_THAT(run("def f(n):\n    open('/etc/shadow')\n").detail, HasSubstr("FileNotFoundError"));
  EXPECT_THAT(run("def f(n):\n    open('/usr/lib/x', 'w')\n").detail, HasSubstr("OSError"));
  fs::remove(script);
}

TEST_F(Sandbox, AFewCanonicalSolutionsPassAndTheirWrongCopiesFail) {
  DatasetOptions options;
  options.share_dir = KAKEYA_SOURCE_DIR;
  options.n_samples = 8;
  const auto set = load_dataset("py-mini", options);
  ASSERT_TRUE(set.ok()) << set.error().message;
  for (const Problem& problem : set->problems) {
    const auto right = grade(grader_, problem, problem.solution);
    ASSERT_TRUE(right.ok()) << right.error().message;
    EXPECT_TRUE(right->correct) << problem.task_id << ": " << right->detail;
    const auto wrong = grade(grader_, problem, "    return 12345\n");
    ASSERT_TRUE(wrong.ok()) << wrong.error().message;
    EXPECT_FALSE(wrong->correct) << problem.task_id;
  }
}

TEST(SandboxProblem, PointsToUserNamespacesWhenTheyAreForbidden) {
  const std::string script =
      (fs::temp_directory_path() / ("kakeya-nons-" + std::to_string(::getpid()))).string();
  // what bubblewrap writes where user namespaces are off
  std::ofstream(script) << "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n";
  ::chmod(script.c_str(), 0755);
  Grader grader;
  grader.bwrap = script;
  EXPECT_THAT(sandbox_problem(grader).value_or(""), AllOf(HasSubstr("No permissions to create new namespace"),
                                                          HasSubstr("unprivileged_userns_clone")));
  fs::remove(script);
}

TEST(SandboxProblem, SaysWhatIsMissing) {
  Grader grader;
  grader.bwrap = "/nowhere/bwrap";
  EXPECT_THAT(sandbox_problem(grader).value_or(""), HasSubstr("/nowhere/bwrap"));
  grader.bwrap = "/bin/false";
  EXPECT_THAT(sandbox_problem(grader).value_or(""), HasSubstr("did not start"));
  grader.bwrap = "";
  grader.python = "/bin/false";
  EXPECT_THAT(sandbox_problem(grader).value_or(""), AnyOf(HasSubstr("Python"), HasSubstr("not installed")));
  const char* path = std::getenv("PATH");
  const std::string kept = path != nullptr ? path : "";
  ::setenv("PATH", "/nowhere", 1);
  EXPECT_THAT(sandbox_problem({}).value_or(""),
              HasSubstr("bubblewrap is not installed: apt install bubblewrap"));
  ::setenv("PATH", kept.c_str(), 1);
}

}  // namespace
}  // namespace kakeya::acceptance
