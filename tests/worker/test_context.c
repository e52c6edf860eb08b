/* A process worker is a copy of an earlier program, and has what its caller has
 * now. */
#include "support/worker_support.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

/* What one process sees of itself. */
struct seen {
    char directory[256];
    char environment[16 << 10];
    size_t environment_size;
    unsigned umask;
    int nice;
    struct rlimit limits[RLIM_NLIMITS];
    cpu_set_t cpus;
    sigset_t mask;
    uid_t users[3];
    gid_t groups[3];
    int others_count;
    gid_t others[32];
    char rights[1024]; /* lines of its status */
};

static void
look_at_environment(struct seen *out)
{
    for (char **at = environ; at && *at; at++) {
        const size_t size = strlen(*at) + 1;

        if (out->environment_size + size > sizeof out->environment)
            return;
        memcpy(out->environment + out->environment_size, *at, size);
        out->environment_size += size;
    }
}

static void
look_at_rights(struct seen *out)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];

    getresuid(&out->users[0], &out->users[1], &out->users[2]);
    getresgid(&out->groups[0], &out->groups[1], &out->groups[2]);
    out->others_count = getgroups(32, out->others);
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "Cap", 3) == 0 ||
            strncmp(line, "NoNewPrivs", 10) == 0)
            strcat(out->rights, line);
    if (file)
        fclose(file);
}

static void
look(struct seen *out)
{
    memset(out, 0, sizeof *out);
    if (!getcwd(out->directory, sizeof out->directory))
        strcpy(out->directory, strerrorname_np(errno));
    look_at_environment(out);
    out->umask = umask(0);
    umask(out->umask);
    out->nice = getpriority(PRIO_PROCESS, 0);
    for (int i = 0; i < RLIM_NLIMITS; i++)
        getrlimit((__rlimit_resource_t)i, &out->limits[i]);
    sched_getaffinity(0, sizeof out->cpus, &out->cpus);
    sigprocmask(SIG_SETMASK, NULL, &out->mask);
    look_at_rights(out);
}

static int
tell(weft_call *call)
{
    look(call->result);
    return 0;
}

static const weft_task teller = {.fn = tell,
                                 .result_size = sizeof(struct seen)};

static void
expect_seen(weft_job *job, const struct seen *expected)
{
    struct seen seen;

    must_join(job);
    ck_assert_msg(outcome(job)->status == 0, "%s", outcome(job)->text);
    ck_assert_int_eq(weft_result(job, &seen, sizeof seen, WEFT_NOW), 0);
    ck_assert_str_eq(seen.directory, expected->directory);
    ck_assert_uint_eq(seen.environment_size, expected->environment_size);
    ck_assert_mem_eq(seen.environment, expected->environment,
                     seen.environment_size);
    ck_assert_uint_eq(seen.umask, expected->umask);
    ck_assert_int_eq(seen.nice, expected->nice);
    for (int i = 0; i < RLIM_NLIMITS; i++)
        ck_assert_msg(
            seen.limits[i].rlim_cur == expected->limits[i].rlim_cur &&
                seen.limits[i].rlim_max == expected->limits[i].rlim_max,
            "limit %d is %ju, %ju", i, (uintmax_t)seen.limits[i].rlim_cur,
            (uintmax_t)seen.limits[i].rlim_max);
    ck_assert(CPU_EQUAL(&seen.cpus, &expected->cpus));
    ck_assert_mem_eq(&seen.mask, &expected->mask, sizeof seen.mask);
    ck_assert_str_eq(seen.rights, expected->rights);
    ck_assert_mem_eq(&seen, expected, sizeof seen);
    weft_release(job);
}

/* --- changes */

static void
change_directory(void)
{
    ck_assert_int_eq(chdir("/proc"), 0);
}

static void
change_umask(void)
{
    umask(umask(0) ^ 0111);
}

static void
set_variables(void)
{
    setenv("WEFT_TEST_A", "1", 1);
    setenv("WEFT_TEST_B", "", 1);
    setenv("PATH", "/nowhere", 1);
}

static void
unset_variables(void)
{
    unsetenv("PATH");
    unsetenv("HOME");
}

static void
clear_variables(void)
{
    clearenv();
}

static void
clear_and_set(void)
{
    clearenv();
    setenv("ONE", "1", 1);
}

