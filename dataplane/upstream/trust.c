/* SPDX-License-Identifier: MIT
 * trust.c - see trust.h.
 * Floor: dataplane/upstream; any thread.
 * Owns: the entries of the table.
 * Invariant: an entry is never changed after it was put. */
#include "dataplane/upstream/trust.h"

#include <stdio.h>
#include <stdlib.h>

#define KEY_BYTES_MAX 4200u

struct trusted {
    char *key;
    struct tls_context *tls;
};

void
trust_init(struct trust *trust)
{
    pthread_mutex_init(&trust->lock, NULL);
    map_init(&trust->contexts);
}

static void
trusted_free(struct trusted *entry)
{
    tls_context_free(&entry->tls);
    free(entry->key);
    free(entry);
}

void
trust_fini(struct trust *trust)
{
    MAP_FOREACH (slot, &trust->contexts) {
        trusted_free(slot->value);
    }
    map_fini(&trust->contexts);
    pthread_mutex_destroy(&trust->lock);
}

static int
trust_add(struct trust *trust, struct str key, struct trusted **ret_entry, struct err *err)
{
    struct trusted *entry = calloc(1, sizeof(*entry));
    if (entry == NULL || (entry->key = str_dup(key)) == NULL) {
        free(entry);
        return err_set(err, ERR_NOMEM, "no memory for a TLS context");
    }
    const char *ca_file = entry->key + 3;
    struct tls_client_conf conf = {.ca_file = ca_file[0] != '\0' ? ca_file : NULL,
                                   .alpn_h2 = entry->key[1] == '2'};
    int rc = tls_client_new(&conf, &entry->tls, err);
    if (rc == 0 && map_put(&trust->contexts, str_from(entry->key), entry, NULL) != 0)
        rc = err_set(err, ERR_NOMEM, "no memory for a TLS context");
    if (rc != 0) {
        trusted_free(entry);
        return rc;
    }
    *ret_entry = entry;
    return 0;
}

int
trust_get(struct trust *trust, struct str ca_file, bool alpn_h2, struct tls_context **ret_tls,
          struct err *err)
{
    char key[KEY_BYTES_MAX];
    int bytes = snprintf(key, sizeof(key), "%s|%.*s", alpn_h2 ? "h2" : "h1", STR_ARG(ca_file));
    if (bytes < 0 || (size_t)bytes >= sizeof(key))
        return err_set(err, ERR_TOO_LARGE, "the path of the CA file is too long");
    pthread_mutex_lock(&trust->lock);
    struct str wanted = str_make(key, (size_t)bytes);
    struct trusted *entry = map_get(&trust->contexts, wanted);
    int rc = entry == NULL ? trust_add(trust, wanted, &entry, err) : 0;
    if (rc == 0 && entry != NULL)
        *ret_tls = entry->tls;
    pthread_mutex_unlock(&trust->lock);
    return rc;
}
