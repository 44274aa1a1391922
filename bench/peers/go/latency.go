package main

import (
	"flag"
	"fmt"
	"math"
)

type sample struct {
	due, begin, end, start int64 // ns
}

var samples []sample

func startedTask(i int) {
	samples[i].start = now()
}

// xorshift64*: the same instants in each run, and as latency.c.
func randomShare(x *uint64) float64 {
	*x ^= *x >> 12
	*x ^= *x << 25
	*x ^= *x >> 27
	return float64((*x*2685821657736338717)>>11) / 9007199254740992.0
}

func plan(rate int, poisson bool) {
	each, at, x := 1e9/float64(rate), 0.0, uint64(88172645463325252)
	for i := range samples {
		step := each
		if poisson {
			step = -math.Log(1-randomShare(&x)) * each
		}
		at += step
		samples[i].due = int64(at)
	}
}

// Returns how long it spun outside the calls: by the clock, as a goroutine has no processor
// time of its own, so time in which the system let another thread run counts as spun too.
func submitAll(pool subject) int64 {
	zero, calls := now()+1000000, int64(0)
	begin := zero - 1000000
	for i := range samples {
		s := &samples[i]
		s.due += zero
		for s.begin = now(); s.begin < s.due; s.begin = now() {
		}
		pool.submit(startedTask, i)
		s.end = now()
		calls += s.end - s.begin
	}
	return now() - begin - calls
}

// ---- The line ---------------------------------------------------------------------------

// Prints quantiles of a difference, in µs.
func printQuantiles(format string, difference func(*sample) int64, shares ...float64) {
	values := make([]int64, len(samples))
	for i := range samples {
		values[i] = difference(&samples[i])
	}
	var figures []any
	for _, share := range shares {
		figures = append(figures, float64(quantile(values, share))/1000)
	}
	fmt.Printf(format, figures...)
}

func startAfterCall(s *sample) int64 { return s.start - s.begin }
func startAfterDue(s *sample) int64  { return s.start - s.due }
func callTook(s *sample) int64       { return s.end - s.begin }
func callAfterDue(s *sample) int64   { return s.begin - s.due }

func (s *setup) reportLatency(rate int, used int64) {
	fmt.Printf("subject=%s rate=%d n=%d cap=%d queue=%d", s.subject, rate, len(samples), s.cap, s.queue)
	printQuantiles(" p50=%.2f p99=%.2f p999=%.2f", startAfterCall, 0.5, 0.99, 0.999)
	printQuantiles(" due50=%.2f due99=%.2f due999=%.2f", startAfterDue, 0.5, 0.99, 0.999)
	printQuantiles(" call50=%.2f call99=%.2f", callTook, 0.5, 0.99)
	printQuantiles(" late=%.2f", callAfterDue, 0.99)
	fmt.Printf(" cpu=%.3f\n", float64(used)/1000/float64(len(samples)))
}

func checkEachRan() {
	for i := range samples {
		if samples[i].start < samples[i].begin {
			die("task %d did not run", i)
		}
	}
}

func latency() {
	s := &setup{submitters: 1}
	s.flags(8, 1024)
	rate := flag.Int("rate", 1000, "tasks a second")
	ms := flag.Int("ms", 1000, "for so many milliseconds")
	poisson := flag.Bool("poisson", false, "at random distances")
	parse()
	n := *rate * *ms / 1000
	if n < 1 {
		n = 1
	}
	samples = make([]sample, n)
	plan(*rate, *poisson)
	pool := start(s)
	used, spun := cpu(), int64(0)
	goroutinesDo(1, func(int) { spun = submitAll(pool) })
	pool.wait()
	used = cpu() - used - spun
	checkEachRan()
	s.reportLatency(*rate, used)
}
