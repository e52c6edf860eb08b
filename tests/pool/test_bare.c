/* Pools for which no thread can be made. */
#include "support/pool_support.h"

static weft_pool *bare;

/* What was taken ends, whoever else submits. */
static void *
submit_in_vain(void *arg)
{
    for (unsigned i = 0; i < scaled(5000); i++) {
        weft_job *job = NULL;
        const int status =
            weft_submit(&job, bare, &(weft_task){.fn = do_nothing});

        if (status == 0) {
            child_expect(weft_join(job, WEFT_FOREVER) == 0);
            child_expect(weft_outcome_of(job)->status == WEFT_EFAILED);
        }
        weft_release(job);
    }
    return arg;
}

START_TEST(no_task_is_left_behind)
{
    enum {
        COUNT = 4
    };

    pthread_t threads[COUNT];

    bare =
        open_pool(.workers = COUNT, .worker = {.stack_size = (size_t)1 << 47});
    for (int i = 0; i < COUNT; i++)
        threads[i] = support_thread(submit_in_vain, NULL);
    for (int i = 0; i < COUNT; i++)
        support_join(threads[i]);
    ck_assert_uint_eq(counts_of(bare).waiting, 0);
    ck_assert_int_eq(weft_pool_close(bare, WEFT_FOREVER), 0);
}

END_TEST

static Suite *
make(void)
{
    Suite *suite = suite_create("bare pools");
    TCase *tcase = support_case(suite, "bare", 20);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_test(tcase, no_task_is_left_behind);
    return suite;
}

int
main(void)
{
    return support_run(make());
}
