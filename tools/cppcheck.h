/* What cppcheck must know of macros whose headers it does not read. */
#include <sys/queue.h>
#undef TAILQ_FOREACH
#define TAILQ_FOREACH(var, head, field) for (var = (head)->tqh_first; var; var = var->field.tqe_next)
#undef LIST_FOREACH
#define LIST_FOREACH(var, head, field) for (var = (head)->lh_first; var; var = var->field.le_next)
#undef TAILQ_FOREACH_REVERSE
#define TAILQ_FOREACH_REVERSE(var, head, name, field) \
	for (var = *(((struct name *)(head)->tqh_last)->tqh_last); var; var = *(((struct name *)var->field.tqe_prev)->tqh_last))
#define Py_RETURN_NONE return Py_None
#define Py_RETURN_TRUE return Py_True
#define Py_RETURN_FALSE return Py_False
#define Py_RETURN_INF(sign) return Py_None
