package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Shared is one cluster for all tests of a package, started when the first test
// asks for it, with one Gatekeeper and one Kyverno, started alike, and one build
// of the bonafide command. The zero Shared is ready for use:
//
//	var shared rig.Shared
//
//	func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }
//
//	func TestX(t *testing.T) { cluster := shared.Cluster(t) … }
type Shared struct {
	cluster    lazy[*Cluster]
	gatekeeper lazy[*Gatekeeper]
	kyverno    lazy[*Kyverno]
	command    lazy[string] // path of the executable, in a folder of its own
}

// lazy is something that is started once.
type lazy[T any] struct {
	once  sync.Once
	value T
	err   error
}

func (l *lazy[T]) get(start func() (T, error)) (T, error) {
	l.once.Do(func() { l.value, l.err = start() })
	return l.value, l.err
}

// Run runs the tests, stops what was started, and returns the exit code. After
// a failure it prints the end of the logs.
func (s *Shared) Run(m *testing.M) int {
	code := m.Run()
	if err := errors.Join(s.stop(code != 0), s.removeCommand()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// stop stops the cluster and what runs for it, and removes its files.
func (s *Shared) stop(showLogs bool) error {
	cluster := s.cluster.value
	if cluster == nil {
		return nil
	}
	var processes []*process // clients first, so that their logs end with what they did
	if g := s.gatekeeper.value; g != nil {
		processes = append(processes, g.process)
	}
	if k := s.kyverno.value; k != nil {
		processes = append(processes, k.process)
	}
	processes = append(processes, cluster.apiserver, cluster.etcd)
	for _, p := range processes {
		p.stop()
		if showLogs {
			fmt.Fprintln(os.Stderr, p.tail())
		}
	}
	return cluster.remove()
}

func (s *Shared) removeCommand() error {
	if s.command.value == "" {
		return nil
	}
	return os.RemoveAll(filepath.Dir(s.command.value))
}

// Cluster returns the shared cluster, starting it if this is the first call.
func (s *Shared) Cluster(tb testing.TB) *Cluster {
	tb.Helper()
	cluster, err := s.cluster.get(func() (*Cluster, error) { return launch(context.Background(), ClusterOptions{}) })
	if err != nil {
		tb.Fatalf("start the shared cluster: %v", err)
	}
	return cluster
}

// Gatekeeper returns the Gatekeeper of the shared cluster, starting it if this
// is the first call. From then on it is asked about everything that is created
// in the cluster.
func (s *Shared) Gatekeeper(tb testing.TB) *Gatekeeper {
	tb.Helper()
	cluster := s.Cluster(tb)
	gatekeeper, err := s.gatekeeper.get(func() (*Gatekeeper, error) {
		return launchGatekeeper(context.Background(), cluster, GatekeeperOptions{})
	})
	if err != nil {
		tb.Fatalf("start the shared Gatekeeper: %v", err)
	}
	return gatekeeper
}

// Kyverno returns the Kyverno of the shared cluster, starting it if this is the
// first call.
func (s *Shared) Kyverno(tb testing.TB) *Kyverno {
	tb.Helper()
	cluster := s.Cluster(tb)
	kyverno, err := s.kyverno.get(func() (*Kyverno, error) { return launchKyverno(context.Background(), cluster, KyvernoOptions{}) })
	if err != nil {
		tb.Fatalf("start the shared Kyverno: %v", err)
	}
	return kyverno
}
