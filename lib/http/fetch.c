/* SPDX-License-Identifier: MIT
 * fetch.c - one blocking exchange through libcurl's easy interface.
 * Floor: lib/http; any thread.
 * Owns: the easy handle of one call.
 * Invariant: http and https only, no redirects, no proxy from the environment, no netrc; time and
 * size are bounded: proved in fetch_test.c. */
#include "lib/http/fetch.h"

#include <curl/curl.h>
#include <pthread.h>
#include <sys/socket.h>

#include "lib/base/check.h"

#define TIMEOUT_MS 30000u
#define REPLY_BYTES_MAX ((size_t)64 << 20)

struct run {
    const struct fetch *fetch;
    struct buf *reply;
    size_t bytes_max;
    size_t bytes;
    struct str unsent;
    bool stopped;
    bool too_large;
    bool no_memory;
    bool not_allowed; /* an address; the name may have others */
};

static void
curl_free_handle(CURL **curl)
{
    curl_easy_cleanup(*curl);
}

static void
curl_free_list(struct curl_slist **list)
{
    curl_slist_free_all(*list);
}

static void
curl_init_once(void)
{
    ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

/* Anything but `count` makes curl end with CURLE_WRITE_ERROR. */
static size_t
on_reply(char *bytes, size_t size, size_t count, void *user)
{
    struct run *run = user;
    count *= size; /* size is always 1 */
    if (count > run->bytes_max - run->bytes) {
        run->too_large = true;
        return 0;
    }
    run->bytes += count;
    if (run->fetch->on_body != NULL) {
        run->stopped = !run->fetch->on_body(str_make(bytes, count), run->fetch->user);
        return run->stopped ? 0 : count;
    }
    int r = buf_put(run->reply, bytes, count);
    run->too_large = r == -ERR_TOO_LARGE;
    run->no_memory = r == -ERR_NOMEM;
    return r < 0 ? 0 : count;
}

/* Anything but 0 makes curl end with CURLE_ABORTED_BY_CALLBACK. */
static int
on_progress(void *user, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    struct run *run = user;
    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    run->stopped = !run->fetch->on_tick(run->fetch->user);
    return run->stopped ? 1 : 0;
}

/* The address that is connected to, whatever the name said a moment ago. */
static curl_socket_t
on_socket(void *user, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct run *run = user;
    struct sock_addr addr = {.len = (socklen_t)to->addrlen};
    (void)purpose;
    if (to->addrlen > sizeof(addr.u))
        return CURL_SOCKET_BAD;
    memcpy(&addr.u, &to->addr, to->addrlen);
    if (!run->fetch->allow(&addr, run->fetch->allow_user)) {
        run->not_allowed = true;
        return CURL_SOCKET_BAD;
    }
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static size_t
on_request(char *out, size_t size, size_t count, void *user)
{
    struct run *run = user;
    size_t take = MIN(size * count, run->unsent.len);
    if (take > 0)
        memcpy(out, run->unsent.ptr, take);
    run->unsent = str_skip(run->unsent, take);
    return take;
}

static int
fetch_error(const struct run *run, CURLcode code, const char *detail, struct err *err)
{
    enum err_code number = ERR_IO;
    if (run->stopped)
        return err_set(err, ERR_CANCELED, "%s: stopped by the reader", run->fetch->url);
    if (run->too_large)
        return err_set(err, ERR_TOO_LARGE, "%s: the reply has more than %zu bytes", run->fetch->url,
                       run->bytes_max);
    if (run->no_memory || code == CURLE_OUT_OF_MEMORY)
        return err_set(err, ERR_NOMEM, "%s: no memory for the reply", run->fetch->url);
    if (run->not_allowed && code == CURLE_COULDNT_CONNECT)
        detail = "it leads to an address that may not be connected to";
    if (code == CURLE_COULDNT_CONNECT)
        number = ERR_REFUSED;
    else if (code == CURLE_OPERATION_TIMEDOUT)
        number = ERR_TIMEOUT;
    else if (code == CURLE_COULDNT_RESOLVE_HOST)
        number = ERR_RESOLVE;
    else if (code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION ||
             code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CIPHER ||
             code == CURLE_SSL_CACERT_BADFILE)
        number = ERR_TLS;
    else if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        number = ERR_INVALID;
    return err_set(err, number, "%s: %s", run->fetch->url,
                   detail[0] != '\0' ? detail : curl_easy_strerror(code));
}

static bool
set_fields(CURL *curl, const struct fetch *fetch, struct curl_slist **list)
{
    /* Curl's own ideas are taken back: no "Expect: 100-continue", no form type. */
    static const char *const ours[] = {"Expect:", NULL};
    const char *const *sets[] = {ours, fetch->fields};
    for (size_t s = 0; s < ARRAY_LEN(sets); s++) {
        for (const char *const *field = sets[s]; field != NULL && *field != NULL; field++) {
            struct curl_slist *grown = curl_slist_append(*list, *field);
            if (grown == NULL)
                return false;
            *list = grown;
        }
    }
    return curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *list) == CURLE_OK;
}

static bool
set_body(CURL *curl, struct run *run)
{
    const struct fetch *fetch = run->fetch;
    if (strcmp(fetch->method, "HEAD") == 0)
        return curl_easy_setopt(curl, CURLOPT_NOBODY, 1L) == CURLE_OK;
    if (fetch->body.len == 0 && strcmp(fetch->method, "GET") == 0)
        return true;
    return (fetch->body.len == 0 && strcmp(fetch->method, "DELETE") == 0) ||
           (curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L) == CURLE_OK &&
            curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_request) == CURLE_OK &&
            curl_easy_setopt(curl, CURLOPT_READDATA, run) == CURLE_OK &&
            curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)fetch->body.len) ==
                CURLE_OK);
}