static void
change_in_place(void)
{
    static char variable[] = "WEFT_TEST_P=aaaa";

    putenv(variable);
    ck_assert_int_eq(weft_init(NULL), 0); /* which sees the old value */
    memcpy(variable, "WEFT_TEST_P=bbbb", sizeof variable);
}

static void
own_array(void)
{
    static char first[] = "X=1", second[] = "no value", third[] = "X=2";
    static char *array[] = {first, second, third, NULL};

    environ = array;
}

/* As execve may have it. */
static void
empty_string_first(void)
{
    static char first[] = "", second[] = "X=2";
    static char *array[] = {first, second, NULL};

    environ = array;
}

static void
become_nicer(void)
{
    errno = 0;
    ck_assert(nice(2) != -1 || errno == 0);
}

static void
lower(__rlimit_resource_t resource, rlim_t soft, rlim_t hard)
{
    struct rlimit limit;

    ck_assert_int_eq(getrlimit(resource, &limit), 0);
    limit.rlim_max = hard < limit.rlim_max ? hard : limit.rlim_max;
    limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
    ck_assert_int_eq(setrlimit(resource, &limit), 0);
}

static void
lower_soft_limits(void)
{
    lower(RLIMIT_NOFILE, 200, RLIM_INFINITY);
    lower(RLIMIT_CORE, 0, RLIM_INFINITY);
    lower(RLIMIT_CPU, 1000, RLIM_INFINITY);
    lower(RLIMIT_MEMLOCK, 4096, RLIM_INFINITY);
}

static void
lower_hard_limits(void)
{
    lower(RLIMIT_NOFILE, 300, 400);
    lower(RLIMIT_CORE, 0, 0);
    lower(RLIMIT_FSIZE, 1 << 30, 1 << 30);
    lower(RLIMIT_MSGQUEUE, 0, 0);
}

static void
raise_soft_limit(void)
{
    lower(RLIMIT_NOFILE, 300, RLIM_INFINITY);
    ck_assert_int_eq(weft_init(NULL), 0);
    lower(RLIMIT_NOFILE, RLIM_INFINITY, RLIM_INFINITY);
}

static void
take_one_cpu(void)
{
    cpu_set_t cpus;
    size_t cpu = CPU_SETSIZE - 1;

    sched_getaffinity(0, sizeof cpus, &cpus);
    while (cpu > 0 && !CPU_ISSET(cpu, &cpus))
        cpu--;
    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    ck_assert_int_eq(sched_setaffinity(0, sizeof cpus, &cpus), 0);
}

static void
block_signals(void)
{
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    sigaddset(&mask, SIGRTMIN + 3);
    sigprocmask(SIG_BLOCK, &mask, NULL);
}

static void
change_all(void)
{
    change_directory();
    change_umask();
    set_variables();
    become_nicer();
    lower_hard_limits();
    take_one_cpu();
    block_signals();
}

static void
change_nothing(void)
{
}

static void (*const changes[])(void) = {
    change_nothing,    change_directory,   change_umask,  set_variables,
    unset_variables,   clear_variables,    clear_and_set, change_in_place,
    own_array,         empty_string_first, become_nicer,  lower_soft_limits,
    lower_hard_limits, raise_soft_limit,   take_one_cpu,  block_signals,
    change_all};

/* Several at once, so that some are made in advance. */
static void
start_some(void)
{
    for (int i = 0; i < 3; i++)
        expect_end(must_start(WEFT_PROCESS, &(weft_task){.fn = do_nothing}),
                   WEFT_OK);
}

START_TEST(a_worker_has_what_its_caller_has)
{
    struct seen mine;

    ck_assert_int_eq(weft_init(NULL), 0);
    start_some();
    changes[_i]();
    look(&mine);
    for (int i = 0; i < 3; i++)
        expect_seen(must_start(WEFT_PROCESS, &teller), &mine);
    /* Made anew, it starts with all that. */
    ck_assert_int_eq(weft_init(NULL), 0);
    expect_seen(must_start(WEFT_PROCESS, &teller), &mine);
}

END_TEST

START_TEST(a_fork_has_what_its_caller_has)
{
    struct seen mine;
    weft_task task = teller;

    task.worker = &(weft_worker_options){.method = WEFT_FORK};
    changes[_i]();
    look(&mine);
    expect_seen(must_start(WEFT_PROCESS, &task), &mine);
}

