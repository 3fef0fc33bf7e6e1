/* SPDX-License-Identifier: MIT
 * channel.h - one non-blocking byte stream over a socket, in clear or TLS.
 * Floor: lib/net; its loop's thread.
 * Owns: the fd and the SSL object.
 * Invariant: calls never block and never raise SIGPIPE; -ERR_AGAIN means that a later edge will
 * come (for TLS: channel_read may need OUT and channel_write may need IN; the owner simply tries
 *            both after any edge). A TLS end without close_notify reads as -ERR_IO, not as an end.
 */
#ifndef BERTH_LIB_NET_CHANNEL_H
#define BERTH_LIB_NET_CHANNEL_H

#include <sys/uio.h>

#include "lib/net/loop.h"
#include "lib/net/tls.h"

struct channel {
    struct loop_io io; /* the owner sets io.ready and adds it to its loop */
    void *tls;         /* SSL, or NULL */
    bool handshaken;
    bool end_seen;
};

/* channel_init - take over fd (on failure it is closed too). tls: NULL for clear. server_name: for
 * clients: SNI and the name that is verified (a DNS name or IP address), else NULL. */
int channel_init(struct channel *channel, int fd, struct tls_context *tls, bool server,
                 const char *server_name, struct err *err) MUST_USE;
void channel_fini(struct channel *channel); /* closes; the owner removed io from the loop */
/* channel_handshake - 0 when done (at once for clear); -ERR_AGAIN; -ERR_TLS with a reason fit for
 * an operator; -ERR_CLOSED. */
int channel_handshake(struct channel *channel, struct err *err) MUST_USE;
/* channel_alpn - "h2", "http/1.1" or empty. */
struct str channel_alpn(const struct channel *channel);
/* channel_peer_uri - first URI SAN of the peer's verified certificate, NUL-terminated into out, or
 * "". */
void channel_peer_uri(const struct channel *channel, char *out, size_t size);
/* channel_read - 0 and *ret_count > 0; -ERR_AGAIN; -ERR_CLOSED (clean end); -ERR_IO (reset,
 * truncated). A short count means drained for clear sockets: no
 * second read is needed, except after an edge with EPOLLRDHUP (the end is there already and gives
 * no further edge); for TLS read again. */
int channel_read(struct channel *channel, void *bytes, size_t size, size_t *ret_count) MUST_USE;
int channel_readv(struct channel *channel, const struct iovec *iov, int count,
                  size_t *ret_count) MUST_USE;
/* channel_writev - 0 and *ret_count >= 1 (maybe short); -ERR_AGAIN; -ERR_CLOSED; -ERR_IO. */
int channel_writev(struct channel *channel, const struct iovec *iov, int count,
                   size_t *ret_count) MUST_USE;
/* channel_shutdown - close_notify and SHUT_WR, best effort. */
void channel_shutdown(struct channel *channel);

#endif
