# shellcheck shell=sh
# What the scripts need from the system, asked for in words. To be sourced:
#
#     . "$root/tests/packages.sh"
#     antpool_need compiler cmake      installs what is missing, or ends the script
#     antpool_want spin || ...         the same, but only says what is skipped
#
#   compiler  a C compiler that can link a threaded program: $CC, else cc
#   cmake     cmake, pkg-config, and make or ninja
#   cmocka    the unit test library
#   clang     clang with its address, undefined and thread sanitizers
#   cxx       a C++17 compiler: $CXX, else c++
#   spin      the model checker
#   gcovr     what a run of gcc's coverage says, with gcc itself
#   python    python3, for the bench suite
#   tidy      clang-tidy
#   cppcheck  cppcheck
#   valgrind  valgrind and its headers
#   peers     the other pools that the bench suite measures, as far as there are packages
#
# Nothing is installed, and no network used, if everything is there. Packages are
# installed by apt-get as root, or through sudo. dnf, apk and brew are untested.
# ANTPOOL_NO_INSTALL=1 forbids all installing.

# A script that sources this keeps clear of names that start with antpool_.

# ---- What is there ---------------------------------------------------------------------

# True if the rest of the command line, a compiler, makes a program of what is on stdin.
antpool_links() (
    dir=$(mktemp -d) || exit 1
    trap 'rm -rf "$dir"' EXIT
    "$@" -o "$dir/program" - >"$dir/log" 2>&1
)

antpool_links_c() {
    antpool_links "$@" -pthread -x c <<'END'
#include <pthread.h>
#include <stdio.h>
int main(void) { return pthread_self() == 0 && puts(""); }
END
}

antpool_links_cxx() {
    antpool_links "$@" -std=c++17 -pthread -x c++ <<'END'
#include <thread>
#include <vector>
int main() { std::thread([] {}).join(); return std::vector<int>().size() != 0; }
END
}

antpool_exists() {
    command -v "$1" >/dev/null 2>&1
}

# Tells cmake of ninja where there is no make, which it would look for.
antpool_has_cmake() {
    antpool_exists cmake && antpool_exists pkg-config || return 1
    antpool_exists make && return 0
    antpool_exists ninja || return 1
    : "${CMAKE_GENERATOR:=Ninja}"
    export CMAKE_GENERATOR
}

antpool_has_valgrind() {
    antpool_exists valgrind || return 1
    echo '#include <valgrind/drd.h>' | ${CC:-cc} -fsyntax-only -x c - 2>/dev/null
}

# CC and CXX may hold options, so they are split.
# shellcheck disable=SC2086
antpool_has() {
    case $1 in
    compiler) antpool_links_c ${CC:-cc} ;;
    cmake) antpool_has_cmake ;;
    cmocka) antpool_exists pkg-config && pkg-config --exists cmocka ;;
    clang) antpool_links_c clang -fsanitize=address,undefined &&
        antpool_links_c clang -fsanitize=thread ;;
    cxx) antpool_links_cxx ${CXX:-c++} ;;
    spin) antpool_exists spin ;;
    gcovr) antpool_exists gcovr && antpool_exists gcc && antpool_exists gcov ;;
    python) antpool_exists python3 ;;
    tidy) antpool_exists clang-tidy ;;
    cppcheck) antpool_exists cppcheck ;;
    valgrind) antpool_has_valgrind ;;
    peers) antpool_exists go && pkg-config --exists libuv glib-2.0 apr-1 apr-util-1 tbb ;;
    *)
        echo "antpool: packages.sh knows no '$1'" >&2
        exit 2
        ;;
    esac
}

# ---- What it is called here ------------------------------------------------------------

antpool_manager() (
    for name in apt-get dnf apk brew; do
        antpool_exists "$name" && echo "$name" && exit 0
    done
    exit 1
)

# The package with the sanitizers of the clang that is installed, or would be: on Debian
# since clang 14 libclang-rt-<version>-dev, before that and on Ubuntu 22.04
# libclang-common-<version>-dev.
antpool_clang_runtime() (
    version=$(clang -dumpversion 2>/dev/null)
    [ -n "$version" ] || version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*: clang-//p')
    version=${version%%.*}
    for name in "libclang-rt-$version-dev" "libclang-common-$version-dev"; do
        apt-cache show "$name" >/dev/null 2>&1 && echo "$name" && exit 0
    done
)

