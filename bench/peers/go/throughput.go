package main

import (
	"flag"
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

const lookAtClockEvery = 64

var (
	tasks, ms, workNs, sleepUs int
	bare                       bool
	units                      int64
	ran                        []byte // a byte a task
	deadline                   int64
)

// ---- Tasks ------------------------------------------------------------------------------

func emptyTask(i int) {
	ran[i]++
}

func workingTask(i int) {
	ran[i]++
	work(units)
}

func sleepingTask(i int) {
	ran[i]++
	time.Sleep(time.Duration(sleepUs) * time.Microsecond)
}

func taskFunc() func(int) {
	switch {
	case sleepUs > 0:
		return sleepingTask
	case workNs > 0:
		return workingTask
	}
	return emptyTask
}

// How many tasks a submitter takes between two looks at the clock.
func every() int {
	if workNs > 1000 || sleepUs > 0 {
		return 1
	}
	return lookAtClockEvery
}

// Submits tasks first … last - 1, returns how many it did.
func submitShare(pool subject, first, last int) int {
	fn, look, n := taskFunc(), every(), 0
	for first+n < last && (n%look != 0 || now() < deadline) {
		pool.submit(fn, first+n)
		n++
	}
	return n
}

func checkEachRanOnce(first, n int) {
	for i := first; i < first+n; i++ {
		if ran[i] != 1 {
			die("task %d ran %d times", i, ran[i])
		}
	}
}

// ---- Without a pool ---------------------------------------------------------------------

const apart = 128 // bytes between two goroutines' marks

// As many goroutines as may run tasks at once; if they burn processor time, not more than
// there are processors.
func bareRate(cap, n int, duration int64) float64 {
	routines, share := cap, math.MaxInt
	if sleepUs == 0 && (routines < 0 || routines > runtime.NumCPU()) {
		routines = runtime.NumCPU()
	} else if routines < 0 {
		die("--bare with --sleep-us needs a cap")
	}
	ran = make([]byte, routines*apart)
	begin := now()
	deadline = begin + duration
	if sleepUs > 0 {
		share = (n + routines - 1) / routines
		deadline = math.MaxInt64
	}
	var done int64
	goroutinesDo(routines, func(who int) {
		atomic.AddInt64(&done, bareBody(who*apart, share))
	})
	return float64(done) * 1e9 / float64(now()-begin)
}

func bareBody(mark, share int) int64 {
	fn, n := taskFunc(), 0
	for n < share && now() < deadline {
		fn(mark)
		n++
	}
	return int64(n)
}

// ---- A round ----------------------------------------------------------------------------

func (s *setup) report(n int, duration, used int64, threads, kib int) {
	rate := float64(n) * 1e9 / float64(duration)
	fmt.Printf("subject=%s call=%s cap=%d queue=%d submitters=%d work_ns=%d sleep_us=%d tasks=%d "+
		"seconds=%.6f rate=%.0f cpu=%.6f threads=%d rss_kib=%d",
		s.subject, s.call, s.cap, s.queue, s.submitters, workNs, sleepUs, n,
		float64(duration)/1e9, rate, float64(used)/1e9, threads, kib)
	if bare {
		reference := bareRate(s.cap, n, duration)
		fmt.Printf(" bare=%.0f efficiency=%.4f", reference, rate/reference)
	}
	fmt.Println()
}

func (s *setup) round() {
	pool := start(s)
	submitted := make([]int, s.submitters)
	firstOf := func(who int) int { return tasks * who / s.submitters }
	used, begin := cpu(), now()
	deadline = math.MaxInt64
	if ms > 0 {
		deadline = begin + int64(ms)*1000000
	}
	goroutinesDo(s.submitters, func(who int) {
		submitted[who] = submitShare(pool, firstOf(who), firstOf(who+1))
	})
	pool.wait()
	duration := now() - begin
	used = cpu() - used
	threads, kib, n := status("Threads")-1, status("VmHWM"), 0
	for who, m := range submitted {
		checkEachRanOnce(firstOf(who), m)
		n += m
	}
	s.report(n, duration, used, threads, kib)
}

func throughput() {
	s := &setup{}
	s.flags(1000, 0)
	flag.IntVar(&s.submitters, "submitters", 1, "goroutines that submit at once")
	flag.IntVar(&tasks, "tasks", 64000000, "ends after so many tasks")
	flag.IntVar(&ms, "ms", 300, "ends after so many milliseconds; 0: does not")
	flag.IntVar(&workNs, "work-ns", 0, "a task burns so much processor time")
	flag.IntVar(&sleepUs, "sleep-us", 0, "a task sleeps so long")
	flag.BoolVar(&bare, "bare", false, "also measure without a pool")
	flag.StringVar(&s.call, "call", "submit", "printed only")
	parse()
	units = workUnits(workNs)
	var err error
	ran, err = syscall.Mmap(-1, 0, tasks, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_NORESERVE)
	if err != nil {
		die("no memory for %d tasks", tasks)
	}
	s.round()
}
