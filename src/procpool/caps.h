/* Workers of a pool share the CPUs: what starts threads of its own in one, be
 * it weft, OpenMP or a BLAS, is told how many it should use, unless the user
 * has said so. */
#ifndef PROCPOOL_CAPS_H
#define PROCPOOL_CAPS_H

/* In a worker, before any of its functions runs. */
void caps_set(unsigned cpus);

#endif
