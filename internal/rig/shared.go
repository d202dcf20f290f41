package rig

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
)

// Shared is one cluster for all tests of a package, started when the first test
// asks for it. The zero Shared is ready for use:
//
//	var shared rig.Shared
//
//	func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }
//
//	func TestX(t *testing.T) { cluster := shared.Cluster(t) … }
type Shared struct {
	once    sync.Once
	cluster *Cluster
	err     error
}

// Run runs the tests, stops the cluster if one was started, and returns the
// exit code. After a failure it prints the end of the cluster's logs.
func (s *Shared) Run(m *testing.M) int {
	code := m.Run()
	if s.cluster == nil {
		return code
	}
	s.cluster.stop()
	if code != 0 {
		fmt.Fprintf(os.Stderr, "%s\n%s\n", s.cluster.apiserver.tail(), s.cluster.etcd.tail())
	}
	if err := s.cluster.remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// Cluster returns the shared cluster, starting it if this is the first call.
func (s *Shared) Cluster(tb testing.TB) *Cluster {
	tb.Helper()
	s.once.Do(func() { s.cluster, s.err = launch(context.Background()) })
	if s.err != nil {
		tb.Fatalf("start the shared cluster: %v", s.err)
	}
	return s.cluster
}
