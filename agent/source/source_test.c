/* SPDX-License-Identifier: MIT
 * source_test.c - a runtime that says what it should, breaks off, babbles and forgets.
 * Floor: agent/source, test.
 * Owns: a thread that plays the runtime on a unix socket in a temporary folder.
 * Invariant: whatever gets lost on the way, what is seen in the end is what is. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/source/source.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/net/sock.h"

static char folder[] = "/tmp/source-test-XXXXXX";
static char path[64];

/* The runtime: one container "abc", which is called `name`, or is gone (""). */
static struct {
    int listen_fd;
    pthread_t thread;
    pthread_mutex_t lock;
    char name[32];
    int stream_fd; /* /events, kept open; -1 = nobody listens */
    int streams;
    int lists;
    int reads;
    char since[64];
} runtime = {.lock = PTHREAD_MUTEX_INITIALIZER, .stream_fd = -1};
static _Atomic bool ending;

static struct {
    char name[FACTS_NAME_BYTES];
    enum facts_state state;
    bool whole;
    size_t count;
} seen;

static void
reply(int fd, const char *body)
{
    char bytes[1024];
    int len = snprintf(bytes, sizeof(bytes),
                       "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                       body != NULL ? "200 OK" : "404 Not Found", body != NULL ? strlen(body) : 0,
                       body != NULL ? body : "");
    (void)!write(fd, bytes, (size_t)len);
    close(fd);
}

static void
answer(int fd)
{
    char request[2048] = "";
    char body[512];
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    if (poll(&poll_fd, 1, 2000) != 1 || read(fd, request, sizeof(request) - 1) <= 0) {
        close(fd);
        return;
    }
    pthread_mutex_lock(&runtime.lock);
    if (strstr(request, "/events?since=") != NULL) {
        if (runtime.stream_fd >= 0)
            close(runtime.stream_fd);
        runtime.stream_fd = fd;
        runtime.streams++;
        (void)snprintf(runtime.since, sizeof(runtime.since), "%.32s",
                       strstr(request, "since=") + 6);
        (void)!write(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 47);
    } else if (strstr(request, "/containers/json") != NULL) {
        runtime.lists++;
        (void)snprintf(body, sizeof(body),
                       runtime.name[0] != '\0'
                           ? "[{\"Id\":\"abc\",\"Names\":[\"/%s\"],\"State\":\"running\"}]"
                           : "[]",
                       runtime.name);
        reply(fd, body);
    } else {
        runtime.reads++;
        (void)snprintf(body, sizeof(body),
                       "{\"Id\":\"abc\",\"Name\":\"/%s\",\"State\":{\"Status\":\"running\","
                       "\"Pid\":42}}",
                       runtime.name);
        reply(fd, runtime.name[0] != '\0' && strstr(request, "/containers/abc/json") != NULL
                      ? body
                      : NULL);
    }
    pthread_mutex_unlock(&runtime.lock);
}

static void *
runtime_main(void *user)
{
    (void)user;
    while (!atomic_load(&ending)) {
        struct pollfd poll_fd = {.fd = runtime.listen_fd, .events = POLLIN};
        int fd = poll(&poll_fd, 1, 10) == 1 ? accept(runtime.listen_fd, NULL, NULL) : -1;
        if (fd >= 0)
            answer(fd);
    }
    return NULL;
}

/* Put bytes into the open stream, as one chunk. */
static void
say(const char *bytes)
{
    char head[32];
    pthread_mutex_lock(&runtime.lock);
    (void)snprintf(head, sizeof(head), "%zx\r\n", strlen(bytes));
    (void)!write(runtime.stream_fd, head, strlen(head));
    (void)!write(runtime.stream_fd, bytes, strlen(bytes));
    (void)!write(runtime.stream_fd, "\r\n", 2);
    pthread_mutex_unlock(&runtime.lock);
}

static void
call_it(const char *name)
{
    pthread_mutex_lock(&runtime.lock);
    (void)snprintf(runtime.name, sizeof(runtime.name), "%s", name);
    pthread_mutex_unlock(&runtime.lock);
}

static void
on_seen(const struct facts *facts, enum source_kind kind, void *user)
{
    (void)kind;
    (void)user;
    assert_string_equal(facts->id, "abc");
    (void)snprintf(seen.name, sizeof(seen.name), "%s", facts->name);
    seen.state = facts->state;
    seen.whole = facts->whole;
    seen.count++;
}

