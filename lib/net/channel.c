/* SPDX-License-Identifier: MIT
 * channel.c - reads and writes of one socket, in clear or through OpenSSL.
 * Floor: lib/net; its loop's thread.
 * Owns: the fd and the SSL object.
 * Invariant: OpenSSL's error queue is empty before each of its calls and after ours; the end of a
 *            TLS stream is clean only after close_notify: proved in channel_test.c. */
#include "lib/net/channel.h"

#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/net/sock.h"
#include "lib/net/tls_int.h"

#define RECORD_BYTES 16384u

static SSL *
channel_ssl(const struct channel *channel)
{
    return channel->tls;
}

int
channel_init(struct channel *channel, int fd, struct tls_context *tls, bool server,
             const char *server_name, struct err *err)
{
    *channel = (struct channel){.io.fd = fd, .handshaken = tls == NULL};
    if (tls == NULL)
        return 0;
    SSL *ssl = NULL;
    int r = tls_session_new(tls, fd, server, server_name, &ssl, err);
    channel->tls = ssl;
    if (r < 0)
        channel_fini(channel);
    return r;
}

void
channel_fini(struct channel *channel)
{
    ASSERT(!channel->io.added);
    SSL_free(channel->tls);
    channel->tls = NULL;
    if (channel->io.fd >= 0)
        (void)close(channel->io.fd);
    channel->io.fd = -1;
}

