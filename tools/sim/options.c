/* SPDX-License-Identifier: MIT
 * options.c - parse the command line, print the help.
 * Floor: tools/sim; main thread.
 * Owns: nothing.
 * Invariant: see options.h. */
#include "tools/sim/options.h"

#include "lib/base/num.h"
#include "tools/sim/canned.h"
#include "tools/sim/directive.h"

static const char usage[] =
    "berth-sim: a model provider for tests, benchmarks and demos. It speaks the OpenAI and "
    "Anthropic\n"
    "dialects over HTTP/1.1 and HTTP/2, answers the same request the same way every time, fails "
    "on\n"
    "command, and keeps its own bill.\n"
    "\n"
    "Usage: berth-sim [options]\n"
    "\n"
    "  --listen ADDR      127.0.0.1:9100, [::1]:0 or unix:/path; may be given up to 8 times\n"
    "                     [127.0.0.1:9100]; port 0 takes a free one and prints it\n"
    "  --tls CERT KEY     serve TLS (PEM files) on all of them\n"
    "  --h2               accepted for clarity: HTTP/2 (ALPN or prior knowledge) is always on\n"
    "  --key K            only this bearer or x-api-key; others get the dialect's 401\n"
    "  --script FILE      rules that inject faults (YAML)\n"
    "  --prices FILE      {\"model\": "
    "{\"input_nano\":150,\"output_nano\":600,\"cached_nano\":75}}\n"
    "                     in nano-dollars a token; \"*\" prices all other models\n"
    "  --replay DIR       model replay/NAME answers DIR/NAME.response.json or .sse\n"
    "  --bench BYTES      answer every request with one canned body of this size (at most 65535),\n"
    "                     unread and unbilled; HTTP/1.1 and HTTP/2 without TLS on one port\n"
    "  --threads N        [1]\n"
    "  -o json            the start line as JSON\n"
    "  --help\n"
    "\n"
    "Endpoints: POST /v1/chat/completions /v1/embeddings /v1/messages /v1/messages/count_tokens,\n"
    "GET /v1/models; GET /sim/bill[?summary=1], POST /sim/reset, POST /sim/script;\n"
    "POST /token: an access token (the --key) for a service account's claim.\n"
    "\n"
    "Counting: prompt tokens = (bytes of all texts + 3) / 4 + 3 a message; completion tokens = "
    "words of\n"
    "the answer (a tool call: (bytes of name and arguments + 3) / 4), plus reasoning.\n"
    "With tools and a user's message last, the first tool is called with arguments made from its "
    "schema;\n"
    "[[call: NAME {...}]] in that message calls NAME with this object, when it is offered.\n"
    "Asked for an answer that keeps a JSON schema, it says such an object (counted as a call).\n"
    "\n"
    "Billing: a whole answer when its last byte was handed to the kernel; a stream that was cut "
    "costs\n"
    "the prompt and the chunks that were written; errors and unwritten answers cost nothing.\n"
    "\n"
    "Directives: in [[sim: words=50, chunk_ms=5]] in the last user message, in a header x-sim, or "
    "in a\n"
    "script rule; the message wins over the header, the header over the script:\n";

static const char examples[] =
    "\n"
    "A script is a list; the first rule that matches is used:\n"
    "  - match: {path: /v1/chat/completions, model: gpt-4o, nth: 1}\n"
    "    do: {status: 429, retry_after: 2}\n"
    "  - do: {ttft_ms: 100, chunk_ms: 20}\n"
    "\n"
    "Examples:\n"
    "  berth-sim --listen 127.0.0.1:9100 --script faults.yaml\n"
    "  curl -s 127.0.0.1:9100/v1/chat/completions -d '{\"model\":\"gpt-4o-mini\",\"stream\":true,\n"
    "    \"messages\":[{\"role\":\"user\",\"content\":\"hello [[sim: words=5, "
    "chunk_ms=100]]\"}]}'\n"
    "  curl -s 127.0.0.1:9100/sim/bill?summary=1\n"
    "  berth-sim --bench 400 --listen 127.0.0.1:9100\n";

void
options_help(struct buf *out)
{
    buf_put_str(out, str_from(usage));
    for (size_t i = 0; i < DIRECTIVE_COUNT; i++)
        buf_printf(out, "  %-19s %s\n", directive_name((enum directive_id)i),
                   directive_help((enum directive_id)i));
    buf_put_str(out, str_from(examples));
}

struct text_option {
    const char *name;
    size_t offset;
};

static const struct text_option texts[] = {
    {"--key", offsetof(struct options, key)},
    {"--script", offsetof(struct options, script)},
    {"--prices", offsetof(struct options, prices)},
    {"--replay", offsetof(struct options, replay)},
};

struct args {
    int left;
    char *const *at;
    const char *value; /* behind "--name=" */
};

/* The value of the option that is being read, or NULL. */
static const char *
take_value(struct args *args)
{
    if (args->value != NULL)
        return TAKE(args->value);
    if (args->left == 0)
        return NULL;
    args->left--;
    return *args->at++;
}

static int
take_number(struct args *args, uint64_t max, uint64_t *ret_value)
{
    const char *text = take_value(args);
    if (text == NULL)
        return -ERR_INVALID;
    return num_u64(str_from(text), max, ret_value);
}

static bool
take_text(struct args *args, struct str name, struct options *options)
{
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (!str_eq(name, str_from(texts[i].name)))
            continue;
        const char *value = take_value(args);
        if (value == NULL)
            return false;
        memcpy((char *)options + texts[i].offset, &value, sizeof(value));
        return true;
    }
    return false;
}

static bool
take_option(struct args *args, struct str name, struct options *options)
{
    if (str_eq(name, STR("--help")) || str_eq(name, STR("-h"))) {
        options->help = true;
        return true;
    }
    if (str_eq(name, STR("--h2")))
        return true;
    if (str_eq(name, STR("--listen"))) {
        const char *value = take_value(args);
        if (value == NULL || options->listen_count == OPTIONS_LISTEN_MAX)
            return false;
        options->listen[options->listen_count++] = value;
        return true;
    }
    if (str_eq(name, STR("--tls"))) {
        options->tls_cert = take_value(args);
        options->tls_key = take_value(args);
        return options->tls_cert != NULL && options->tls_key != NULL;
    }
    if (str_eq(name, STR("--bench")))
        return take_number(args, CANNED_BODY_BYTES_MAX, &options->bench_bytes) == 0 &&
               options->bench_bytes > 0;
    if (str_eq(name, STR("--threads")))
        return take_number(args, 64, &options->threads) == 0 && options->threads > 0;
    if (str_eq(name, STR("-o"))) {
        const char *value = take_value(args);
        options->json = value != NULL && strcmp(value, "json") == 0;
        return options->json;
    }
    return take_text(args, name, options);
}

int
options_parse(int argc, char *const *argv, struct options *ret_options, struct err *err)
{
    struct options options = {.threads = 1};
    struct args args = {.left = argc, .at = argv};
    while (args.left > 0) {
        struct str name = str_from(*args.at++);
        struct str value;
        args.left--;
        args.value = NULL;
        if (str_starts(name, STR("--")) && str_cut(name, '=', &name, &value))
            args.value = value.ptr;
        if (!take_option(&args, name, &options) || args.value != NULL)
            return err_set(err, ERR_INVALID, "bad option or value: %.*s (see --help)",
                           STR_ARG(name));
    }
    if (options.listen_count == 0)
        options.listen[options.listen_count++] = "127.0.0.1:9100";
    *ret_options = options;
    return 0;
}
