/* SPDX-License-Identifier: MIT
 * front.h - the client surface of a worker: which path is which endpoint, and the handler of its
 * servers. Floor: dataplane/front; the worker's thread. Owns: nothing. Invariant: every path
 * answers; what is not an endpoint is 404 in a dialect. front_test in e2e. */
#ifndef BERTH_DATAPLANE_FRONT_FRONT_H
#define BERTH_DATAPLANE_FRONT_FRONT_H

#include "dataplane/pipeline/worker.h"

/* For http_server_conf.handler; http_server_conf.user is the worker. */
extern const struct http_handler front_handler;

#endif
