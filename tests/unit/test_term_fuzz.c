/* Replays the corpus of the term fuzz target, each seed also cut short and with single bytes changed. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../fuzz/fuzz_term.h"
#include "common/str.h"
#include "unit.h"

enum { SEED_MAX = 65536, CUTS_MAX = 300 };

static void
replay(const unsigned char *data, size_t len)
{
	size_t step = len / CUTS_MAX + 1;

	LLVMFuzzerTestOneInput(data, len);
	for (size_t i = 0; i < len; i += step) {
		unsigned char *changed = hb_xmalloc(len);

		memcpy(changed, data, len);
		LLVMFuzzerTestOneInput(changed, i);
		changed[i] ^= (unsigned char)(1 << i % 8);
		LLVMFuzzerTestOneInput(changed, len);
		free(changed);
	}
}

START_TEST(the_corpus_is_handled)
{
	const char *top = getenv("top_srcdir");
	char *dir = hb_xasprintf("%s/tests/fuzz/corpus/term", top != NULL ? top : ".");
	DIR *d = opendir(dir);
	struct dirent *entry;
	unsigned seeds = 0;

	ck_assert_msg(d != NULL, "%s cannot be opened", dir);
	while ((entry = readdir(d)) != NULL) {
		char *path = hb_xasprintf("%s/%s", dir, entry->d_name);
		unsigned char *data = hb_xmalloc(SEED_MAX);
		FILE *f = entry->d_name[0] == '.' ? NULL : fopen(path, "rb");

		if (f != NULL) {
			replay(data, fread(data, 1, SEED_MAX, f));
			fclose(f);
			seeds++;
		}
		free(data);
		free(path);
	}
	closedir(d);
	free(dir);
	ck_assert_uint_ge(seeds, 40);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("term_fuzz");
	TCase *t = tcase_create("all");

	tcase_add_test(t, the_corpus_is_handled);
	suite_add_tcase(s, t);
	return s;
}
