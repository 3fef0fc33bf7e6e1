/* SPDX-License-Identifier: MIT
 * sock_test.c - addresses, stale socket files, modes, descriptors that must not leak.
 * Floor: tests of lib/net.
 * Owns: a temporary folder per test.
 * Invariant: what sock.h promises, on real sockets of this host's loopback. */
#include "lib/net/sock.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const struct {
    const char *text;
    const char *want; /* NULL: refused */
    bool loopback;
} addr_rows[] = {
    {"127.0.0.1:8080", "127.0.0.1:8080", true},
    {"10.1.2.3:1", "10.1.2.3:1", false},
    {"[::1]:8080", "[::1]:8080", true},
    {"[2001:db8::1]:65535", "[2001:db8::1]:65535", false},
    {"[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:1", true},
    {":8080", "[::]:8080", false},
    {":0", "[::]:0", false},
    {"unix:/run/a.sock", "unix:/run/a.sock", false},
    {"", NULL, false},
    {"8080", NULL, false},
    {"127.0.0.1", NULL, false},
    {"127.0.0.1:", NULL, false},
    {"127.0.0.1:65536", NULL, false},
    {"127.0.0.1:08", NULL, false},
    {"127.0.0.1:+8", NULL, false},
    {"127.1:80", NULL, false},
    {"0x7f.0.0.1:80", NULL, false},
    {"256.0.0.1:80", NULL, false},
    {"::1:80", NULL, false},
    {"[::1]", NULL, false},
    {"[127.0.0.1]:80", NULL, false},
    {"[]:80", NULL, false},
    {"[fe80::1%lo]:80", NULL, false},
    {"localhost:80", NULL, false},
    {"unix:", NULL, false},
};

static void
test_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(addr_rows) / sizeof(addr_rows[0]); i++) {
        struct sock_addr addr;
        struct err err = {.code = 0};
        char text[128];
        int r = sock_addr_parse(str_from(addr_rows[i].text), &addr, &err);
        if ((r == 0) != (addr_rows[i].want != NULL))
            fail_msg("%s: %d", addr_rows[i].text, r);
        if (r < 0) {
            assert_true(err.text[0] != '\0');
            continue;
        }
        sock_addr_format(&addr, text);
        assert_string_equal(text, addr_rows[i].want);
        assert_int_equal(sock_addr_is_loopback(&addr), addr_rows[i].loopback);
    }
    char path[200] = "unix:/";
    memset(path + 6, 'a', 106);
    struct sock_addr addr;
    assert_int_equal(sock_addr_parse(str_from(path), &addr, NULL), 0);
    path[112] = 'a';
    assert_int_equal(sock_addr_parse(str_from(path), &addr, NULL), -ERR_INVALID);
}

static int
option(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);
    assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

