/* SPDX-License-Identifier: MIT
 * journal_fault_test.c - the nth call of the kernel or the nth allocation fails, once or from then
 *            on, in a life of a journal and in the recovery of what it left: what was answered is
 *            read once, and what cannot be kept is refused.
 * Floor: dataplane/meter tests.
 * Owns: malloc and the calls below, for this program; a folder under /tmp.
 * Invariant: see journal.h; HARDENING UJ-02, UJ-03. */
#include "dataplane/meter/journal_test_rig.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include "lib/base/alloc_test_rig.h"

enum call { OPEN, FALLOCATE, PWRITE, PWRITE_HALF, PREAD, RENAME, FDATASYNC, DUP, MALLOC, CALLS };
static const char *const call_names[CALLS] = {
    "open", "fallocate", "pwrite", "short pwrite", "pread", "rename", "fdatasync", "dup", "malloc"};
static struct {
    enum call call;
    unsigned nth; /* 0 = never */
    bool forever;
    bool happened; /* since fault_arm armed one */
} fault;
static bool can_fail_malloc;

static bool
fails(enum call call)
{
    if (fault.nth == 0 || call != fault.call)
        return false;
    if (fault.nth > 1) {
        fault.nth--;
        return false;
    }
    if (!fault.forever)
        fault.nth = 0;
    fault.happened = true;
    errno = EIO;
    return true;
}

int
open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return fails(OPEN) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int
posix_fallocate(int fd, off_t at, off_t size)
{
    return fails(FALLOCATE) ? ENOSPC : (int)syscall(SYS_fallocate, fd, 0, at, size);
}

/* A call that a signal ends comes before every one that fails. */
ssize_t
pwrite(int fd, const void *bytes, size_t count, off_t at)
{
    static bool interrupted;
    if (fault.nth == 1 && fault.call == PWRITE && !interrupted && count > 64) {
        interrupted = true;
        errno = EINTR;
        return -1;
    }
    interrupted = false;
    if (fails(PWRITE))
        return -1;
    if (fails(PWRITE_HALF))
        count = count / 2;
    return syscall(SYS_pwrite64, fd, bytes, count, at);
}

ssize_t
pread(int fd, void *bytes, size_t count, off_t at)
{
    return fails(PREAD) ? -1 : syscall(SYS_pread64, fd, bytes, count, at);
}

int
rename(const char *from, const char *to)
{
    return fails(RENAME) ? -1 : (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}

/* Nobody takes the power here. */
int
fdatasync(int fd)
{
    (void)fd;
    return fails(FDATASYNC) ? -1 : 0;
}

int
dup(int fd)
{
    return fails(DUP) ? -1 : (int)syscall(SYS_dup, fd);
}

static void
fault_arm(enum call call, unsigned nth, bool forever)
{
    fault.call = call;
    fault.nth = call == MALLOC ? 0 : nth;
    fault.forever = forever;
    fault.happened = nth == 0 && (fault.happened || alloc_rig.happened);
    alloc_rig_arm(call == MALLOC ? nth : 0, forever);
}

static bool
fault_end(void)
{
    fault_arm(OPEN, 0, false);
    return fault.happened;
}

/* ---- a life that goes on whatever happens ---------------------------------------------------- */

static void
members_make(char own[2700], uint32_t request, int fill, struct journal_members *members)
{
    static const char wallet[] = ",\"wallet\":\"default\"";
    static const char model[] = ",\"model\":\"openai/gpt-4o-mini\"";
    memset(own, 'x', 2700);
    int size = snprintf(own, 2700, "\"id\":\"req_%u\",\"x\":\"", request);
    assert_true(size > 0 && size + fill + 1 < 2700);
    own[size] = 'x';
    own[size + fill] = '"';
    *members = (struct journal_members){
        .own = str_make(own, (size_t)(size + fill) + 1),
        .shared = {str_from(wallet), str_from(model), STR_EMPTY},
    };
}

/* 64 requests at once; those that were not admitted were refused, and that is that. open_some: one
 * in forty never ends. */
static void
requests_some(struct journal *journal, int fill, bool open_some)
{
    struct journal_ticket tickets[64] = {0};
    struct journal_members members;
    char own[2700];
    uint32_t first = life->requests;
    assert_true(first + 64 < LIFE_REQUESTS);
    for (uint32_t k = 0; k < 64; k++) {
        members_make(own, first + k, 1, &members);
        if (journal_admit(journal, &tickets[k]) == 0)
            journal_intent(journal, &tickets[k], &members);
    }
    journal_commit(journal);
    for (uint32_t k = 0; k < 64; k++) {
        life->intended[first + k] = tickets[k].admitted && !journal_dirty(journal);
        members_make(own, first + k, fill, &members);
        if (tickets[k].admitted && (!open_some || (first + k) % 40 != 39))
            (void)journal_outcome(journal, &tickets[k], &members);
        else
            tickets[k].admitted = false; /* open for ever */
        life->answered[first + k] = tickets[k].request == 0 && life->intended[first + k];
    }
    journal_commit(journal);
    for (uint32_t k = 0; k < 64 && journal_dirty(journal); k++)
        life->answered[first + k] = 0; /* its answer does not leave */
    life->requests += 64;
}

/* What can be read now goes to the ledger. */
static void
upload_some(struct journal *journal)
{
    struct buf out;
    buf_init(&out, 16u << 20);
    uint64_t after = life->mark;
    for (size_t count = 1; count > 0;) {
        count = 0;
        out.len = 0;
        out.failed = false;
        if (journal_read(journal, after, 500, 1u << 20, &out, &count, &after) != 0)
            continue;
        ledger_take(buf_str(&out));
    }
    buf_fini(&out);
    journal_trim(journal, life->mark);
}

static void
live(void)
{
    struct journal *journal = NULL;
    struct err err = {0};
    const struct journal_conf conf = {
        .dir = life_dir, .epoch = LIFE_EPOCH, .segment_count_max = LIFE_SEGMENTS};
    int rc = journal_open(&conf, &journal, &err);
    if (rc != 0) {
        assert_true(err.text[0] != '\0');
        (void)fault_end();
        life_folder_empty();
        assert_int_equal(journal_open(&conf, &journal, &err), 0);
    }
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 23; i++) {
            requests_some(journal, 2500, round == 2);
            if (i % 3 == 2)
                (void)!journal_sync(journal);
        }
        upload_some(journal);
        (void)!journal_sync(journal);
    }
    journal_close(&journal);
}

