/* `hornbeamd --worker INDEX --slot SLOT`: from the inherited descriptors to hb_worker_main. */
#ifndef HB_HORNBEAMD_WORKER_ENTRY_H
#define HB_HORNBEAMD_WORKER_ENTRY_H

/* Returns the exit status. */
int hb_worker_entry(unsigned index, unsigned slot);

#endif