static void
assert_flags(int fd)
{
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

static void
wait_for(int fd, short events)
{
    struct pollfd pollfd = {.fd = fd, .events = events};
    assert_int_equal(poll(&pollfd, 1, 5000), 1);
}

static void
test_tcp(void **state)
{
    (void)state;
    struct sock_addr addr;
    struct sock_addr peer;
    struct err err;
    char text[128];
    int listener = -1;
    int client = -1;
    int server = -1;
    int second = -1;
    assert_int_equal(sock_addr_parse(STR(":0"), &addr, &err), 0);
    assert_int_equal(sock_listen(&addr, 16, false, 0, &listener, &err), 0);
    assert_flags(listener);
    assert_int_equal(sock_accept(listener, &server, NULL), -ERR_AGAIN);
    addr.len = sizeof(addr.u);
    assert_int_equal(getsockname(listener, &addr.u.any, &addr.len), 0);
    assert_int_equal(sock_listen(&addr, 16, false, 0, &second, &err), -ERR_IN_USE);
    assert_non_null(strstr(err.text, "ss -ltnp"));

    /* over v4 to a dual-stack listener: the peer is a v4 address */
    uint16_t port = ntohs(addr.u.in6.sin6_port);
    assert_true(snprintf(text, sizeof(text), "127.0.0.1:%u", port) > 0);
    assert_int_equal(sock_addr_parse(str_from(text), &addr, &err), 0);
    assert_int_equal(sock_connect(&addr, &client, &err), 0);
    wait_for(listener, POLLIN);
    assert_int_equal(sock_accept(listener, &server, &peer), 0);
    wait_for(client, POLLOUT);
    assert_int_equal(sock_error(client, &err), 0);
    assert_int_equal(peer.u.any.sa_family, AF_INET);
    assert_true(sock_addr_is_loopback(&peer));
    assert_flags(client);
    assert_flags(server);
    assert_int_equal(option(client, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option(server, IPPROTO_TCP, TCP_NODELAY), 1);
    (void)close(client);
    (void)close(server);
    (void)close(listener);

    int r = sock_connect(&addr, &client, &err); /* nobody there now */
    if (r == 0) {
        wait_for(client, POLLOUT);
        r = sock_error(client, &err);
        (void)close(client);
    }
    assert_int_equal(r, -ERR_REFUSED);
    assert_int_equal(err.code, ERR_REFUSED);
}

static char dir[64];
static int
make_dir(void **state)
{
    (void)state;
    memcpy(dir, "/tmp/sock_test.XXXXXX", 22);
    return mkdtemp(dir) == NULL ? -1 : 0;
}
static int
remove_dir(void **state)
{
    (void)state;
    char path[80];
    if (snprintf(path, sizeof(path), "%s/s", dir) > 0)
        (void)unlink(path);
    return rmdir(dir);
}

static void
test_unix_files(void **state)
{
    (void)state;
    struct sock_addr addr;
    struct err err;
    struct stat st;
    char text[128];
    int fd = -1;
    int other = -1;
    assert_true(snprintf(text, sizeof(text), "unix:%s/s", dir) > 0);
    assert_int_equal(sock_addr_parse(str_from(text), &addr, &err), 0);
    int r = sock_connect(&addr, &other, &err);
    assert_int_equal(r, -ERR_REFUSED);

    (void)umask(077); /* the mode asked for, whatever the umask */
    assert_int_equal(sock_listen(&addr, 4, false, 0660, &fd, &err), 0);
    (void)umask(022);
    assert_int_equal(stat(addr.u.un.sun_path, &st), 0);
    assert_int_equal(st.st_mode & 07777u, 0660);
    assert_int_equal(sock_listen(&addr, 4, false, 0600, &other, &err), -ERR_IN_USE);
    (void)close(fd);
    /* the file is left, but nobody answers: it is taken over */
    assert_int_equal(sock_listen(&addr, 4, false, 0600, &fd, &err), 0);
    assert_int_equal(stat(addr.u.un.sun_path, &st), 0);
    assert_int_equal(st.st_mode & 07777u, 0600);
    (void)close(fd);
    assert_int_equal(unlink(addr.u.un.sun_path), 0);

    /* a file that is no socket is nobody's to remove */
    fd = open(addr.u.un.sun_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(sock_listen(&addr, 4, false, 0600, &fd, &err), -ERR_IN_USE);
    assert_int_equal(access(addr.u.un.sun_path, F_OK), 0);
}

static size_t
open_fds(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder);
    return count;
}

static void
test_fds(void **state)
{
    (void)state;
    struct err err;
    char path[80];
    char bytes[8];
    int listener = -1;
    int client = -1;
    int server = -1;
    int fds[253];
    size_t count = 0;
    size_t fd_count = 0;
    assert_true(snprintf(path, sizeof(path), "%s/s", dir) > 0);
    assert_int_equal(sock_seqpacket_listen(path, 0600, &listener, &err), 0);
    assert_int_equal(sock_seqpacket_connect(path, &client, &err), 0);
    assert_int_equal(sock_accept(listener, &server, NULL), 0);
    assert_int_equal(sock_recv_fds(server, bytes, 8, &count, fds, 2, &fd_count), -ERR_AGAIN);

    int two[2] = {client, listener};
    size_t before = open_fds();
    assert_int_equal(sock_send_fds(client, "ab", 2, two, 2), 0);
    assert_int_equal(sock_send_fds(client, "c", 1, NULL, 0), 0);
    assert_int_equal(sock_recv_fds(server, bytes, 8, &count, fds, 2, &fd_count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(fd_count, 2);
    assert_true((fcntl(fds[0], F_GETFD) & FD_CLOEXEC) != 0);
    (void)close(fds[0]);
    (void)close(fds[1]);
    assert_int_equal(sock_recv_fds(server, bytes, 8, &count, NULL, 0, &fd_count), 0);
    assert_int_equal(fd_count, 0);

    /* more descriptors, or more bytes, than asked for: refused, and nothing stays open */
    assert_int_equal(sock_send_fds(client, "ab", 2, two, 2), 0);
    assert_int_equal(sock_recv_fds(server, bytes, 8, &count, fds, 1, &fd_count), -ERR_TOO_LARGE);
    assert_int_equal(sock_send_fds(client, "123456789", 9, two, 2), 0);
    assert_int_equal(sock_recv_fds(server, bytes, 8, &count, fds, 2, &fd_count), -ERR_TOO_LARGE);
    int many[253];
    for (size_t i = 0; i < 253; i++)
        many[i] = client;
    assert_int_equal(sock_send_fds(client, "ab", 2, many, 253), 0);
    assert_int_equal(sock_recv_fds(server, bytes, 8, &count, fds, 253, &fd_count), 0);
    assert_int_equal(fd_count, 253);
    for (size_t i = 0; i < 253; i++)
        (void)close(fds[i]);
    assert_int_equal(open_fds(), before);

    (void)close(client);
    assert_int_equal(sock_recv_fds(server, bytes, 8, &count, fds, 1, &fd_count), -ERR_CLOSED);
    assert_int_equal(sock_send_fds(server, "a", 1, NULL, 0), -ERR_CLOSED); /* no SIGPIPE */
    (void)close(server);
    (void)close(listener);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_tcp),
        cmocka_unit_test_setup_teardown(test_unix_files, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_fds, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
