# HB_LIBRARIES: the C libraries, all from pkg-config.
AC_DEFUN([HB_LIBRARIES], [
PKG_CHECK_MODULES([EVENT], [libevent_core >= 2.1.12])
PKG_CHECK_MODULES([YAML], [yaml-0.1 >= 0.2.5])
PKG_CHECK_MODULES([JANSSON], [jansson >= 2.13])
PKG_CHECK_MODULES([CRYPTO], [libcrypto >= 3.0])
PKG_CHECK_MODULES([ZLIB], [zlib >= 1.2.11])
PKG_CHECK_MODULES([CHECK], [check >= 0.15], [have_check=yes], [have_check=no])
AM_CONDITIONAL([HAVE_CHECK], [test "$have_check" = yes])
AC_CHECK_FUNCS([memfd_create close_range accept4], [],
  [AC_MSG_ERROR([Hornbeam needs Linux with glibc 2.34 or later])])
])