# The packages that hold a word, with a package manager; nothing if that has none.
antpool_packages() {
    case $1/$2 in
    apt-get/compiler) echo gcc libc6-dev ;;
    apt-get/cmake) echo cmake make pkg-config ;;
    apt-get/cmocka) echo libcmocka-dev pkg-config ;;
    apt-get/clang) echo clang libc6-dev "$(antpool_clang_runtime)" ;;
    apt-get/cxx) echo g++ libc6-dev ;;
    apt-get/spin) echo spin ;;
    apt-get/gcovr) echo gcovr gcc libc6-dev ;;
    apt-get/python) echo python3 ;;
    apt-get/tidy) echo clang-tidy ;;
    apt-get/cppcheck) echo cppcheck ;;
    apt-get/valgrind) echo valgrind libc6-dbg ;;
    apt-get/peers)
        echo libuv1-dev libglib2.0-dev libapr1-dev libaprutil1-dev libtbb-dev libboost-dev golang-go \
            golang-golang-x-sync-dev g++
        ;;

    dnf/compiler) echo gcc glibc-devel libasan libubsan libtsan ;;
    dnf/cmake) echo cmake make pkgconf-pkg-config ;;
    dnf/cmocka) echo libcmocka-devel pkgconf-pkg-config ;;
    dnf/clang) echo clang compiler-rt glibc-devel ;;
    dnf/cxx) echo gcc-c++ ;;
    dnf/spin) echo spin ;;
    dnf/gcovr) echo gcovr gcc glibc-devel ;;
    dnf/python) echo python3 ;;
    dnf/tidy) echo clang-tools-extra ;;
    dnf/cppcheck) echo cppcheck ;;
    dnf/valgrind) echo valgrind valgrind-devel ;;
    dnf/peers) echo libuv-devel glib2-devel apr-devel apr-util-devel tbb-devel boost-devel golang gcc-c++ ;;

    apk/compiler) echo gcc musl-dev ;;
    apk/cmake) echo cmake make pkgconf ;;
    apk/cmocka) echo cmocka-dev pkgconf ;;
    apk/clang) echo clang compiler-rt musl-dev ;;
    apk/cxx) echo g++ ;;
    apk/spin) echo spin ;;
    apk/gcovr) echo gcovr gcc musl-dev ;;
    apk/python) echo python3 ;;
    apk/tidy) echo clang-extra-tools ;;
    apk/cppcheck) echo cppcheck ;;
    apk/valgrind) echo valgrind valgrind-dev musl-dbg ;;
    apk/peers) echo libuv-dev glib-dev apr-dev apr-util-dev onetbb-dev boost-dev go g++ ;;

    brew/cmake) echo cmake make pkgconf ;;
    brew/cmocka) echo cmocka pkgconf ;;
    brew/spin) echo spin ;;
    brew/gcovr) echo gcovr gcc ;;
    brew/python) echo python3 ;;
    brew/cppcheck) echo cppcheck ;;
    brew/peers) echo libuv glib apr apr-util tbb boost go ;;
    esac
}

# ---- Installing ------------------------------------------------------------------------

antpool_as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif ! antpool_exists sudo; then
        echo "neither root nor sudo"
        return 1
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

antpool_apt() {
    antpool_as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
        -o DPkg::Lock::Timeout=120 -o Acquire::Retries=2 -o Acquire::http::Timeout=30 "$@"
}

# A machine where nothing was ever installed has no index. Old ones lead to packages that
# are gone. Once a script is enough, and an index that fails to come may still do.
antpool_refresh() {
    [ -z "${antpool_refreshed:-}" ] || return 0
    antpool_refreshed=1
    case $antpool_with in
    apt-get) antpool_apt update || : ;;
    apk) antpool_as_root apk update -q || : ;;
    esac
}

antpool_install_packages() {
    case $antpool_with in
    apt-get) antpool_apt install --no-install-recommends "$@" ;;
    dnf) antpool_as_root dnf install -q -y --setopt=install_weak_deps=False "$@" ;;
    apk) antpool_as_root apk add -q "$@" ;;
    brew) brew install -q "$@" ;;
    esac
}

antpool_install() {
    antpool_refresh
    # shellcheck disable=SC2046 # a list
    set -- $(antpool_packages "$antpool_with" "$1")
    [ $# -gt 0 ] && antpool_install_packages "$@"
}

# True if the word is there in the end. If not, antpool_log is what was tried.
antpool_get() {
    antpool_has "$1" && return 0
    antpool_log=
    antpool_with=$(antpool_manager) || return 1
    [ -z "${ANTPOOL_NO_INSTALL:-}" ] || return 1
    echo "antpool: installing $1 ($antpool_with)" >&2
    antpool_file=$(mktemp) || return 1
    antpool_install "$1" >"$antpool_file" 2>&1 || antpool_log=$(cat "$antpool_file")
    rm -f "$antpool_file"
    hash -r
    antpool_has "$1"
}

antpool_by_hand() (
    # shellcheck disable=SC2046 # a list
    set -- $(antpool_packages "$antpool_with" "$1")
    [ $# -gt 0 ] || { echo "install it by hand"; exit 0; }
    [ "$antpool_with" = apk ] && verb=add || verb=install
    echo "install it by hand: $antpool_with $verb $*"
)

# ---- Asking ----------------------------------------------------------------------------

# Ends the script, with status 1, if one of the words cannot be had.
antpool_need() {
    for antpool_word in "$@"; do
        antpool_get "$antpool_word" && continue
        [ -z "$antpool_log" ] || echo "$antpool_log" >&2
        echo "antpool: $antpool_word is needed and missing; $(antpool_by_hand "$antpool_word")" >&2
        exit 1
    done
}

# False, and a line for each, if one of the words cannot be had.
antpool_want() {
    antpool_lacking=0
    for antpool_word in "$@"; do
        antpool_get "$antpool_word" && continue
        echo "antpool: skipping what needs $antpool_word; $(antpool_by_hand "$antpool_word")" >&2
        antpool_lacking=1
    done
    return $antpool_lacking
}
