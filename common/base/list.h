/* Doubly linked intrusive list. A head is a node that points to itself; an unlinked node is zero. */
#ifndef PGN_BASE_LIST_H
#define PGN_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct pgn_node {
    struct pgn_node *next, *prev;
};

static inline void pgn_list_init(struct pgn_node *head)
{
    head->next = head->prev = head;
}
static inline bool pgn_list_empty(const struct pgn_node *head)
{
    return head->next == head;
}
static inline bool pgn_node_linked(const struct pgn_node *n)
{
    return n->next != NULL;
}

static inline void pgn_list_insert(struct pgn_node *n, struct pgn_node *prev, struct pgn_node *next)
{
    n->prev = prev;
    n->next = next;
    prev->next = n;
    next->prev = n;
}
static inline void pgn_list_append(struct pgn_node *head, struct pgn_node *n)
{
    pgn_list_insert(n, head->prev, head);
}
static inline void pgn_list_prepend(struct pgn_node *head, struct pgn_node *n)
{
    pgn_list_insert(n, head, head->next);
}

/* Unlinks n; harmless when it is not linked. */
static inline void pgn_list_remove(struct pgn_node *n)
{
    if (!n->next)
        return;
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->next = n->prev = NULL;
}

/* The first node, unlinked; NULL when the list is empty. */
static inline struct pgn_node *pgn_list_pop(struct pgn_node *head)
{
    struct pgn_node *n = head->next;
    if (n == head)
        return NULL;
    head->next = n->next;
    n->next->prev = head;
    n->next = n->prev = NULL;
    return n;
}

#define PGN_LIST_EACH(n, head) for (struct pgn_node *n = (head)->next; n != (head); n = n->next)
/* n may be removed inside. */
#define PGN_LIST_EACH_SAFE(n, head)                                                                                                        \
    for (struct pgn_node *n = (head)->next, *n##_next = n->next; n != (head); n = n##_next, n##_next = n->next)

#endif
