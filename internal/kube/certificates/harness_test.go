package certificates_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/internal/kube"
	"github.com/bonafide-dev/bonafide/internal/kube/certificates"
	"github.com/bonafide-dev/bonafide/internal/kube/kubetest"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

var shared rig.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

const host = "bonafide.bonafide-system.svc"

// A scene is a system namespace and a clock that replicas share.
type scene struct {
	client    *kube.Client
	namespace string
	clock     kubetest.Clock
	journal   kubetest.Journal
}

func newScene(t *testing.T) *scene {
	t.Helper()
	cluster := shared.Cluster(t)
	return &scene{client: kubetest.Client(t, cluster.Config), namespace: cluster.Namespace(t, nil)}
}

func (s *scene) options() certificates.Options {
	return certificates.Options{
		Client: s.client, Namespace: s.namespace, Hosts: []string{host, "127.0.0.1"}, Now: s.clock.Now,
		Log: s.journal.Log(), Events: &s.journal,
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
	ticks := make(chan time.Time)
	kubetest.Run(t, func(ctx context.Context) { k.Run(ctx, ticks) })
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

// inUse reports whether the Secret's certificate is the one that is served.
func inUse(k *certificates.Keeper, secret *corev1.Secret) bool {
	served, err := k.Get(nil)
	return err == nil && slices.Equal(certificatesIn(secret.Data["tls.crt"]), []string{string(served.Leaf.Raw)})
}

// handshake connects a caller that trusts the bundle alone to a server that
// serves what the keeper has.
func handshake(k *certificates.Keeper, bundle []byte, now func() time.Time) error {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		return errors.New("expected a bundle with certificates")
	}
	served, err := k.Get(nil)
	if err != nil {
		return err
	}
	// First without a connection: at a pipe, a client that refuses hangs, since
	// nobody reads why.
	if _, err := served.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: now()}); err != nil {
		return err
	}
	near, far := net.Pipe()
	defer func() { _ = near.Close() }()
	answered := make(chan error, 1)
	go func() {
		defer func() { _ = far.Close() }()
		answered <- tls.Server(far, &tls.Config{GetCertificate: k.Get, Time: now}).Handshake()
	}()
	client := tls.Client(near, &tls.Config{RootCAs: roots, ServerName: host, Time: now})
	return errors.Join(client.Handshake(), <-answered)
}
