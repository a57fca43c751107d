/*
 * crypto - how fast OpenSSL alone hashes what `verify` has to hash: nothing is read, nothing compared.
 *
 *	crypto [--events N] [--threads N] [--no-link]
 *
 * For each event of tests/bench/sample.h, in the way that is fastest with OpenSSL 3 (fetched once, one
 * context per thread, started again with NULL, one update over one buffer):
 *	SHA-256 of the body's PAE, 323 bytes: label, salt, payload, no metadata
 *	SHA-256 of the event's PAE, 389 bytes
 *	HMAC-SHA-256 of 49 bytes: label, 0x00, hash
 *	SHA-256 of 64 bytes: the link over all events that the seal holds (--no-link: without)
 * Prints events, seconds and events per second of all threads together.
 */
#include <getopt.h>
#include <inttypes.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../lib/base/banned.h"

#define BODY_SIZE   323
#define EVENT_SIZE  389
#define MAC_SIZE    49
#define LINK_SIZE   64
#define THREADS_MAX 64

static uint64_t events = 1000000;
static unsigned threads = 2;
static bool with_link = true;

struct worker {
	pthread_t thread;
	uint64_t events;
	EVP_MD_CTX *digest;
	EVP_MAC_CTX *mac;
	uint8_t sum; /* keeps the compiler from leaving the work out */
};

static void die(const char *what)
{
	fprintf(stderr, "crypto: %s\n", what);
	exit(1);
}

static void sha256(EVP_MD_CTX *ctx, const uint8_t *bytes, size_t n, uint8_t out[32])
{
	if (!EVP_DigestInit_ex2(ctx, NULL, NULL) || !EVP_DigestUpdate(ctx, bytes, n) ||
		!EVP_DigestFinal_ex(ctx, out, NULL))
		die("SHA-256 failed");
}

static void hmac(EVP_MAC_CTX *ctx, const uint8_t *bytes, size_t n, uint8_t out[32])
{
	size_t len;
	if (!EVP_MAC_init(ctx, NULL, 0, NULL) || !EVP_MAC_update(ctx, bytes, n) ||
		!EVP_MAC_final(ctx, out, &len, 32))
		die("HMAC failed");
}

/* Each result goes into the next input, as in a ledger. */
static void *work(void *context)
{
	struct worker *w = context;
	uint8_t body[BODY_SIZE] = { 0 }, event[EVENT_SIZE] = { 0 }, mac[MAC_SIZE] = { 0 };
	uint8_t link[LINK_SIZE] = { 0 }, out[32];
	for (uint64_t i = 0; i < w->events; i++) {
		memcpy(body + 40, &i, sizeof(i));
		sha256(w->digest, body, sizeof(body), event + EVENT_SIZE - 32);
		sha256(w->digest, event, sizeof(event), mac + MAC_SIZE - 32);
		hmac(w->mac, mac, sizeof(mac), out);
		w->sum ^= out[0];
		if (!with_link)
			continue;
		memcpy(link + 32, mac + MAC_SIZE - 32, 32);
		sha256(w->digest, link, sizeof(link), link);
	}
	w->sum ^= link[0];
	return NULL;
}

static void worker_init(struct worker *w, EVP_MD *md, EVP_MAC *mac, uint64_t n)
{
	static const uint8_t key[32] = "a key of the benchmark, no more";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){ "SHA256" }, 0),
		OSSL_PARAM_construct_end(),
	};
	w->events = n;
	w->digest = EVP_MD_CTX_new();
	w->mac = EVP_MAC_CTX_new(mac);
	if (!w->digest || !w->mac || !EVP_DigestInit_ex2(w->digest, md, NULL) ||
		!EVP_MAC_init(w->mac, key, sizeof(key), params))
		die("cannot start OpenSSL");
}

static void read_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "events", required_argument, NULL, 'e' },
		{ "threads", required_argument, NULL, 't' },
		{ "no-link", no_argument, NULL, 'l' },
		{ 0 },
	};
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 'e':
			events = strtoull(optarg, NULL, 10);
			break;
		case 't':
			threads = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'l':
			with_link = false;
			break;
		default:
			exit(2);
		}
	}
	if (threads < 1 || threads > THREADS_MAX)
		die("--threads takes 1 to 64");
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	read_options(argc, argv);
	EVP_MD *md = EVP_MD_fetch(NULL, "SHA256", NULL);
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (!md || !mac)
		die("no SHA-256 or HMAC in this OpenSSL");

	struct worker workers[THREADS_MAX] = { 0 };
	for (unsigned i = 0; i < threads; i++)
		worker_init(&workers[i], md, mac, events / threads);
	double start = now();
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
			die("cannot start a thread");
	uint8_t sum = 0;
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		sum ^= workers[i].sum;
		EVP_MD_CTX_free(workers[i].digest);
		EVP_MAC_CTX_free(workers[i].mac);
	}
	double seconds = now() - start;
	EVP_MD_free(md);
	EVP_MAC_free(mac);

	uint64_t done = events / threads * threads;
	printf("%" PRIu64 " events %.3f s %.0f/s (%02x)\n", done, seconds, (double)done / seconds,
		sum);
	return 0;
}
