package certificates_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/internal/kube"
	"github.com/bonafide-dev/bonafide/internal/kube/certificates"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

var shared rig.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

const host = "bonafide.bonafide-system.svc"

// A clock is moved by the test alone.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A journal is what is said: logs and Events.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) Event(_ context.Context, about corev1.ObjectReference, kind, reason, message string) {
	fmt.Fprintf(j, "event %s/%s %s %s: %s\n", about.Namespace, about.Name, kind, reason, message)
}

func (j *journal) bytes() []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return bytes.Clone(j.text.Bytes())
}

// A scene is a system namespace and a clock that replicas share.
type scene struct {
	client    *kube.Client
	namespace string
	clock     *clock
	journal   *journal
}

func newScene(t *testing.T) *scene {
	t.Helper()
	cluster := shared.Cluster(t)
	client, err := kube.New(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	return &scene{client: client, namespace: cluster.Namespace(t, nil), clock: newClock(), journal: &journal{}}
}

func (s *scene) options() certificates.Options {
	return certificates.Options{
		Client: s.client, Namespace: s.namespace, Hosts: []string{host, "127.0.0.1"}, Now: s.clock.Now,
		Log: slog.New(slog.NewTextHandler(s.journal, nil)), Events: s.journal,
	}
}

// keeper returns one that is started and follows the Secret until the test ends.
func (s *scene) keeper(t *testing.T, o certificates.Options) (*certificates.Keeper, chan<- time.Time) {
	t.Helper()
	k, err := certificates.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ticks, done := make(chan time.Time), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(done)
		k.Run(ctx, ticks)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return k, ticks
}

func (s *scene) secret(t *testing.T) *corev1.Secret {
	t.Helper()
	secret, err := s.client.Typed.CoreV1().Secrets(s.namespace).Get(t.Context(), certificates.DefaultSecret, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// edit changes the Secret as an operator would.
func (s *scene) edit(t *testing.T, change func(*corev1.Secret)) {
	t.Helper()
	rig.Eventually(t, "edit the Secret", func(ctx context.Context) error {
		secret, err := s.client.Typed.CoreV1().Secrets(s.namespace).Get(ctx, certificates.DefaultSecret, metav1.GetOptions{})
		if err != nil {
			return err
		}
		change(secret)
		_, err = s.client.Typed.CoreV1().Secrets(s.namespace).Update(ctx, secret, metav1.UpdateOptions{})
		return err
	})
}

// holds waits until the Secret is as the condition says.
func (s *scene) holds(t *testing.T, what string, condition func(*corev1.Secret) error) {
	t.Helper()
	rig.Eventually(t, what, func(ctx context.Context) error {
		secret, err := s.client.Typed.CoreV1().Secrets(s.namespace).Get(ctx, certificates.DefaultSecret, metav1.GetOptions{})
		if err != nil {
			return err
		}
		return condition(secret)
	})
}

func serial(k *certificates.Keeper) string {
	c, err := k.Get(nil)
	if err != nil {
		return err.Error()
	}
	return c.Leaf.SerialNumber.Text(16)
}

// handshake connects a caller that trusts the bundle alone to a server that
// serves what the keeper has.
func handshake(k *certificates.Keeper, bundle []byte, now func() time.Time) error {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		return errors.New("expected a bundle with certificates")
	}
	near, far := net.Pipe()
	defer func() { _ = near.Close() }()
	served := make(chan error, 1)
	go func() {
		defer func() { _ = far.Close() }()
		served <- tls.Server(far, &tls.Config{GetCertificate: k.Get, Time: now}).Handshake()
	}()
	client := tls.Client(near, &tls.Config{RootCAs: roots, ServerName: host, Time: now})
	return errors.Join(client.Handshake(), <-served)
}