static void
took(struct journal *journal, uint64_t epoch, uint32_t stream, void *user)
{
    (void)epoch;
    (void)stream;
    *(bool *)user = true;
    upload_some(journal);
    journal_close(&journal);
}

/* false: the life has fewer such calls. */
static bool
one_life(enum call call, unsigned nth, bool forever)
{
    life_folder_empty();
    memset(life, 0, sizeof *life);
    fault_arm(call, nth, forever);
    live();
    bool happened = fault_end();
    life_check();
    return happened;
}

static void
every_life(enum call call)
{
    unsigned tried = 0;
    for (int forever = 0; forever < 2; forever++) {
        /* every one of the first, then fewer and fewer */
        for (unsigned nth = 1; one_life(call, nth, forever != 0); nth += 1 + nth / 4)
            tried++;
    }
    print_message("%s: %u lives\n", call_names[call], tried);
    assert_true(tried > 0);
}

static void
test_life(void **state)
{
    (void)state;
    for (enum call call = 0; call < MALLOC; call++)
        every_life(call);
    if (can_fail_malloc)
        every_life(MALLOC);
}

/* ---- recovery -------------------------------------------------------------------------------- */

/* Two files with open intents, as of a process that was killed; or one that is so full that there
 * is no room for their outcomes. */
static void
leave_behind(bool full)
{
    struct journal *journal = NULL;
    struct journal_members members;
    char own[2700];
    const struct journal_conf conf = {
        .dir = life_dir, .epoch = LIFE_EPOCH, .segment_count_max = LIFE_SEGMENTS};
    life_folder_empty();
    memset(life, 0, sizeof *life);
    assert_int_equal(journal_open(&conf, &journal, NULL), 0);
    for (unsigned i = 0; i < (full ? 24 : 26); i++)
        requests_some(journal, 2500, true);
    for (unsigned i = 0; full && i < 290; i++) {
        struct journal_ticket ticket;
        assert_int_equal(journal_admit(journal, &ticket), 0);
        members_make(own, life->requests, 1, &members);
        journal_intent(journal, &ticket, &members);
        if (i < 90) {
            members_make(own, life->requests, 2500, &members);
            (void)journal_outcome(journal, &ticket, &members);
        }
        journal_commit(journal);
        life->intended[life->requests] = 1;
        life->answered[life->requests++] = i < 90;
    }
    journal_close(&journal);
}

static bool
one_recovery(enum call call, unsigned nth, bool forever, bool full)
{
    struct err err = {0};
    uint64_t bad;
    bool any = false;
    leave_behind(full);
    fault_arm(call, nth, forever);
    int rc = journal_recover(life_dir, 99, took, &any, &bad, &err);
    bool happened = fault_end();
    if (rc != 0 && err.text[0] == '\0')
        fail_msg("%s %u: %d without a word", call_names[call], nth, rc);
    assert_true(rc != 0 || any);
    assert_int_equal(bad, 0); /* nothing is thrown away because it cannot be read now */
    life_check();
    return happened;
}

