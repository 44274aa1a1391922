# The programs that put a question to antpool alone, and the table of the guide.
foreach(program churn memory idle calls guide tenants)
    add_executable(${program} ${program}.c common.c proc.c)
    target_link_libraries(${program} PRIVATE antpool::antpool m)
    bench_finish(${program})
endforeach()

# guide-go is the rest of that table: goroutines, with x/sync of Debian, no module download.
set(GUIDE_GO_PATH /usr/share/gocode)
find_program(GO_PROGRAM go)
if(GO_PROGRAM AND EXISTS ${GUIDE_GO_PATH}/src/golang.org/x/sync/errgroup)
    add_custom_command(
        OUTPUT ${BENCH_DIR}/guide-go
        COMMAND ${CMAKE_COMMAND} -E env GO111MODULE=off GOFLAGS= GOPATH=${GUIDE_GO_PATH}
                GOCACHE=${BENCH_DIR}/go-cache ${GO_PROGRAM} build -o ${BENCH_DIR}/guide-go
                ${CMAKE_CURRENT_SOURCE_DIR}/guide/guide.go
        DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/guide/guide.go
        VERBATIM)
    add_custom_target(guide-go ALL DEPENDS ${BENCH_DIR}/guide-go)
else()
    message(STATUS "bench: go or golang.org/x/sync missing, guide-go left out (golang-go golang-golang-x-sync-dev)")
endif()
