// Command testreport turns the output of `go test -json` into what a person
// reads: the closing line of each package as it ends, everything that a failed
// test or package printed, and at the end one line that counts. It fails if
// anything failed, or if nothing was tested.
//
//	go test -json ./... | go run ./hack/testreport [-no-skip] [-title TEXT] [-log FILE]
//
// With -no-skip a skipped test is a failure. -log appends the closing lines and
// the count to a file.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	noSkip := flag.Bool("no-skip", false, "fail if a test was skipped")
	title := flag.String("title", "tests", "what was run, for the last line")
	log := flag.String("log", "", "append the closing lines to this `file`")
	flag.Parse()
	if err := run(os.Stdin, os.Stdout, options{title: *title, log: *log, noSkip: *noSkip}); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// options are what the command's flags say.
type options struct {
	title  string
	log    string
	noSkip bool
}

// run reads events from in and writes the report to out.
func run(in io.Reader, out io.Writer, o options) (err error) {
	closing := out
	if o.log != "" {
		file, openErr := os.OpenFile(o.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		closing = io.MultiWriter(out, file)
	}
	r := newReport(out, closing)
	reader := bufio.NewReader(in)
	for {
		line, readErr := reader.ReadBytes('\n')
		r.line(line)
		if errors.Is(readErr, io.EOF) {
			break
		}
		if readErr != nil {
			return fmt.Errorf("read the output of go test: %w", readErr)
		}
	}
	fmt.Fprintln(closing, o.title+": "+r.summary())
	return r.verdict(o.noSkip)
}
