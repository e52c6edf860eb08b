/* Circular lists. */
#include "base/list.h"
#include "support/support.h"

struct item {
    int number;
    struct list link;
};

static void
fill(struct list *head, struct item *items, int count)
{
    list_init(head);
    for (int i = 0; i < count; i++) {
        items[i].number = i;
        list_append(head, &items[i].link);
    }
}

START_TEST(keeps_the_order)
{
    struct item items[5];
    struct list head;
    int next = 0;

    fill(&head, items, 5);
    list_foreach (at, &head)
        ck_assert_int_eq(list_entry(at, struct item, link)->number, next++);
    ck_assert_int_eq(next, 5);
    for (int i = 0; i < 5; i++)
        ck_assert_ptr_eq(list_pop(&head), &items[i].link);
    ck_assert_ptr_null(list_pop(&head));
    ck_assert(list_empty(&head));
}

END_TEST

START_TEST(removes_anywhere)
{
    struct item items[3];
    struct list head;

    for (int gone = 0; gone < 3; gone++) {
        fill(&head, items, 3);
        list_remove(&items[gone].link);
        ck_assert(list_empty(&items[gone].link));
        for (int i = 0; i < 3; i++)
            if (i != gone)
                ck_assert_ptr_eq(list_pop(&head), &items[i].link);
        ck_assert(list_empty(&head));
    }
}

END_TEST

START_TEST(removing_twice_does_no_harm)
{
    struct item items[2];
    struct list head;

    fill(&head, items, 2);
    list_remove(&items[0].link);
    list_remove(&items[0].link);
    ck_assert_ptr_eq(list_pop(&head), &items[1].link);
    ck_assert(list_empty(&head));
}

END_TEST

START_TEST(a_removed_link_can_be_appended_again)
{
    struct item items[2];
    struct list head;

    fill(&head, items, 2);
    list_append(&head, list_pop(&head));
    ck_assert_ptr_eq(head.next, &items[1].link);
    ck_assert_ptr_eq(head.previous, &items[0].link);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("base/list");
    TCase *tcase = support_case(suite, "links", 5);

    tcase_add_test(tcase, keeps_the_order);
    tcase_add_test(tcase, removes_anywhere);
    tcase_add_test(tcase, removing_twice_does_no_harm);
    tcase_add_test(tcase, a_removed_link_can_be_appended_again);
    return support_run(suite);
}
