/* SPDX-License-Identifier: MIT
 * wall.c - a wall clock that a suite sets while a daemon runs: preloaded, it adds the seconds that
 *          the file WALL_FILE says to the time of day. The monotonic clock goes on as it is.
 * Floor: e2e/clocks.sh; any thread of any process.
 * Owns: a mapping of the file.
 * Invariant: the file keeps its length (20 characters, a decimal number), so that it may be written
 *            while it is read. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define FILE_BYTES 20

static const volatile char *text;

__attribute__((constructor)) static void
wall_open(void)
{
    const char *path = getenv("WALL_FILE");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd >= 0 ? mmap(NULL, FILE_BYTES, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (map == MAP_FAILED)
        _exit(78);
    text = map;
    (void)close(fd);
}

static time_t
ahead_s(void)
{
    time_t seconds = 0;
    for (int i = 1; i < FILE_BYTES; i++)
        seconds = seconds * 10 + (text[i] - '0');
    return text[0] == '-' ? -seconds : seconds;
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
    long code = syscall(SYS_clock_gettime, clock, now);
    if (code == 0 && text != NULL && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += ahead_s();
    return (int)code;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec fine;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &fine) != 0)
        return -1;
    *now = (struct timeval){.tv_sec = fine.tv_sec, .tv_usec = fine.tv_nsec / 1000};
    return 0;
}

time_t
time(time_t *ret)
{
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return -1;
    if (ret != NULL)
        *ret = now.tv_sec;
    return now.tv_sec;
}
