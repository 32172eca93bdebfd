/* Word to the service manager: sd_notify(3)'s protocol, one datagram a message. */
#ifndef HB_HORNBEAMD_NOTIFY_H
#define HB_HORNBEAMD_NOTIFY_H

/* Takes NOTIFY_SOCKET out of the environment, so that no child speaks for the daemon. */
void hb_notify_init(void);
/* Sends "READY=1\nSTATUS=..." and the like; without a service manager nothing happens. */
void hb_notify(const char *message);

#endif
