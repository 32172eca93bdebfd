/* The state of the extension module _hornbeam. */
#ifndef HB_PYTHON_MODULE_H
#define HB_PYTHON_MODULE_H

#include "aio.h"
#include "client.h"
#include "convert.h"
#include "provide.h"
#include "pubsub.h"

struct hb_module {
	struct hb_convert convert;
	struct hb_client client;
	struct hb_aio aio;
	struct hb_pubsub pubsub;
	struct hb_provide provide;
};

extern struct PyModuleDef hb_module_def;

#endif
