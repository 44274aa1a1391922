package main

import (
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

var zero = time.Now()

// Nanoseconds on the monotonic clock.
func now() int64 {
	return int64(time.Since(zero))
}

// Nanoseconds of processor time of the process so far.
func cpu() int64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return usage.Utime.Nano() + usage.Stime.Nano()
}

// A number of a line of /proc/self/status; 0 where there is none.
func status(name string) int {
	text, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		if words := strings.Fields(line); len(words) > 1 && words[0] == name+":" {
			n, _ := strconv.Atoi(words[1])
			return n
		}
	}
	return 0
}

// Runs body(0) … body(n - 1) in goroutines and waits for them.
func goroutinesDo(n int, body func(who int)) {
	var all sync.WaitGroup
	all.Add(n)
	for i := 0; i < n; i++ {
		go func(who int) {
			body(who)
			all.Done()
		}(i)
	}
	all.Wait()
}

// Each step needs the one before it. Not inlined, so the steps are made though the callers
// drop the result.
//
//go:noinline
func work(units int64) uint64 {
	x := uint64(units)
	for i := int64(0); i < units; i++ {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

// How much work takes ns.
func workUnits(ns int) int64 {
	const probe = 200000
	best := int64(1) << 62
	for i := 0; i < 20; i++ {
		begin := now()
		work(probe)
		if each := now() - begin; each < best {
			best = each
		}
	}
	if ns <= 0 {
		return 0
	}
	return int64(float64(ns)*probe/float64(best)) + 1
}

// The value below which the given share of the values lies, which it sorts.
func quantile(values []int64, share float64) int64 {
	sort.Slice(values, func(i, j int) bool { return values[i] < values[j] })
	at := int(share * float64(len(values)))
	if at == len(values) {
		at--
	}
	return values[at]
}