END_TEST

/* What counts is the moment of the start. */
START_TEST(a_delayed_worker_has_what_its_caller_had)
{
    struct seen mine;
    weft_task late = teller;

    late.delay = 20 * WEFT_MS;
    ck_assert_int_eq(weft_init(NULL), 0);
    start_some();
    look(&mine);
    weft_job *before = must_start(WEFT_PROCESS, &late);

    changes[_i]();
    expect_seen(before, &mine);
    look(&mine);
    weft_job *after = must_start(WEFT_PROCESS, &late);

    change_directory();
    setenv("WEFT_TEST_LATER", "1", 1);
    change_umask();
    lower(RLIMIT_NOFILE, 150, 150);
    expect_seen(after, &mine);
}

END_TEST

/* --- rights */

static void
drop_root(void)
{
    child_expect(setgroups(0, NULL) == 0);
    child_expect(setresgid(65534, 65534, 65534) == 0);
    child_expect(setresuid(65534, 65534, 65534) == 0);
}

static void
drop_effective(void)
{
    child_expect(setegid(65534) == 0 && seteuid(65534) == 0);
}

static void
join_groups(void)
{
    child_expect(setgroups(2, (gid_t[]){7, 8}) == 0);
}

static void
forgo_privileges(void)
{
    child_expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
}

static void
drop_one_capability(void)
{
    child_expect(prctl(PR_CAPBSET_DROP, 0, 0, 0, 0) == 0);
}

static void
leave_network(void)
{
    if (unshare(CLONE_NEWNET) != 0)
        _exit(0); /* not allowed here */
}

static void
enter_root(const char *root)
{
    child_expect(chroot(root) == 0 && chdir("/") == 0);
}

static void (*const drops[])(void) = {drop_root,           drop_effective,
                                      join_groups,         forgo_privileges,
                                      drop_one_capability, leave_network};

static void
expect_stale(void)
{
    for (int i = 0; i < 3; i++) {
        weft_job *job = NULL;

        child_expect(weft_start(&job, WEFT_PROCESS, &teller) == WEFT_ESTALE);
        child_expect(!job);
        child_expect(strstr(weft_why(), "rights"));
        child_expect(strstr(weft_why(), "weft_init"));
    }
}

static void
expect_my_rights(void)
{
    struct seen mine, seen;
    weft_job *job = NULL;

    look(&mine);
    child_expect(weft_start(&job, WEFT_PROCESS, &teller) == 0);
    child_expect(weft_result(job, &seen, sizeof seen, WEFT_FOREVER) == 0);
    child_expect(memcmp(&mine, &seen, sizeof mine) == 0);
    weft_release(job);
}

static void
drop(void *which)
{
    child_expect(weft_init(NULL) == 0);
    expect_my_rights();
    expect_my_rights();
    drops[*(int *)which]();
    expect_stale();
    child_expect(weft_init(NULL) == 0);
    expect_my_rights();
    expect_my_rights();
}

START_TEST(other_rights_need_another_zygote)
{
    int which = _i;

    if (geteuid() == 0)
        ck_assert_int_eq(support_run_fork(drop, &which), 0);
}

END_TEST

/* It is refused when it would begin, and the job says so. */
static void
drop_before_delayed(void *unused)
{
    weft_task late = teller;
    weft_job *job = NULL;

    (void)unused;
    late.delay = 50 * WEFT_MS;
    child_expect(weft_init(NULL) == 0);
    child_expect(weft_start(&job, WEFT_PROCESS, &late) == 0);
    drop_effective();
    child_expect(weft_join(job, WEFT_FOREVER) == 0);
    child_expect(weft_outcome_of(job)->status == WEFT_EFAILED);
    child_expect(strstr(weft_outcome_of(job)->message, "rights"));
    weft_release(job);
}

START_TEST(a_delayed_job_has_no_more_rights_either)
{
    if (geteuid() == 0)
        ck_assert_int_eq(support_run_fork(drop_before_delayed, NULL), 0);
}

END_TEST

