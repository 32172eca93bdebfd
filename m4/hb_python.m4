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

# HB_PYTHON_LINK: how hornbeamd gets its Python, in PYTHON_LINK_LDFLAGS and
# PYTHON_LINK_LIBS.  Distributions build the interpreter's own code, that of
# libpythonX.Y.a, with profiles and for a fixed address; their shared library
# runs the same program 10 to 25% slower.
AC_DEFUN([HB_PYTHON_LINK], [
AC_ARG_ENABLE([static-python],
  [AS_HELP_STRING([--disable-static-python], [link hornbeamd with the shared libpython, which is slower])],
  [], [enable_static_python=auto])
AS_IF([test "$enable_static_python" = auto && test "$enable_asan$enable_tsan$enable_fuzzing" != nonono],
  [enable_static_python=no])
PYTHON_LINK_LDFLAGS=
PYTHON_LINK_LIBS=$PYTHON_EMBED_LIBS
AS_IF([test "$enable_static_python" != no], [
  hb_archive=`"$PYTHON" -c 'import sysconfig
v = sysconfig.get_config_var
print(v("LIBPL") + "/" + v("LIBRARY"))'`
  hb_libs=`"$PYTHON" -c 'import sysconfig
print(*dict.fromkeys(" ".join(sysconfig.get_config_var(n) or "" for n in ("MODLIBS", "LIBS", "SYSLIBS")).split()))'`
  AC_MSG_CHECKING([whether hornbeamd can have $hb_archive in it])
  hb_save_CPPFLAGS=$CPPFLAGS hb_save_LDFLAGS=$LDFLAGS hb_save_LIBS=$LIBS
  CPPFLAGS="$CPPFLAGS $PYTHON_INCLUDES"
  LDFLAGS="$LDFLAGS -no-pie -Wl,-export-dynamic"
  LIBS="-Wl,--whole-archive $hb_archive -Wl,--no-whole-archive $hb_libs $LIBS"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <Python.h>]], [[Py_Initialize();]])], [
    PYTHON_LINK_LDFLAGS='-no-pie -Wl,-export-dynamic'
    PYTHON_LINK_LIBS="-Wl,--whole-archive,$hb_archive,--no-whole-archive $hb_libs"
    hb_ok=yes], [hb_ok=no])
  CPPFLAGS=$hb_save_CPPFLAGS LDFLAGS=$hb_save_LDFLAGS LIBS=$hb_save_LIBS
  AC_MSG_RESULT([$hb_ok])
  AS_IF([test "$enable_static_python$hb_ok" = yesno], [AC_MSG_ERROR([$hb_archive cannot be linked])])
  enable_static_python=$hb_ok
])
AC_SUBST([PYTHON_LINK_LDFLAGS])
AC_SUBST([PYTHON_LINK_LIBS])
])
