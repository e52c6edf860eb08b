/* Descriptors 0 to 2 are the program's, also while they are closed: what weft
 * opens lies above them. */
#ifndef OS_HIGH_H
#define OS_HIGH_H

/* The same file as `fd`, which is closed if need be; passes -1 with errno on as
 * -errno. */
int high_fd(int fd);

#endif