static void
change_root(void *root)
{
    char proc[80];

    snprintf(proc, sizeof proc, "%s/proc", (const char *)root);
    child_expect(mkdir(proc, 0700) == 0);
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("/proc", proc, NULL, MS_BIND | MS_REC, NULL) != 0)
        return; /* not allowed here */
    child_expect(weft_init(NULL) == 0);
    expect_my_rights();
    enter_root(root);
    expect_stale();
    child_expect(weft_init(NULL) == 0);
    expect_my_rights();
}

/* Where nothing can be known of its rights nothing is started. */
static void
hide_proc(void *root)
{
    child_expect(weft_init(NULL) == 0);
    expect_my_rights();
    enter_root(root);
    child_expect(weft_start(NULL, WEFT_PROCESS, &teller) < 0);
    child_expect(*weft_why());
}

START_TEST(another_root_needs_another_zygote)
{
    char root[64], bare[64];

    if (geteuid() != 0)
        return;
    support_directory(root);
    support_directory(bare);
    ck_assert_int_eq(support_run_fork(change_root, root), 0);
    ck_assert_int_eq(support_run_fork(hide_proc, bare), 0);
    support_remove(root);
    support_remove(bare);
}

END_TEST

/* --- threads */

static atomic_bool over;
static unsigned many; /* read-only while the environment changes */

/* Strings of one letter each; the array grows and shrinks. */
static void *
hammer(void *unused)
{
    for (unsigned i = 0; !atomic_load(&over); i++) {
        char name[32], value[64] = "";

        snprintf(name, sizeof name, "HAMMER_%u", i % 100);
        memset(value, 'a' + (int)(i % 26), i % 60);
        if (i % 7 == 0)
            unsetenv(name);
        else
            setenv(name, value, 1);
    }
    return unused;
}

static int
check_strings(weft_call *call)
{
    for (char **at = environ; *at; at++) {
        const char *value = strchr(*at, '=');

        if (strncmp(*at, "HAMMER_", 7) != 0)
            continue;
        if (!value ||
            strspn(value + 1, (char[]){value[1], '\0'}) != strlen(value + 1))
            return weft_fail(call, "torn: %s", *at);
    }
    return getenv("STAYS") ? 0 : weft_fail(call, "STAYS is not there");
}

static void *
start_many(void *failed)
{
    for (unsigned i = many; i > 0; i--) {
        weft_job *job = NULL;

        if (weft_start(&job, WEFT_PROCESS, &(weft_task){.fn = check_strings}) <
                0 ||
            weft_result(job, NULL, 0, WEFT_FOREVER) < 0) {
            fprintf(stderr, "%s\n",
                    job ? weft_outcome_of(job)->text : weft_why());
            atomic_fetch_add((atomic_int *)failed, 1);
        }
        weft_release(job);
    }
    return NULL;
}

START_TEST(processes_start_while_the_environment_changes)
{
    pthread_t threads[8];
    atomic_int failed = 0;

    many = scaled(25);
    setenv("STAYS", "1", 1);
    ck_assert_int_eq(weft_init(NULL), 0);
    const pthread_t changer = support_thread(hammer, NULL);
    int errors = 0;

    /* Check's own assertions call getenv, so there are none meanwhile. */
    for (int i = 0; i < 8; i++)
        errors += pthread_create(&threads[i], NULL, start_many, &failed) != 0;
    for (int i = 0; i < 8 && errors == 0; i++)
        errors += pthread_join(threads[i], NULL) != 0;
    atomic_store(&over, true);
    pthread_join(changer, NULL);
    ck_assert_int_eq(errors, 0);
    ck_assert_int_eq(failed, 0);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("context");
    TCase *tcase = support_case(suite, "changes", 20);

    support_add_table(tcase, a_worker_has_what_its_caller_has, changes);
    support_add_table(tcase, a_fork_has_what_its_caller_has, changes);
    support_add_table(tcase, a_delayed_worker_has_what_its_caller_had, changes);
    tcase = support_case(suite, "rights", 20);
    support_add_table(tcase, other_rights_need_another_zygote, drops);
    tcase_add_test(tcase, a_delayed_job_has_no_more_rights_either);
    tcase_add_test(tcase, another_root_needs_another_zygote);
    tcase = support_case(suite, "threads", 60);
    if (!support_is_tsan()) /* whose setenv nobody may race with */
        tcase_add_test(tcase, processes_start_while_the_environment_changes);
    return support_run(suite);
}
