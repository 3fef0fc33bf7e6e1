/* SPDX-License-Identifier: MIT
 * redraw.h - requests for a picture after a picture, in each vendor's own words: read strictly, so
 *            that who sends anything else is found out.
 * Floor: tools/sim; one thread at a time.
 * Owns: nothing.
 * Invariant: what is made of them says which pictures were read (media->digest). redraw_test.c */
#ifndef BERTH_TOOLS_SIM_REDRAW_H
#define BERTH_TOOLS_SIM_REDRAW_H

#include "tools/sim/media.h"

/* redraw_endpoint - what `endpoint` is when this model is asked: SIM_DRAW and SIM_CANVAS share
 * addresses with others. */
enum sim_endpoint redraw_endpoint(enum sim_endpoint endpoint, struct str model);
/* redraw_is - such a request is read by redraw_parse and not by media_parse. */
bool redraw_is(enum sim_endpoint endpoint, struct str model);
/* redraw_parse - as media_parse; the model is known from the path. */
int redraw_parse(struct str body, struct str content_type, enum sim_endpoint endpoint,
                 struct json_doc *doc, struct arena *arena, struct sim_media *ret_media,
                 struct err *err) MUST_USE;

#endif
