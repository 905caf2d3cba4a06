"""Workers: what goes through, what is killed, what is refused, what is left behind."""

import functools
import io
import os
import pickle
import struct
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from guard.credentials import CredentialReport, CredentialState
from guard.errors import (
    ConfigError,
    DeadlineError,
    MediaTooLargeError,
    SigningError,
    UndecodableMediaError,
    WorkerError,
)
from guard.isolation import WorkerPool
from guard.isolation_worker import BLOB_BYTES, receive
from guard.media import decode
from tests.guard import isolation_jobs as jobs

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 768 * 1024**2


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(size=2, memory_bytes=LIMIT) as made:
        yield made


def alive(pid: int) -> bool:
    """Whether a process exists, zombies included."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"x" * (BLOB_BYTES - 1),
        os.urandom(BLOB_BYTES),
        os.urandom(3_000_000),
        (b"a" * BLOB_BYTES, {"k": [b"b" * BLOB_BYTES, "text"]}, b"a" * BLOB_BYTES),
        {1, 2},
    ],
    ids=["none", "empty", "short", "blob", "large", "nested blobs", "set"],
)
def test_values_come_back_as_they_went(pool: WorkerPool, value: object) -> None:
    assert pool.run(jobs.echo, value, deadline_s=20) == value


def test_records_and_arrays_come_back(pool: WorkerPool) -> None:
    assert pool.run(jobs.report, "x", deadline_s=20) == CredentialReport(state=CredentialState.INVALID, codes=("x",))
    for side in (8, 640):  # within the pickle, and beside it
        got = pool.run(jobs.pixels, side, deadline_s=20)
        np.testing.assert_array_equal(got, jobs.pixels(side))
        got[0, 0] = 9
    there = pool.run(jobs.echo, (jobs.pixels(300), b"x" * 100_000, jobs.pixels(300)[:, ::2]), deadline_s=20)
    assert isinstance(there, tuple)
    np.testing.assert_array_equal(there[0], jobs.pixels(300))
    np.testing.assert_array_equal(there[2], jobs.pixels(300)[:, ::2])
    assert there[1] == b"x" * 100_000


def test_work_is_done_elsewhere_by_a_process_that_stays(pool: WorkerPool) -> None:
    first = pool.run(jobs.process_id, deadline_s=20)
    assert first != os.getpid()
    assert pool.run(jobs.process_id, deadline_s=20) == first


def test_secrets_in_the_environment_stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNET_PASSPHRASE", "correct horse")
    with WorkerPool(size=1) as pool:
        seen = pool.run(jobs.environment, deadline_s=20)
    assert "PYTHONPATH" in seen
    assert "SIGNET_PASSPHRASE" not in seen


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX sessions and limits")
def test_workers_stand_apart_from_the_terminal_and_write_no_core_files(pool: WorkerPool) -> None:
    session, core = pool.run(jobs.session_and_core_limit, deadline_s=20)
    assert session != os.getsid(0), "Ctrl-C would reach the worker before its parent"
    assert core == (0, 0), "a core file would hold somebody's upload"


def test_a_program_that_cannot_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with WorkerPool(size=1) as pool, pytest.raises(WorkerError, match="could not start"):
        pool.warm()


def test_output_of_libraries_does_not_get_between_the_answers(pool: WorkerPool) -> None:
    assert pool.run(jobs.print_noise, deadline_s=20) == 7
    assert pool.run(jobs.echo, "next", deadline_s=20) == "next"


def test_our_errors_cross_unchanged(pool: WorkerPool) -> None:
    with pytest.raises(SigningError, match=r"^the key is away$") as caught:
        pool.run(jobs.fail_of_our_tree, deadline_s=20)
    assert caught.value.diagnostics() == "plug the token in"
    with pytest.raises(MediaTooLargeError) as default:
        pool.run(jobs.fail_with_default_step, deadline_s=20)
    assert default.value.diagnostics() == MediaTooLargeError.next_step


def test_errors_pickle_with_their_next_step() -> None:
    error = pickle.loads(pickle.dumps(SigningError("what", next_step="this")))  # noqa: S301 - our own bytes
    assert (type(error), str(error), error.diagnostics()) == (SigningError, "what", "this")


def test_foreign_errors_become_ours_and_the_worker_stays(pool: WorkerPool) -> None:
    before = pool.run(jobs.process_id, deadline_s=20)
    with pytest.raises(WorkerError, match="ZeroDivisionError: one by nought"):
        pool.run(jobs.fail_foreign, deadline_s=20)
    assert pool.run(jobs.process_id, deadline_s=20) == before


@pytest.mark.parametrize("job", [jobs.hang_in_native_code, jobs.hang_holding_the_lock])
def test_a_hang_is_killed_at_its_deadline_and_the_next_call_works(job: object) -> None:
    with WorkerPool(size=1) as pool:
        pid = pool.run(jobs.process_id, deadline_s=20)
        began = time.monotonic()
        with pytest.raises(DeadlineError, match=r"deadline of 0\.3 s"):
            pool.run(job, deadline_s=0.3)  # type: ignore[arg-type]
        assert 0.3 <= time.monotonic() - began < 2
        assert not alive(pid)
        assert pool.run(jobs.echo, "again", deadline_s=20) == "again"


@pytest.mark.parametrize(("job", "how"), [(jobs.exit_at_once, "exit status 3"), (jobs.kill_self, "SIGKILL")])
def test_a_crash_is_told_and_the_next_call_works(pool: WorkerPool, job: object, how: str) -> None:
    with pytest.raises(WorkerError, match=how):
        pool.run(job, deadline_s=20)  # type: ignore[arg-type]
    assert pool.run(jobs.echo, "again", deadline_s=20) == "again"


@pytest.mark.skipif(sys.platform == "win32", reason="no address-space limit on Windows")
def test_memory_is_limited_and_the_worker_replaced() -> None:
    with WorkerPool(size=1, memory_bytes=LIMIT) as pool:
        before = pool.run(jobs.process_id, deadline_s=20)
        with pytest.raises(WorkerError, match=f"memory than the worker's limit of {LIMIT} bytes"):
            pool.run(jobs.eat_memory, deadline_s=30)
        assert pool.run(jobs.process_id, deadline_s=20) != before


def test_an_answer_may_not_run_code_here(pool: WorkerPool, tmp_path: Path) -> None:
    target = tmp_path / "made by unpickling"
    with pytest.raises(WorkerError, match=r"may not contain (posix|nt)\.mkdir"):
        pool.run(jobs.return_bomb, str(target), deadline_s=20)
    assert not target.exists()
    for job in (jobs.return_bomb_of_ours, jobs.return_bomb_behind_ours):
        with pytest.raises(WorkerError, match=r"may not contain guard\."):
            pool.run(job, str(target), deadline_s=20)
    assert not target.exists()
    with pytest.raises(WorkerError, match="may not contain"):
        pool.run(jobs.return_stranger, deadline_s=20)


def test_an_announced_answer_over_the_limit_is_not_read(pool: WorkerPool) -> None:
    began = time.monotonic()
    with pytest.raises(WorkerError, match="died during"):
        pool.run(jobs.announce_a_huge_answer, deadline_s=20)
    assert time.monotonic() - began < 4, "the parent must refuse by the header, not wait for the bytes"
    assert pool.run(jobs.echo, "again", deadline_s=20) == "again"


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=200)
    | st.lists(st.integers(0, 2**64 - 1), max_size=12).map(lambda n: struct.pack(f"<{len(n)}Q", *n))
)
def test_a_hostile_frame_only_ends_or_is_refused(frame: bytes) -> None:
    try:
        message = receive(io.BytesIO(frame), limit=10_000)
    except (EOFError, ValueError):
        return
    assert len(message.body) + sum(map(len, [*message.blobs, *message.buffers])) <= len(frame)


def test_eight_threads_share_two_workers_and_survive_crashes(pool: WorkerPool) -> None:
    def one(number: int) -> object:
        if number % 16 == 7:
            with pytest.raises(WorkerError):
                pool.run(jobs.exit_at_once, deadline_s=20)
        return pool.run(jobs.echo, (number, bytes([number]) * 100_000), deadline_s=20)

    with ThreadPoolExecutor(8) as threads:
        got = list(threads.map(one, range(48)))
    assert got == [(number, bytes([number]) * 100_000) for number in range(48)]


def test_waiting_for_a_worker_has_an_end() -> None:
    with WorkerPool(size=1, queue_timeout_s=0.2) as pool:
        pool.warm()
        busy = threading.Thread(target=pool.run, args=(jobs.sleep, 1.5), kwargs={"deadline_s": 20})
        busy.start()
        time.sleep(0.3)
        with pytest.raises(DeadlineError, match="All 1 workers stayed busy"):
            pool.run(jobs.echo, 1, deadline_s=20)
        busy.join()


def test_nothing_runs_before_the_first_call_and_nothing_after_close() -> None:
    pool = WorkerPool(size=2)
    assert not pool._idle
    pool.warm()
    pids = {worker._process.pid for worker in pool._idle if worker._process}
    assert len(pids) == 2
    pool.close()
    assert not any(alive(pid) for pid in pids)
    with pytest.raises(ConfigError, match="closed"):
        pool.run(jobs.echo, 1, deadline_s=20)
    pool.close()


def test_close_ends_a_running_call() -> None:
    pool = WorkerPool(size=1)
    pool.warm()
    caught: list[BaseException] = []

    def call() -> None:
        try:
            pool.run(jobs.sleep, 60.0, deadline_s=100)
        except WorkerError as exc:
            caught.append(exc)

    thread = threading.Thread(target=call)
    thread.start()
    time.sleep(0.3)
    pool.close()
    thread.join(5)
    assert not thread.is_alive()
    assert len(caught) == 1


def test_a_dropped_pool_leaves_no_process() -> None:
    pool = WorkerPool(size=1)
    pid = pool.run(jobs.process_id, deadline_s=20)
    del pool
    assert not alive(pid)


def test_descriptors_do_not_grow(pool: WorkerPool) -> None:
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("needs /proc")
    pool.run(jobs.echo, 1, deadline_s=20)
    before = len(list(folder.iterdir()))
    for _ in range(3):
        with pytest.raises(WorkerError):
            pool.run(jobs.exit_at_once, deadline_s=20)
    pool.run(jobs.echo, 1, deadline_s=20)
    assert len(list(folder.iterdir())) <= before + 2


@pytest.mark.parametrize("function", [lambda: 1, functools.partial(len, b""), "text".upper])
def test_functions_without_a_path_are_refused(pool: WorkerPool, function: object) -> None:
    with pytest.raises(ConfigError, match="module-level function"):
        pool.run(function, deadline_s=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, 65, -1])
def test_sizes_out_of_range_are_refused(size: int) -> None:
    with pytest.raises(ConfigError, match=str(size)):
        WorkerPool(size=size)


def test_a_missing_preload_is_told() -> None:
    with (
        WorkerPool(size=1, preload=("no_such_module_anywhere",)) as pool,
        pytest.raises(WorkerError, match="no_such_mod"),
    ):
        pool.warm()


def test_a_script_that_uses_the_pool_at_module_level_runs_once(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        print("main module runs")
        from guard.isolation import WorkerPool
        from tests.guard import isolation_jobs as jobs
        pool = WorkerPool(size=2)
        print(pool.run(jobs.length, b"12345", deadline_s=20))
        """)
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=environment, timeout=60, check=True
    )
    assert done.stdout.splitlines() == ["main module runs", "5"]
    assert done.stderr == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_gets_workers_of_its_own(tmp_path: Path) -> None:
    script = tmp_path / "forks.py"
    script.write_text(
        textwrap.dedent("""
        import os, sys
        from guard.isolation import WorkerPool
        from tests.guard import isolation_jobs as jobs
        pool = WorkerPool(size=1)
        before = pool.run(jobs.process_id, deadline_s=20)
        child = os.fork()
        if child == 0:
            other = pool.run(jobs.process_id, deadline_s=20)
            pool.close()
            os._exit(0 if other != before else 1)
        _, status = os.waitpid(child, 0)
        assert pool.run(jobs.process_id, deadline_s=20) == before
        sys.exit(os.waitstatus_to_exitcode(status))
        """)
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=environment, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_hung_worker_ends_by_itself_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "orphan.py"
    script.write_text(
        textwrap.dedent("""
        import threading
        from guard.isolation import WorkerPool
        from tests.guard import isolation_jobs as jobs
        pool = WorkerPool(size=1)
        print(pool.run(jobs.process_id, deadline_s=20), flush=True)
        pool.run(jobs.hang_in_native_code, deadline_s=1.0)
        """)
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=environment, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        time.sleep(0.3)
        parent.kill()
    assert alive(worker)
    end = time.monotonic() + 6
    while alive(worker) and time.monotonic() < end:
        time.sleep(0.05)
        if Path(f"/proc/{worker}/stat").exists() and ") Z " in Path(f"/proc/{worker}/stat").read_text():
            break  # ended; whether an orphan is reaped is up to the machine's init
    else:
        assert not alive(worker)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_the_decoder_of_uploads_runs_in_a_worker(pool: WorkerPool, mode: str) -> None:
    """What the service does with every upload: the arrays arrive equal and writable."""
    out = io.BytesIO()
    Image.fromarray(np.arange(64 * 48 * 4, dtype=np.uint8).reshape(64, 48, 4)).convert(mode).save(out, "PNG")
    here, there = decode(out.getvalue()), pool.run(decode, out.getvalue(), deadline_s=20)
    np.testing.assert_array_equal(here.rgb, there.rgb)
    assert there.rgb.flags.writeable == here.rgb.flags.writeable
    assert (here.media_type, here.stored_size) == (there.media_type, there.stored_size)
    assert (here.alpha is None) == (there.alpha is None)
    if here.alpha is not None:
        assert there.alpha is not None
        np.testing.assert_array_equal(here.alpha, there.alpha)
    with pytest.raises(UndecodableMediaError):
        pool.run(decode, b"no picture", deadline_s=20)
