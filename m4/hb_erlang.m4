# HB_ERLANG: the compiler and the runtime of the companion.
AC_DEFUN([HB_ERLANG], [
AC_ARG_VAR([ERL], [the Erlang runtime, erl])
AC_ARG_VAR([ERLC], [the Erlang compiler, erlc])
AC_PATH_PROG([ERL], [erl])
AC_PATH_PROG([ERLC], [erlc])
AS_IF([test -z "$ERL" || test -z "$ERLC"], [AC_MSG_ERROR([erl and erlc are needed (erlang-base, erlang-dev)])])
AC_MSG_CHECKING([for the OTP release])
ERLANG_OTP=`"$ERL" -noshell -boot no_dot_erlang -eval 'io:put_chars(erlang:system_info(otp_release)), halt().'`
AC_MSG_RESULT([$ERLANG_OTP])
AS_IF([test "$ERLANG_OTP" -ge 25], [], [AC_MSG_ERROR([OTP 25 or later is needed])])
AC_ARG_WITH([erlanglibdir],
  [AS_HELP_STRING([--with-erlanglibdir=DIR], [directory of Erlang applications])],
  [erlanglibdir=$withval], [erlanglibdir='${exec_prefix}/lib/erlang/lib'])
AC_SUBST([ERLANG_OTP])
AC_SUBST([erlanglibdir])
])
