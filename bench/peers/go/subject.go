package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

type subject interface {
	submit(fn func(int), arg int)
	wait() // until all tasks have run; none is submitted afterwards
}

func start(s *setup) subject {
	switch {
	case s.subject == "go-goroutines" && s.cap == 0:
		skip(s.subject, "needs a cap, or -1")
	case s.subject == "go-goroutines":
		return newGoroutines(s.cap, s.queue)
	case s.subject == "go-channel" && s.cap < 1:
		skip(s.subject, "needs a cap")
	case s.subject == "go-channel":
		return newChannel(s.cap, s.queue)
	}
	die("no subject is called %s", s.subject)
	return nil
}

func skip(subject, why string) {
	fmt.Fprintf(os.Stderr, "%s: %s: %s\n", filepath.Base(os.Args[0]), subject, why)
	os.Exit(skipped)
}

// ---- A goroutine for each task ----------------------------------------------------------

// A semaphore bounds the goroutines. There is no queue but Go's own, so cap + queue
// goroutines may be under way; tasks that sleep do so all at once.
type goroutines struct {
	semaphore chan struct{} // nil: no bound
	all       sync.WaitGroup
}

func newGoroutines(cap, queue int) *goroutines {
	g := &goroutines{}
	if cap >= 0 {
		g.semaphore = make(chan struct{}, cap+queue)
	}
	return g
}

func (g *goroutines) submit(fn func(int), arg int) {
	if g.semaphore != nil {
		g.semaphore <- struct{}{}
	}
	g.all.Add(1)
	go g.run(fn, arg)
}

func (g *goroutines) run(fn func(int), arg int) {
	fn(arg)
	if g.semaphore != nil {
		<-g.semaphore
	}
	g.all.Done()
}

func (g *goroutines) wait() {
	g.all.Wait()
}

// ---- Workers that share a channel -------------------------------------------------------

type task struct {
	fn  func(int)
	arg int
}

type channel struct {
	tasks   chan task
	workers sync.WaitGroup
}

func newChannel(cap, queue int) *channel {
	c := &channel{tasks: make(chan task, queue)}
	c.workers.Add(cap)
	for i := 0; i < cap; i++ {
		go c.work()
	}
	return c
}

func (c *channel) work() {
	for t := range c.tasks {
		t.fn(t.arg)
	}
	c.workers.Done()
}

func (c *channel) submit(fn func(int), arg int) {
	c.tasks <- task{fn, arg}
}

func (c *channel) wait() {
	close(c.tasks)
	c.workers.Wait()
}
