/* Terms {'$py', Kind, Payload} to Python's own kinds of values: kinds.c lists them. */
#include "kinds.h"

#include <datetime.h>

static const int64_t MICROSECONDS = 1000000, DAY = 86400;

static PyObject *
import_type(PyObject **cache, const char *module_name, const char *type_name)
{
	PyObject *module;

	if (*cache != NULL)
		return *cache;
	module = PyImport_ImportModule(module_name);
	if (module != NULL)
		*cache = PyObject_GetAttrString(module, type_name);
	Py_XDECREF(module);
	return *cache;
}

static bool
datetime_imported(void)
{
	if (PyDateTimeAPI == NULL)
		PyDateTime_IMPORT;
	return PyDateTimeAPI != NULL;
}

static PyObject *
wrong_payload(void)
{
	PyErr_SetString(PyExc_ValueError, "a payload of another shape is needed");
	return NULL;
}

static PyObject *
decode_float(struct hb_convert *c, PyObject *payload)
{
	if (!PyUnicode_Check(payload))
		return wrong_payload();
	if (PyUnicode_CompareWithASCIIString(payload, "nan") == 0)
		return PyFloat_FromDouble(Py_NAN);
	if (PyUnicode_CompareWithASCIIString(payload, "inf") == 0)
		return PyFloat_FromDouble(Py_HUGE_VAL);
	if (PyUnicode_CompareWithASCIIString(payload, "-inf") == 0)
		return PyFloat_FromDouble(-Py_HUGE_VAL);
	return wrong_payload();
}

static PyObject *
decode_complex(struct hb_convert *c, PyObject *payload)
{
	double re, im;

	if (!PyTuple_Check(payload) || !PyArg_ParseTuple(payload, "dd", &re, &im))
		return wrong_payload();
	return PyComplex_FromDoubles(re, im);
}

/* Members that differ as bytes and text do may be one when they come from Erlang. */
static PyObject *
decode_set(struct hb_convert *c, PyObject *payload)
{
	return PyList_Check(payload) ? PySet_New(payload) : wrong_payload();
}

static PyObject *
decode_frozenset(struct hb_convert *c, PyObject *payload)
{
	return PyList_Check(payload) ? PyFrozenSet_New(payload) : wrong_payload();
}

static PyObject *
decode_tuple(struct hb_convert *c, PyObject *payload)
{
	return PyList_Check(payload) ? PyList_AsTuple(payload) : wrong_payload();
}

static PyObject *
decode_decimal(struct hb_convert *c, PyObject *payload)
{
	if (!PyUnicode_Check(payload))
		return wrong_payload();
	if (import_type(&c->decimal_type, "decimal", "Decimal") == NULL)
		return NULL;
	return PyObject_CallOneArg(c->decimal_type, payload);
}

static PyObject *
decode_uuid(struct hb_convert *c, PyObject *payload)
{
	if (!PyUnicode_Check(payload))
		return wrong_payload();
	if (import_type(&c->uuid_type, "uuid", "UUID") == NULL)
		return NULL;
	return PyObject_CallOneArg(c->uuid_type, payload);
}

static PyObject *
fixed_zone(PyObject *offset, PyObject *name)
{
	int64_t us = PyLong_AsLongLong(offset), seconds;
	PyObject *delta, *zone;

	if (us == -1 && PyErr_Occurred())
		return NULL;
	if (us <= -DAY * MICROSECONDS || us >= DAY * MICROSECONDS) {
		PyErr_SetString(PyExc_ValueError, "a time zone of more than a day");
		return NULL;
	}
	us += DAY * MICROSECONDS;
	seconds = us / MICROSECONDS;
	delta = PyDelta_FromDSU((int)(seconds / DAY) - 1, (int)(seconds % DAY), (int)(us % MICROSECONDS));
	if (delta == NULL)
		return NULL;
	zone = name == NULL ? PyTimeZone_FromOffset(delta) : PyTimeZone_FromOffsetAndName(delta, name);
	Py_DECREF(delta);
	return zone;
}

