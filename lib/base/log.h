/* SPDX-License-Identifier: MIT
 * log.h - one line an event: a constant message and typed fields. For people on a terminal, JSON
 *         otherwise.
 * Floor: lib/base; any thread (one write(2) a line). Used by daemons and planes: lib/ and api/
 * return errors instead. Owns: the level and format of the process. Invariant: values are escaped
 * (control, BIDI), a line is <= 4 KiB; there is no printer for secrets, prompts or bodies. */
#ifndef BERTH_LIB_BASE_LOG_H
#define BERTH_LIB_BASE_LOG_H

#include "lib/base/err.h"
#include "lib/base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_kind { LOG_STR, LOG_I64, LOG_U64, LOG_BOOL, LOG_HEX };

struct log_field {
    const char *key;
    enum log_kind kind;
    struct str str;
    int64_t i64;
    uint64_t u64;
};
#define LOG_S(key_, s_) ((struct log_field){.key = (key_), .kind = LOG_STR, .str = (s_)})
#define LOG_C(key_, c_) ((struct log_field){.key = (key_), .kind = LOG_STR, .str = str_from(c_)})
#define LOG_I(key_, i_) ((struct log_field){.key = (key_), .kind = LOG_I64, .i64 = (i_)})
#define LOG_U(key_, u_) ((struct log_field){.key = (key_), .kind = LOG_U64, .u64 = (u_)})
#define LOG_B(key_, b_) ((struct log_field){.key = (key_), .kind = LOG_BOOL, .u64 = (b_) ? 1u : 0u})
#define LOG_E(err_) LOG_C("error", (err_)->text)

/* log_setup - program: short name, borrowed for ever; json: true, false, or -1 = JSON unless stderr
 * is a terminal. Level from BERTH_LOG (debug|info|warn|error) when set. */
void log_setup(const char *program, int json, enum log_level level);
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *message, const struct log_field *fields,
               size_t count);

#define LOG_AT(level_, message_, ...)                                              \
    do {                                                                           \
        if (log_enabled(level_)) {                                                 \
            const struct log_field fields_[] = {{0}, ##__VA_ARGS__};               \
            log_write((level_), "" message_, fields_ + 1, ARRAY_LEN(fields_) - 1); \
        }                                                                          \
    } while (0)
#define LOG_DEBUG(message, ...) LOG_AT(LOG_DEBUG, message, ##__VA_ARGS__)
#define LOG_INFO(message, ...) LOG_AT(LOG_INFO, message, ##__VA_ARGS__)
#define LOG_WARN(message, ...) LOG_AT(LOG_WARN, message, ##__VA_ARGS__)
#define LOG_ERROR(message, ...) LOG_AT(LOG_ERROR, message, ##__VA_ARGS__)

#endif
