package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
)

// A stand is to internal/rig what a test is: it ends what was started and keeps
// what failed. It is used by one goroutine. Of the methods of a test it has those
// that internal/rig calls; another one ends the program.
type stand struct {
	testing.TB // nil: it is there for its unexported method

	ctx    context.Context
	ends   []func()
	failed []error
}

// broken is how Fatal leaves: by a panic that run takes up.
type broken struct{}

// run calls do, then ends what it started, the last first. The error is what do
// returned and what failed.
func (s *stand) run(do func() error) error {
	err := s.guard(do)
	for _, end := range slices.Backward(s.ends) {
		err = errors.Join(err, s.guard(func() error { end(); return nil }))
	}
	return errors.Join(append([]error{err}, s.failed...)...)
}

func (s *stand) guard(do func() error) (err error) {
	defer func() {
		p := recover()
		if _, is := p.(broken); p != nil && !is {
			panic(p)
		}
	}()
	return do()
}

func (s *stand) Helper()                  {}
func (s *stand) Context() context.Context { return s.ctx }
func (s *stand) Cleanup(end func())       { s.ends = append(s.ends, end) }
func (s *stand) Failed() bool             { return len(s.failed) > 0 }
func (s *stand) Log(a ...any)             { fmt.Fprintln(os.Stderr, a...) }
func (s *stand) Logf(text string, a ...any) {
	fmt.Fprintf(os.Stderr, text+"\n", a...)
}

func (s *stand) Errorf(text string, a ...any) {
	s.failed = append(s.failed, fmt.Errorf(text, a...))
}

func (s *stand) Fatalf(text string, a ...any) {
	s.Errorf(text, a...)
	panic(broken{})
}

func (s *stand) Fatal(a ...any) {
	s.failed = append(s.failed, errors.New(fmt.Sprint(a...)))
	panic(broken{})
}
