/* SPDX-License-Identifier: MIT
 * options.c - see options.h.
 * Floor: tools/load; main thread.
 * Owns: nothing.
 * Invariant: see options.h. */
#include "tools/load/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/num.h"

#define BODY_BYTES_MAX (64u << 20)

const char options_help[] =
    "berth-load - HTTP load over HTTP/1.1 or prior-knowledge HTTP/2, in clear\n"
    "\n"
    "Usage: berth-load rate|closed|streams [options] URL\n"
    "\n"
    "  rate      open loop: requests leave at --rate whatever the server does; latency counts "
    "from\n"
    "            the moment at which a request was due, so a stalled server is charged for the "
    "wait\n"
    "  closed    closed loop: --concurrency requests in flight, the next when one is answered\n"
    "  streams   open --concurrency server-sent event streams, keep them open, count their events\n"
    "\n"
    "  --rate N          requests a second [1000]\n"
    "  --arrivals A      rate: fixed (equal spacing) or poisson [fixed]\n"
    "  --concurrency N   closed and streams: how many at a time [64]\n"
    "  --connections N   at most; HTTP/1.1 has one request on each [rate: 256, else "
    "--concurrency;\n"
    "                    HTTP/2: 4]\n"
    "  --h2              HTTP/2\n"
    "  --seconds N       how long to count; 0 = until SIGINT or SIGTERM [10]\n"
    "  --warmup N        seconds before that, not counted [1; streams: 0]\n"
    "  --open-rate N     streams: opened a second [1000]\n"
    "  --method M        [POST with a body, else GET]\n"
    "  --header 'N: V'   repeatable\n"
    "  --body TEXT, --body-file FILE\n"
    "  -o json           the result as one JSON object (streams: one a second, then the result)\n"
    "  --help\n"
    "\n"
    "An answer that is not 2xx is bad, a request without a whole answer has failed; exit code 1 "
    "when\n"
    "there was any of either, 2 for a wrong command line.\n"
    "\n"
    "Examples:\n"
    "  berth-load rate --rate 3000 --body-file chat.json --header 'content-type: application/json' "
    "\\\n"
    "      --header \"authorization: Bearer $KEY\" http://127.0.0.1:4181/v1/chat/completions\n"
    "  berth-load closed --h2 --connections 4 --concurrency 256 --body-file chat.json "
    "http://127.0.0.1:9100/\n"
    "  berth-load streams --concurrency 5000 --seconds 30 --body-file stream.json -o json "
    "http://127.0.0.1:4181/v1/chat/completions\n";

struct option_row {
    const char *name;
    size_t offset;
    uint64_t min, max;
};
#define ROW(name_, member, min_, max_)                      \
    {                                                       \
        name_, offsetof(struct options, member), min_, max_ \
    }
static const struct option_row numbers[] = {
    ROW("--rate", rate, 1, 1000000),
    ROW("--concurrency", concurrency, 1, 100000),
    ROW("--connections", connections, 1, 100000),
    ROW("--seconds", seconds, 0, 86400),
    ROW("--warmup", warmup, 0, 3600),
    ROW("--open-rate", open_rate, 1, 100000),
};

static int
read_body(struct options *options, const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, errno, "cannot open %s", path);
    ssize_t count = 0;
    options->file.len = 0;
    do {
        options->file.len += (size_t)count;
        if (buf_reserve(&options->file, 65536) != 0) {
            (void)close(fd);
            return err_set(err, ERR_TOO_LARGE, "%s is larger than 64 MiB", path);
        }
        count = read(fd, options->file.ptr + options->file.len, 65536);
    } while (count > 0);
    (void)close(fd);
    if (count < 0)
        return err_set(err, ERR_IO, "cannot read %s", path);
    options->body = buf_str(&options->file);
    return 0;
}

