/* A server that is started with this library (LD_PRELOAD) has the time of day of its test: 64 bits in the file that
   ORACLE_CLOCK names, in microseconds since 1970. Clocks that only measure go on by themselves. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long microseconds(void)
{
    static volatile long long *shared;

    if (!shared)
        shared = mmap(NULL, sizeof *shared, PROT_READ, MAP_SHARED, open(getenv("ORACLE_CLOCK"), O_RDONLY), 0);
    return *shared;
}

int gettimeofday(struct timeval *now, void *zone)
{
    long long time_of_day = microseconds();

    (void)zone;
    now->tv_sec = time_of_day / 1000000;
    now->tv_usec = time_of_day % 1000000;
    return 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    long long time_of_day;

    if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)
        return syscall(SYS_clock_gettime, clock, now);
    time_of_day = microseconds();
    now->tv_sec = time_of_day / 1000000;
    now->tv_nsec = time_of_day % 1000000 * 1000;
    return 0;
}

time_t time(time_t *now)
{
    time_t seconds = microseconds() / 1000000;

    if (now)
        *now = seconds;
    return seconds;
}
