/* Processes started while other threads hold all the locks that a plain fork
 * would copy. */
#include "support/worker_support.h"

#include <dlfcn.h>
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    STARTERS = 8,
    COUNT = 2000
};

static atomic_bool enough;
static pthread_mutex_t user_lock = PTHREAD_MUTEX_INITIALIZER;
static int under_lock;

static void
hammer_malloc(void)
{
    static _Thread_local unsigned size;
    char *volatile block = malloc(size = (size * 5 + 77) % 60000 + 1);

    if (block)
        memset(block, 1, size);
    free(block);
}

/* Of a variable that is there: where the array moves, tzset in another thread
 * may crash. */
static void
hammer_environment(void)
{
    setenv("CROWD", "a value", 1);
    setenv("CROWD", "another value", 1);
}

static void
hammer_time(void)
{
    const time_t now = 1700000000;
    struct tm parts;

    tzset();
    localtime_r(&now, &parts);
}

static void
hammer_names(void)
{
    struct passwd entry, *found;
    char space[4096];

    (void)getpwnam_r("nobody", &entry, space, sizeof space, &found);
}

static void
hammer_loader(void)
{
    void *library = dlopen("libm.so.6", RTLD_NOW | RTLD_LOCAL);

    if (library)
        dlclose(library);
    library = dlopen("libnothing-like-it.so", RTLD_NOW);
    if (library)
        dlclose(library);
}

static void
hammer_user_lock(void)
{
    pthread_mutex_lock(&user_lock);
    under_lock++;
    pthread_mutex_unlock(&user_lock);
}

static void (*const hammers[])(void) = {hammer_malloc, hammer_environment,
                                        hammer_time,   hammer_names,
                                        hammer_loader, hammer_user_lock};

enum {
    HAMMERS = sizeof hammers / sizeof *hammers
};

static void *
hammer(void *which)
{
    while (!atomic_load(&enough))
        for (int i = 0; i < 100; i++)
            (*(void (*const *)(void))which)();
    return NULL;
}

/* What hangs in a fork of a program with many threads. */
static int
use_all(weft_call *call)
{
    for (int i = 0; i < HAMMERS; i++)
        hammers[i]();
    *(unsigned *)call->result = 3 * *(const unsigned *)call->arg;
    return 0;
}

static unsigned each;

static void *
start_many(void *unused)
{
    for (unsigned i = 0; i < each; i++) {
        unsigned thrice = 0;
        weft_job *job = must_start(WEFT_PROCESS,
                                   &(weft_task){.fn = use_all,
                                                WEFT_ARG(i),
                                                .result_size = sizeof thrice});
        const int status = weft_result(job, &thrice, sizeof thrice,
                                       weft_in(patient(20 * WEFT_SECOND)));

        ck_assert_msg(status == 0, "%u of %u: %d, %s", i, each, status,
                      weft_why());
        ck_assert_uint_eq(thrice, 3 * i);
        weft_release(job);
    }
    return unused;
}

START_TEST(no_start_hangs_in_a_crowd)
{
    pthread_t starters[STARTERS], others[HAMMERS];

    ck_assert_int_eq(setenv("CROWD", "a value", 1), 0);
    each = scaled(COUNT) / STARTERS + 1;
    ck_assert_int_eq(weft_init(NULL), 0);
    for (int i = 0; i < HAMMERS; i++)
        others[i] = support_thread(hammer, (void *)(uintptr_t)&hammers[i]);
    for (int i = 0; i < STARTERS; i++)
        starters[i] = support_thread(start_many, NULL);
    for (int i = 0; i < STARTERS; i++)
        support_join(starters[i]);
    atomic_store(&enough, true);
    for (int i = 0; i < HAMMERS; i++)
        support_join(others[i]);
    ck_assert_uint_eq(weft_list(WEFT_PROCESSES, NULL, 0), 0);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("crowd");
    TCase *tcase = support_case(suite, "crowd", 60);

    tcase_add_test(tcase, no_start_hangs_in_a_crowd);
    return support_run(suite);
}