static struct loop *loop;
#define UNTIL(cond)                                     \
    do {                                                \
        uint64_t end_ = clock_mono_ms() + 8000;         \
        while (!(cond)) {                               \
            if (clock_mono_ms() > end_)                 \
                fail_msg("%s: never came true", #cond); \
            loop_step(loop, 5);                         \
        }                                               \
    } while (0)
#define SAID(name_) (strcmp(seen.name, (name_)) == 0)
#define EVENT "{\"Type\":\"container\",\"Action\":\"rename\",\"Actor\":{\"ID\":\"abc\"}}\n"

static int
lists(void)
{
    pthread_mutex_lock(&runtime.lock);
    int count = runtime.lists;
    pthread_mutex_unlock(&runtime.lock);
    return count;
}

static int
streams(void)
{
    pthread_mutex_lock(&runtime.lock);
    int count = runtime.streams;
    pthread_mutex_unlock(&runtime.lock);
    return count;
}

static void
test_stream(void **state)
{
    (void)state;
    struct source *source = NULL;
    struct err err = {0};
    struct source_conf conf = {
        .kind = SOURCE_DOCKER, .socket = path, .loop = loop, .seen = on_seen, .relist_ms = 600000};
    call_it("one");
    assert_int_equal(source_new(&conf, &source, &err), 0);
    UNTIL(SAID("one") && streams() == 1); /* by the list */
    assert_false(seen.whole);
    call_it("two");
    say(EVENT);
    UNTIL(SAID("two")); /* by the event, read anew */
    assert_true(seen.whole && seen.state == FACTS_RUNNING);
    call_it("three");
    say("{\"Type\":\"container\",\"Act");
    say("ion\":\"rename\",\"Actor\":{\"ID\":\"a");
    say("bc\"}}\n{\"Type\":\"image\"}\n");
    UNTIL(SAID("three"));
    UNTIL(lists() == 2); /* the second one of this connection */
    call_it("four");     /* an event that is not understood: everything is read */
    say("{\"Type\":\n");
    UNTIL(SAID("four") && lists() == 3);
    call_it("five"); /* the stream breaks off, the event is lost */
    pthread_mutex_lock(&runtime.lock);
    close(runtime.stream_fd);
    runtime.stream_fd = -1;
    pthread_mutex_unlock(&runtime.lock);
    UNTIL(SAID("five") && streams() == 2);
    assert_true(runtime.since[0] >= '1' && runtime.since[0] <= '9');
    call_it("six");
    source_look(source, "abc"); /* read within the second */
    UNTIL(SAID("six"));
    call_it("");
    say(EVENT);
    UNTIL(seen.state == FACTS_GONE);
    source_free(&source);
    size_t count = seen.count;
    say(EVENT);
    for (int i = 0; i < 20; i++)
        loop_step(loop, 5);
    assert_int_equal(seen.count, count); /* nothing after free */
}

/* More than a line can be: skipped, and everything is read. */
static void
test_long_line(void **state)
{
    (void)state;
    static char line[70000];
    struct source *source = NULL;
    struct err err = {0};
    struct source_conf conf = {
        .kind = SOURCE_PODMAN, .socket = path, .loop = loop, .seen = on_seen, .relist_ms = 600000};
    int before = streams();
    call_it("short");
    assert_int_equal(source_new(&conf, &source, &err), 0);
    UNTIL(SAID("short") && streams() == before + 1);
    int listed = lists();
    UNTIL(lists() > listed);
    listed = lists();
    memset(line, 'x', sizeof(line) - 1);
    for (int i = 0; i < 20; i++)
        say(line);
    call_it("long");
    say("\n" EVENT);
    UNTIL(SAID("long") && lists() > listed);
    source_free(&source);
}

static int
setup(void **state)
{
    (void)state;
    struct sock_addr addr;
    struct err err = {0};
    char text[128];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/s", folder);
    (void)snprintf(text, sizeof(text), "unix:%s", path);
    assert_int_equal(sock_addr_parse(str_from(text), &addr, &err), 0);
    assert_int_equal(sock_listen(&addr, 16, false, 0600, &runtime.listen_fd, &err), 0);
    assert_int_equal(pthread_create(&runtime.thread, NULL, runtime_main, NULL), 0);
    return loop_new(&loop, &err);
}

static int
teardown(void **state)
{
    (void)state;
    atomic_store(&ending, true);
    (void)pthread_join(runtime.thread, NULL);
    close(runtime.listen_fd);
    if (runtime.stream_fd >= 0)
        close(runtime.stream_fd);
    (void)unlink(path);
    (void)rmdir(folder);
    loop_step(loop, 0);
    loop_free(&loop);
    return 0;
}

int
main(void)
{
    /* The stream's reader may hang up while the test still writes. */
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stream),
                                       cmocka_unit_test(test_long_line)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
