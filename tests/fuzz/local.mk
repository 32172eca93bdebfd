# The fuzz targets: `make fuzz` after configure --enable-fuzzing CC=clang.
# A room adds its own to FUZZ_TARGETS under `if FUZZING`; the seeds of
# fuzz_x are in tests/fuzz/corpus/x, and a unit test replays them.
