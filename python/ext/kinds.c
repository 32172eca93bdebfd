/*
 * Python's own kinds of values, which Erlang has none for: {'$py', Kind, Payload}.
 *
 *   float      nan | inf | '-inf'
 *   complex    {Real, Imaginary}
 *   set, frozenset, tuple    a list; tuple is for tuples that start with '$py'
 *   decimal, uuid            their text
 *   date       {Year, Month, Day}
 *   time       {Hour, Minute, Second, Microsecond, Zone, Fold}
 *   datetime   {Year, Month, Day, Hour, Minute, Second, Microsecond, Zone, Fold}
 *   timedelta  {Days, Seconds, Microseconds}
 *   timezone   Zone: microseconds east of UTC, {them, Name}, or the key of a ZoneInfo
 *
 * Zone in time and datetime is undefined for a naive one.
 */
#include "kinds.h"

#include <datetime.h>
#include <math.h>

static const int64_t MICROSECONDS = 1000000, DAY = 86400;

/*
 * A type of a module that nobody has imported yet has no values either:
 * encoding never imports.  NULL without an exception when there is none.
 */
static PyObject *
known_type(PyObject **cache, const char *module_name, const char *type_name)
{
	PyObject *name, *module = NULL;

	if (*cache != NULL)
		return *cache;
	name = PyUnicode_FromString(module_name);
	if (name != NULL)
		module = PyImport_GetModule(name);
	if (module != NULL)
		*cache = PyObject_GetAttrString(module, type_name);
	PyErr_Clear();
	Py_XDECREF(name);
	Py_XDECREF(module);
	return *cache;
}

static bool
is_a(PyObject *value, PyObject *type)
{
	return type != NULL && PyType_Check(type) && PyObject_TypeCheck(value, (PyTypeObject *)type);
}

static bool
datetime_known(void)
{
	PyObject *unused = NULL;

	if (PyDateTimeAPI != NULL)
		return true;
	if (known_type(&unused, "datetime", "datetime_CAPI") == NULL)
		return false;
	Py_DECREF(unused);
	PyDateTime_IMPORT;
	PyErr_Clear();
	return PyDateTimeAPI != NULL;
}

static int
encode_float(struct encoder *e, double v)
{
	if (isfinite(v)) {
		hb_term_put_float(e->out, v);
		return 0;
	}
	if (encode_kind_open(e, "float") == -1)
		return -1;
	hb_term_put_atom(e->out, isnan(v) ? "nan" : v > 0 ? "inf" : "-inf");
	encode_leave(e);
	return 0;
}

static int
encode_complex(struct encoder *e, PyObject *value)
{
	if (encode_kind_open(e, "complex") == -1 || encode_enter(e) == -1)
		return -1;
	hb_term_put_tuple(e->out, 2);
	if (encode_float(e, PyComplex_RealAsDouble(value)) == -1 ||
	    encode_float(e, PyComplex_ImagAsDouble(value)) == -1)
		return -1;
	encode_leave(e);
	encode_leave(e);
	return 0;
}

static int
encode_members(struct encoder *e, PyObject *set, const struct place *at)
{
	struct place here = {.parent = at, .kind = PLACE_MEMBER};
	/* of the base: a subclass may iterate over something else */
	PyObject *members = PySet_Type.tp_iter(set), *member;
	int rc = 0;

	if (members == NULL)
		return -1;
	while (rc == 0 && (member = PyIter_Next(members)) != NULL) {
		rc = encode_value(e, member, &here);
		Py_DECREF(member);
	}
	Py_DECREF(members);
	return rc == -1 || PyErr_Occurred() ? -1 : 0;
}

