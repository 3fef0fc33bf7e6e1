/* SPDX-License-Identifier: MIT
 * journal_power_test.c - the power goes at any call of a journal's life: what was synced is there
 *            and charged once. The calls of a child are recorded; disks are made on which what was
 *            not synced is missing, torn (sectors of 512 bytes) or out of order.
 * Floor: dataplane/meter tests.
 * Owns: the record of a run.
 * Invariant: see journal.h. A folder keeps its changes in order; a file's first sync makes all of
 *            them before it last, a rename alone may be lost for long. BERTH_IMAGES, BERTH_SEED. */
#include "dataplane/meter/journal_test_rig.h"

#include <sys/uio.h>

#include "lib/base/rand.h"

enum { FILES_MAX = 16, EVENTS_MAX = 4000, SECTOR = 512 };

enum kind { WRITE, SYNC, CREATE, RENAME, UNLINK };
struct event {
    enum kind kind;
    int file;
    size_t at;
    size_t size;
    char *bytes;     /* WRITE */
    char name[128];  /* CREATE, RENAME: the new one */
    struct life was; /* before it */
};
static struct event *events;
static size_t event_count;

static char names[FILES_MAX][128]; /* while recording, and of a disk that is made; "" = none */
static int file_count;

static const char *
base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static int
file_named(const char *path)
{
    for (int i = 0; i < file_count; i++) {
        if (strcmp(names[i], base_name(path)) == 0)
            return i;
    }
    return -1;
}

static void
child_bytes(const struct kill_rig_call *call, uint64_t at, void *to, size_t size)
{
    struct iovec here = {to, size};
    struct iovec there = {(void *)(uintptr_t)at, size};
    assert_int_equal(process_vm_readv(call->pid, &here, 1, &there, 1, 0), size);
}

static void
child_path(const struct kill_rig_call *call, uint64_t at, char path[256])
{
    memset(path, 0, 256);
    for (size_t i = 0; i < 255; i++) {
        child_bytes(call, at + i, path + i, 1);
        if (path[i] == '\0')
            return;
    }
}

static int
child_file(const struct kill_rig_call *call)
{
    char link[64];
    char path[256] = "";
    (void)snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)call->pid, (int)call->args[0]);
    return readlink(link, path, sizeof path - 1) < 0 ? -1 : file_named(path);
}

static void
seen(const struct kill_rig_call *call)
{
    struct event event = {.kind = SYNC, .file = -1};
    char path[256];
    event.was = *life;
    if (call->nr == SYS_pwrite64 && (event.file = child_file(call)) >= 0) {
        event.kind = WRITE;
        event.size = call->args[2];
        event.at = call->args[3];
        event.bytes = malloc(event.size);
        assert_non_null(event.bytes);
        child_bytes(call, call->args[1], event.bytes, event.size);
    } else if (call->nr == SYS_fdatasync) {
        event.file = child_file(call);
    } else if (call->nr == SYS_openat) {
        child_path(call, call->args[1], path);
        event.kind = CREATE;
        event.file = file_count++;
        assert_true(file_count <= FILES_MAX);
        (void)snprintf(names[event.file], sizeof names[0], "%s", base_name(path));
        memcpy(event.name, names[event.file], sizeof event.name);
    } else if (call->nr == SYS_rename) {
        child_path(call, call->args[0], path);
        event.kind = RENAME;
        event.file = file_named(path);
        child_path(call, call->args[1], path);
        (void)snprintf(names[event.file], sizeof names[0], "%s", base_name(path));
        memcpy(event.name, names[event.file], sizeof event.name);
    } else if (call->nr == SYS_unlink) {
        child_path(call, call->args[0], path);
        event.kind = UNLINK;
        event.file = file_named(path);
        if (event.file >= 0)
            names[event.file][0] = '\0';
    }
    if (event.file < 0)
        return;
    assert_true(event_count < EVENTS_MAX);
    events[event_count++] = event;
}

/* ---- disks ----------------------------------------------------------------------------------- */

enum fate { ALL, NONE, FIRST, SOME, SECTORS, REORDERED, FATES };
static char *contents[FILES_MAX];

static void
write_apply(const struct event *event, enum fate fate, bool last)
{
    size_t kept = fate == FIRST && last ? rand_below(event->size / SECTOR + 1) * SECTOR : SIZE_MAX;
    for (size_t done = 0; done < event->size;) {
        size_t size = SECTOR - (event->at + done) % SECTOR;
        size = size < event->size - done ? size : event->size - done;
        if (done < kept && (fate != SECTORS || rand_below(2) == 0))
            memcpy(contents[event->file] + event->at + done, event->bytes + done, size);
        done += size;
    }
}

