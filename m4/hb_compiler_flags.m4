# HB_COMPILER_FLAGS: warnings, hardening and sanitizers, in HB_CFLAGS,
# HB_CPPFLAGS and HB_LDFLAGS.
AC_DEFUN([HB_TRY_CFLAG], [
AC_MSG_CHECKING([whether $CC takes $1])
hb_save=$CFLAGS
CFLAGS="$CFLAGS -Werror $1"
AC_COMPILE_IFELSE([AC_LANG_PROGRAM()], [hb_ok=yes; HB_CFLAGS="$HB_CFLAGS $1"], [hb_ok=no])
CFLAGS=$hb_save
AC_MSG_RESULT([$hb_ok])
])
AC_DEFUN([HB_COMPILER_FLAGS], [
HB_CFLAGS=
HB_CPPFLAGS=
HB_LDFLAGS="-Wl,-z,relro,-z,now -Wl,--as-needed"
m4_foreach_w([hb_flag], [-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
  -Wpointer-arith -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wno-missing-field-initializers -Wno-unused-parameter
  -fno-common -fvisibility=hidden -fstack-protector-strong -fstack-clash-protection -fcf-protection],
  [HB_TRY_CFLAG(hb_flag)])
AS_IF([test "$enable_werror" = yes], [HB_CFLAGS="$HB_CFLAGS -Werror"])
AS_IF([test "$enable_asan" = yes],
  [HB_CFLAGS="$HB_CFLAGS -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"],
  [test "$enable_tsan" = yes],
  [HB_CFLAGS="$HB_CFLAGS -fsanitize=thread -fno-omit-frame-pointer"],
  [HB_CPPFLAGS="$HB_CPPFLAGS -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"])
AS_IF([test "$enable_fuzzing" = yes], [HB_CFLAGS="$HB_CFLAGS -fsanitize=fuzzer-no-link"])
# A plain Python that loads the extension of a sanitized build preloads this.
LIBASAN=
AS_IF([test "$enable_asan" = yes], [LIBASAN=`$CC -print-file-name=libasan.so`])
AC_SUBST([LIBASAN])
AC_SUBST([enable_asan])
AC_SUBST([HB_CFLAGS])
AC_SUBST([HB_CPPFLAGS])
AC_SUBST([HB_LDFLAGS])
])
