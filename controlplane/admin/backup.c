/* SPDX-License-Identifier: MIT
 * backup.c - endpoints of the copy of the store: make one while everything runs, how far it is,
 *            remove it.
 * Floor: controlplane/admin; engine thread, a step a timer.
 * Owns: struct copying: the copy under way, its timer; the file, until it is removed.
 * Invariant: one copy at a time; calls are answered between two steps.
 *            e2e/backup.sh. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/admin/admin_int.h"
#include "controlplane/store/backup.h"
#include "lib/base/clock.h"

#define STEP_MS 1u

static void
step(struct timer *timer)
{
    struct copying *copying = CONTAINER_OF(timer, struct copying, timer);
    struct admin *admin = CONTAINER_OF(copying, struct admin, copying);
    struct loop *loop = admin->conf.loop;
    copying->err = (struct err){0};
    int code = store_backup_step(copying->backup, &copying->err);
    if (code == -ERR_AGAIN) {
        timer_arm(loop_timers(loop), timer, loop_now_ms(loop) + STEP_MS);
        return;
    }
    store_backup_free(&copying->backup);
    copying->state = code == 0 ? BACKUP_DONE : BACKUP_FAILED;
    copying->done_ms = clock_wall_ns() / 1000000;
    copying->revision = store_revision(admin->conf.engine->conf.store);
}

void
copying_init(struct admin *admin)
{
    timer_init(&admin->copying.timer, step);
    if (admin->conf.backup_file)
        store_backup_remove(admin->conf.backup_file); /* of a process before this one */
}

void
copying_fini(struct admin *admin)
{
    if (timer_armed(&admin->copying.timer))
        timer_cancel(loop_timers(admin->conf.loop), &admin->copying.timer);
    store_backup_free(&admin->copying.backup);
}

static void
reply_state(struct call *call, unsigned status)
{
    static const char *const names[] = {"none", "running", "done", "failed"};
    const struct copying *copying = &call->admin->copying;
    struct stat file;
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_member_str(writer, "state", str_from(names[copying->state]));
    if (copying->state == BACKUP_RUNNING)
        reply_digits(writer, "bytes_left", store_backup_left(copying->backup));
    if (copying->state == BACKUP_FAILED)
        json_member_str(writer, "message", str_from(copying->err.text));
    if (copying->state == BACKUP_DONE) {
        const char *path = call->admin->conf.backup_file;
        json_member_str(writer, "file", str_from(path));
        reply_digits(writer, "bytes", stat(path, &file) == 0 ? (uint64_t)file.st_size : 0);
        reply_digits(writer, "revision", copying->revision);
        json_member_i64(writer, "done_ms", copying->done_ms);
    }
    json_close_object(writer);
    reply_send(call, status, &reply);
}

void
endpoint_backup_get(struct call *call)
{
    static const char *const none[] = {NULL};
    if (query_known(call, none))
        reply_state(call, 200);
}

static bool
is_idle(struct call *call)
{
    static const char *const none[] = {NULL};
    if (!query_known(call, none))
        return false;
    if (call->admin->copying.state != BACKUP_RUNNING)
        return true;
    reply_error(call, 409, "CONFLICT", "a copy of the store is being made; wait until it is done");
    return false;
}

void
endpoint_backup_start(struct call *call)
{
    struct admin *admin = call->admin;
    struct err err = {0};
    if (!body_object(call, (const char *const[]){NULL}) || !is_idle(call))
        return;
    if (!admin->conf.backup_file) {
        reply_error(call, 400, "UNSUPPORTED", "this control plane has no place for a copy");
        return;
    }
    store_backup_remove(admin->conf.backup_file);
    int code = store_backup_new(admin->conf.engine->conf.store, admin->conf.backup_file,
                                &admin->copying.backup, &err);
    if (code < 0) {
        reply_err(call, code, &err);
        return;
    }
    admin->copying.state = BACKUP_RUNNING;
    timer_arm(loop_timers(admin->conf.loop), &admin->copying.timer, loop_now_ms(admin->conf.loop));
    reply_state(call, 202);
}

void
endpoint_backup_delete(struct call *call)
{
    struct admin *admin = call->admin;
    if (!is_idle(call))
        return;
    if (admin->conf.backup_file && unlink(admin->conf.backup_file) < 0 && errno != ENOENT) {
        reply_error(call, 500, "IO", "the copy could not be removed");
        return;
    }
    admin->copying.state = BACKUP_NONE;
    reply_state(call, 200);
}