static PyObject *
decode_zone(struct hb_convert *c, PyObject *payload)
{
	PyObject *offset, *name;

	if (PyLong_Check(payload))
		return fixed_zone(payload, NULL);
	if (PyTuple_Check(payload))
		return PyArg_ParseTuple(payload, "O!U", &PyLong_Type, &offset, &name) ? fixed_zone(offset, name) : NULL;
	if (!PyUnicode_Check(payload))
		return wrong_payload();
	if (import_type(&c->zone_type, "zoneinfo", "ZoneInfo") == NULL)
		return NULL;
	return PyObject_CallOneArg(c->zone_type, payload);
}

static PyObject *
zone_or_none(struct hb_convert *c, PyObject *payload)
{
	return payload == Py_None ? Py_NewRef(Py_None) : decode_zone(c, payload);
}

static PyObject *
decode_datetime(struct hb_convert *c, PyObject *payload)
{
	int y, mo, d, h, mi, s, us, fold;
	PyObject *zone, *value;

	if (!PyTuple_Check(payload) ||
	    !PyArg_ParseTuple(payload, "iiiiiiiOi", &y, &mo, &d, &h, &mi, &s, &us, &zone, &fold))
		return wrong_payload();
	zone = zone_or_none(c, zone);
	if (zone == NULL)
		return NULL;
	value = PyDateTimeAPI->DateTime_FromDateAndTimeAndFold(y, mo, d, h, mi, s, us, zone, fold,
	    PyDateTimeAPI->DateTimeType);
	Py_DECREF(zone);
	return value;
}

static PyObject *
decode_time(struct hb_convert *c, PyObject *payload)
{
	PyObject *zone, *value;
	int h, mi, s, us, fold;

	if (!PyTuple_Check(payload) || !PyArg_ParseTuple(payload, "iiiiOi", &h, &mi, &s, &us, &zone, &fold))
		return wrong_payload();
	zone = zone_or_none(c, zone);
	if (zone == NULL)
		return NULL;
	value = PyDateTimeAPI->Time_FromTimeAndFold(h, mi, s, us, zone, fold, PyDateTimeAPI->TimeType);
	Py_DECREF(zone);
	return value;
}

static PyObject *
decode_date(struct hb_convert *c, PyObject *payload)
{
	int y, m, d;

	if (!PyTuple_Check(payload) || !PyArg_ParseTuple(payload, "iii", &y, &m, &d))
		return wrong_payload();
	return PyDate_FromDate(y, m, d);
}

static PyObject *
decode_timedelta(struct hb_convert *c, PyObject *payload)
{
	int days, seconds, us;

	if (!PyTuple_Check(payload) || !PyArg_ParseTuple(payload, "iii", &days, &seconds, &us))
		return wrong_payload();
	return PyDelta_FromDSU(days, seconds, us);
}

static const struct kind {
	const char *name;
	PyObject *(*decode)(struct hb_convert *c, PyObject *payload);
	bool datetime;
} kinds[] = {
    {"float", decode_float, false},
    {"complex", decode_complex, false},
    {"set", decode_set, false},
    {"frozenset", decode_frozenset, false},
    {"tuple", decode_tuple, false},
    {"decimal", decode_decimal, false},
    {"uuid", decode_uuid, false},
    {"date", decode_date, true},
    {"time", decode_time, true},
    {"datetime", decode_datetime, true},
    {"timedelta", decode_timedelta, true},
    {"timezone", decode_zone, true},
};

/* Whatever a constructor raised becomes a ValueError that names the kind. */
static PyObject *
broken_kind(PyObject *kind)
{
	PyObject *type, *value, *traceback;

	if (PyErr_ExceptionMatches(PyExc_MemoryError) || !PyErr_ExceptionMatches(PyExc_Exception))
		return NULL;
	PyErr_Fetch(&type, &value, &traceback);
	PyErr_NormalizeException(&type, &value, &traceback);
	PyErr_Format(PyExc_ValueError, "a broken '$py' term of kind %U: %S", kind, value);
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(traceback);
	return NULL;
}

PyObject *
decode_kind(struct hb_convert *c, PyObject *kind, PyObject *payload)
{
	PyObject *value;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (PyUnicode_CompareWithASCIIString(kind, kinds[i].name) != 0)
			continue;
		if (kinds[i].datetime && !datetime_imported())
			return NULL;
		value = kinds[i].decode(c, payload);
		return value != NULL ? value : broken_kind(kind);
	}
	return PyErr_Format(PyExc_ValueError, "a '$py' term of the unknown kind %R", kind);
}
