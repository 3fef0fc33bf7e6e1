/* SPDX-License-Identifier: MIT
 * client.c - see client.h.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: see client.h. */
#include "cli/client.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/secret.h"
#include "lib/http/fetch.h"

#define FIELD_BYTES 512u
#define URL_BYTES 4096u
#define DATAPLANE_MS 5000u
#define SOCKET_NAME "controlplane/admin.sock"
#define TOKEN_NAME "controlplane/admin.token"

/* Where a call goes, and what it shows there. */
struct way {
    char url[URL_BYTES];
    const char *unix_path;
    char authorization[FIELD_BYTES];
    char type[FIELD_BYTES];
    const char *fields[3];
};

static int
add_token(struct cli *cli, struct way *way, struct err *err)
{
    CLEANUP(secret_free) struct secret *token = NULL;
    const char *path = cli->token_file != NULL ? cli->token_file : cli_path(cli, TOKEN_NAME);
    int rc = secret_read_file(path, &token, err);
    if (rc != 0)
        return rc;
    struct str text = secret_str(token);
    int count = snprintf(way->authorization, sizeof(way->authorization),
                         "Authorization: Bearer %.*s", STR_ARG(text));
    if (text.len == 0 || count < 0 || (size_t)count >= sizeof(way->authorization) ||
        str_find_byte(text, '\n') != SIZE_MAX)
        return err_set(err, ERR_INVALID, "%s does not hold one token", path);
    return 0;
}

static int
find_way(struct cli *cli, const struct client_call *call, struct way *way, struct err *err)
{
    size_t fields = 0;
    const char *base = cli->server != NULL ? cli->server : "http://localhost";
    size_t base_bytes = strlen(base);
    if (base_bytes > 0 && base[base_bytes - 1] == '/')
        base_bytes--;
    if (cli->server == NULL) {
        way->unix_path = cli_path(cli, SOCKET_NAME);
        if (access(way->unix_path, F_OK) != 0 && errno == EACCES) {
            return err_set(err, ERR_PERMISSION,
                           "%s belongs to another user; run as that user, or use --server and "
                           "--token-file",
                           cli->data);
        }
        if (access(way->unix_path, F_OK) != 0) {
            return err_set(err, ERR_REFUSED,
                           "Berth is not running with the data directory %s; start it with berth "
                           "up, or name another with --data",
                           cli->data);
        }
    } else {
        int rc = add_token(cli, way, err);
        if (rc != 0)
            return rc;
        way->fields[fields++] = way->authorization;
    }
    int count = snprintf(way->url, sizeof(way->url), "%.*s%s", (int)base_bytes, base, call->path);
    if (count < 0 || (size_t)count >= sizeof(way->url))
        return err_set(err, ERR_TOO_LARGE, "the address of the request is too long");
    if (call->type != NULL) {
        (void)snprintf(way->type, sizeof(way->type), "Content-Type: %s", call->type);
        way->fields[fields++] = way->type;
    }
    return 0;
}

int
client_bytes(struct cli *cli, const struct client_call *call, long *ret_status, struct buf *reply,
             struct err *err)
{
    struct way way = {.unix_path = NULL};
    int rc = find_way(cli, call, &way, err);
    if (rc != 0) {
        secret_wipe(&way, sizeof(way));
        return rc;
    }
    const struct fetch fetch = {
        .method = call->method,
        .url = way.url,
        .unix_path = way.unix_path,
        .fields = way.fields,
        .body = call->body,
        .timeout_ms = call->timeout_ms,
        .reply_bytes_max = CLI_REPLY_BYTES_MAX,
    };
    rc = fetch_run(&fetch, ret_status, reply, err);
    secret_wipe(&way, sizeof(way));
    if (rc == -ERR_REFUSED && cli->server == NULL)
        (void)err_set(err, ERR_REFUSED,
                      "Berth does not answer in the data directory %s; start it with berth up",
                      cli->data);
    return rc;
}

