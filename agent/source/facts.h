/* SPDX-License-Identifier: MIT
 * facts.h - what the APIs of Docker and Podman say about a container, reduced to what matters here.
 * Floor: agent/source; any thread.
 * Owns: nothing; values.
 * Invariant: an event only says which container to look at; what is believed is read afterwards.
 *            Ids are safe in a path; everything is of bounded length. facts_test.c,
 *            facts_fuzz.c. */
#ifndef BERTH_AGENT_SOURCE_FACTS_H
#define BERTH_AGENT_SOURCE_FACTS_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

#define FACTS_ID_BYTES 129u
#define FACTS_NAME_BYTES 256u

enum facts_state {
    FACTS_GONE,    /* the runtime does not know it any more */
    FACTS_IDLE,    /* created, stopped, dead */
    FACTS_RUNNING, /* as far as the runtime has noticed */
    FACTS_PAUSED
};
struct facts {
    char id[FACTS_ID_BYTES];
    char name[FACTS_NAME_BYTES]; /* without Docker's slash; maybe no name that Berth can use */
    enum facts_state state;
    bool whole;      /* inspected; a list says less (no pid, no annotations) */
    pid_t pid;       /* of init in our pid namespace; 0 = not said */
    bool name_fixed; /* by label or annotation io.berth.name */
    bool ai_off;     /* label or annotation io.berth.ai=false */
    bool infra;      /* the sandbox of a pod */
};

/* facts_parse_event - one line of /events. 0 and the id of the container to look at, in
 * ret_facts->id. *ret_created: it was just created and the event says its name and labels; there is
 * nothing to look at, and Docker would not answer while it is being started.
 * -ERR_NOT_FOUND: it is about nothing that matters; -ERR_PARSE and others: no event at all. */
int facts_parse_event(struct str line, struct facts *ret_facts, bool *ret_created) MUST_USE;
/* facts_parse_inspect - /containers/ID/json of Docker, or of libpod. 0; -ERR_PARSE, -ERR_INVALID.
 */
int facts_parse_inspect(struct str text, struct facts *ret_facts) MUST_USE;
/* facts_parse_list - /containers/json of Docker, or of libpod: `each` for every sound row. The
 * number of rows, or as above. */
int facts_parse_list(struct str text, void (*each)(const struct facts *facts, void *user),
                     void *user) MUST_USE;

#endif