/* What a failed OpenSSL call means; the queue may hold the reason still. */
static int
tls_result(struct channel *channel, int result)
{
    switch (SSL_get_error(channel_ssl(channel), result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -ERR_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        channel->end_seen = true;
        return -ERR_CLOSED;
    default:
        return -ERR_IO;
    }
}

int
channel_handshake(struct channel *channel, struct err *err)
{
    if (channel->handshaken)
        return 0;
    SSL *ssl = channel_ssl(channel);
    ERR_clear_error();
    errno = 0;
    int result = SSL_do_handshake(ssl);
    if (result == 1) {
        channel->handshaken = true;
        return 0;
    }
    int r = tls_result(channel, result);
    if (r == -ERR_AGAIN)
        return r;
    long verdict = SSL_get_verify_result(ssl);
    unsigned long number = ERR_peek_error();
    if (verdict != X509_V_OK)
        r = err_set(err, ERR_TLS, "the peer's certificate is refused: %s",
                    X509_verify_cert_error_string(verdict));
    else if (number == 0 || ERR_GET_REASON(number) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        r = err_set(err, ERR_CLOSED, "the peer closed during the TLS handshake");
    else
        return tls_fail(err, ERR_TLS, "TLS handshake failed");
    ERR_clear_error();
    return r;
}

struct str
channel_alpn(const struct channel *channel)
{
    const unsigned char *name = NULL;
    unsigned len = 0;
    if (channel->tls != NULL)
        SSL_get0_alpn_selected(channel_ssl(channel), &name, &len);
    return len == 0 ? STR_EMPTY : str_make((const char *)name, len);
}

void
channel_peer_uri(const struct channel *channel, char *out, size_t size)
{
    ASSERT(size > 0);
    out[0] = '\0';
    if (channel->tls == NULL || !channel->handshaken ||
        SSL_get_verify_result(channel_ssl(channel)) != X509_V_OK)
        return;
    tls_cert_uri(SSL_get0_peer_certificate(channel_ssl(channel)), out, size);
}

/* What the loop has read already, and the rest when that filled its block. */
static ssize_t
take_ahead(struct channel *channel, char *bytes, size_t size)
{
    const struct loop_ahead *read = TAKE(channel->io.read);
    ASSERT(size > sizeof(read->bytes));
    errno = read->error;
    if (read->count <= 0)
        return read->count;
    size_t count = (size_t)read->count;
    memcpy(bytes, read->bytes, count);
    ssize_t more = 0;
    if (UNLIKELY(count == sizeof(read->bytes)))
        more = sock_recv(channel->io.fd, bytes + count, size - count);
    return (ssize_t)count + MAX(more, (ssize_t)0); /* an end or an error comes again */
}

static ssize_t
plain_read(struct channel *channel, void *bytes, size_t size)
{
    if (channel->io.read != NULL)
        return take_ahead(channel, bytes, size);
    return sock_recv(channel->io.fd, bytes, size);
}

static int
read_result(struct channel *channel, ssize_t got, size_t *ret_count)
{
    if (LIKELY(got > 0)) {
        *ret_count = (size_t)got;
        return 0;
    }
    if (got == 0) {
        channel->end_seen = true;
        return -ERR_CLOSED;
    }
    return errno == EAGAIN ? -ERR_AGAIN : -ERR_IO;
}

/* As much as fits: several records in one call. */
static int
tls_read(struct channel *channel, void *bytes, size_t size, size_t *ret_count)
{
    size_t total = 0;
    while (total < size) {
        size_t count = 0;
        ERR_clear_error();
        int result = SSL_read_ex(channel_ssl(channel), (char *)bytes + total, size - total, &count);
        if (result == 1) {
            total += count;
            continue;
        }
        int r = tls_result(channel, result);
        ERR_clear_error();
        if (total == 0)
            return r;
        break; /* what came counts first; the next call meets the same end again */
    }
    *ret_count = total;
    return 0;
}

int
channel_read(struct channel *channel, void *bytes, size_t size, size_t *ret_count)
{
    ASSERT(size > 0);
    if (channel->tls != NULL)
        return tls_read(channel, bytes, size, ret_count);
    ssize_t got;
    do
        got = plain_read(channel, bytes, size);
    while (UNLIKELY(got < 0 && errno == EINTR));
    return read_result(channel, got, ret_count);
}

int
channel_readv(struct channel *channel, const struct iovec *iov, int count, size_t *ret_count)
{
    ASSERT(count > 0);
    if (channel->tls != NULL) {
        size_t total = 0;
        for (int i = 0; i < count; i++) {
            size_t got = 0;
            if (iov[i].iov_len == 0)
                continue;
            int r = tls_read(channel, iov[i].iov_base, iov[i].iov_len, &got);
            if (r < 0 && total == 0)
                return r;
            total += got;
            if (got < iov[i].iov_len)
                break;
        }
        *ret_count = total;
        return 0;
    }
    ASSERT(channel->io.read == NULL);
    ssize_t got;
    do
        got = readv(channel->io.fd, iov, count);
    while (UNLIKELY(got < 0 && errno == EINTR));
    return read_result(channel, got, ret_count);
}

/* The next bytes to encrypt: a big piece as it lies, small ones gathered into one record. The same
 * queue gives the same start again, as OpenSSL demands of a write that it deferred. */
static struct str
gather(const struct iovec *iov, int count, size_t skip, char *record)
{
    int i = 0;
    while (i < count && skip >= iov[i].iov_len)
        skip -= iov[i++].iov_len;
    if (i == count)
        return STR_EMPTY;
    size_t left = iov[i].iov_len - skip;
    const char *first = (const char *)iov[i].iov_base + skip;
    if (left >= RECORD_BYTES || i + 1 == count)
        return str_make(first, left);
    size_t total = 0;
    for (; i < count && total < RECORD_BYTES; i++, skip = 0) {
        size_t take = MIN(iov[i].iov_len - skip, RECORD_BYTES - total);
        if (take > 0)
            memcpy(record + total, (const char *)iov[i].iov_base + skip, take);
        total += take;
    }
    return str_make(record, total);
}

static int
tls_writev(struct channel *channel, const struct iovec *iov, int count, size_t *ret_count)
{
    UNINIT char record[RECORD_BYTES];
    size_t total = 0;
    for (;;) {
        struct str piece = gather(iov, count, total, record);
        size_t put = 0;
        if (piece.len == 0)
            break;
        ERR_clear_error();
        errno = 0;
        int result = SSL_write_ex(channel_ssl(channel), piece.ptr, piece.len, &put);
        if (result == 1) {
            total += put;
            continue;
        }
        int r = tls_result(channel, result);
        if (r == -ERR_IO && (errno == EPIPE || errno == ECONNRESET))
            r = -ERR_CLOSED;
        ERR_clear_error();
        if (total == 0)
            return r;
        break;
    }
    *ret_count = total;
    return 0;
}

int
channel_writev(struct channel *channel, const struct iovec *iov, int count, size_t *ret_count)
{
    ASSERT(count > 0);
    if (channel->tls != NULL)
        return tls_writev(channel, iov, count, ret_count);
    ssize_t put;
    do {
        if (count == 1) {
            put = sock_send(channel->io.fd, iov->iov_base, iov->iov_len);
        } else {
            /* sendmsg only reads it */
            struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                                     .msg_iovlen = (size_t)count};
            put = sendmsg(channel->io.fd, &message, MSG_NOSIGNAL);
        }
    } while (UNLIKELY(put < 0 && errno == EINTR));
    if (LIKELY(put >= 0)) {
        *ret_count = (size_t)put;
        return 0;
    }
    return errno == EAGAIN                         ? -ERR_AGAIN
           : errno == EPIPE || errno == ECONNRESET ? -ERR_CLOSED
                                                   : -ERR_IO;
}

void
channel_shutdown(struct channel *channel)
{
    if (channel->tls != NULL && channel->handshaken) {
        ERR_clear_error();
        (void)SSL_shutdown(channel_ssl(channel));
        ERR_clear_error();
    }
    (void)shutdown(channel->io.fd, SHUT_WR);
}