static int
encode_set(struct encoder *e, PyObject *value, const struct place *at)
{
	Py_ssize_t n = PySet_GET_SIZE(value);

	if (encode_kind_open(e, PyFrozenSet_Check(value) ? "frozenset" : "set") == -1 || encode_enter(e) == -1)
		return -1;
	hb_term_put_list(e->out, (uint32_t)n);
	if (encode_members(e, value, at) == -1)
		return -1;
	if (PySet_GET_SIZE(value) != n)
		return encode_fail(PyExc_RuntimeError, at, " changed while it was encoded");
	if (n > 0)
		hb_term_put_nil(e->out);
	encode_leave(e);
	encode_leave(e);
	return 0;
}

/* A decimal or a UUID, by the str of its base type. */
static int
encode_text(struct encoder *e, const char *kind, PyObject *type, PyObject *value, const struct place *at)
{
	PyObject *text;
	int rc;

	if (encode_kind_open(e, kind) == -1)
		return -1;
	text = ((PyTypeObject *)type)->tp_str(value);
	if (text == NULL)
		return -1;
	rc = encode_value(e, text, at);
	Py_DECREF(text);
	encode_leave(e);
	return rc;
}

static int64_t
delta_microseconds(PyObject *delta)
{
	return (PyDateTime_DELTA_GET_DAYS(delta) * DAY + PyDateTime_DELTA_GET_SECONDS(delta)) * MICROSECONDS +
	    PyDateTime_DELTA_GET_MICROSECONDS(delta);
}

static int
encode_fixed_zone(struct encoder *e, PyObject *zone, const struct place *at)
{
	PyObject *args = PyObject_CallMethod(zone, "__getinitargs__", NULL), *delta, *name = NULL;
	int rc = -1;

	if (args == NULL)
		return -1;
	if (!PyArg_ParseTuple(args, "O!|O", PyDateTimeAPI->DeltaType, &delta, &name))
		goto done;
	if (name == NULL) {
		hb_term_put_int(e->out, delta_microseconds(delta));
		rc = 0;
	} else if (encode_enter(e) == 0) {
		hb_term_put_tuple(e->out, 2);
		hb_term_put_int(e->out, delta_microseconds(delta));
		rc = encode_value(e, name, at);
		encode_leave(e);
	}
done:
	Py_DECREF(args);
	return rc;
}

/* A zone of a class of the user's: the offset that it gives the value. */
static int
encode_offset_of(struct encoder *e, PyObject *zone, PyObject *value, const struct place *at)
{
	PyObject *delta = value == NULL ? Py_NewRef(Py_None) : PyObject_CallMethod(value, "utcoffset", NULL);

	if (delta == NULL)
		return -1;
	if (!PyDelta_Check(delta)) {
		Py_DECREF(delta);
		return encode_fail(PyExc_TypeError, at, ": a time zone of type %.200s cannot be an Erlang term",
		    Py_TYPE(zone)->tp_name);
	}
	hb_term_put_int(e->out, delta_microseconds(delta));
	Py_DECREF(delta);
	return 0;
}

static int
encode_zone(struct encoder *e, PyObject *zone, PyObject *value, const struct place *at)
{
	PyObject *key;
	int rc;

	if (zone == Py_None)
		return encode_value(e, zone, at);
	if (Py_TYPE(zone) == Py_TYPE(PyDateTime_TimeZone_UTC))
		return encode_fixed_zone(e, zone, at);
	if (!is_a(zone, known_type(&e->c->zone_type, "zoneinfo", "ZoneInfo")))
		return encode_offset_of(e, zone, value, at);
	key = PyObject_GetAttrString(zone, "key");
	if (key == NULL)
		return -1;
	rc = PyUnicode_Check(key) ? encode_value(e, key, at) : encode_offset_of(e, zone, value, at);
	Py_DECREF(key);
	return rc;
}

static int
encode_numbers(struct encoder *e, unsigned arity, const int *numbers, size_t n)
{
	if (encode_enter(e) == -1)
		return -1;
	hb_term_put_tuple(e->out, arity);
	for (size_t i = 0; i < n; i++)
		hb_term_put_int(e->out, numbers[i]);
	return 0;
}

