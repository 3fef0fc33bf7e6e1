/* SPDX-License-Identifier: MIT
 * upload_test.c - what of the journals is sent and when: a disk that cannot be read is told once
 *                 and asked less and less often; a first lease waits for what ended before.
 * Floor: dataplane/node tests.
 * Owns: pread, for this program; a clock; a folder under /tmp.
 * Invariant: what is not posted is sent in the end, once. */
#include "dataplane/node/node_test_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/clock.h"

static bool disk_fails;
static unsigned reads;
static uint64_t time_ms;
static char dir[64];
static char journal_path[96];
static struct node_worker worker;

ssize_t
pread(int fd, void *bytes, size_t count, off_t at)
{
    reads++;
    errno = EIO;
    return disk_fails ? -1 : syscall(SYS_pread64, fd, bytes, count, at);
}

static uint64_t
mono(void *user)
{
    (void)user;
    return time_ms * 1000000u;
}

static int64_t
wall(void *user)
{
    (void)user;
    return (int64_t)time_ms * 1000000;
}

static void
later(uint64_t ms)
{
    time_ms += ms;
    loop_step(node.loop, 0);
    node_upload_kick(&node);
}

static int
begin(void **state)
{
    static const struct clock_source source = {mono, wall, NULL};
    struct err err = {0};
    (void)rig_node(state);
    node.epoch = 7;
    time_ms = 1000000;
    disk_fails = false;
    clock_replace(&source);
    (void)snprintf(dir, sizeof dir, "/tmp/berth-upload-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(journal_path, sizeof journal_path, "%s/journal", dir);
    assert_int_equal(mkdir(journal_path, 0700), 0);
    node.options.data = dir;
    buf_init(&node.shared, 1u << 20);
    assert_int_equal(loop_new(&node.loop, &err), 0);
    assert_int_equal(metrics_new(worker_metric_defs, DATAPLANE_METRIC_COUNT, 100, &node.metrics),
                     0);
    const struct journal_conf conf = {.dir = journal_path, .epoch = 7, .segment_count_max = 4};
    worker = (struct node_worker){.node = &node};
    assert_int_equal(journal_open(&conf, &worker.worker.journal, &err), 0);
    node.workers = &worker;
    node.worker_count = 1;
    assert_int_equal(node_uploads_recover(&node, &err), 0);
    return 0;
}

static int
end(void **state)
{
    while (!list_empty(&node.uploads)) {
        struct upload *upload = LIST_ENTRY(node.uploads.next, struct upload, node);
        list_remove(&upload->node);
        free(upload);
    }
    journal_remove(&worker.worker.journal);
    metrics_free(&node.metrics);
    loop_free(&node.loop);
    buf_fini(&node.shared);
    (void)rmdir(journal_path);
    (void)rmdir(dir);
    clock_replace(NULL);
    return rig_node_end(state);
}

/* A call begins and ends. */
static void
call(void)
{
    struct journal_ticket ticket;
    const struct journal_members members = {.own = STR("\"id\":\"req_1\"")};
    assert_int_equal(journal_admit(worker.worker.journal, &ticket), 0);
    journal_intent(worker.worker.journal, &ticket, &members);
    (void)journal_outcome(worker.worker.journal, &ticket, &members);
    journal_commit(worker.worker.journal);
}

static void
posted(uint64_t seq)
{
    char text[96];
    struct json_doc doc;
    json_init(&doc);
    (void)snprintf(text, sizeof text, "{\"stream\":\"0\",\"epoch\":\"7\",\"seq\":\"%llu\"}",
                   (unsigned long long)seq);
    assert_int_equal(json_scan(&doc, str_from(text), NULL, NULL), 0);
    node_upload_posted(&node, &doc);
    json_fini(&doc);
}

static struct upload *
the_upload(void)
{
    return LIST_ENTRY(node.uploads.next, struct upload, node);
}

static int64_t
unread(void)
{
    return metric_value(metrics_series(node.metrics, METRIC_journal_unread, NULL));
}

static void
disk_that_cannot_be_read(void **state)
{
    (void)state;
    call();
    disk_fails = true;
    later(300);
    said("");
    assert_int_equal(unread(), 1);
    unsigned before = reads;
    for (unsigned i = 0; i < 4; i++)
        later(50); /* below the first pause */
    assert_int_equal(reads, before);
    assert_int_equal(unread(), 1);
    for (unsigned i = 0; i < 1200; i++)
        later(50); /* a minute: pauses double up to 30 s */
    assert_in_range(unread(), 7, 9);
    assert_int_equal(the_upload()->wait_ms, 30000);
    said("");
    disk_fails = false;
    for (unsigned i = 0; i < 601; i++)
        later(50);
    said("{\"type\":\"usage\",\"epoch\":\"7\",\"stream\":\"0\",\"first\":\"1\",\"records\":[{"
         "\"seq\":\"1\",\"id\":\"req_1\"}]}\n");
    assert_int_equal(the_upload()->wait_ms, 0);
    posted(1);
    call();
    later(300); /* no pause is left over */
    said("{\"type\":\"usage\",\"epoch\":\"7\",\"stream\":\"0\",\"first\":\"2\",\"records\":[{"
         "\"seq\":\"2\",\"id\":\"req_1\"}]}\n");
}

/* A caller gets its first cap: what it spent before is in the ledger before a lease is asked for,
 * else the ledger would take that out of the lease. Wallets do not wait. */
static void
a_first_lease_comes_after_what_ended(void **state)
{
    (void)state;
    struct fund *budget = funds_get_budget(&node.funds, "key", STR("ci"));
    struct fund *wallet = funds_get(&node.funds, STR("w"));
    call();
    node_upload_mark(&node);
    assert_false(node_upload_marked(&node));
    assert_true(fund_owe(budget, 5));
    node_send_lease(&node);
    said("");
    assert_int_equal(fund_hold(wallet, 5), -ERR_OVERDRAWN);
    assert_true(fund_should_ask(wallet));
    node_send_lease(&node);
    assert_true(str_find(buf_str(&the_link.said), STR("\"wallet\":\"w\"")) != SIZE_MAX);
    assert_true(str_find(buf_str(&the_link.said), STR("key/ci")) == SIZE_MAX);
    fund_grant(wallet, 5, FUND_OK);
    the_link.said.len = 0;
    call();   /* under the new configuration: not waited for */
    later(1); /* what is marked does not wait for more */
    assert_true(str_find(buf_str(&the_link.said), STR("\"type\":\"usage\"")) != SIZE_MAX);
    the_link.said.len = 0;
    posted(1);
    assert_true(str_starts(buf_str(&the_link.said),
                           STR("{\"type\":\"lease\",\"epoch\":\"7\",\"wallet\":\"key/ci\"")));
    assert_true(node_upload_marked(&node));
    the_link.said.len = 0;
    fund_grant(budget, 5, FUND_OK);
    call();
    node_upload_mark(&node);
    assert_true(fund_owe(budget, 5)); /* it has had a lease: no more waiting */
    node_send_lease(&node);
    assert_true(str_starts(buf_str(&the_link.said), STR("{\"type\":\"lease\"")));
    the_link.said.len = 0;
    fund_grant(budget, 10, FUND_OK);
    budget->lapsed = true; /* its cap was gone for a while: as at first */
    assert_true(fund_owe(budget, 5));
    node_send_lease(&node);
    said("");
    posted(3);
    assert_true(str_starts(buf_str(&the_link.said), STR("{\"type\":\"lease\"")));
    assert_false(budget->lapsed);
}

/* What was spent above the lease is forgiven when the ledger has it, however long that takes:
 * before that it would lend as if it had not been spent. */
static void
forgives_what_is_posted(void **state)
{
    (void)state;
    struct fund *cap = funds_get(&node.funds, STR("key/ci"));
    assert_non_null(cap);
    (void)!fund_owe(cap, 500);
    call();
    fund_capture(cap, 500, 400);
    for (unsigned i = 0; i < 10 * FUND_IDLE_EMPTY_S; i++)
        node_funds_tick(&node);
    assert_int_equal(atomic_load(&cap->available), -400);
    posted(1);
    for (unsigned i = 0; i < 3; i++) {
        call(); /* others go on: there is always something that is not posted */
        node_funds_tick(&node);
        posted(1 + i);
    }
    assert_int_equal(atomic_load(&cap->available), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(disk_that_cannot_be_read, begin, end),
        cmocka_unit_test_setup_teardown(forgives_what_is_posted, begin, end),
        cmocka_unit_test_setup_teardown(a_first_lease_comes_after_what_ended, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
