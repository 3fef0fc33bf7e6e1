/* SPDX-License-Identifier: MIT
 * main.c - berth-sim: start the threads, say that it is ready, wait for a signal.
 * Floor: tools/sim, program; the main thread only waits.
 * Owns: the listening sockets, the threads and what they share.
 * Invariant: "ready" is printed when every listener accepts. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/net/tls.h"
#include "lib/text/json.h"
#include "tools/sim/options.h"
#include "tools/sim/sim.h"

#define FILE_BYTES_MAX (4u << 20)
#define THREADS_MAX 64u

struct program {
    struct options options;
    struct sim sim;
    struct tls_context *tls;
    int listen_fds[OPTIONS_LISTEN_MAX];
    char addrs[OPTIONS_LISTEN_MAX][128];
    struct sim_thread threads[THREADS_MAX];
    pthread_t ids[THREADS_MAX];
};

static int
read_file(const char *path, struct buf *out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, errno, "cannot open %s", path);
    int rc = 0;
    for (;;) {
        rc = buf_reserve(out, 16384);
        if (rc != 0)
            break;
        ssize_t count = read(fd, out->ptr + out->len, 16384);
        if (count <= 0) {
            rc = count < 0 ? -ERR_IO : 0;
            break;
        }
        out->len += (size_t)count;
    }
    (void)close(fd);
    return rc == 0 ? 0 : err_set(err, (enum err_code) - rc, "cannot read %s", path);
}

static int
load_files(struct program *program, struct err *err)
{
    const struct options *options = &program->options;
    struct buf text;
    int rc = 0;
    buf_init(&text, FILE_BYTES_MAX);
    if (options->script != NULL) {
        rc = read_file(options->script, &text, err);
        if (rc == 0)
            rc = script_load(program->sim.script, buf_str(&text), err);
    }
    text.len = 0;
    if (rc == 0 && options->prices != NULL) {
        rc = read_file(options->prices, &text, err);
        if (rc == 0)
            rc = bill_load_prices(program->sim.bill, buf_str(&text), err);
    }
    buf_fini(&text);
    return rc;
}

static int
open_listeners(struct program *program, struct err *err)
{
    for (size_t i = 0; i < program->options.listen_count; i++) {
        struct sock_addr addr;
        int rc = sock_addr_parse(str_from(program->options.listen[i]), &addr, err);
        if (rc == 0)
            rc = sock_listen(&addr, 4096, false, 0600, &program->listen_fds[i], err);
        if (rc != 0)
            return rc;
        addr.len = sizeof(addr.u);
        if (addr.u.any.sa_family != AF_UNIX &&
            getsockname(program->listen_fds[i], &addr.u.any, &addr.len) != 0)
            return err_set_errno(err, errno, "getsockname");
        sock_addr_format(&addr, program->addrs[i]);
    }
    return 0;
}

static int
open_thread(struct program *program, struct sim_thread *thread, struct err *err)
{
    size_t bench_bytes = (size_t)program->options.bench_bytes;
    thread->sim = &program->sim;
    json_init(&thread->doc);
    int rc = loop_new(&thread->loop, err);
    if (rc != 0)
        return rc;
    if (bench_bytes > 0) {
        rc = canned_new(thread->loop, bench_bytes, &thread->canned, err);
        for (size_t i = 0; rc == 0 && i < program->options.listen_count; i++)
            rc = canned_listen(thread->canned, program->listen_fds[i]);
        return rc == 0 ? 0 : err_set(err, (enum err_code) - rc, "cannot start a server thread");
    }
    const struct http_server_conf conf = {
        .loop = thread->loop,
        .tls = program->tls,
        .handler = &sim_handler,
        .user = thread,
        .body_bytes_max = SIM_BODY_BYTES_MAX,
        .conn_count_max = 200000,
        .idle_timeout_ms = 600000,
        .h2_streams_max = 1000,
        .h2_window_bytes = 1u << 20,
        .abuse_burst = 1000000,
        .abuse_per_s = 1000000,
    };
    rc = http_server_new(&conf, &thread->server, err);
    for (size_t i = 0; rc == 0 && i < program->options.listen_count; i++)
        rc = http_server_listen(thread->server, program->listen_fds[i]);
    return rc == 0 ? 0 : err_set(err, (enum err_code) - rc, "cannot start a server thread");
}

static void *
run_thread(void *user)
{
    struct sim_thread *thread = user;
    loop_run(thread->loop);
    return NULL;
}

static int
open_program(struct program *program, struct err *err)
{
    struct sim *sim = &program->sim;
    const struct options *options = &program->options;
    int rc = bill_new(&sim->bill, err);
    if (rc == 0)
        rc = script_new(&sim->script, err);
    if (rc == 0)
        rc = load_files(program, err);
    sim->key = options->key;
    sim->replay_dir = options->replay;
    if (rc == 0 && options->tls_cert != NULL) {
        const struct tls_server_conf conf = {
            .cert_file = options->tls_cert, .key_file = options->tls_key, .alpn_h2 = true};
        rc = tls_server_new(&conf, &program->tls, err);
    }
    if (rc == 0)
        rc = open_listeners(program, err);
    for (uint64_t i = 0; rc == 0 && i < options->threads; i++)
        rc = open_thread(program, &program->threads[i], err);
    return rc;
}

static void
close_program(struct program *program)
{
    for (size_t i = 0; i < THREADS_MAX; i++) {
        struct sim_thread *thread = &program->threads[i];
        if (thread->loop == NULL)
            continue;
        http_server_free(&thread->server);
        canned_free(&thread->canned);
        json_fini(&thread->doc);
        loop_free(&thread->loop);
    }
    for (size_t i = 0; i < OPTIONS_LISTEN_MAX; i++) {
        if (program->listen_fds[i] >= 0)
            (void)close(program->listen_fds[i]);
    }
    tls_context_free(&program->tls);
    script_free(&program->sim.script);
    bill_free(&program->sim.bill);
}

static void
say_ready(const struct program *program)
{
    struct buf line;
    struct json_writer json;
    buf_init(&line, 8192);
    if (program->options.json) {
        json_writer_init(&json, &line);
        json_open_object(&json);
        json_member_bool(&json, "ready", true);
        json_member_i64(&json, "pid", getpid());
        json_key(&json, "listen");
        json_open_array(&json);
        for (size_t i = 0; i < program->options.listen_count; i++)
            json_value_str(&json, str_from(program->addrs[i]));
        json_close_array(&json);
        json_close_object(&json);
    } else {
        buf_put_str(&line, STR("berth-sim ready on"));
        for (size_t i = 0; i < program->options.listen_count; i++)
            buf_printf(&line, " %s", program->addrs[i]);
    }
    (void)printf("%s\n", buf_cstr(&line));
    (void)fflush(stdout);
    buf_fini(&line);
}

static void
run_until_signal(struct program *program)
{
    sigset_t signals;
    int number = 0;
    size_t started = 0;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    while (started < program->options.threads &&
           pthread_create(&program->ids[started], NULL, run_thread, &program->threads[started]) ==
               0)
        started++;
    if (started == program->options.threads) {
        say_ready(program);
        (void)sigwait(&signals, &number);
    } else {
        (void)fprintf(stderr, "berth-sim: cannot start a thread\n");
    }
    for (size_t i = 0; i < started; i++) {
        loop_stop(program->threads[i].loop);
        (void)pthread_join(program->ids[i], NULL);
    }
}

int
main(int argc, char **argv)
{
    static struct program program;
    struct err err = {0};
    struct rlimit files;
    for (size_t i = 0; i < OPTIONS_LISTEN_MAX; i++)
        program.listen_fds[i] = -1;
    if (options_parse(argc - 1, argv + 1, &program.options, &err) != 0) {
        (void)fprintf(stderr, "berth-sim: %s\n", err.text);
        return 2;
    }
    if (program.options.help) {
        struct buf text;
        buf_init(&text, 65536);
        options_help(&text);
        (void)fputs(buf_cstr(&text), stdout);
        buf_fini(&text);
        return 0;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    int rc = open_program(&program, &err);
    if (rc == 0)
        run_until_signal(&program);
    else
        (void)fprintf(stderr, "berth-sim: %s\n", err.text);
    close_program(&program);
    return rc == 0 ? 0 : 1;
}
