#include "common/io/mailbox.h"

#include "common/base/alloc.h"
#include "common/base/error.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct pgn_mailbox {
    struct pgn_loop *loop;
    struct pgn_io io; /* its eventfd */
    pthread_mutex_t lock;
    pthread_cond_t room;   /* for pgn_mailbox_post_wait */
    struct pgn_node mails; /* from here on under lock */
    size_t count, limit, waiters;
};

/* Takes all that is there and handles it. What is posted meanwhile waits for the next turn. */
static void on_ready(struct pgn_io *io, uint32_t events)
{
    struct pgn_mailbox *mb = PGN_CONTAINER(io, struct pgn_mailbox, io);
    struct pgn_node taken;
    uint64_t bursts;

    (void)events;
    while (read(io->fd, &bursts, sizeof(bursts)) < 0 && errno == EINTR)
        ;
    pgn_list_init(&taken);
    pthread_mutex_lock(&mb->lock);
    if (!pgn_list_empty(&mb->mails)) {
        taken = mb->mails;
        taken.next->prev = &taken;
        taken.prev->next = &taken;
        pgn_list_init(&mb->mails);
    }
    mb->count = 0;
    if (mb->waiters)
        pthread_cond_broadcast(&mb->room);
    pthread_mutex_unlock(&mb->lock);
    while (!pgn_list_empty(&taken)) {
        struct pgn_mail *mail = PGN_CONTAINER(taken.next, struct pgn_mail, node);
        pgn_list_remove(&mail->node);
        mail->on_loop(mail);
    }
}

struct pgn_mailbox *pgn_mailbox_new(struct pgn_loop *loop, size_t limit)
{
    struct pgn_mailbox *mb = pgn_calloc(1, sizeof(*mb));

    mb->loop = loop;
    mb->limit = limit;
    mb->io.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    mb->io.events = PGN_READ;
    mb->io.on_ready = on_ready;
    pgn_list_init(&mb->mails);
    pthread_mutex_init(&mb->lock, NULL);
    pthread_cond_init(&mb->room, NULL);
    if (mb->io.fd < 0 || pgn_io_add(loop, &mb->io) != 0) {
        perror("eventfd");
        abort();
    }
    return mb;
}

void pgn_mailbox_free(struct pgn_mailbox **mb)
{
    struct pgn_mailbox *m = *mb;

    if (!m)
        return;
    while (!pgn_list_empty(&m->mails)) /* a mail may post another one */
        on_ready(&m->io, PGN_READ);
    pgn_io_remove(m->loop, &m->io);
    close(m->io.fd);
    pthread_mutex_destroy(&m->lock);
    pthread_cond_destroy(&m->room);
    free(m);
    *mb = NULL;
}

/* Appends and unlocks; the first mail of a burst wakes the loop. */
static void append_unlock(struct pgn_mailbox *mb, struct pgn_mail *mail)
{
    uint64_t one = 1;
    int fd = mb->io.fd;
    bool first = mb->count++ == 0;

    pgn_list_append(&mb->mails, &mail->node);
    if (first) /* under the lock: once it is free, the loop may handle this mail and free the mailbox */
        while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
            ;
    pthread_mutex_unlock(&mb->lock);
}

int pgn_mailbox_post(struct pgn_mailbox *mb, struct pgn_mail *mail)
{
    pthread_mutex_lock(&mb->lock);
    if (mb->count >= mb->limit) {
        pthread_mutex_unlock(&mb->lock);
        return PGN_E_FULL;
    }
    append_unlock(mb, mail);
    return 0;
}

void pgn_mailbox_post_wait(struct pgn_mailbox *mb, struct pgn_mail *mail)
{
    pthread_mutex_lock(&mb->lock);
    mb->waiters++;
    while (mb->count >= mb->limit)
        pthread_cond_wait(&mb->room, &mb->lock);
    mb->waiters--;
    append_unlock(mb, mail);
}
