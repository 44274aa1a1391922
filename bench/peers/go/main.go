// The questions of throughput.c and latency.c, put to Go. It takes their flags and prints
// their lines. The build sets the question and the subject, see ../CMakeLists.txt.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

const skipped = 77 // exit code: this subject cannot do what was asked

var question = "throughput"
var defaultSubject = "go-goroutines"

type setup struct {
	subject                string
	cap, queue, submitters int
	call                   string
}

func die(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "%s: %s\n", filepath.Base(os.Args[0]), fmt.Sprintf(format, arguments...))
	os.Exit(1)
}

// Flags that both questions take.
func (s *setup) flags(defaultCap, defaultQueue int) {
	flag.StringVar(&s.subject, "subject", defaultSubject, "go-goroutines or go-channel")
	flag.IntVar(&s.cap, "cap", defaultCap, "tasks at once; -1: no bound at all")
	flag.IntVar(&s.queue, "queue", defaultQueue, "accepted tasks beyond the cap")
	flag.Int("prestart", 0, "ignored")
	flag.Int("spin-us", 0, "ignored")
}

func parse() {
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
}

func main() {
	if question == "latency" {
		latency()
	} else {
		throughput()
	}
}
