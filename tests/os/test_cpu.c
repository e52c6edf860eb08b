/* How many CPUs there are, against trees of control groups made up here. */
#include "os/os.h"
#include "support/support.h"

#include <sched.h>
#include <string.h>

/* Mounts as Linux lists them. */
#define V2(root, point) \
    "30 24 0:26 " root " " point " rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
#define V1(root, point)                                                        \
    "33 24 0:29 " root " " point " rw,nosuid shared:9 - cgroup cgroup rw,cpu," \
    "cpuacct\n"
#define OTHERS                                                          \
    "24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"           \
    "31 24 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n" \
    "32 24 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"

#define CG "/sys/fs/cgroup"

struct file {
    const char *path, *text;
};

static const struct tree {
    const char *name;
    unsigned expected;
    const char *groups, *mounts;
    struct file files[8];
} trees[] = {
    {"v2, a limit of the group itself",
     2,
     "0::/app\n",
     OTHERS V2("/", CG),
     {{CG "/app/cpu.max", "200000 100000\n"}}},
    {"v2, rounded up",
     2,
     "0::/app\n",
     V2("/", CG),
     {{CG "/app/cpu.max", "150000 100000\n"}}},
    {"v2, less than one",
     1,
     "0::/app\n",
     V2("/", CG),
     {{CG "/app/cpu.max", "1000 100000\n"}}},
    {"v2, another period",
     3,
     "0::/app\n",
     V2("/", CG),
     {{CG "/app/cpu.max", "25000 10000\n"}}},
    {"v2, none",
     0,
     "0::/app\n",
     V2("/", CG),
     {{CG "/app/cpu.max", "max 100000\n"}}},
    {"v2, no file", 0, "0::/app\n", V2("/", CG), {{NULL, NULL}}},
    {"v2, the root group", 0, "0::/\n", V2("/", CG), {{NULL, NULL}}},
    {"v2, a limit at the mount",
     4,
     "0::/\n",
     V2("/", CG),
     {{CG "/cpu.max", "400000 100000\n"}}},
    {"v2, an ancestor's is lower",
     3,
     "0::/a/b/c\n",
     V2("/", CG),
     {{CG "/a/b/c/cpu.max", "800000 100000\n"},
      {CG "/a/b/cpu.max", "max 100000\n"},
      {CG "/a/cpu.max", "300000 100000\n"}}},
    {"v2, an ancestor's is higher",
     2,
     "0::/a/b/c\n",
     V2("/", CG),
     {{CG "/a/b/c/cpu.max", "200000 100000\n"},
      {CG "/a/cpu.max", "900000 100000\n"}}},
    {"v2, only the mount limits",
     5,
     "0::/a/b\n",
     V2("/", CG),
     {{CG "/cpu.max", "500000 100000\n"}, {CG "/a/cpu.max", "max 100000\n"}}},
    {"v2, a container's mount",
     2,
     "0::/docker/abc/app\n",
     V2("/docker/abc", CG),
     {{CG "/app/cpu.max", "200000 100000\n"}}},
    {"v2, a container's own group",
     6,
     "0::/docker/abc\n",
     V2("/docker/abc", CG),
     {{CG "/cpu.max", "600000 100000\n"}}},
    {"v2, a mount of another group",
     2,
     "0::/elsewhere\n",
     V2("/docker/abc", CG),
     {{CG "/cpu.max", "200000 100000\n"}}},
    {"v2, a mount of a group of like name",
     2,
     "0::/docker/abcd\n",
     V2("/docker/abc", CG),
     {{CG "/cpu.max", "200000 100000\n"}}},
    {"v2, above the namespace's root",
     2,
     "0::/../app\n",
     V2("/", CG "/ns"),
     {{CG "/ns/cpu.max", "800000 100000\n"},
      {CG "/app/cpu.max", "200000 100000\n"}}},
    {"v2, a group with a colon",
     2,
     "0::/a:b\n",
     V2("/", CG),
     {{CG "/a:b/cpu.max", "200000 100000\n"}}},
    {"v1",
     2,
     "5:memory:/x\n4:cpu,cpuacct:/app\n",
     OTHERS V1("/", CG "/cpu"),
     {{CG "/cpu/app/cpu.cfs_quota_us", "200000\n"},
      {CG "/cpu/app/cpu.cfs_period_us", "100000\n"}}},
    {"v1, none",
     0,
     "4:cpu,cpuacct:/app\n",
     V1("/", CG "/cpu"),
     {{CG "/cpu/app/cpu.cfs_quota_us", "-1\n"},
      {CG "/cpu/app/cpu.cfs_period_us", "100000\n"}}},
    {"v1, an ancestor's is lower",
     1,
     "4:cpuacct,cpu:/a/b\n",
     V1("/", CG "/cpu"),
     {{CG "/cpu/a/b/cpu.cfs_quota_us", "-1\n"},
      {CG "/cpu/a/b/cpu.cfs_period_us", "100000\n"},
      {CG "/cpu/a/cpu.cfs_quota_us", "50000\n"},
      {CG "/cpu/a/cpu.cfs_period_us", "100000\n"}}},
    {"v1, a limit of another controller's group",
     0,
     "4:cpuset:/app\n",
     V1("/", CG "/cpu"),
     {{CG "/cpu/app/cpu.cfs_quota_us", "200000\n"},
      {CG "/cpu/app/cpu.cfs_period_us", "100000\n"}}},
    {"v1, a container's mount",
     3,
     "4:cpu,cpuacct:/docker/abc\n",
     V1("/docker/abc", CG "/cpu"),
     {{CG "/cpu/cpu.cfs_quota_us", "300000\n"},
      {CG "/cpu/cpu.cfs_period_us", "100000\n"}}},
    {"v1, no period",
     0,
     "4:cpu:/\n",
     V1("/", CG "/cpu"),
     {{CG "/cpu/cpu.cfs_quota_us", "300000\n"}}},
    {"both, v1 is lower",
     1,
     "4:cpu,cpuacct:/app\n0::/app\n",
     V2("/", CG "/unified") V1("/", CG "/cpu"),
     {{CG "/unified/app/cpu.max", "200000 100000\n"},
      {CG "/cpu/app/cpu.cfs_quota_us", "100000\n"},
      {CG "/cpu/app/cpu.cfs_period_us", "100000\n"}}},
    {"both, v2 is lower",
     2,
     "4:cpu,cpuacct:/app\n0::/app\n",
     V1("/", CG "/cpu") V2("/", CG "/unified"),
     {{CG "/unified/app/cpu.max", "200000 100000\n"},
      {CG "/cpu/app/cpu.cfs_quota_us", "700000\n"},
      {CG "/cpu/app/cpu.cfs_period_us", "100000\n"}}},
    {"both, v2 without limits",
     7,
     "4:cpu,cpuacct:/app\n0::/\n",
     V1("/", CG "/cpu") V2("/", CG "/unified"),
     {{CG "/cpu/app/cpu.cfs_quota_us", "700000\n"},
      {CG "/cpu/app/cpu.cfs_period_us", "100000\n"}}},
    {"garbage in cpu.max",
     0,
     "0::/app\n",
     V2("/", CG),
     {{CG "/app/cpu.max", "lots and lots\n"}}},
    {"nothing in cpu.max",
     0,
     "0::/app\n",
     V2("/", CG),
     {{CG "/app/cpu.max", ""}}},
    {"no period in cpu.max",
     0,
     "0::/app\n",
     V2("/", CG),
     {{CG "/app/cpu.max", "200000\n"}}},
    {"a quota of zero",
     0,
     "0::/app\n",
     V2("/", CG),
     {{CG "/app/cpu.max", "0 100000\n"}}},
    {"a period of zero",
     0,
     "0::/app\n",
     V2("/", CG),
     {{CG "/app/cpu.max", "200000 0\n"}}},
    {"numbers beyond all bounds",
     0,
     "0::/app\n",
     V2("/", CG),
     {{CG "/app/cpu.max", "99999999999999999999 100000\n"}}},
    {"more CPUs than there can be",
     0,
     "0::/app\n",
     V2("/", CG),
     {{CG "/app/cpu.max", "9000000000000000 1\n"}}},
    {"garbage in cgroup",
     0,
     "\n:\n::\nx\n0:\n4:cpu\n\xff\n",
     V2("/", CG),
     {{CG "/app/cpu.max", "200000 100000\n"}}},
    {"garbage in mountinfo",
     2,
     "0::/app\n",
     "\n - \n1 2 3\nx - cgroup2\n - cgroup2 a b\n" V2("/", CG),
     {{CG "/app/cpu.max", "200000 100000\n"}}},
    {"no cgroup",
     0,
     NULL,
     V2("/", CG),
     {{CG "/app/cpu.max", "200000 100000\n"}}},
    {"no mountinfo",
     0,
     "0::/app\n",
     NULL,
     {{CG "/app/cpu.max", "200000 100000\n"}}},
};