static int
add_header(struct options *options, const char *text, struct err *err)
{
    struct str name;
    struct str value;
    if (options->field_count == OPTIONS_FIELDS_MAX)
        return err_set(err, ERR_RANGE, "at most %u --header", OPTIONS_FIELDS_MAX);
    if (!str_cut(str_from(text), ':', &name, &value))
        return err_set(err, ERR_INVALID, "--header wants 'name: value', not '%s'", text);
    value = str_trim(value);
    size_t index = options->field_count;
    if (options->names == NULL)
        options->names = calloc(OPTIONS_FIELDS_MAX, 64);
    if (options->names == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    char *lower = options->names + index * 64;
    if (!str_copy(lower, 64, name))
        return err_set(err, ERR_INVALID, "--header: the name is too long");
    for (char *at = lower; *at != '\0'; at++)
        *at = (char)(*at >= 'A' && *at <= 'Z' ? *at + ('a' - 'A') : *at);
    name.ptr = lower;
    if (!http_valid_name(name) || !http_valid_value(value))
        return err_set(err, ERR_INVALID, "--header: '%s' is not a header", text);
    options->fields[options->field_count++] = (struct http_field){name, value};
    return 0;
}

static int
set_number(struct options *options, const struct option_row *row, const char *value,
           struct err *err)
{
    uint64_t number = 0;
    if (num_u64(str_from(value), row->max, &number) != 0 || number < row->min)
        return err_set(err, ERR_RANGE, "%s wants a number from %llu to %llu, not '%s'", row->name,
                       (unsigned long long)row->min, (unsigned long long)row->max, value);
    memcpy((char *)options + row->offset, &number, sizeof(number));
    return 0;
}

static int
set_value(struct options *options, struct str name, const char *value, struct err *err)
{
    struct str text = str_from(value);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (str_eq(name, str_from(numbers[i].name)))
            return set_number(options, &numbers[i], value, err);
    }
    if (str_eq(name, STR("--header")))
        return add_header(options, value, err);
    if (str_eq(name, STR("--body-file")))
        return read_body(options, value, err);
    if (str_eq(name, STR("--body")))
        options->body = text;
    else if (str_eq(name, STR("--method")))
        options->method = text;
    else if (str_eq(name, STR("--arrivals")) && str_eq(text, STR("poisson")))
        options->poisson = true;
    else if (str_eq(name, STR("-o")) && str_eq(text, STR("json")))
        options->json = true;
    else if (!str_eq(name, STR("--arrivals")) || !str_eq(text, STR("fixed")))
        return err_set(err, ERR_INVALID, "bad option or value: %.*s %s (see --help)", STR_ARG(name),
                       value);
    return 0;
}

static int
set_mode(struct options *options, struct str word, struct err *err)
{
    static const char *const modes[] = {"rate", "closed", "streams"};
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        if (str_eq(word, str_from(modes[i]))) {
            options->mode = (enum load_mode)i;
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "the first word is rate, closed or streams (see --help)");
}

static int
finish(struct options *options, const char *url, struct err *err)
{
    if (url == NULL)
        return err_set(err, ERR_INVALID, "the URL is missing (see --help)");
    int rc = uri_parse(str_from(url), &options->uri, err);
    if (rc != 0)
        return rc;
    if (options->uri.https)
        return err_set(err, ERR_UNSUPPORTED, "https is not supported");
    struct str text = str_from(url);
    options->target = STR("/");
    size_t at = options->uri.path.ptr >= text.ptr && options->uri.path.ptr < text.ptr + text.len
                    ? (size_t)(options->uri.path.ptr - text.ptr)
                    : text.len;
    if (at < text.len)
        options->target = str_skip(text, at);
    if (options->method.len == 0)
        options->method = options->body.len > 0 ? STR("POST") : STR("GET");
    if (options->connections == 0)
        options->connections = options->h2                  ? 4
                               : options->mode == LOAD_RATE ? 256
                                                            : options->concurrency;
    if (options->warmup == UINT64_MAX)
        options->warmup = options->mode == LOAD_STREAMS ? 0 : 1;
    return 0;
}

int
options_parse(int argc, char *const *argv, struct options *ret_options, struct err *err)
{
    struct options *options = ret_options;
    const char *url = NULL;
    *options = (struct options){
        .rate = 1000, .concurrency = 64, .seconds = 10, .warmup = UINT64_MAX, .open_rate = 1000};
    buf_init(&options->file, BODY_BYTES_MAX + 65536);
    int rc = argc > 0 && !str_starts(str_from(argv[0]), STR("-"))
                 ? set_mode(options, str_from(argv[0]), err)
                 : 0;
    bool moded = argc > 0 && !str_starts(str_from(argv[0]), STR("-"));
    for (int i = moded ? 1 : 0; i < argc && rc == 0; i++) {
        struct str name = str_from(argv[i]);
        if (str_eq(name, STR("--help")) || str_eq(name, STR("-h"))) {
            options->help = true;
            return 0;
        }
        if (str_eq(name, STR("--h2")))
            options->h2 = true;
        else if (!str_starts(name, STR("-")) && url == NULL)
            url = argv[i];
        else if (i + 1 == argc)
            rc = err_set(err, ERR_INVALID, "%s is unknown or wants a value (see --help)", argv[i]);
        else {
            rc = set_value(options, name, argv[i + 1], err);
            i++;
        }
    }
    if (rc == 0 && !moded)
        rc = set_mode(options, STR_EMPTY, err);
    return rc == 0 ? finish(options, url, err) : rc;
}

void
options_fini(struct options *options)
{
    buf_fini(&options->file);
    free(options->names);
    options->names = NULL;
}
