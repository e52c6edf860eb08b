// What C++ adds: exceptions, destructors and lambdas.
#include <weft/weft.h>

#include <atomic>
#include <check.h>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <pthread.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

// Shared with the workers, which are processes.
struct Seen {
    std::atomic<int> caught, destroyed, begun, ended;
};

Seen *seen;

void
share()
{
    void *at = mmap(nullptr, sizeof(Seen), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(at, MAP_FAILED);
    seen = new (at) Seen{};
}

struct Guard {
    Guard() = default;
    Guard(const Guard &) = delete;
    Guard &operator=(const Guard &) = delete;

    ~Guard()
    {
        seen->destroyed++;
    }
};

struct Inner {
    Inner() = default;
    Inner(const Inner &) = delete;
    Inner &operator=(const Inner &) = delete;

    ~Inner()
    {
        seen->ended++;
    }
};

void
no_core()
{
    const rlimit none{0, 0};

    setrlimit(RLIMIT_CORE, &none);
}

int
throw_it(weft_call *)
{
    no_core();
    std::freopen("/dev/null", "w", stderr);
    throw std::runtime_error("nobody catches this");
}

int
throw_and_catch(weft_call *call)
{
    try {
        Inner inner;
        throw std::runtime_error("caught");
    } catch (const std::exception &e) {
        return weft_fail(call, "%s", e.what());
    }
}

int
leave_thread(weft_call *)
{
    pthread_exit(nullptr);
}

int
leave_program(weft_call *)
{
    Inner inner;

    std::exit(6);
}

// Runs fn in a process, below frames of the program that it must not reach.
weft_job *
run(weft_fn *fn, weft_method method)
{
    weft_worker_options options{};
    weft_task task{};
    weft_job *job = nullptr;

    options.method = method;
    task.fn = fn;
    task.worker = &options;
    try {
        Guard guard;

        ck_assert_int_eq(weft_start(&job, WEFT_PROCESS, &task), 0);
        ck_assert_int_eq(weft_join(job, WEFT_FOREVER), 0);
    } catch (...) {
        seen->caught++;
        throw;
    }
    return job;
}

const struct {
    weft_fn *fn;
    int status, signal, exit_code;
} ways[] = {
    {throw_it, WEFT_EDIED, SIGABRT, -1},
    {throw_and_catch, WEFT_EFAILED, 0, -1},
    {leave_thread, WEFT_EDIED, 0, 0},
    {leave_program, WEFT_EDIED, 0, 6},
};

const weft_method methods[] = {WEFT_ZYGOTE, WEFT_FORK};

START_TEST(no_frame_of_the_program_is_unwound_in_a_worker)
{
    const auto &way = ways[_i / 2];
    weft_job *job = run(way.fn, methods[_i % 2]);
    const weft_outcome *end = weft_outcome_of(job);

    ck_assert_int_eq(end->status, way.status);
    ck_assert_int_eq(end->signal, way.signal);
    ck_assert_int_eq(end->exit_code, way.exit_code);
    ck_assert_int_eq(seen->caught, 0);
    ck_assert_int_eq(seen->destroyed, 1); // the program's own, in the program
    ck_assert_int_eq(seen->ended, way.fn == throw_and_catch);
    weft_release(job);
}

END_TEST

START_TEST(a_lambda_is_a_function)
{
    const long in = 20;
    long out = 0;

    for (weft_kind kind : {WEFT_PROCESS, WEFT_THREAD, WEFT_SERIAL}) {
        weft_job *job = nullptr;
        weft_task task{};

        task.fn = [](weft_call *call) {
            *static_cast<long *>(call->result) =
                *static_cast<const long *>(call->arg) + 1;
            return 0;
        };
        task.arg = &in;
        task.arg_size = sizeof in;
        task.result_size = sizeof out;
        ck_assert_int_eq(weft_start(&job, kind, &task), 0);
        ck_assert_int_eq(weft_result(job, &out, sizeof out, WEFT_FOREVER), 0);
        ck_assert_int_eq(out, 21);
        weft_release(job);
    }
}

END_TEST

// A static object that a job still uses when main has returned.
struct Late {
    std::atomic<bool> alive{true};

    Late() = default;
    Late(const Late &) = delete;
    Late &operator=(const Late &) = delete;

    ~Late()
    {
        alive = false;
    }
};

int
use_late(weft_call *call)
{
    const Late *late = *static_cast<const Late *const *>(call->arg);

    seen->begun++;
    weft_sleep(weft_in(30 * WEFT_MS));
    seen->ended += late->alive;
    return 0;
}

void
leave_a_job_behind()
{
    static Late late; // made before weft is opened: destroyed after the join
    const Late *arg = &late;
    weft_task task{};

    task.fn = use_late;
    task.arg = &arg;
    task.arg_size = sizeof arg;
    if (weft_start(nullptr, WEFT_THREAD, &task) < 0)
        _exit(1);
}

START_TEST(jobs_are_joined_before_older_statics_go)
{
    int status = 0;
    const pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        leave_a_job_behind();
        std::exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(seen->begun, 1);
    ck_assert_int_eq(seen->ended, 1);
}

END_TEST

thread_local Guard per_thread;

int
touch_per_thread(weft_call *call)
{
    *static_cast<Guard **>(call->result) = &per_thread;
    return 0;
}

// A fresh thread ends with its job, and so do its thread_local objects.
START_TEST(a_fresh_thread_destroys_its_thread_locals)
{
    weft_worker_options options{};
    weft_task task{};
    weft_job *job = nullptr;

    options.fresh = true;
    task.fn = touch_per_thread;
    task.result_size = sizeof(Guard *);
    task.worker = &options;
    ck_assert_int_eq(weft_start(&job, WEFT_THREAD, &task), 0);
    ck_assert_int_eq(weft_join(job, WEFT_FOREVER), 0);
    weft_release(job);
    while (seen->destroyed == 0)
        sched_yield();
    ck_assert_int_eq(seen->destroyed, 1);
}

END_TEST

} // namespace

int
main()
{
    Suite *suite = suite_create("unwind");
    TCase *tcase = tcase_create("unwind");

    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, share, nullptr);
    tcase_add_loop_test(tcase, no_frame_of_the_program_is_unwound_in_a_worker,
                        0, 8);
    tcase_add_test(tcase, a_lambda_is_a_function);
    tcase_add_test(tcase, jobs_are_joined_before_older_statics_go);
    tcase_add_test(tcase, a_fresh_thread_destroys_its_thread_locals);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