START_TEST(the_least_limit_counts)
{
    const struct tree *tree = &trees[_i];
    char root[64];

    support_directory(root);
    if (tree->groups)
        support_write(root, "proc/self/cgroup", tree->groups);
    if (tree->mounts)
        support_write(root, "proc/self/mountinfo", tree->mounts);
    for (const struct file *file = tree->files; file->path; file++)
        support_write(root, file->path + 1, file->text);
    const unsigned quota = os_cpu_quota(root);

    support_remove(root);
    ck_assert_msg(quota == tree->expected, "%s: %u, not %u", tree->name, quota,
                  tree->expected);
}

END_TEST

START_TEST(long_paths_do_no_harm)
{
    static char group[20000];
    char root[64];

    support_directory(root);
    strcpy(group, "0::");
    for (size_t i = 3; i < sizeof group - 2; i++)
        group[i] = i % 100 == 3 ? '/' : 'x';
    support_write(root, "proc/self/cgroup", group);
    support_write(root, "proc/self/mountinfo", V2("/", CG));
    support_write(root, &CG[1], "");
    ck_assert_uint_eq(os_cpu_quota(root), 0);
    support_write(root, "proc/self/mountinfo", group);
    ck_assert_uint_eq(os_cpu_quota(root), 0);
    support_remove(root);
}

END_TEST

START_TEST(the_real_tree_is_read)
{
    ck_assert_uint_le(os_cpu_quota(""), 1 << 20);
    ck_assert_uint_eq(os_cpu_quota("/no/such/root"), 0);
}

END_TEST

START_TEST(affinity_is_read_anew)
{
    cpu_set_t all, one;
    size_t cpu = 0;

    ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
    ck_assert_int_eq((int)os_cpu_affinity(), CPU_COUNT(&all));
    ck_assert_uint_ge(os_cpu_most(), os_cpu_affinity());
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    ck_assert_uint_eq(os_cpu_affinity(), 1);
}

END_TEST

START_TEST(the_runner_itself_runs)
{
    ck_assert_int_ge(os_running(), 1);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("os/cpu");
    TCase *tcase = support_case(suite, "quota", 10);

    support_add_table(tcase, the_least_limit_counts, trees);
    tcase_add_test(tcase, long_paths_do_no_harm);
    tcase_add_test(tcase, the_real_tree_is_read);
    tcase = support_case(suite, "affinity", 10);
    tcase_add_test(tcase, affinity_is_read_anew);
    tcase_add_test(tcase, the_runner_itself_runs);
    return support_run(suite);
}