static bool
set_options(CURL *curl, const struct fetch *fetch)
{
    long timeout_ms = (long)(fetch->timeout_ms == 0 ? TIMEOUT_MS : fetch->timeout_ms);
    return curl_easy_setopt(curl, CURLOPT_URL, fetch->url) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, fetch->method) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           /* a name that is ".." must not become another endpoint */
           curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
           (fetch->unix_path == NULL ||
            curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, fetch->unix_path) == CURLE_OK) &&
           (fetch->ca_file == NULL ||
            (curl_easy_setopt(curl, CURLOPT_CAINFO, fetch->ca_file) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) == CURLE_OK));
}

int
fetch_run(const struct fetch *fetch, long *ret_status, struct buf *reply, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    ASSERT(pthread_once(&once, curl_init_once) == 0);
    ASSERT(fetch->method != NULL && fetch->url != NULL);
    ASSERT(reply != NULL || fetch->on_body != NULL);

    char detail[CURL_ERROR_SIZE] = "";
    struct run run = {.fetch = fetch, .reply = reply, .unsent = fetch->body};
    run.bytes_max = fetch->reply_bytes_max == 0 ? REPLY_BYTES_MAX : fetch->reply_bytes_max;
    CLEANUP(curl_free_list) struct curl_slist *list = NULL;
    CLEANUP(curl_free_handle) CURL *curl = curl_easy_init();
    if (curl == NULL || !set_options(curl, fetch) || !set_fields(curl, fetch, &list) ||
        !set_body(curl, &run) || curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_reply) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, &run) != CURLE_OK ||
        (fetch->allow != NULL &&
         (curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_socket) != CURLE_OK ||
          curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, &run) != CURLE_OK)) ||
        (fetch->on_tick != NULL &&
         (curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) != CURLE_OK ||
          curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress) != CURLE_OK ||
          curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &run) != CURLE_OK)))
        return err_set(err, ERR_NOMEM, "cannot set up an HTTP exchange with %s", fetch->url);

    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK)
        return fetch_error(&run, code, detail, err);
    long status = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    *ret_status = status;
    return 0;
}
