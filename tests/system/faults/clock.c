/* Sets the clock back and forth under a process, as a synchronization of bad hosts does: part of faults.so

   FAULTS_CLOCK   Seconds by which the clock of the day jumps, in turn ahead, back and home; none if not set.

   Every 20 readings it jumps. The clock that only counts, CLOCK_MONOTONIC, goes on, as it does where a real one is set. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static int64_t seconds;
static uint64_t readings;

__attribute__((constructor)) void clock_begin(void) {
    const char *text = getenv("FAULTS_CLOCK");
    seconds = text ? strtoll(text, NULL, 10) : 0;
}

static time_t jump(void) {
    static const int turns[] = {0, 1, -1};
    if (!seconds) return 0;
    return (time_t)(seconds * turns[__atomic_add_fetch(&readings, 1, __ATOMIC_RELAXED) / 20 % 3]);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*next)(clockid_t, struct timespec *);
    if (next == NULL) next = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = next(clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += jump();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &exact) != 0) return -1;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *to) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (to != NULL) *to = now.tv_sec;
    return now.tv_sec;
}