static int
encode_datetime(struct encoder *e, PyObject *v, const struct place *at)
{
	int numbers[] = {PyDateTime_GET_YEAR(v), PyDateTime_GET_MONTH(v), PyDateTime_GET_DAY(v),
	    PyDateTime_DATE_GET_HOUR(v), PyDateTime_DATE_GET_MINUTE(v), PyDateTime_DATE_GET_SECOND(v),
	    PyDateTime_DATE_GET_MICROSECOND(v)};

	if (encode_kind_open(e, "datetime") == -1 || encode_numbers(e, 9, numbers, 7) == -1 ||
	    encode_zone(e, PyDateTime_DATE_GET_TZINFO(v), v, at) == -1)
		return -1;
	hb_term_put_int(e->out, PyDateTime_DATE_GET_FOLD(v));
	encode_leave(e);
	encode_leave(e);
	return 0;
}

static int
encode_time(struct encoder *e, PyObject *v, const struct place *at)
{
	int numbers[] = {PyDateTime_TIME_GET_HOUR(v), PyDateTime_TIME_GET_MINUTE(v), PyDateTime_TIME_GET_SECOND(v),
	    PyDateTime_TIME_GET_MICROSECOND(v)};

	if (encode_kind_open(e, "time") == -1 || encode_numbers(e, 6, numbers, 4) == -1 ||
	    encode_zone(e, PyDateTime_TIME_GET_TZINFO(v), v, at) == -1)
		return -1;
	hb_term_put_int(e->out, PyDateTime_TIME_GET_FOLD(v));
	encode_leave(e);
	encode_leave(e);
	return 0;
}

static int
encode_three(struct encoder *e, const char *kind, int a, int b, int c)
{
	int numbers[] = {a, b, c};

	if (encode_kind_open(e, kind) == -1 || encode_numbers(e, 3, numbers, 3) == -1)
		return -1;
	encode_leave(e);
	encode_leave(e);
	return 0;
}

static int
encode_timezone(struct encoder *e, PyObject *value, const struct place *at)
{
	if (encode_kind_open(e, "timezone") == -1 || encode_zone(e, value, NULL, at) == -1)
		return -1;
	encode_leave(e);
	return 0;
}

static int
encode_time_kind(struct encoder *e, PyObject *value, const struct place *at, bool *found)
{
	*found = true;
	if (PyDateTime_Check(value))
		return encode_datetime(e, value, at);
	if (PyDate_Check(value))
		return encode_three(e, "date", PyDateTime_GET_YEAR(value), PyDateTime_GET_MONTH(value),
		    PyDateTime_GET_DAY(value));
	if (PyTime_Check(value))
		return encode_time(e, value, at);
	if (PyDelta_Check(value))
		return encode_three(e, "timedelta", PyDateTime_DELTA_GET_DAYS(value),
		    PyDateTime_DELTA_GET_SECONDS(value), PyDateTime_DELTA_GET_MICROSECONDS(value));
	if (PyTZInfo_Check(value))
		return encode_timezone(e, value, at);
	*found = false;
	return 0;
}

int
encode_kind(struct encoder *e, PyObject *value, const struct place *at)
{
	struct hb_convert *c = e->c;
	bool found = true;
	int rc;

	if (PyFloat_Check(value))
		rc = encode_float(e, PyFloat_AS_DOUBLE(value));
	else if (PyAnySet_Check(value))
		rc = encode_set(e, value, at);
	else if (PyComplex_Check(value))
		rc = encode_complex(e, value);
	else if (is_a(value, known_type(&c->decimal_type, "decimal", "Decimal")))
		rc = encode_text(e, "decimal", c->decimal_type, value, at);
	else if (is_a(value, known_type(&c->uuid_type, "uuid", "UUID")))
		rc = encode_text(e, "uuid", c->uuid_type, value, at);
	else if (datetime_known())
		rc = encode_time_kind(e, value, at, &found);
	else
		return 0;
	return rc == -1 ? -1 : found;
}