static void
pending_apply(const struct event **pending, size_t count, enum fate fate)
{
    for (size_t i = 0; fate == REORDERED && i + 1 < count; i++) {
        size_t other = i + rand_below(count - i);
        const struct event *swap = pending[i];
        pending[i] = pending[other];
        pending[other] = swap;
    }
    for (size_t i = 0; i < count; i++) {
        bool dropped = fate == NONE || ((fate == SOME || fate == REORDERED) && rand_below(2) == 0);
        if (!dropped)
            write_apply(pending[i], fate, i + 1 == count);
    }
}

static void
disk_put(void)
{
    char path[sizeof life_dir + sizeof names];
    life_folder_empty();
    for (int f = 0; f < file_count; f++) {
        if (names[f][0] == '\0')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", life_dir, names[f]);
        FILE *out = fopen(path, "we");
        assert_non_null(out);
        assert_int_equal(fwrite(contents[f], 1, JOURNAL_SEGMENT_BYTES, out), JOURNAL_SEGMENT_BYTES);
        assert_int_equal(fclose(out), 0);
    }
}

/* The disk after events[0..end). */
static void
disk_make(size_t end, enum fate fate)
{
    static const struct event *pending[FILES_MAX][EVENTS_MAX];
    size_t pending_count[FILES_MAX] = {0};
    static const struct event *changes[EVENTS_MAX];
    size_t change_count = 0;
    size_t lasting = 0;
    bool young[FILES_MAX] = {false};
    memset(names, 0, sizeof names);
    for (int f = 0; f < file_count; f++)
        memset(contents[f], 0, JOURNAL_SEGMENT_BYTES);
    for (size_t i = 0; i < end; i++) {
        const struct event *event = &events[i];
        int f = event->file;
        if (event->kind == WRITE) {
            pending[f][pending_count[f]++] = event;
        } else if (event->kind == SYNC) {
            pending_apply(pending[f], pending_count[f], ALL);
            pending_count[f] = 0;
            lasting = young[f] ? change_count : lasting;
            young[f] = false;
        } else {
            changes[change_count++] = event;
            young[f] |= event->kind == CREATE;
        }
    }
    for (int f = 0; f < file_count; f++)
        pending_apply(pending[f], pending_count[f], fate);
    size_t kept = fate == ALL    ? change_count
                  : fate == NONE ? lasting
                                 : lasting + rand_below(change_count - lasting + 1);
    for (size_t i = 0; i < kept; i++)
        (void)snprintf(names[changes[i]->file], sizeof names[0], "%s", changes[i]->name);
    disk_put();
}

static uint64_t
number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    uint64_t number = otherwise;
    return text && num_u64(str_from(text), UINT64_MAX, &number) == 0 ? number : otherwise;
}

static void
test_power(void **state)
{
    (void)state;
    uint64_t calls = 0;
    int ended = kill_rig_run(0, life_work, seen, &calls);
    if (ended == -77)
        skip();
    assert_int_equal(ended, 0);
    for (int f = 0; f < file_count; f++) {
        contents[f] = malloc(JOURNAL_SEGMENT_BYTES);
        assert_non_null(contents[f]);
    }
    uint64_t seed = number_from("BERTH_SEED", rand_u64());
    uint64_t images = number_from("BERTH_IMAGES", 100);
    print_message("seed %llu, %llu disks of %zu events\n", (unsigned long long)seed,
                  (unsigned long long)images, event_count);
    rand_seed(seed);
    life_lossy = true;
    for (uint64_t i = 0; i < images; i++) {
        size_t end = 1 + rand_below(event_count - 1);
        disk_make(end, (enum fate)(i % FATES));
        *life = events[end].was;
        life_check();
    }
    rand_seed(0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_power)};
    (void)snprintf(life_dir, sizeof life_dir, "/tmp/berth-journal-power-XXXXXX");
    life = kill_rig_shared(sizeof *life);
    events = calloc(EVENTS_MAX, sizeof *events);
    if (life == NULL || events == NULL || mkdtemp(life_dir) == NULL)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    life_folder_empty();
    for (size_t i = 0; i < event_count; i++)
        free(events[i].bytes);
    for (int f = 0; f < file_count; f++)
        free(contents[f]);
    free(events);
    return rmdir(life_dir) == 0 ? failed : 1;
}
