/* A survey from inside: what survey.c (talking) and compare.c (what it means) share. */
#ifndef SYNC_SURVEY_H
#define SYNC_SURVEY_H

#include "../sync.h"
#include "link.h"

#define SURVEY_CLUSTERS_MAX 8
#define SURVEY_PEERS_MAX    64
#define SURVEY_HEADS_MAX    (256u << 10)

struct survey_link {
	const struct sync_cluster *options;
	struct link *link;
	bool up;
};

struct survey_peer {
	char node[65];
	size_t cluster; /* where it was last heard */
};

struct said {
	struct survey_head what;
	uint64_t epoch, counter; /* of the statement */
};

struct survey {
	struct ledger *ledger;
	const struct survey_options *options;
	char node[65], prefix[65];
	int poll;
	uint64_t news; /* monotonic: when something last came */
	char why[256]; /* no server is there, or the last thing denied */
	bool ourselves;
	struct arena arena;
	struct survey_link links[SURVEY_CLUSTERS_MAX];
	size_t n_links;
	struct survey_peer peers[SURVEY_PEERS_MAX];
	size_t n_peers;
	struct said *said; /* each head once, after survey_open in order */
	size_t n_said, room;
	const char *silent[SURVEY_PEERS_MAX + 1];
	size_t n_silent;

	/* The one request under way. */
	uint64_t tag;
	bool ended;
	struct buf answer;
};

#endif
