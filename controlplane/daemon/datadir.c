/* SPDX-License-Identifier: MIT
 * datadir.c - see datadir.h.
 * Floor: controlplane/daemon; main thread.
 * Owns: see datadir.h.
 * Invariant: see datadir.h. */
#include "controlplane/daemon/datadir.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/rand.h"
#include "lib/net/tls.h"

#define CERT_DAYS 365u
#define TOKEN_PREFIX "bth-admin-"
#define TOKEN_RANDOM_BYTES 32u

/* mkdir -p, the last one with mode 0700. */
static int
make_dir(const char *path, struct err *err)
{
    char part[DATADIR_PATH_BYTES];
    if (!str_copy(part, sizeof part, str_from(path)))
        return err_set(err, ERR_INVALID, "the path of the data directory is too long");
    for (char *at = part + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return err_set_errno(err, errno, "cannot make %s", part);
        *at = '/';
    }
    if (mkdir(part, 0700) < 0 && errno != EEXIST)
        return err_set_errno(err, errno, "cannot make %s", part);
    return 0;
}

static int
check_dir(const char *path, struct err *err)
{
    struct stat info;
    if (stat(path, &info) < 0)
        return err_set_errno(err, errno, "cannot look at %s", path);
    if (!S_ISDIR(info.st_mode))
        return err_set(err, ERR_INVALID, "%s is no directory", path);
    if (info.st_uid != geteuid())
        return err_set(err, ERR_PERMISSION, "%s belongs to another user", path);
    if (info.st_mode & 077)
        return err_set(err, ERR_PERMISSION,
                       "%s has mode %04o: others may look into it; run: chmod 700 %s", path,
                       info.st_mode & 07777u, path);
    return 0;
}

static int
file_path(const struct datadir *datadir, const char *name, char *out, struct err *err)
{
    int count = snprintf(out, DATADIR_PATH_BYTES, "%s/%s", datadir->path, name);
    if (count < 0 || (size_t)count >= DATADIR_PATH_BYTES)
        return err_set(err, ERR_INVALID, "the path of the data directory is too long");
    return 0;
}

/* A secret of ours in a file: read it, or make it with `bytes` of randomness in hex. */
static int
read_or_make(const char *path, const char *prefix, struct secret **ret_secret, struct err *err)
{
    char text[64 + 2 * TOKEN_RANDOM_BYTES];
    uint8_t random[TOKEN_RANDOM_BYTES];
    size_t at = strlen(prefix);
    if (access(path, F_OK) < 0 && errno == ENOENT) {
        rand_bytes(random, sizeof random);
        memcpy(text, prefix, at);
        hex_encode(random, sizeof random, text + at);
        int code = secret_write_file(path, str_from(text), err);
        secret_wipe(random, sizeof random);
        secret_wipe(text, sizeof text);
        if (code < 0)
            return code;
    }
    return secret_read_file(path, ret_secret, err);
}

static int
load_token(struct datadir *datadir, struct err *err)
{
    char path[DATADIR_PATH_BYTES];
    int code = file_path(datadir, "admin.token", path, err);
    if (code == 0)
        code = read_or_make(path, TOKEN_PREFIX, &datadir->admin_token, err);
    if (code == 0 && secret_str(datadir->admin_token).len < 16)
        code = err_set(err, ERR_INVALID, "the admin token in %s is too short", path);
    return code;
}

static int
load_seal(const struct flags *options, struct datadir *datadir, struct err *err)
{
    char path[DATADIR_PATH_BYTES];
    int code =
        file_path(datadir, options->seal_passphrase_file ? "seal.salt" : "seal.key", path, err);
    if (code < 0)
        return code;
    if (options->seal_passphrase_file)
        return seal_from_passphrase(options->seal_passphrase_file, path, &datadir->seal, err);
    return seal_from_file(options->seal_key_file ? options->seal_key_file : path, &datadir->seal,
                          err);
}

static int
make_pki(const struct flags *options, const struct datadir *datadir, struct err *err)
{
    int code = tls_pki_init(datadir->pki, err);
    if (code == 0)
        code =
            tls_pki_issue(datadir->pki, "controlplane", options->server_name, true, CERT_DAYS, err);
    if (code == 0)
        code = tls_pki_issue(datadir->pki, "dataplane", "dataplane", false, CERT_DAYS, err);
    if (code == 0)
        code = tls_pki_issue(datadir->pki, "agent", "agent", false, CERT_DAYS, err);
    return code;
}

int
datadir_open(const struct flags *options, struct datadir *datadir, struct err *err)
{
    char absolute[PATH_MAX];
    int code = make_dir(options->data, err);
    if (code == 0)
        code = check_dir(options->data, err);
    if (code < 0)
        return code;
    if (!realpath(options->data, absolute) ||
        !str_copy(datadir->path, sizeof datadir->path, str_from(absolute)))
        return err_set(err, ERR_INVALID, "the path of the data directory is too long");
    code = file_path(datadir, "pki", datadir->pki, err);
    if (code == 0)
        code = file_path(datadir, "admin.sock", datadir->admin_socket, err);
    if (code == 0)
        code = file_path(datadir, "backup.db", datadir->backup, err);
    if (code == 0)
        code = keyring_open(&datadir->keyring, datadir->path, err);
    if (code == 0)
        code = load_token(datadir, err);
    if (code == 0)
        code = load_seal(options, datadir, err);
    if (code == 0)
        code = make_pki(options, datadir, err);
    if (code < 0)
        return code;
    int count =
        options->store
            ? snprintf(datadir->store, sizeof datadir->store, "%s", options->store)
            : snprintf(datadir->store, sizeof datadir->store, "sqlite:%s/berth.db", datadir->path);
    if (count < 0 || (size_t)count >= sizeof datadir->store)
        return err_set(err, ERR_INVALID, "the URL of the store is too long");
    return 0;
}

void
datadir_close(struct datadir *datadir)
{
    keyring_close(&datadir->keyring);
    secret_free(&datadir->admin_token);
    seal_free(&datadir->seal);
}
