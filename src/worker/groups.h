/* The process groups of the workers that live, where the zygote sees them: each
 * worker leads one, and what is left in it when the worker or the program has
 * died is killed. The page is shared by the program and its zygote, and by
 * nobody else. */
#ifndef WORKER_GROUPS_H
#define WORKER_GROUPS_H

#include <stdbool.h>

/* Makes the page, once. Without it, or when it is full, workers' own children
 * may outlive a program that is killed. */
void groups_open(void);

/* Around the clone of the zygote, which alone is to have the page too. */
void groups_share(bool on);

/* A worker begins; its place, or -1. */
int groups_enter(int pid);

/* Its end, before it is reaped: kills what is left of its group; with pid 0, of
 * one that somebody else has reaped, of none. */
void groups_leave(int place, int pid);

/* In the zygote: sends the signal to each group. */
void groups_signal(int signal);

/* In a copy of the process that has no page. */
void groups_forked(void);

#endif
