// How do goroutines stand in the table of the guide to ants, "Multi-Pool Performance
// Comparison", if its figures are measured?
//
//	guide-go [--row plain|errgroup|errgroup-limit|semaphore] [--n N] [--cap C]
//
// ../guide.c has the rows of antpool, with the same method and the same line; what its
// fields mean stands there. plain and errgroup have no limit, the others run at most C
// tasks at once.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

const timed = 200000

// One byte a task.
var ran []byte

func task(i int) {
	ran[i]++
}

func die(format string, args ...interface{}) {
	fmt.Fprintf(os.Stderr, "guide-go: "+format+"\n", args...)
	os.Exit(1)
}

// ---- Rows -----------------------------------------------------------------------------

// A row starts task i, and waits for all that were started.
type row interface {
	submit(i int)
	wait()
}

type plain struct {
	all sync.WaitGroup
}

func (p *plain) submit(i int) {
	p.all.Add(1)
	go func() {
		defer p.all.Done()
		task(i)
	}()
}

func (p *plain) wait() {
	p.all.Wait()
}

type group struct {
	limit int
	tasks *errgroup.Group
}

func newGroup(limit int) *group {
	g := &group{limit, &errgroup.Group{}}
	g.tasks.SetLimit(limit)
	return g
}

func (g *group) submit(i int) {
	g.tasks.Go(func() error {
		task(i)
		return nil
	})
}

func (g *group) wait() {
	if err := g.tasks.Wait(); err != nil {
		die("%v", err)
	}
}

type slots struct {
	cap  int64
	free *semaphore.Weighted
}

func (s *slots) acquire(n int64) {
	if err := s.free.Acquire(context.Background(), n); err != nil {
		die("%v", err)
	}
}

func (s *slots) submit(i int) {
	s.acquire(1)
	go func() {
		defer s.free.Release(1)
		task(i)
	}()
}

// All slots are free once every task has ended.
func (s *slots) wait() {
	s.acquire(s.cap)
	s.free.Release(s.cap)
}

func newRow(name string, limit int) row {
	switch name {
	case "plain":
		return &plain{}
	case "errgroup":
		return newGroup(-1)
	case "errgroup-limit":
		return newGroup(limit)
	case "semaphore":
		return &slots{int64(limit), semaphore.NewWeighted(int64(limit))}
	}
	die("no row %q", name)
	return nil
}

// ---- Two passes -------------------------------------------------------------------------

func checkEachRanOnce(n int) {
	for i := range ran[:n] {
		if ran[i] != 1 {
			die("task %d ran %d times", i, ran[i])
		}
		ran[i] = 0
	}
}

func ops(r row, n int) float64 {
	begin := time.Now()
	for i := 0; i < n; i++ {
		r.submit(i)
	}
	r.wait()
	rate := float64(n) / time.Since(begin).Seconds()
	checkEachRanOnce(n)
	return rate
}

func timeEach(r row, samples []int) {
	for i := range samples {
		begin := time.Now()
		r.submit(i)
		samples[i] = int(time.Since(begin))
	}
	r.wait()
	checkEachRanOnce(len(samples))
	sort.Ints(samples)
}

// The number of a line of /proc/self/status; 0 where there is none.
func status(name string) int {
	text, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		words := strings.Fields(line)
		if len(words) >= 2 && words[0] == name+":" {
			n, _ := strconv.Atoi(words[1])
			return n
		}
	}
	return 0
}

func max(a, b int) int {
	if a > b {
		return a
	}
	return b
}

func main() {
	name := flag.String("row", "plain", "plain, errgroup, errgroup-limit or semaphore")
	n := flag.Int("n", 1000000, "tasks")
	limit := flag.Int("cap", 1000, "tasks at once, where the row has a limit")
	flag.Parse()
	if *n < 1 || *limit < 1 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ran = make([]byte, max(*n, timed))
	for i := range ran {
		ran[i] = 1 // no page is missing when it is measured
		ran[i] = 0
	}
	rate := ops(newRow(*name, *limit), *n)
	threads, kib := status("Threads"), status("VmHWM")
	samples := make([]int, timed)
	for i := range samples {
		samples[i] = i
	}
	timeEach(newRow(*name, *limit), samples)
	threads = max(threads, status("Threads"))
	fmt.Printf("subject=%s ops=%.0f submit50=%d submit99=%d threads=%d rss_kib=%d\n", *name, rate,
		samples[timed/2], samples[timed*99/100], threads, kib)
}
