/* llhttp's state machine, whose prototypes do not go together with those of its api.c in one unit. */
#if __has_include(<llhttp.c>)
#include <llhttp.c>
#endif
