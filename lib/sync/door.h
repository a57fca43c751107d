/*
 * What link_nats.c, options_nats.c and open_nats.c share: the door to libnats. No other file includes this
 * one, and none but this one nats.h.
 *
 * libnats is opened with the first link, not with the program: it brings libssl, libprotobuf and the
 * like, and every command would pay for relocating them (0.5 ms of 2).
 */
#ifndef SYNC_DOOR_H
#define SYNC_DOOR_H

#include <nats/nats.h>

#include "link.h"

/* What is used of it. */
#define DOOR_FUNCTIONS(X)                                                                          \
	X(natsConnection_Buffered)                                                                 \
	X(natsConnection_Close)                                                                    \
	X(natsConnection_Connect)                                                                  \
	X(natsConnection_Destroy)                                                                  \
	X(natsConnection_GetConnectedUrl)                                                          \
	X(natsConnection_GetLastError)                                                             \
	X(natsConnection_GetMaxPayload)                                                            \
	X(natsConnection_IsClosed)                                                                 \
	X(natsConnection_ProcessReadEvent)                                                         \
	X(natsConnection_ProcessWriteEvent)                                                        \
	X(natsConnection_Publish)                                                                  \
	X(natsConnection_PublishMsg)                                                               \
	X(natsConnection_PublishRequest)                                                           \
	X(natsConnection_Subscribe)                                                                \
	X(natsConnection_SubscribeSync)                                                            \
	X(natsMsgHeader_Get)                                                                       \
	X(natsMsgHeader_Set)                                                                       \
	X(natsMsg_Create)                                                                          \
	X(natsMsg_Destroy)                                                                         \
	X(natsMsg_GetData)                                                                         \
	X(natsMsg_GetDataLength)                                                                   \
	X(natsMsg_GetReply)                                                                        \
	X(natsMsg_GetSubject)                                                                      \
	X(natsOptions_Create)                                                                      \
	X(natsOptions_Destroy)                                                                     \
	X(natsOptions_LoadCATrustedCertificates)                                                   \
	X(natsOptions_LoadCertificatesChain)                                                       \
	X(natsOptions_SetAllowReconnect)                                                           \
	X(natsOptions_SetEventLoop)                                                                \
	X(natsOptions_SetExpectedHostname)                                                         \
	X(natsOptions_SetIOBufSize)                                                                \
	X(natsOptions_SetIgnoreDiscoveredServers)                                                  \
	X(natsOptions_SetNKey)                                                                     \
	X(natsOptions_SetName)                                                                     \
	X(natsOptions_SetPingInterval)                                                             \
	X(natsOptions_SetSecure)                                                                   \
	X(natsOptions_SetSendAsap)                                                                 \
	X(natsOptions_SetServers)                                                                  \
	X(natsOptions_SetTimeout)                                                                  \
	X(natsOptions_SetToken)                                                                    \
	X(natsOptions_SetUserCredentialsFromFiles)                                                 \
	X(natsOptions_SetUserInfo)                                                                 \
	X(natsStatus_GetText)                                                                      \
	X(natsSubscription_Destroy)                                                                \
	X(natsSubscription_GetPending)                                                             \
	X(natsSubscription_NextMsg)                                                                \
	X(natsSubscription_SetOnCompleteCB)                                                        \
	X(natsSubscription_SetPendingLimits)                                                       \
	X(nats_GetLastError)                                                                       \
	X(nats_ReleaseThreadMemory)                                                                \
	X(nats_Sign)

struct door {
#define DOOR_MEMBER(name) __typeof__(name) *name;
	DOOR_FUNCTIONS(DOOR_MEMBER)
#undef DOOR_MEMBER
};
extern struct door door;

/* Opens libnats where that was not done yet; before anything else of it is used. LEDGER_IO: it is not
 * installed, or not as it was when this program was built. Safe from any thread. */
enum ledger_status door_open(struct ledger_error *err);

/* Options for one connection, with what the files hold now. Where that fails: which file, and why. */
enum ledger_status door_options(
	natsOptions **out, const struct link_options *options, struct ledger_error *err);

/* Their failure in words for a person, ours and theirs; never with a password or a control character. */
enum ledger_status door_fail_nats(natsStatus code, const char *theirs,
	const struct link_options *options, struct ledger_error *err);

/* The same where a connection could not be made. */
enum ledger_status door_fail_connect(natsStatus code, const char *theirs,
	const struct link_options *options, struct ledger_error *err);

/* For text that a server sent: at most n - 1 bytes, printable. */
void door_clean(const char *text, char *out, size_t n);

#endif
