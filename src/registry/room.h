/* The file of a recording in this process: making or finding it, and taking
 * chunks of it. One file at a time, which may change: what was found of an old
 * one is never used for a new one, and never faults. */
#ifndef REGISTRY_ROOM_H
#define REGISTRY_ROOM_H

#include "registry/recording.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether another program that lives records into it: two that were given the
 * same name would else take it from each other. */
bool room_is_in_use(const char *path);

/* Makes the file and maps it, with its header complete but for the magic; in
 * the place of one that is there, but if `anew`. why says what failed. In one
 * thread at a time, as all up to room_close. */
int room_make(const char *path, bool anew, uint32_t session);

/* What is recorded begins now: the making took its time. */
void room_begins(uint32_t session);

/* Finds that of another process of the program. */
int room_join(const char *path, uint32_t session);

/* Ends it for all: no chunk is claimed after this. Cuts the file if this
 * process made it, and forgets it. */
void room_close(void);
void room_forked(bool ours);

uint32_t room_session(void); /* 0: none */
int room_fd(void);           /* -1: this process has not made it */

/* Of that session; NULL: it is another one now. A record: nor is it over. */
struct recording_header *room_header(uint32_t session);
union record *room_record(uint32_t session, uint64_t number);

/* A chunk that is nobody's: its number, or 0 if there is none. */
uint32_t room_claim(uint32_t session);
struct recording_chunk *room_chunk(uint32_t session, uint32_t number);

/* Gives `size` bytes from `at` on their memory, or notes that there is none. */
bool room_fill(uint32_t session, void *at, size_t size);

void room_lost(uint32_t session, uint64_t records);

/* Says how the two clocks stand to each other now. */
void room_set_clock(struct recording_header *header);

/* The time, in the file's clock. */
uint64_t room_ticks(void);

#endif
