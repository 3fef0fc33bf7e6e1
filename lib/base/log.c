/* SPDX-License-Identifier: MIT
 * log.c - formats one event into one line and one write(2).
 * Floor: lib/base; any thread.
 * Owns: the level, format and program name of the process, set before threads start.
 * Invariant: a line is <= 4 KiB, whole (JSON stays JSON when cut), and holds no control character
 * but its newline; proved in log_test.c. */
#include "lib/base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"
#include "lib/base/rune_int.h"

#define LINE_BYTES_MAX 4096u
/* Kept free for what ends a line: a cut mark, a quote, a brace, a newline. */
#define TAIL_BYTES 32u

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"};

static const char *program_name = "berth";
static bool as_json;
static atomic_int lowest = LOG_INFO;

/* cut: something did not fit; from then on only the tail may be written. */
struct line {
    char bytes[LINE_BYTES_MAX];
    size_t len;
    bool cut;
};

void
log_setup(const char *program, int json, enum log_level level)
{
    program_name = program;
    as_json = json < 0 ? isatty(STDERR_FILENO) == 0 : json != 0;
    const char *wanted = getenv("BERTH_LOG");
    for (size_t i = 0; wanted != NULL && i < ARRAY_LEN(level_names); i++) {
        if (strcmp(wanted, level_names[i]) == 0)
            level = (enum log_level)i;
    }
    atomic_store_explicit(&lowest, (int)level, memory_order_relaxed);
}

bool
log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&lowest, memory_order_relaxed);
}

/* Appends all of s or nothing. */
static bool
line_put(struct line *line, struct str s)
{
    if (line->cut || s.len > LINE_BYTES_MAX - TAIL_BYTES - line->len) {
        line->cut = true;
        return false;
    }
    if (s.len > 0)
        memcpy(line->bytes + line->len, s.ptr, s.len);
    line->len += s.len;
    return true;
}

/* The tail of the line, into the room that line_put leaves. */
static void
line_end(struct line *line, struct str s)
{
    ASSERT(s.len <= LINE_BYTES_MAX - line->len);
    memcpy(line->bytes + line->len, s.ptr, s.len);
    line->len += s.len;
}

/* Quoted, escaped as JSON; both formats use it. Cut between characters when out of room. */
static void
line_put_quoted(struct line *line, struct str s)
{
    if (!line_put(line, STR("\"")))
        return;
    for (size_t at = 0; at < s.len;) {
        char escape[16];
        size_t from = at;
        uint32_t rune = rune_next(s, &at);
        struct str piece = str_make(s.ptr + from, at - from);
        int count = 0;
        if (rune == '"' || rune == '\\')
            count = snprintf(escape, sizeof(escape), "\\%c", (char)rune);
        else if (rune == '\n')
            count = snprintf(escape, sizeof(escape), "\\n");
        else if (rune == RUNE_BAD)
            count = snprintf(escape, sizeof(escape), "\\ufffd");
        else if (rune_hostile(rune))
            count = snprintf(escape, sizeof(escape), "\\u%04x", rune);
        if (count > 0)
            piece = str_make(escape, (size_t)count);
        if (!line_put(line, piece))
            break;
    }
    line_end(line, STR("\""));
}

/* A value in the text format: bare when nobody could misread it. */
static void
line_put_text(struct line *line, struct str s)
{
    bool bare = s.len > 0;
    for (size_t i = 0; bare && i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        bare = c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
    }
    if (bare && s.len < LINE_BYTES_MAX / 2)
        (void)line_put(line, s);
    else
        line_put_quoted(line, s);
}

static void
line_put_u64(struct line *line, bool negative, uint64_t size)
{
    char digits[21] = "-";
    size_t sign = negative ? 1 : 0;
    (void)line_put(line, str_make(digits, sign + num_write_u64(digits + sign, size)));
}

static void
line_put_value(struct line *line, const struct log_field *field)
{
    char hex[17];
    switch (field->kind) {
    case LOG_STR:
        if (as_json)
            line_put_quoted(line, field->str);
        else
            line_put_text(line, field->str);
        break;
    case LOG_I64:
        line_put_u64(line, field->i64 < 0,
                     field->i64 < 0 ? 0u - (uint64_t)field->i64 : (uint64_t)field->i64);
        break;
    case LOG_U64:
        line_put_u64(line, false, field->u64);
        break;
    case LOG_BOOL:
        (void)line_put(line, field->u64 != 0 ? STR("true") : STR("false"));
        break;
    case LOG_HEX:
        (void)snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)field->u64);
        if (as_json)
            line_put_quoted(line, str_from(hex));
        else
            (void)line_put(line, str_from(hex));
        break;
    }
}

/* One field, or nothing of it when its key and the start of its value do not fit. */
static void
line_put_field(struct line *line, const struct log_field *field)
{
    size_t before = line->len;
    if (as_json) {
        (void)line_put(line, STR(","));
        line_put_quoted(line, str_from(field->key));
        (void)line_put(line, STR(":"));
    } else {
        (void)line_put(line, STR(" "));
        (void)line_put(line, str_from(field->key));
        (void)line_put(line, STR("="));
    }
    size_t value_at = line->len;
    if (!line->cut)
        line_put_value(line, field);
    if (line->cut && (line->len == value_at || field->kind != LOG_STR))
        line->len = before;
}

static void
line_write(const struct line *line)
{
    const char *at = line->bytes;
    size_t left = line->len;
    while (left > 0) {
        ssize_t put = write(STDERR_FILENO, at, left);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return; /* nowhere to say so */
        at += put;
        left -= (size_t)put;
    }
}

void
log_write(enum log_level level, const char *message, const struct log_field *fields, size_t count)
{
    struct line line;
    char time[32];
    int saved_errno = errno;

    line.len = 0;
    line.cut = false;
    clock_format_rfc3339(clock_wall_ns(), time);
    if (as_json) {
        const struct log_field head[] = {LOG_C("level", level_names[level]),
                                         LOG_C("program", program_name), LOG_C("message", message)};
        (void)line_put(&line, STR("{\"time\":"));
        line_put_quoted(&line, str_from(time));
        for (size_t i = 0; i < ARRAY_LEN(head); i++)
            line_put_field(&line, &head[i]);
    } else {
        char head[96];
        (void)snprintf(head, sizeof(head), "%s %-5s %.32s: ", time, level_names[level],
                       program_name);
        (void)line_put(&line, str_from(head));
        (void)line_put(&line, str_from(message));
    }
    for (size_t i = 0; i < count && !line.cut; i++)
        line_put_field(&line, &fields[i]);
    if (line.cut)
        line_end(&line, as_json ? STR(",\"cut\":true") : STR(" cut=true"));
    line_end(&line, as_json ? STR("}\n") : STR("\n"));
    ASSERT(line.len <= LINE_BYTES_MAX);
    line_write(&line);
    errno = saved_errno;
}
