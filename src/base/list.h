/* A circular doubly linked list whose links lie in the elements. A link that is
 * in no list is linked to itself after list_init or list_remove. No locking:
 * the owner of the head says who guards it. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *previous;
};

/* The element of type `type` whose member `member` is the link `at`. */
#define list_entry(at, type, member) \
    ((type *)(void *)((char *)(at)-offsetof(type, member)))

#define list_foreach(at, head) \
    for (struct list *at = (head)->next; at != (head); at = at->next)

static inline void
list_init(struct list *list)
{
    list->next = list;
    list->previous = list;
}

static inline bool
list_empty(const struct list *list)
{
    return list->next == list;
}

static inline void
list_append(struct list *head, struct list *link)
{
    link->previous = head->previous;
    link->next = head;
    head->previous->next = link;
    head->previous = link;
}

static inline void
list_prepend(struct list *head, struct list *link)
{
    list_append(head->next, link);
}

static inline void
list_remove(struct list *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    list_init(link);
}

/* Takes the first link out; NULL if there is none. */
static inline struct list *
list_pop(struct list *head)
{
    struct list *first = head->next;

    if (first == head)
        return NULL;
    list_remove(first);
    return first;
}

#endif