/* What came as a document, NULL when it is none; frees it. */
static int
take_reply(struct cli *cli, struct buf *reply, const struct tree **ret_reply, struct err *err)
{
    struct tree *root = NULL;
    struct str text = STR_EMPTY; /* the tree borrows from it: both live as long as this run */
    int rc = 0;
    if (reply->len > 0 && arena_dup(&cli->arena, buf_str(reply), &text) != 0)
        rc = err_set(err, ERR_NOMEM, "no memory for the answer");
    else if (text.len > 0 && tree_from_json(text, &cli->arena, &root, NULL) != 0)
        root = NULL;
    buf_wipe(reply);
    if (rc == 0)
        *ret_reply = root;
    return rc;
}

int
client_try(struct cli *cli, const struct client_call *call, long *ret_status,
           const struct tree **ret_reply, struct err *err)
{
    struct buf reply;
    buf_init(&reply, CLI_REPLY_BYTES_MAX);
    int rc = client_bytes(cli, call, ret_status, &reply, err);
    if (rc == 0)
        return take_reply(cli, &reply, ret_reply, err);
    buf_wipe(&reply);
    return rc;
}

int
client_dataplane_get(struct cli *cli, const char *url, const char *path, struct str token,
                     long *ret_status, const struct tree **ret_reply, struct err *err)
{
    char address[2048];
    char authorization[512];
    const char *fields[] = {authorization, NULL};
    struct buf reply;
    int count = snprintf(address, sizeof(address), "%s%s", url, path);
    if (count < 0 || (size_t)count >= sizeof(address))
        return err_set(err, ERR_TOO_LARGE, "the address of the request is too long");
    (void)snprintf(authorization, sizeof(authorization), "Authorization: Bearer %.*s",
                   STR_ARG(token));
    const struct fetch fetch = {.method = "GET",
                                .url = address,
                                .fields = fields,
                                .body = STR_EMPTY,
                                .timeout_ms = DATAPLANE_MS};
    buf_init(&reply, CLI_REPLY_BYTES_MAX);
    int rc = fetch_run(&fetch, ret_status, &reply, err);
    secret_wipe(authorization, sizeof(authorization));
    if (rc == 0)
        return take_reply(cli, &reply, ret_reply, err);
    buf_wipe(&reply);
    return rc;
}

int
client_run(struct cli *cli, const struct client_call *call, const struct tree **ret_reply)
{
    struct err err = {0};
    const struct tree *reply = NULL;
    long status = 0;
    int rc = client_try(cli, call, &status, &reply, &err);
    cli->no_answer = rc != 0 && rc != -ERR_REFUSED;
    if (rc != 0)
        return cli_fail("%s", err.text);
    if (status < 200 || status > 299) {
        struct str message = cli_text(reply, "message");
        if (message.len == 0)
            return cli_fail("the admin API answered %ld without saying why", status);
        return cli_fail("%.*s", STR_ARG(message));
    }
    if (reply == NULL)
        return cli_fail("the admin API's answer is no JSON: is that Berth's address?");
    *ret_reply = reply;
    return CLI_DONE;
}

int
client_get(struct cli *cli, const char *path, const struct tree **ret_reply)
{
    const struct client_call call = {.method = "GET", .path = path, .body = STR_EMPTY};
    return client_run(cli, &call, ret_reply);
}

void
client_path_put(struct buf *out, struct str text, bool path)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c != 0 && (strchr(plain, c) != NULL || (path && c == '/')))
            buf_put_byte(out, (char)c);
        else
            buf_printf(out, "%%%02X", (unsigned)c);
    }
}

const char *
client_dataplane_url(struct cli *cli)
{
    char line[256] = "";
    FILE *file = fopen(cli_path(cli, "run/url"), "re");
    struct str copy = {NULL, 0};
    if (file == NULL)
        return "http://127.0.0.1:4181";
    bool read = fgets(line, (int)sizeof(line), file) != NULL;
    (void)fclose(file);
    if (!read || arena_dup(&cli->arena, str_trim(str_from(line)), &copy) != 0)
        return "http://127.0.0.1:4181";
    return copy.ptr;
}