static void
test_recovery(void **state)
{
    static const enum call calls[] = {OPEN, FALLOCATE, PWRITE, PWRITE_HALF, PREAD, MALLOC};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        unsigned tried = 0;
        if (calls[i] == MALLOC && !can_fail_malloc)
            continue;
        for (unsigned how = 0; how < 4; how++) {
            for (unsigned nth = 1; one_recovery(calls[i], nth, (how & 1) != 0, (how & 2) != 0);
                 nth += 1 + nth / 4)
                tried++;
        }
        print_message("%s: %u recoveries\n", call_names[calls[i]], tried);
    }
    /* Those behind the intents, which are most: what completes them. */
    struct err err = {0};
    uint64_t bad;
    bool any;
    leave_behind(true);
    fault_arm(MALLOC, UINT32_MAX, false);
    assert_int_equal(journal_recover(life_dir, 99, took, &any, &bad, &err), 0);
    unsigned count = UINT32_MAX - alloc_rig.nth;
    (void)fault_end();
    for (unsigned nth = count - MIN(count, 30u); can_fail_malloc && nth < count; nth++)
        (void)one_recovery(MALLOC, nth + 1, false, true);
}

/* The disk refuses while a segment fills up: what waits is written behind its end, and found. */
static void
test_behind_the_end(void **state)
{
    struct journal *journal = NULL;
    struct journal_ticket tickets[100];
    struct journal_members members;
    char own[2700];
    const struct journal_conf conf = {
        .dir = life_dir, .epoch = LIFE_EPOCH, .segment_count_max = LIFE_SEGMENTS};
    (void)state;
    life_folder_empty();
    memset(life, 0, sizeof *life);
    assert_int_equal(journal_open(&conf, &journal, NULL), 0);
    for (unsigned i = 0; i < 24; i++)
        requests_some(journal, 2500, false);
    uint32_t first = life->requests;
    for (uint32_t k = 0; k < ARRAY_LEN(tickets); k++) {
        assert_int_equal(journal_admit(journal, &tickets[k]), 0);
        members_make(own, first + k, 1, &members);
        journal_intent(journal, &tickets[k], &members);
    }
    journal_commit(journal);
    fault_arm(PWRITE, 1, true);
    for (uint32_t k = 0; k < ARRAY_LEN(tickets); k++) {
        members_make(own, first + k, 2500, &members);
        (void)journal_outcome(journal, &tickets[k], &members);
        journal_commit(journal);
    }
    assert_true(journal_dirty(journal));
    assert_int_equal(journal_admit(journal, &tickets[0]), -ERR_NO_SPACE);
    assert_true(fault_end());
    journal_commit(journal);
    assert_false(journal_dirty(journal));
    memset(life->intended + first, 1, ARRAY_LEN(tickets));
    memset(life->answered + first, 1, ARRAY_LEN(tickets));
    life->requests += ARRAY_LEN(tickets);
    requests_some(journal, 100, false);
    journal_close(&journal);
    life_check();
}

/* UJ-03: a sync that failed once is not believed the second time; what the ledger has is safe. */
static void
test_sync_failed(void **state)
{
    struct journal *journal = NULL;
    struct journal_ticket ticket;
    const struct journal_conf conf = {
        .dir = life_dir, .epoch = LIFE_EPOCH, .segment_count_max = LIFE_SEGMENTS};
    (void)state;
    life_folder_empty();
    memset(life, 0, sizeof *life);
    assert_int_equal(journal_open(&conf, &journal, NULL), 0);
    assert_int_equal(journal_admit(journal, &ticket), 0); /* in flight when it happens */
    requests_some(journal, 100, false);
    fault_arm(FDATASYNC, 1, false);
    assert_int_equal(journal_sync(journal), -ERR_IO);
    (void)fault_end();
    struct journal_ticket refused;
    assert_int_equal(journal_admit(journal, &refused), -ERR_NO_SPACE);
    struct journal_members members;
    char own[2700];
    members_make(own, life->requests++, 1, &members);
    (void)journal_outcome(journal, &ticket, &members);
    journal_commit(journal);
    assert_int_equal(journal_sync(journal), 0);
    assert_int_equal(journal_admit(journal, &refused), -ERR_NO_SPACE);
    upload_some(journal);
    assert_int_equal(journal_admit(journal, &refused), 0);
    journal_forget(journal, &refused);
    journal_forget(journal, &refused); /* harmless */
    journal_close(&journal);
    journal_close(&journal);
    life_check();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_life), cmocka_unit_test(test_recovery),
                                       cmocka_unit_test(test_behind_the_end),
                                       cmocka_unit_test(test_sync_failed)};
    can_fail_malloc = alloc_rig_init();
    (void)snprintf(life_dir, sizeof life_dir, "/tmp/berth-journal-fault-XXXXXX");
    life = kill_rig_shared(sizeof *life);
    if (life == NULL || mkdtemp(life_dir) == NULL)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    life_folder_empty();
    return rmdir(life_dir) == 0 ? failed : 1;
}
