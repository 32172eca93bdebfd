# HB_PYTHON: the Python that is embedded, extended and run by the tests.  It is
# the one that pkg-config's python3-embed belongs to, whatever python3 comes
# first in PATH.
AC_DEFUN([HB_PYTHON], [
PKG_CHECK_MODULES([PYTHON_EMBED], [python3-embed >= 3.11])
hb_py_version=`$PKG_CONFIG --modversion python3-embed`
hb_py_prefix=`$PKG_CONFIG --variable=exec_prefix python3-embed`
AC_ARG_VAR([PYTHON], [the Python interpreter that belongs to python3-embed])
AS_IF([test -z "$PYTHON"], [PYTHON=$hb_py_prefix/bin/python$hb_py_version])
AC_MSG_CHECKING([for the Python of python3-embed])
PYTHON_VERSION=`"$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info@<:@:2@:>@)' 2>/dev/null`
AS_IF([test "$PYTHON_VERSION" != "$hb_py_version"],
  [AC_MSG_ERROR([$PYTHON is Python '$PYTHON_VERSION', python3-embed is $hb_py_version])])
AC_MSG_RESULT([$PYTHON ($PYTHON_VERSION)])
hb_py_first=`command -v python3 2>/dev/null`
AS_IF([test -n "$hb_py_first" && test "`readlink -f "$hb_py_first"`" != "`readlink -f "$PYTHON"`"],
  [AC_MSG_NOTICE([$hb_py_first stands first in PATH and is not used])])
PYTHON_INCLUDES=`"$PYTHON" -c 'import sysconfig; print("-isystem " + sysconfig.get_path("include"))'`
AC_ARG_WITH([pythondir],
  [AS_HELP_STRING([--with-pythondir=DIR], [directory of Python modules])],
  [pyexecdir=$withval],
  [AS_IF([test "$prefix" = /usr],
    [pyexecdir='${exec_prefix}/lib/python3/dist-packages'],
    [pyexecdir='${exec_prefix}/lib/python'$PYTHON_VERSION'/dist-packages'])])
AC_SUBST([PYTHON])
AC_SUBST([PYTHON_VERSION])
AC_SUBST([PYTHON_INCLUDES])
AC_SUBST([pyexecdir])
])
